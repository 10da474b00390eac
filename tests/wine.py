"""Runs programs for Windows under wine: the crate's tests, and the wheel by a CPython for Windows.

    python tests/wine.py PROGRAM ARGUMENT...
    python tests/wine.py --wheel WHEEL

It needs Debian's packages wine64 and gcc-mingw-w64-x86-64. There is no package of CPython for Windows on PyPI, but
panda3d's includes its libraries; this adds a program of three lines, the library that forwards the stable ABI, and the
modules of the Python that runs it. Its version must be one that panda3d has a package for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
ROOT = PROJECT / "target" / "wine"
PREFIX = ROOT / "prefix"
PYTHON = ROOT / "python"
PACKAGES = PYTHON / "Lib" / "site-packages"
REFERENCE = ROOT / "reference"
"""The folder of the pure-Python package: on Windows, names ignore case, and both packages have the same one."""
SOURCE_OF_PYTHON = "panda3d==1.10.16"
VIEWER = ("colorama", "starlette>=0.40", "uvicorn>=0.30")
TOOLS = "x86_64-w64-mingw32-"
MEMORY = "/dev/shm"
"""The pure-Python package locks a byte so far past the end that wine needs a file system without a lower limit."""

MAX_SECONDS = 3600

PRNG = """\
#include <windows.h>
#include <ntsecapi.h>
BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return RtlGenRandom(data, size); }
"""
"""The Windows library from which Rust programs take random numbers; wine has it only since version 9."""
PROGRAM = """\
int Py_Main(int count, wchar_t **arguments);
int wmain(int count, wchar_t **arguments) { return Py_Main(count, arguments); }
"""


def wine_program() -> str:
    """The path of wine; the package wine64 does not install it as a command."""
    found = shutil.which("wine64") or shutil.which("/usr/lib/wine/wine64") or shutil.which("wine")
    assert found, "The packages wine64 and gcc-mingw-w64-x86-64 are needed"
    return found


def windows_path(path: Path) -> str:
    """The name of a file of this system in the form of Windows."""
    return "Z:" + str(path).replace("/", "\\")


def compile_c(source: str, target: Path, *arguments: str) -> None:
    """Compiles some lines of C to a program or library for Windows."""
    with TemporaryDirectory() as folder:
        text = Path(folder) / "source.c"
        text.write_text("#include <wchar.h>\n" + source, encoding="utf-8")
        subprocess.run([f"{TOOLS}gcc", "-O2", "-o", target, text, *arguments], check=True)


def run(*command: str, **more: str) -> int:
    """Runs a program under wine, with `more` in its environment, and returns its exit status."""
    environment = {**os.environ, "WINEPREFIX": str(PREFIX), "WINEDEBUG": "-all", "DISPLAY": "", **more}
    # Wine would offer to install its .NET and HTML packages.
    environment["WINEDLLOVERRIDES"] = "mscoree=;mshtml="
    # Python for Windows does not start under wine if its output is a file.
    with subprocess.Popen(
        [wine_program(), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as process:
        assert process.stdout is not None
        stopper = threading.Timer(MAX_SECONDS, process.kill)
        stopper.start()
        for line in process.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.flush()
        stopper.cancel()
    return process.returncode


def make_prefix() -> None:
    """Creates wine's prefix, once."""
    system = PREFIX / "drive_c" / "windows" / "system32"
    done = PREFIX / "made"
    if not done.exists():
        PREFIX.mkdir(parents=True, exist_ok=True)
        assert run("wineboot", "--init") == 0
        if not (system / "bcryptprimitives.dll").exists():
            compile_c(PRNG, system / "bcryptprimitives.dll", "-shared", "-ladvapi32")
        done.touch()


# CPython for Windows


def pip(*arguments: str | Path) -> None:
    """Runs pip so that it installs packages for Windows and this version of Python."""
    for_windows = ["--platform", "win_amd64", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments), *for_windows], check=True)


def make_python() -> None:
    """Builds the interpreter, once."""
    done = PYTHON / "made"
    if done.exists():
        return
    shutil.rmtree(PYTHON, ignore_errors=True)
    (PYTHON / "DLLs").mkdir(parents=True)
    with TemporaryDirectory() as folder:
        pip("download", "--no-deps", "--dest", folder, SOURCE_OF_PYTHON)
        (package,) = Path(folder).iterdir()
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                base = name.rpartition("/")[2].lower()
                if name.startswith("deploy_libs/") and base.endswith((".dll", ".pyd")):
                    place = PYTHON if re.fullmatch(r"(python|vcruntime)\w*\.dll", base) else PYTHON / "DLLs"
                    (place / base).write_bytes(archive.read(name))
    unwanted = ("__pycache__", "site-packages", "test", "tests", "lib-dynload", "idlelib", "config-*")
    shutil.copytree(sysconfig.get_path("stdlib"), PYTHON / "Lib", ignore=shutil.ignore_patterns(*unwanted))
    library = PYTHON / f"python{sys.version_info.major}{sys.version_info.minor}.dll"
    compile_c(PROGRAM, PYTHON / "python.exe", "-municode", str(library))
    forward_the_stable_abi(library)
    done.touch()


def forward_the_stable_abi(library: Path) -> None:
    """Builds the library with the names of the stable ABI, which forwards them to the library of one version."""
    listed = subprocess.run([f"{TOOLS}objdump", "-p", library], capture_output=True, encoding="utf-8", check=True)
    names = re.findall(r"^\s*\[\s*\d+\]\s.*?(_?Py\w+)$", listed.stdout, flags=re.MULTILINE)
    assert len(names) > 1000, listed.stdout[-2000:]
    with TemporaryDirectory() as folder:
        definitions = Path(folder) / "python3.def"
        lines = [f"{name} = {library.stem}.{name}" for name in dict.fromkeys(names)]
        definitions.write_text("\n".join(["LIBRARY python3", "EXPORTS", *lines, ""]), encoding="utf-8")
        compile_c("", PYTHON / "python3.dll", "-shared", "-nostdlib", "-Wl,--entry,0", str(definitions))


def try_wheel(wheel: Path) -> int:
    """Installs a wheel for Windows and runs the checks of `windows_checks.py`."""
    make_python()
    for folder in (PACKAGES, REFERENCE):
        shutil.rmtree(folder, ignore_errors=True)
    pip("install", "--target", PACKAGES, wheel, *VIEWER)
    pip("install", "--target", REFERENCE, "CaptureFile==1.2.0")
    for script, *arguments in (("examples/smoke.py",), ("tests/windows_checks.py", "--wine")):
        command = [str(PYTHON / "python.exe"), windows_path(PROJECT / script), *arguments]
        if status := run(*command, TMPDIR=MEMORY, PYTHONPATH=windows_path(REFERENCE)):
            return status
    return 0


def main() -> int:
    """Runs what the arguments say."""
    make_prefix()
    if sys.argv[1] == "--wheel":
        (wheel,) = sys.argv[2:]
        return try_wheel(Path(wheel))
    return run(*sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
