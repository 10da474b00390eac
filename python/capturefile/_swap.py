"""Files that take their places in a folder together, instead of those that were there: whole first, and then a swap."""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capturefile._files import SUFFIX, sync_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Swap:
    """What one job puts into a folder, and what it takes out. It goes to the tasks of the job, and is small."""

    folder: str
    job: str
    """A word that no other job has."""

    @property
    def aside(self) -> Path:
        """The hidden folder, inside the other one, in which files are written until all of them are whole."""
        return Path(self.folder, f"_temporary-{self.job}")

    @property
    def replaced(self) -> Path:
        """Where the files are that were taken out."""
        return self.aside / "replaced"

    def has_begun(self) -> bool:
        """Whether files are being moved, or were when the process that did so died."""
        return self.replaced.is_dir()

    def run(self, new: Mapping[str, Path], old: Iterable[str]) -> None:
        """Takes the files named `old` out of the folder, puts in the `new` ones, and syncs the names.

        The new ones are given by their names there, with the paths at which they are now. A swap that was begun before
        is continued: the process that ran it may have died.

        Raises FileNotFoundError, with nothing moved, if a new file is not there. What fails later is undone.
        """
        moved = {name for name, path in new.items() if not path.exists()}
        if not self.has_begun():
            for name in moved:
                check_is_here(new[name])
            self.replaced.mkdir()
        try:
            for name in old:
                if name not in moved:
                    with suppress(FileNotFoundError):
                        Path(self.folder, name).rename(self.replaced / name)
            for name, path in new.items():
                if name not in moved:
                    path.rename(Path(self.folder, name))
            sync_path(self.folder)
        except BaseException:
            self.undo(new)
            raise

    def undo(self, new: Mapping[str, Path]) -> None:
        """Puts everything back to where it was before the swap, whether that was finished or failed half-way."""
        if not self.has_begun():
            return
        for name, path in new.items():
            if not path.exists():
                with suppress(FileNotFoundError):
                    Path(self.folder, name).rename(path)
        for path in list(self.replaced.iterdir()):
            path.rename(Path(self.folder, path.name))
        self.replaced.rmdir()

    def clear(self) -> None:
        """Deletes what is aside, the files that were taken out among it."""
        shutil.rmtree(self.aside, ignore_errors=True)

    def clear_but_trace(self) -> None:
        """Does the same, but `has_begun` remains true, for tasks that are repeated because their results were lost."""
        for path in list(self.replaced.iterdir()):
            path.unlink()


def part_names(prefix: str, indices: Iterable[int]) -> dict[int, str]:
    """Names of parts by their indices, which sort as these do."""
    wanted = list(indices)
    width = max(5, len(str(max(wanted, default=0))))
    return {index: f"{prefix}{index:0{width}}{SUFFIX}" for index in wanted}


def check_is_here(path: Path) -> None:
    """Raises FileNotFoundError for a part that a task has written, but not where this process can see it."""
    if not path.exists():
        raise FileNotFoundError(
            f"{str(path)!r} was written by a task, but does not exist on {socket.gethostname()}, where the write is "
            "committed: all hosts of the cluster need the same folder under the same path"
        )
