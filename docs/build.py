"""Build the documentation site in target/site: collect its pages, build them in strict mode, and check the result.

The pages are those of docs/ and a few others of the repository. Links between pages become links of the site; a link
to a file that is not a page, such as source code, becomes plain text. A link to a program that is the only content of
its paragraph is replaced by the program.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import signatures

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
PAGES = PROJECT / "target" / "pages"
SITE = PROJECT / "target" / "site"
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/results/README.md": "results.md",
}
"""Pages that are elsewhere in the repository, and their names on the site."""
Navigation: TypeAlias = "str | list[Navigation] | dict[str, Navigation]"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
"""Elements whose addresses a browser fetches without a click."""


class BrokenSiteError(Exception):
    """Problems of the site, one per line."""


def find_pages() -> dict[Path, str]:
    """Returns all pages of the site: their paths in the repository, and their names on the site."""
    pages = {path: path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    elsewhere = {PROJECT / path: name for path, name in ELSEWHERE.items() if (PROJECT / path).exists()}
    return pages | elsewhere


def gather(pages: dict[Path, str]) -> None:
    """Copies pages and pictures to the folder from which the site is built."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(DOCS / "pictures", PAGES / "pictures")
    for path in PROJECT.glob("benchmarks/results/*.svg"):
        shutil.copy(path, PAGES)
    for path, name in pages.items():
        target = PAGES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(with_links_of_the_site(path, pages), encoding="utf-8")


def with_programs(text: str) -> str:
    """Returns the text with the program in place of each link that is alone in its paragraph."""

    def program(link: re.Match[str]) -> str:
        return f"```python\n{(DOCS / link[1]).read_text(encoding='utf-8')}```"

    return re.sub(r"^\[`\w+\.py`\]\((\S+\.py)\)$", program, text, flags=re.MULTILINE)


def with_links_of_the_site(page: Path, pages: dict[Path, str]) -> str:
    """Returns the text of a page, with the links that it has on the site."""

    def on_the_site(link: re.Match[str]) -> str:
        picture, text, target = link.groups()
        name, separator, anchor = target.partition("#")
        if picture or not name or urlsplit(target).scheme:
            return link[0]
        file = Path(os.path.normpath(page.parent / name))
        if not file.exists():
            raise BrokenSiteError(f"{page.relative_to(PROJECT)}: a link to {target}, which does not exist")
        if file not in pages:
            return text
        there = os.path.relpath(PAGES / pages[file], (PAGES / pages[page]).parent)
        return f"[{text}]({there}{separator}{anchor})"

    # The second word of a code block is its title; the generator would read it as a setting.
    text = re.sub(r"^```(\w+) ([\w.]+)$", r'```\1 title="\2"', page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = re.split(r"(^```.*?^```$)", with_programs(text), flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(on_the_site, part) for part in parts)


def names_in(navigation: Navigation) -> Iterator[str]:
    """Returns the names of all pages in the navigation."""
    if isinstance(navigation, str):
        yield navigation
        return
    for part in navigation.values() if isinstance(navigation, dict) else navigation:
        yield from names_in(part)


def check_navigation(pages: dict[Path, str]) -> None:
    """Checks that the navigation contains each page exactly once, and nothing else."""
    settings = tomllib.loads((PROJECT / "zensical.toml").read_text(encoding="utf-8"))
    listed = sorted(names_in(settings["project"]["nav"]))
    if listed != sorted(pages.values()):
        difference = set(listed).symmetric_difference(pages.values()) or "a page that is listed twice"
        raise BrokenSiteError(f"the navigation in zensical.toml and the pages differ: {difference}")


def build() -> None:
    """Runs the generator; its warnings, and those of the docstring reader, are errors."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, encoding="utf-8", env={**os.environ, "NO_COLOR": "1"}, check=False
    )
    output = done.stdout + done.stderr
    if done.returncode or re.search(r"warning|error|griffe", output, re.IGNORECASE):
        raise BrokenSiteError(output)


def bring_search_to_the_disk() -> None:
    """Makes the search work in a site that is opened from the disk, where browsers do not start a worker from a file.

    The generator would load a replacement for such workers from another site. It is replaced by a script that contains
    the source of the worker.
    """
    scripts = SITE / "assets" / "javascripts"
    (worker,) = (scripts / "workers").glob("search.*.js")
    (scripts / "worker.js").write_text(
        'if (location.protocol === "file:") {\n'
        f"  const source = {json.dumps(worker.read_text(encoding='utf-8'))};\n"
        "  const FileWorker = Worker;\n"
        "  Worker = function () { return new FileWorker(URL.createObjectURL(new Blob([source]))); };\n"
        "}\n",
        encoding="utf-8",
    )
    for page in SITE.rglob("*.html"):
        base = os.path.relpath(scripts, page.parent)
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r"https://[^\"]*/iframe-worker/shim", f"{base}/worker.js", text), encoding="utf-8")


@dataclass
class Page(HTMLParser):
    """The anchors, links and loaded files of a page of the site."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Records anchors, links, and loaded files."""
        for name, value in attributes:
            if name == "id" and value:
                self.anchors.add(value)
            elif (tag, name) in LOADED and value:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


def problems(pages: dict[Path, Page]) -> Iterator[str]:
    """Returns broken links of the site, and files that it would load from other sites."""
    for page in pages.values():
        name = page.path.relative_to(SITE)
        if "```" in page.path.read_text(encoding="utf-8"):
            yield f"{name}: a code block that was not recognised"
        yield from (f"{name} loads {url}" for url in page.loaded if urlsplit(url).netloc)
        for link in [*page.links, *page.loaded]:
            if not urlsplit(link).scheme and not leads_somewhere(page, link, pages):
                yield f"{name}: a link to {link}, which is not there"


def leads_somewhere(page: Page, link: str, pages: dict[Path, Page]) -> bool:
    """Returns whether the target of a link exists: the file, and the anchor in it."""
    parts = urlsplit(link)
    target = Path(os.path.normpath(page.path.parent / unquote(parts.path))) if parts.path else page.path
    target = target / "index.html" if target.is_dir() else target
    if target in pages and parts.fragment:
        return unquote(parts.fragment) in pages[target].anchors
    return target.exists()


def undocumented(pages: dict[Path, Page]) -> Iterator[str]:
    """Returns public names of the package that the site does not describe."""
    tree = ast.parse((PROJECT / "python" / "capturefile" / "__init__.py").read_text(encoding="utf-8"))
    (public,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    described = set().union(*(page.anchors for page in pages.values()))
    for name in public:
        if name.removesuffix("Error") in public and name.endswith("Error"):
            continue  # Another name of an exception that is described under its first.
        # A module counts as described if its members are.
        if not any(
            anchor == f"capturefile.{name}" or anchor.startswith(f"capturefile.{name}.") for anchor in described
        ):
            yield f"capturefile.{name} is not described"


def private_names(pages: dict[Path, Page]) -> Iterator[str]:
    """Returns private names in signatures of the reference."""
    names = "|".join(name for name, meaning in signatures.NAMES.items() if name != meaning)
    for path in pages:
        if path.parent.name == "api" and (found := re.search(rf">({names})<", path.read_text(encoding="utf-8"))):
            yield f"{path.relative_to(SITE)} has the private name {found[1]}"


def without_search(site: Path, pages: Iterable[Path]) -> Iterator[str]:
    """Returns pages that the search does not find, or that cannot search when the site is opened from the disk."""
    index, script = site / "search.json", site / "search.js"
    if not index.exists() or not script.exists():
        yield "the site has no search index, or none for a site on the disk"
        return
    content = index.read_text(encoding="utf-8")
    if content not in script.read_text(encoding="utf-8"):
        yield "the search index for a site on the disk differs from the other one"
    found = {item["location"].partition("#")[0] for item in json.loads(content)["items"] if item["text"]}
    for path in pages:
        name = path.relative_to(site).as_posix()
        if name not in found:
            yield f"{name} is not in the search index"
        if "javascripts/worker.js" not in path.read_text(encoding="utf-8"):
            yield f"{name} does not load the worker of the search from the disk"


def check() -> int:
    """Checks the site that was built; returns the number of its pages."""
    # The page for wrong addresses is shown under any path, so its links are absolute.
    pages = {path: Page(path) for path in SITE.rglob("*.html") if path.name != "404.html"}
    found = [*problems(pages), *undocumented(pages), *private_names(pages), *without_search(SITE, pages)]
    found += [f"{path.relative_to(SITE)} loads fonts" for path in SITE.rglob("*.css") if "url(http" in path.read_text()]
    if found:
        raise BrokenSiteError("\n".join(found))
    return len(pages)


def main() -> int:
    """Builds the site, and prints where it is, or its problems."""
    try:
        pages = find_pages()
        check_navigation(pages)
        gather(pages)
        build()
        bring_search_to_the_disk()
        count = check()
    except BrokenSiteError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} pages in {SITE.relative_to(PROJECT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
