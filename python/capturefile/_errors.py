"""The exceptions of the library, and its warning."""


class CaptureFileError(Exception):
    """Base of all exceptions that only this library raises."""


class CaptureFileAlreadyOpen(CaptureFileError):
    """The file, or the object, is open already; a file has one writer at a time."""


class CaptureFileNotOpen(CaptureFileError):
    """The object is closed."""


class CaptureFileNotOpenForWrite(CaptureFileError):
    """The object reads, or was forked off a process that writes, and cannot write."""


class InvalidCaptureFile(CaptureFileError):
    """The file is not a capture file, or a damaged one; the message says what is wrong and where."""


class CaptureFileReplaced(CaptureFileError):
    """Another file, or none, stands where the one should be that is written, followed, or was read before.

    See `CaptureFile.follow`, `RecordSequence` and `capturefile.checkpoint`.
    """


class CommitUncertain(CaptureFileError, OSError):
    """A commit failed at a point where it may or may not have happened.

    Opening the file again tells: its record count and metadata are those of the commit, or of the one
    before. `errno` and `filename` are set.
    """


class UncommittedWarning(UserWarning):
    """A file was closed with records or metadata that were not committed, and these are lost.

    Python shows it by default. `rollback()` before the end says that nothing is to be kept, and prevents it.
    """


class RecordsDeleted(CaptureFileError):
    """Records of a rotated log were asked for whose file was deleted.

    `first_record` is the number of the next record that is still there.
    """

    def __init__(self, message: str, first_record: int) -> None:
        """Raised by `RotatingReader`."""
        super().__init__(message, first_record)
        self.first_record = first_record

    def __str__(self) -> str:
        """What was asked for, and what is there."""
        return str(self.args[0])


# The same classes, named as the style guide of Python has it.
CaptureFileAlreadyOpenError = CaptureFileAlreadyOpen
CaptureFileNotOpenError = CaptureFileNotOpen
CaptureFileNotOpenForWriteError = CaptureFileNotOpenForWrite
CaptureFileReplacedError = CaptureFileReplaced
CommitUncertainError = CommitUncertain
InvalidCaptureFileError = InvalidCaptureFile
RecordsDeletedError = RecordsDeleted
