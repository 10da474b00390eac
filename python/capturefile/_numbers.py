"""Numbers of records, as callers give them."""

from __future__ import annotations

import operator
from typing import SupportsIndex


def machine_integer(number: SupportsIndex) -> int:
    """The number or, if it is too large for any record, the largest that the machine has, with its sign."""
    return max(-(1 << 63), min(operator.index(number), (1 << 63) - 1))
