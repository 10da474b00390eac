"""Public items of the crate without an example are found, and no others."""

import pytest
import rust_examples

EXAMPLE = "/// Counts.\n///\n/// ```\n/// assert!(true);\n/// ```\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pub fn bare() {}", (1, "bare")),
        ("/// Counts.\npub const fn told() {}", (2, "told")),
        ("/// Counts.\n#[derive(Debug)]\n#[non_exhaustive]\npub struct Attributed {", (4, "Attributed")),
        (f"{EXAMPLE}pub struct One {{\n    /// Its field.\n    pub field: u8,\n}}\n\npub enum Next {{", (11, "Next")),
        (f"{EXAMPLE}pub fn one() {{}}\n/// Counts.\npub fn next() {{}}", (8, "next")),
    ],
)
def test_an_item_without_an_example_is_found(text: str, expected: tuple[int, str]) -> None:
    assert list(rust_examples.without_example(text)) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        f"{EXAMPLE}pub fn counted() {{}}",
        f'{EXAMPLE}#[expect(\n    dead_code,\n    reason = "a test"\n)]\npub(super) struct Hidden;',
        f'{EXAMPLE}#[expect(\n    dead_code,\n    reason = "a test"\n)]\npub struct Attributed;',
        "pub(crate) fn hidden() {}\nfn private() {}\npub use other::Name;\npub mod inner;",
    ],
)
def test_other_items_are_ignored(text: str) -> None:
    assert list(rust_examples.without_example(text)) == []
