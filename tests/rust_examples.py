"""Finds public items of the crate whose documentation has no example.

    python tests/rust_examples.py

All `pub` items can be reached from `lib.rs`: the compiler's lint `unreachable_pub` ensures that. Fields, variants and
methods of traits need no example of their own.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: These are not part of the crate's public API.
OTHERS = ("src/python/", "src/simulation/", "src/v3/")

ITEM = re.compile(r"\s*pub (?:const |async |unsafe )*(fn|struct|enum|union|trait|type|const|static) (\w+)")
DOC = re.compile(r"\s*///")
#: The last line before an item's documentation and attributes.
BOUNDARY = re.compile(r"\s*$|.*[;{}]$")
FENCE = re.compile(r"\s*/// ```\w*$")


def above(lines: list[str], item: int) -> Iterator[str]:
    """The documentation and attributes of the item in the line with this index, from the last line on."""
    for line in reversed(lines[:item]):
        if not DOC.match(line) and BOUNDARY.match(line):
            return
        yield line


def without_example(text: str) -> Iterator[tuple[int, str]]:
    """The line and name of each item without an example in a file."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        item = ITEM.match(line)
        if item and not any(FENCE.match(line) for line in above(lines, index)):
            yield index + 1, item[2]


def problems(root: Path) -> list[str]:
    """All items without examples of the crate at `root`."""
    listed = subprocess.run(["git", "ls-files", "src/*.rs"], cwd=root, check=True, capture_output=True, text=True)
    return [
        f"{name}:{line}: {item} has no example in its documentation"
        for name in listed.stdout.splitlines()
        if not name.startswith(OTHERS) and (root / name).exists()
        for line, item in without_example((root / name).read_text())
    ]


def main() -> int:
    """Prints where such items are; returns 1 if there are any."""
    said = problems(Path(__file__).resolve().parent.parent)
    print("\n".join(said))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
