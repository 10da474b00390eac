#!/bin/sh
# PyO3 0.30.1: a module can be imported into a second, legacy interpreter without an error, but the objects that it has cached
# belong to the first one. An exception that it raises in the second one is not caught there by its name.
#
# PyO3 refuses to import a module into an isolated interpreter, which has its own lock. It does not distinguish legacy
# interpreters, which mod_wsgi, uWSGI and jep create, from the first interpreter. `import_exception!` looks up a class once per
# process, but the second interpreter has another class of that name.
#
# Seen with CPython 3.11, whose standard library can create legacy interpreters.
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
