"""The checks of the documentation site that `docs/build.py` makes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parent.parent / "docs"
LOADS = '<script src="assets/javascripts/worker.js"></script>'


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """The module `docs/build.py`."""
    pytest.importorskip("griffe")
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("build")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with two pages and a search index of both."""
    for name in ("index.html", "guide.html"):
        (tmp_path / name).write_text(LOADS)
    items = [{"location": name, "text": "words"} for name in ("index.html", "guide.html#start")]
    index = json.dumps({"items": items})
    (tmp_path / "search.json").write_text(index)
    (tmp_path / "search.js").write_text(f"var __index = {index}")
    return tmp_path


def problems(build: Any, site: Path) -> Iterator[str]:  # noqa: ANN401
    """The problems that the check of the search reports."""
    found: Iterator[str] = build.without_search(site, sorted(site.glob("*.html")))
    return found


def test_a_site_with_a_search_passes(build: Any, site: Path) -> None:  # noqa: ANN401
    assert list(problems(build, site)) == []


def test_an_incomplete_search_is_reported(build: Any, site: Path) -> None:  # noqa: ANN401
    (site / "new.html").write_text(LOADS)
    assert list(problems(build, site)) == ["new.html is not in the search index"]
    (site / "new.html").unlink()
    (site / "guide.html").write_text("")
    assert list(problems(build, site)) == ["guide.html does not load the worker of the search from the disk"]
    (site / "guide.html").write_text(LOADS)
    (site / "search.js").write_text("var __index = {}")
    assert list(problems(build, site)) == ["the search index for a site on the disk differs from the other one"]
    (site / "search.js").unlink()
    assert list(problems(build, site)) == ["the site has no search index, or none for a site on the disk"]
