"""Words that the glossary replaces are found, even across line breaks."""

from pathlib import Path

import pytest
import wording

WORDS = wording.glossary("| not | but |\n|---|---|\n| so many | this many |\n| go on, goes on | continue |\n\nMore.")


def test_the_glossary_has_the_replacement_of_each_word() -> None:
    assert WORDS == {"so many": "this many", "go on": "continue", "goes on": "continue"}
    text = (Path(__file__).resolve().parent.parent / wording.GLOSSARY).read_text()
    assert wording.glossary(text)["let go of"] == "release"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n/// So many bytes.", (2, "So many", "this many")),
        ("/// It goes\n    /// on with it.", (1, "goes\n    /// on", "continue")),
        ("# They go\n# on.", (1, "go\n# on", "continue")),
    ],
)
def test_a_replaced_word_is_found(text: str, expected: tuple[int, str, str]) -> None:
    assert list(wording.found(text, WORDS)) == [expected]


@pytest.mark.parametrize("text", ["so many that it hurts", "let go_on = 1;", "this many", "It continues."])
def test_other_words_are_accepted(text: str) -> None:
    assert list(wording.found(text, WORDS)) == []
