"""Locks for one thread at a time that reject a signal handler of the holding thread, which would wait for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import RLock


def is_interrupted(lock: RLock) -> bool:
    """Returns whether this thread already holds `lock`: then a signal handler has interrupted the protected code."""
    owned: bool = lock._is_owned()  # type: ignore[attr-defined]
    return owned


def alone(lock: RLock, name: str) -> RLock:
    """Returns `lock`, for a `with` statement.

    Raises:
        ValueError: A signal handler has interrupted the code that holds the lock; a generator does the same.
    """
    if is_interrupted(lock):
        raise ValueError(f"{name} is already executing: a signal handler cannot use an object that it has interrupted")
    return lock
