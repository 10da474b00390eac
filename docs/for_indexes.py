"""Prepare a checkout for the package indexes of Python and Rust, which show the README without the files it links to.

    python docs/for_indexes.py BASE REF

Makes the links of the README absolute, and names the project's pages in pyproject.toml and Cargo.toml. BASE is the
address of the repository at its hosting service, with everything before `/blob/REF/FILE` and `/raw/REF/FILE`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).parent.parent
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def with_absolute_links(page: str, base: str, ref: str) -> str:
    """Returns the page with absolute links, which work wherever it is shown."""

    def absolute(link: re.Match[str]) -> str:
        picture, text, target = link.groups()
        if urlsplit(target).scheme or target.startswith("#"):
            return link[0]
        return f"{picture}[{text}]({base}/{'raw' if picture else 'blob'}/{ref}/{target})"

    parts = re.split(r"(^```.*?^```$)", page, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(absolute, part) for part in parts)


def prepare(project: Path, base: str, ref: str) -> None:
    """Changes the three files in place."""
    home = base.removesuffix("/-")
    readme = project / "README.md"
    readme.write_text(with_absolute_links(readme.read_text(encoding="utf-8"), base, ref), encoding="utf-8")
    urls = {
        "Source": home,
        "Documentation": f"{base}/blob/{ref}/docs/index.md",
        "Changelog": f"{base}/blob/{ref}/CHANGELOG.md",
    }
    table = "\n".join(f'{name} = "{url}"' for name, url in urls.items())
    insert(project / "pyproject.toml", "[project.optional-dependencies]", f"[project.urls]\n{table}\n\n")
    insert(project / "Cargo.toml", 'license = "MIT"', f'repository = "{home}"\n')


def insert(path: Path, before: str, text: str) -> None:
    """Inserts `text` into a file, before the line `before`."""
    content = path.read_text(encoding="utf-8")
    if content.count(f"\n{before}\n") != 1:
        raise SystemExit(f"{path} has no line {before!r}, or several")
    path.write_text(content.replace(f"\n{before}\n", f"\n{text}{before}\n"), encoding="utf-8")


def main() -> None:
    """Runs with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("ref")
    arguments = parser.parse_args()
    prepare(PROJECT, arguments.base, arguments.ref)


if __name__ == "__main__":
    main()
