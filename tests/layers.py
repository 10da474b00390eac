"""Finds imports in circles or against the layers of docs/architecture.md, and long files and functions.

    python tests/layers.py

The tables of that page list the folders and files of the crate and of the package; each uses only those above it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60

#: The types of the extension module, in place of the module.
EXTENSION = "_capturefile.pyi"


@dataclass
class Source:
    """The files of one language, and which of them uses which."""

    root: Path
    files: list[Path]
    edges: set[tuple[Path, Path]] = field(default_factory=set)


# Rust


def code_of(text: str) -> str:
    """The text without comments, strings, and the tests at the end."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', re.sub(r"//[^\n]*", "", text), flags=re.DOTALL)
    return re.split(r"#\[cfg\(test\)\]\n(?:#\[[^\n]*\n)*mod tests\b", text)[0]


def split_list(inside: str) -> Iterator[str]:
    """The parts of `a, b::{c, d}`."""
    depth, start = 0, 0
    for at, letter in enumerate(inside):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            yield inside[start:at]
            start = at + 1
    yield inside[start:]


def paths_in(tree: str) -> Iterator[list[str]]:
    """Each path in the tree of a `use`, as its segments."""
    tree = re.sub(r"\bas \w+", "", tree).strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        yield [part.strip() for part in tree.split("::") if part.strip()]
        return
    for part in split_list(rest.rsplit("}", 1)[0]):
        for path in paths_in(head + part.strip()) if part.strip() else ():
            yield path[:-1] if path[-1] == "self" else path


class Crate:
    """The modules of the crate, and the names that each of them exports from others."""

    def __init__(self, root: Path) -> None:
        self.files = {self.module_of(path.relative_to(root)): path for path in sorted(root.rglob("*.rs"))}
        self.code = {module: code_of(path.read_text()) for module, path in self.files.items()}
        self.exports = {module: list(self.uses(module, exported=True)) for module in self.files}

    @staticmethod
    def module_of(path: Path) -> tuple[str, ...]:
        """The module in the file at `path`, from the root of the crate."""
        parts = path.with_suffix("").parts
        return parts[:-1] if parts[-1] in {"mod", "lib"} else parts

    def uses(self, module: tuple[str, ...], *, exported: bool) -> Iterator[tuple[str, ...]]:
        """The absolute paths that a module imports, or re-exports."""
        for found in re.finditer(r"^\s*(pub(?:\([^)]*\))? )?use ([^;]+);", self.code[module], re.MULTILINE):
            if bool(found.group(1)) == exported:
                for path in paths_in(found.group(2)):
                    yield from self.absolute(module, path)

    def absolute(self, module: tuple[str, ...], path: list[str]) -> Iterator[tuple[str, ...]]:
        """The path from the root of the crate; None if it leads elsewhere."""
        base, rest = module, list(path)
        if rest[0] == "crate":
            base = ()
        elif rest[0] == "super" and re.search(r"\bmod \w+ \{", self.code[module]) and self.defines(module, rest[1]):
            # A module inside the file means the file.
            return
        elif rest[0] not in {"self", "super"}:
            if (*module, rest[0]) in self.files:
                yield (*module, *rest)
            return
        while rest and rest[0] in {"crate", "self", "super"}:
            base = base[:-1] if rest[0] == "super" else base
            rest = rest[1:]
        yield (*base, *rest)

    def home_of(self, path: tuple[str, ...], tried: frozenset[tuple[str, ...]] = frozenset()) -> tuple[str, ...]:
        """The module that defines the item at `path`."""
        module: tuple[str, ...] = ()
        for place, name in enumerate(path):
            if (*module, name) in self.files:
                module = (*module, name)
                continue
            # Names that the root re-exports are public; using them counts as using the root.
            for export in () if path in tried or not module else self.exports[module]:
                if export[-1] == name:
                    return self.home_of((*export, *path[place + 1 :]), tried | {path})
                if export[-1] == "*" and self.defines(export[:-1], name):
                    return self.home_of((*export[:-1], *path[place:]), tried | {path})
            break
        return module

    def defines(self, module: tuple[str, ...], name: str) -> bool:
        """Whether a module defines an item of this name."""
        item = rf"\b(?:fn|struct|enum|const|static|type|trait|mod) {name}\b"
        return module in self.files and re.search(item, self.code[module]) is not None

    def edges(self) -> Iterator[tuple[Path, Path]]:
        """Which file uses which; a module's tests may use all."""
        for module, file in self.files.items():
            if "tests" in file.with_suffix("").parts:
                continue
            code = re.sub(r"^\s*(?:pub(?:\([^)]*\))? )?use [^;]+;", "", self.code[module], flags=re.MULTILINE)
            inline = [match.group().split("::") for match in re.finditer(r"\b(?:crate|super)(?:::\w+)+", code)]
            paths = [path for found in inline for path in self.absolute(module, found)]
            for path in [*self.uses(module, exported=False), *paths]:
                home = self.home_of(path)
                if home != module:
                    yield file, self.files[home]


def rust(root: Path) -> Source:
    """The crate whose `src` is `root`."""
    crate = Crate(root)
    return Source(root, list(crate.files.values()), set(crate.edges()))


def rust_functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, line and length of each function of a formatted Rust file."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        found = re.match(r"(\s*)(?:pub(?:\([^)]*\))? )?(?:const |unsafe |async |extern \S+ )*fn (\w+)", line)
        if found and not line.rstrip().endswith((";", "}")):
            end = found.group(1) + "}"
            length = next((count for count, later in enumerate(lines[number:], 1) if later.rstrip() == end), 1)
            yield found.group(2), number + 1, length


# Python


class Package:
    """The modules of the package, and the origins of re-exported names."""

    def __init__(self, root: Path) -> None:
        self.name = root.name
        self.files = {self.module_of(root, path): path for path in sorted(root.rglob("*.py*")) if path.suffix != ".pyc"}
        self.trees = {module: ast.parse(path.read_text()) for module, path in self.files.items()}

    @staticmethod
    def module_of(root: Path, path: Path) -> str:
        """The name of the module in the file at `path`."""
        parts = path.relative_to(root.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self, module: str, body: ast.AST) -> Iterator[tuple[str, str, str]]:
        """What a module imports: from where, which name, and as what; the name is empty for an entire module."""
        for node in ast.walk(body):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "", alias.asname or alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parts = module.split(".") if self.files[module].stem == "__init__" else module.split(".")[:-1]
                    parts = parts[: len(parts) - node.level + 1]
                    base = ".".join([*parts, base] if base else parts)
                yield from ((base, alias.name, alias.asname or alias.name) for alias in node.names)

    def home_of(self, module: str, name: str, depth: int = 0) -> str:
        """The module that defines what `from module import name` imports."""
        if f"{module}.{name}" in self.files:
            return f"{module}.{name}"
        if module in self.trees and self.files[module].stem == "__init__" and depth < 10:
            for base, original, given in self.imports(module, self.trees[module]):
                if given == name and base in self.files:
                    return self.home_of(base, original, depth + 1)
        return module

    def edges(self) -> Iterator[tuple[Path, Path]]:
        """Yields which file uses which. A re-export in an `__init__` does not count as a use."""
        for module, tree in self.trees.items():
            if self.files[module].name == EXTENSION:
                # It imports what it needs of the package on demand.
                continue
            given = exported(tree) if self.files[module].stem == "__init__" else set()
            for base, name, as_what in self.imports(module, tree):
                home = self.home_of(base, name)
                if home in self.files and home != module and as_what not in given:
                    yield self.files[module], self.files[home]


def exported(tree: ast.Module) -> set[str]:
    """The names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            return set(ast.literal_eval(node.value))
    return set()


def python(root: Path) -> Source:
    """The package in the folder `root`."""
    package = Package(root)
    return Source(root, list(package.files.values()), set(package.edges()))


def python_functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, line and length of each function of a Python file, less its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = len((ast.get_docstring(node) or "").splitlines())
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


# Checks


def layers_of(page: Path, root: Path) -> list[list[Path]]:
    """What the rows of the page's tables link to below `root`, row by row."""
    rows = [line.split("|")[1] for line in page.read_text().splitlines() if line.startswith("| [")]
    links = [re.findall(r"\]\(([^)#]+)\)", row) for row in rows]
    targets = [[(page.parent / link).resolve() for link in row] for row in links]
    return [row for row in targets if row and row[0].is_relative_to(root.resolve())]


def against_layers(source: Source, layers: list[list[Path]], public: Path | None) -> Iterator[str]:
    """Yields imports of a file that is not above; after the `public` layer, of any file other than that."""

    def rank(path: Path) -> int | None:
        found = [
            (len(target.parts), place)
            for place, row in enumerate(layers)
            for target in row
            if path.resolve() == target or path.resolve().is_relative_to(target)
        ]
        return max(found)[1] if found else None

    for path in source.files:
        if rank(path) is None:
            yield f"{path}: in no row of the tables of docs/architecture.md"
    limit = rank(public) if public else None
    for user, used in sorted(source.edges):
        above, below = rank(used), rank(user)
        if above is None or below is None or above == below:
            continue
        if above > below:
            yield f"{user}: uses {used}, which is below it in docs/architecture.md"
        elif limit is not None and above < limit < below:
            yield f"{user}: uses {used}, though it is to use only what {public} makes public"


def circles(source: Source) -> Iterator[str]:
    """Files that use each other, each circle once."""
    uses: dict[Path, list[Path]] = {}
    for user, used in sorted(source.edges):
        uses.setdefault(user, []).append(used)
    done: set[Path] = set()

    def follow(path: Path, way: list[Path]) -> Iterator[str]:
        if path in way:
            yield "a circle: " + " -> ".join(str(each) for each in [*way[way.index(path) :], path])
        elif path not in done:
            for used in uses.get(path, []):
                yield from follow(used, [*way, path])
            done.add(path)

    for path in source.files:
        yield from follow(path, [])


def long_ones(source: Source) -> Iterator[str]:
    """Files and functions that are too long."""
    for path in source.files:
        if path.name == EXTENSION:
            continue
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{path}: {lines} lines, more than {MAX_FILE_LINES}"
        for name, line, length in (rust_functions if path.suffix == ".rs" else python_functions)(path):
            if length > MAX_FUNCTION_LINES:
                yield f"{path}:{line}: {name} has {length} lines, more than {MAX_FUNCTION_LINES}"


def problems(root: Path) -> list[str]:
    """All violations in the project at `root`."""
    page = root / "docs/architecture.md"
    crate, package = rust(root / "src"), python(root / "python/capturefile")
    found: list[str] = []
    for source, public in ((crate, root / "src/lib.rs"), (package, None)):
        layers = layers_of(page, source.root)
        found += [*against_layers(source, layers, public), *circles(source), *long_ones(source)]
    return [problem.replace(f"{root}/", "") for problem in found]


def main() -> int:
    """Prints the violations; returns 1 if there are any."""
    found = problems(Path(__file__).resolve().parent.parent)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
