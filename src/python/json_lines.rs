//! Records as lines of JSON, for the command.

use std::io::Write;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The bytes of a line, apart from its start and the record.
const REST: usize = 40;

/// Returns a line of JSON for each record, with its number; None if one of them is not UTF-8.
#[pyfunction]
#[pyo3(name = "_json_lines", signature = (start, numbers, records, /))]
#[expect(clippy::needless_pass_by_value, reason = "they come from Python")]
pub(super) fn json_lines<'py>(
    py: Python<'py>,
    start: &str,
    numbers: Vec<u64>,
    records: Vec<Bound<'py, PyBytes>>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let size: usize = records.iter().map(|record| start.len() + REST + record.as_bytes().len()).sum();
    let mut lines = Vec::with_capacity(size + size / 4);
    for (number, record) in numbers.iter().zip(&records) {
        let Ok(text) = std::str::from_utf8(record.as_bytes()) else { return Ok(None) };
        write!(lines, "{start}{number}, \"record\": \"")?;
        push_escaped(&mut lines, text)?;
        lines.extend_from_slice(b"\"}\n");
    }
    Ok(Some(PyBytes::new(py, &lines)))
}

/// Adds a text as it is between the quotes of JSON, with the escapes that Python's `json` uses.
fn push_escaped(line: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        line.extend_from_slice(plain);
        match special[0] {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x08 => line.extend_from_slice(b"\\b"),
            0x0C => line.extend_from_slice(b"\\f"),
            byte @ 0..0x20 => write!(line, "\\u{byte:04x}")?,
            byte => line.extend_from_slice(&[b'\\', byte]),
        }
        rest = &special[1..];
    }
    line.extend_from_slice(rest);
    Ok(())
}
