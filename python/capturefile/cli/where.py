"""Selecting records by their fields, and fields of records: the options `--where` and `--field`."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from capturefile._fields.conditions import Condition


def add_where(command: argparse.ArgumentParser) -> None:
    """Adds the option that selects records by their fields."""
    command.add_argument(
        "--where",
        type=_condition,
        metavar="EXPR",
        help="only JSON records for which this holds, in Python's syntax: 'level == \"error\" and http.ms > 100'",
    )


def add_fields(command: argparse.ArgumentParser) -> None:
    """Adds the option that selects the fields to show."""
    command.add_argument(
        "--field",
        dest="fields",
        action="extend",
        type=lambda text: text.split(","),
        metavar="NAME[,NAME...]",
        help="only these fields of JSON records; a.b is field b in a",
    )


def _condition(text: str) -> Condition:
    from capturefile._fields.conditions import Condition

    try:
        return Condition(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
