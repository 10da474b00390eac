"""One thread at a time, and never a signal handler that has interrupted it: it would wait for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import RLock


def is_interrupted(lock: RLock) -> bool:
    """Whether this thread holds `lock` already, so that what runs now is a signal handler within what it protects."""
    owned: bool = lock._is_owned()  # type: ignore[attr-defined]
    return owned


def alone(lock: RLock, name: str) -> RLock:
    """Returns `lock`, for a `with` statement.

    Raises ValueError, as a generator does, where a signal handler has interrupted the code that holds it.
    """
    if is_interrupted(lock):
        raise ValueError(f"{name} is executing already: a signal handler cannot use what it has interrupted")
    return lock
