"""The exceptions of the library, and its warning."""


class CaptureFileError(Exception):
    """Base class of the exceptions that are specific to this library."""


class CaptureFileAlreadyOpen(CaptureFileError):
    """The file is open for writing elsewhere, or the object is already open. A file has one writer at a time."""


class CaptureFileNotOpen(CaptureFileError):
    """The object is closed."""


class CaptureFileNotOpenForWrite(CaptureFileError):
    """The object cannot write: it is open for reading, or belongs to the parent of this forked process."""


class InvalidCaptureFile(CaptureFileError):
    """The file is not a capture file, or it is damaged. The message describes the damage and its place."""


class CaptureFileReplaced(CaptureFileError):
    """A file that is being written or followed, or was read before, has been removed or replaced by another one.

    See `CaptureFile.follow`, `RecordSequence` and `capturefile.checkpoint`.
    """


class CommitUncertain(CaptureFileError, OSError):
    """A commit failed at a point where it may or may not have happened.

    Opening the file again shows which: its record count and metadata are those of this commit, or of the previous
    one. `errno` and `filename` are set.
    """


class UncommittedWarning(UserWarning):
    """A file was closed with uncommitted records or metadata, which are lost.

    Python shows this warning by default. A call of `rollback()` before closing prevents it.
    """


class RecordsDeleted(CaptureFileError):
    """The requested records of a rotated log were in a file that has been deleted.

    `first_record` is the number of the next record that still exists.
    """

    def __init__(self, message: str, first_record: int) -> None:
        """Creates the exception; `RotatingReader` raises it."""
        super().__init__(message, first_record)
        self.first_record = first_record

    def __str__(self) -> str:
        """Returns the message."""
        return str(self.args[0])


def in_words(error: BaseException) -> str:
    """Returns the error as one sentence, which names the file if there is one."""
    if isinstance(error, OSError) and error.strerror:
        is_nameless = error.filename is None or isinstance(error, CommitUncertain)
        return error.strerror if is_nameless else f"{error.filename or repr('')}: {error.strerror}"
    return str(error) or "out of memory"


# Aliases that follow Python's style guide.
CaptureFileAlreadyOpenError = CaptureFileAlreadyOpen
CaptureFileNotOpenError = CaptureFileNotOpen
CaptureFileNotOpenForWriteError = CaptureFileNotOpenForWrite
CaptureFileReplacedError = CaptureFileReplaced
CommitUncertainError = CommitUncertain
InvalidCaptureFileError = InvalidCaptureFile
RecordsDeletedError = RecordsDeleted
