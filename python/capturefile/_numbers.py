"""Numbers of records, as callers give them."""

from __future__ import annotations

import operator
from typing import SupportsIndex

_LIMIT = 10**100
"""No file has as many records. Python refuses to print an integer with thousands of digits."""


def integer(number: SupportsIndex) -> int:
    """The number, or the limit if it is further away from 0 than that."""
    return max(-_LIMIT, min(operator.index(number), _LIMIT))
