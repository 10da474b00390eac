"""What is common to all who read a rotated log: its manifest, and how its files are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic

from capturefile._capturefile import CaptureFile
from capturefile._errors import RecordsDeleted
from capturefile._typing import RecordT_co
from capturefile.rotating.manifest import Manifest


class Log(Generic[RecordT_co]):
    """A rotated log that is read; many threads may use it."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        """Opens the manifest in `folder`; `options` are for each file."""
        self.options = options
        self.closed = False
        self.manifest = Manifest(folder.absolute())

    @property
    def file_name(self) -> str:
        """The path of the folder, as `str`."""
        return str(self.manifest.folder)

    def open_file(self, index: int, number: int) -> CaptureFile[RecordT_co]:
        """Opens the file at `index`, for record `number`; raises what `Manifest.deleted` returns if it is gone."""
        try:
            return CaptureFile(self.manifest.path_of(index), **self.options)
        except FileNotFoundError:
            # Without the manifest it is not the file that is gone, but the log.
            self.manifest.look()
            raise self.manifest.deleted(number, index) from None

    def newest(self) -> tuple[int, bytes | None]:
        """Returns the number of the last record, and the metadata, of the last file that is there.

        A copy of a log that was made during a rotation can be without the files that were announced last.
        """
        manifest = self.manifest
        while manifest.entries:
            index = manifest.last_there()
            first = manifest.entries[index].first
            try:
                cf = self.open_file(index, first)
            except RecordsDeleted:
                # It was sealed and deleted meanwhile: there is a later file.
                continue
            with cf:
                count = cf.record_count()
                metadata = cf.get_metadata()
            # A rotation meanwhile has made another file the last one; this one may have grown before that.
            if not manifest.look():
                return first - 1 + count, metadata
        return 0, None

    def close(self) -> None:
        """Closes the manifest, and ends what follows the log."""
        self.closed = True
        self.manifest.close()
