"""Replacing a set of files in a folder together: the new files are completed first, and then swapped in."""

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
    """The swap of one job in one folder. It is small, because it is sent to the tasks of the job."""

    folder: str
    job: str
    """A word that identifies the job."""

    @property
    def aside(self) -> Path:
        """The hidden folder, inside the other one, where files are written until all of them are complete."""
        return Path(self.folder, f"_temporary-{self.job}")

    @property
    def replaced(self) -> Path:
        """The folder for the files that were moved out."""
        return self.aside / "replaced"

    def has_begun(self) -> bool:
        """Returns whether files are being moved, or were being moved when the process died."""
        return self.replaced.is_dir()

    def run(self, new: Mapping[str, Path], old: Iterable[str]) -> None:
        """Moves the files named `old` out of the folder and the `new` ones in, and syncs the names.

        `new` maps names in the folder to current paths. A swap that was begun before is continued, because the process
        that ran it may have died. An error after the first move undoes the swap.

        Raises:
            FileNotFoundError: A new file does not exist. Nothing has been moved.
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
        """Moves everything back to where it was before the swap, whether or not the swap was completed."""
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
        """Deletes the hidden folder, with the files that were moved out."""
        shutil.rmtree(self.aside, ignore_errors=True)

    def clear_but_trace(self) -> None:
        """Deletes the files that were moved out, but keeps `has_begun` true for tasks that are repeated."""
        for path in list(self.replaced.iterdir()):
            path.unlink()


def part_names(prefix: str, indices: Iterable[int]) -> dict[int, str]:
    """Returns names of parts by their indices; the names sort like the indices."""
    wanted = list(indices)
    width = max(5, len(str(max(wanted, default=0))))
    return {index: f"{prefix}{index:0{width}}{SUFFIX}" for index in wanted}


def check_is_here(path: Path) -> None:
    """Checks that this process can see a part that a task has written.

    Raises:
        FileNotFoundError: It does not.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{str(path)!r} was written by a task, but does not exist on {socket.gethostname()}, where the write is "
            "committed: all hosts of the cluster need the same folder under the same path"
        )
