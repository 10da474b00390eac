"""Forking, as the tests do it."""

from __future__ import annotations

import os
import warnings


def fork() -> int:
    """Forks while other threads run; returns the child's process id in the parent, and 0 in the child.

    Python warns of threads once the child exists. From 3.15 on a warning that is an error is raised in the parent then,
    which would not learn of the child.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
