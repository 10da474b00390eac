"""Interpreters that share a process: only the main one may import the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import capturefile
import pytest

PACKAGES = Path(capturefile.__file__).parent.parent
OTHERS = [f"python3.{minor}" for minor in range(11, 17) if minor != sys.version_info.minor]


def found(name: str) -> str | None:
    """An interpreter with this name: next to this one, where version managers install them, or on the path."""
    found = sorted(Path(sys.base_prefix).parent.glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


IMPORT_TWICE = """
import sys
try:
    import _interpreters

    def run_other(code):
        failure = _interpreters.exec(_interpreters.create("legacy"), code)
        assert failure is None, failure
except ImportError:
    import _xxsubinterpreters

    def run_other(code):
        _xxsubinterpreters.run_string(_xxsubinterpreters.create(isolated=False), code)

path, said, order = sys.argv[1:]
OTHER = f'''
import sys
sys.path[:] = {sys.path!r}
try:
    import capturefile
except Exception as error:
    with open({said!r}, "a") as out:
        print(type(error).__name__, error, file=out)
'''
if order == "main first":
    import capturefile
for _ in range(2):
    run_other(OTHER)
import capturefile
with capturefile.open(path, "w") as cf:
    cf.add_record("one")
    cf.commit()
    print(cf.info().record_count)
try:
    capturefile.open(path + ".missing", "r", sync="none")[1]
except FileNotFoundError:
    print("caught")
try:
    cf[1]
except capturefile.CaptureFileNotOpen:
    print("caught")
"""


@pytest.mark.parametrize("order", ["main first", "main last"])
@pytest.mark.parametrize("name", [Path(sys.executable).name, *OTHERS])
def test_importing_in_a_subinterpreter_is_a_clear_error(tmp_path: Path, name: str, order: str) -> None:
    interpreter = sys.executable if name not in OTHERS else found(name)
    if interpreter is None or subprocess.run([interpreter, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"no {name}")
    said = tmp_path / "said"
    done = subprocess.run(
        [interpreter, "-c", IMPORT_TWICE, tmp_path / "log.capture", said, order],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["1", "caught", "caught"], "")
    lines = said.read_text().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("ImportError capturefile can be imported by the main interpreter") for line in lines)
