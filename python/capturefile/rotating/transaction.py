"""Transactions of a rotated log as context managers."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from capturefile._errors import CaptureFileError

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Committing(Protocol):
    def commit(self) -> None: ...
    def rollback(self) -> None: ...


_LogT = TypeVar("_LogT", bound=_Committing)


@contextmanager
def transaction(log: _LogT) -> Iterator[_LogT]:
    """Commits `log` at the end of the block, and rolls it back if the block raises."""
    committing = False
    try:
        yield log
        committing = True
        log.commit()
    except BaseException as error:
        # After a failed commit, the transaction can still be committed.
        if not (committing and isinstance(error, CaptureFileError | OSError)):
            # The first error is more informative.
            with suppress(CaptureFileError):
                log.rollback()
        raise
