#!/bin/sh
# PyO3 0.30.1: a module with legacy single-phase sharing is imported into a second interpreter without an error, and what
# it has cached belongs to the first one. An exception that it raises there is not caught by the name that it has there.
#
# PyO3 refuses to import a module into an interpreter of the new kind, with a lock of its own. Those of the old kind, which
# mod_wsgi, uWSGI and jep make, it does not tell from the first interpreter. `import_exception!` looks a class up once a
# process. The second interpreter has a class of its own under that name.
#
# Seen with CPython 3.11, whose standard library has a way to make interpreters of the old kind.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "tiny"
version = "0.0.0"
edition = "2021"

[lib]
crate-type = ["cdylib"]

[dependencies]
pyo3 = { version = "=0.30.1", features = ["extension-module"] }
TOML
cat > src/lib.rs <<'RUST'
use pyo3::prelude::*;

pyo3::import_exception!(json, JSONDecodeError);

#[pymodule]
mod tiny {
    use super::*;

    #[pyfunction]
    fn fail() -> PyResult<()> {
        Err(JSONDecodeError::new_err(("no number", "", 0)))
    }
}
RUST
cargo build --quiet 2>&1
cp target/debug/libtiny.so tiny.so
cat > program.py <<'PYTHON'
import json
import tiny

try:
    import _interpreters

    make, run = lambda: _interpreters.create("legacy"), _interpreters.run_string
except ImportError:
    import _xxsubinterpreters

    make, run = lambda: _xxsubinterpreters.create(isolated=False), _xxsubinterpreters.run_string

program = """
import json
import tiny

try:
    tiny.fail()
except json.JSONDecodeError:
    print(WHERE, "caught", flush=True)
except Exception as error:
    print(WHERE, "not caught, though it is a", type(error).__name__, flush=True)
"""
exec(program, {"WHERE": "first interpreter:"})
run(make(), 'WHERE = "second interpreter:"\n' + program)
PYTHON
PYTHONPATH=. python3 program.py > seen
cat > expected <<'TEXT'
first interpreter: caught
second interpreter: not caught, though it is a JSONDecodeError
TEXT
diff expected seen
