"""Forking for the tests."""

from __future__ import annotations

import os
import warnings


def fork() -> int:
    """Forks, whether or not other threads run; returns the child's process id in the parent, 0 in the child.

    Python warns about threads once the child exists. From 3.15 on, if warnings are errors, that one is raised in the
    parent, which then would not get the child's process id.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
