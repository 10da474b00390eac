"""The command `merge`: writes the records of several files to a new one, in the order of their keys."""

from __future__ import annotations

from contextlib import ExitStack, suppress

from capturefile.cli.arguments import add_bare
from capturefile.cli.copying import add_new_file, write_files
from capturefile.cli.exit_codes import DONE
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection
from capturefile.cli.sources import NAMED, check, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO, TypeAlias

    from capturefile.cli.arguments import Commands

    Key: TypeAlias = Callable[[Any], Any]
    """Returns the key of a record, or of a value in it; None if it has none."""

EXAMPLE = """\
capturefile merge --key time gateway.capture billing.capture both.capture
capturefile merge --key time --key-type time monday/ tuesday/ week.capture
capturefile merge --key-pattern '^seq=([0-9]+)' --key-type number a.capture b.capture ab.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    merge = add_bare(commands, "merge", summary, EXAMPLE)
    merge.add_argument("sources", metavar="SRC", nargs="+", help=f"{NAMED}; - is a capture file on standard input")
    merge.add_argument("target", metavar="DST", help="path of the new file")
    key = merge.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", metavar="NAME", help="the key is this field of JSON records; a.b is field b in a")
    key.add_argument(
        "--key-pattern",
        metavar="REGEX",
        help="the key is the match of this pattern in text records: group 1, or the whole match",
    )
    merge.add_argument(
        "--key-type",
        choices=("text", "number", "time"),
        help="compare keys as text, as numbers, or as ISO 8601 times (default: as in JSON, or text)",
    )
    merge.add_argument("--utc", action="store_true", help="times without a zone are in UTC, not local time")
    merge.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="skip records in damaged blocks; the exit code is then 3",
    )
    add_new_file(merge)
    merge.set_defaults(run=_merge)


def _merge(options: argparse.Namespace, output: BinaryIO) -> int:
    from heapq import merge

    order = Order(_key(options))
    with ExitStack() as stack:
        check(options.sources)
        sources = [stack.enter_context(opened(name)) for name in options.sources]
        selections = [Selection(source, source.everything(), lenient=options.skip_unreadable) for source in sources]
        shown = stack.enter_context(progress("merge", "records", sum(map(len, selections))))
        keyed = [order.keyed(selection.source.name, selection.records(shown)) for selection in selections]
        records = (record for _, record in merge(*keyed, key=lambda pair: pair[0]))
        merged = write_files(options, [options.target], sources, records)
    say(f"{counted(merged, 'record')} merged")
    return max(selection.code for selection in selections) or DONE


def _key(options: argparse.Namespace) -> Key:
    """Returns the function that finds the key of a record, according to the options."""
    from capturefile._fields.instants import instant

    kinds: dict[str | None, Key] = {
        None: lambda value: value if isinstance(value, str) or _is_number(value) else None,
        "text": lambda value: value if isinstance(value, str) else None,
        "number": _number,
        "time": lambda value: instant(value, utc=options.utc),
    }
    kind, found = kinds[options.key_type], _value(options)
    return lambda record: kind(found(record))


def _value(options: argparse.Namespace) -> Key:
    """Returns the function that finds the field or the part of a record that contains the key."""
    if options.key is not None:
        from capturefile._fields.expressions import document, named_field

        field = named_field(options.key)
        return lambda record: field(document(record))
    from capturefile.cli.patterns import part_of

    return part_of(options.key_pattern)


def _is_number(value: object) -> bool:
    """Returns whether it is a number that can be ordered, unlike NaN."""
    return isinstance(value, int | float) and value == value


def _number(value: object) -> int | float | None:
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return _number(kind(value))
    return value if isinstance(value, int | float) and _is_number(value) else None


class _Least:
    """A value that is less than any key."""

    def __lt__(self, other: object) -> bool:
        return not isinstance(other, _Least)

    def __gt__(self, other: object) -> bool:
        return False


class Order:
    """Checks the keys of all files, which must be all text or all numbers, and ascend in each file."""

    def __init__(self, key: Key) -> None:
        """Starts without keys."""
        self._key = key
        self._are_texts: bool | None = None

    def keyed(self, name: str, records: Iterator[tuple[int, bytes]]) -> Iterator[tuple[Any, bytes]]:
        """Yields the records of a file with their keys; a record without a key follows the record before it.

        Raises ValueError for a key that is below the one before it, or that cannot be compared with others.
        """
        last: Any = _Least()
        for number, record in records:
            found = self._key(record)
            if found is not None:
                is_text = isinstance(found, str)
                if self._are_texts is None:
                    self._are_texts = is_text
                if is_text is not self._are_texts:
                    kinds = ("text", "number") if is_text else ("number", "text")
                    raise ValueError(
                        "{}: the key of record {} is a {}, and others are {}s".format(name, number, *kinds)
                    )
                if found < last:
                    raise ValueError(
                        f"{name}: the key of record {number} is below an earlier one; "
                        "each file must be in the order of its keys"
                    )
                last = found
            yield last, record
