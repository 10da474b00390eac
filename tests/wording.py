"""Finds words that the glossary of CONTRIBUTING.md replaces.

    python tests/wording.py

The first column of its table lists the words to avoid, separated by commas.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

GLOSSARY = "CONTRIBUTING.md"
HEAD = "| not | but |"
KINDS = {".css", ".html", ".js", ".md", ".py", ".pyi", ".rs", ".sh", ".toml"}

#: This file contains the words on purpose.
OWN_TEST = "tests/test_wording.py"

#: Between two words of a phrase: spaces, or a line break and the comment sign of the next line.
BETWEEN = r"\s+(?:(?:///?!?|#)\s*)?"


def glossary(text: str) -> dict[str, str]:
    """The replacements, by the words to avoid."""
    rows = text.partition(HEAD)[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {phrase.strip(): instead for phrases, instead in cells for phrase in phrases.split(",")}


def found(text: str, words: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    """Each word to avoid in a text: the line, the word, and its replacement."""
    for phrase, instead in words.items():
        pattern = rf"\b{BETWEEN.join(map(re.escape, phrase.split()))}\b"
        # "So many that" is standard English.
        if phrase.startswith("so "):
            pattern += r"(?! (?:that|as|faster|more|less|the)\b)"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            yield text.count("\n", 0, match.start()) + 1, match.group(), instead


def problems(root: Path) -> list[str]:
    """All words to avoid in the files of the project at `root`."""
    text = (root / GLOSSARY).read_text()
    words = glossary(text)
    listed = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True)
    said = []
    for name in listed.stdout.splitlines():
        path = root / name
        if name != OWN_TEST and path.suffix in KINDS and path.exists():
            content = (
                text.replace(text.partition(HEAD)[2].partition("\n\n")[0], "") if name == GLOSSARY else path.read_text()
            )
            said += [f"{name}:{line}: {word!r}: say {instead!r}" for line, word, instead in found(content, words)]
    return said


def main() -> int:
    """Prints where such words are; returns 1 if there are any."""
    said = problems(Path(__file__).resolve().parent.parent)
    print("\n".join(said))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
