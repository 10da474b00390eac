//! Finds the values of a field in a JSON record, as text, without decoding the rest.
//!
//! It may accept text that Python's `json` refuses, but never the reverse: an index would deny the existence of a value
//! that was missed.

use std::borrow::Cow;

/// The path to a field: `a.b` is the field `b` of the object `a`, or the field `a.b`.
#[derive(Debug)]
pub(crate) struct FieldPath {
    names: Vec<Box<[u8]>>,
    joined: Box<[u8]>,
}

impl FieldPath {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            names: name.split('.').map(|part| part.as_bytes().into()).collect(),
            joined: name.as_bytes().into(),
        }
    }

    /// Calls `found` with each value that the field may have: several, if an object repeats a name.
    pub(crate) fn values<'a>(&self, record: &'a [u8], found: &mut impl FnMut(&'a [u8])) {
        let mut scanner = Scanner { record, at: 0 };
        scanner.skip_space();
        // Text that is not valid JSON up to its end has no fields; values found before the error are harmless.
        let _ = scanner.object(self, 0, found);
    }
}

struct Scanner<'a> {
    record: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.record.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Reads an object, and searches it for the names from `level` on. It recurses at most once for each name.
    fn object(&mut self, path: &FieldPath, level: usize, found: &mut impl FnMut(&'a [u8])) -> Option<()> {
        self.expect(b'{')?;
        loop {
            self.skip_space();
            if self.peek()? == b'}' {
                self.at += 1;
                return Some(());
            }
            let name = unescaped(self.string()?);
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            let is_next = *name == *path.names[level];
            let is_last = level + 1 == path.names.len();
            if is_next && !is_last && self.peek()? == b'{' {
                self.object(path, level + 1, found)?;
            } else {
                let value = self.value()?;
                if (is_next && is_last) || (level == 0 && *name == *path.joined) {
                    found(value);
                }
            }
            self.skip_space();
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
    }

    /// Moves past a string; returns the bytes between its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(&self.record[start..self.at - 1])
    }

    /// Moves past a value; returns its text.
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    // The end of the surrounding object, after a scalar without a comma.
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => self.at += 1,
                _ => self.scalar(),
            }
            if depth == 0 {
                return (self.at > start).then(|| &self.record[start..self.at]);
            }
        }
    }

    /// Moves past a number or a word.
    fn scalar(&mut self) {
        while !matches!(
            self.peek(),
            None | Some(b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"' | b' ' | b'\t' | b'\n' | b'\r')
        ) {
            self.at += 1;
        }
    }
}

/// Returns the text of a string as UTF-8; an unpaired surrogate is encoded like any other code point.
pub(crate) fn unescaped(inside: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = inside.iter().position(|byte| *byte == b'\\') else {
        return Cow::Borrowed(inside);
    };
    let mut text = inside[..first].to_vec();
    let mut rest = &inside[first..];
    while let Some((&byte, behind)) = rest.split_first() {
        if byte != b'\\' {
            text.push(byte);
            rest = behind;
            continue;
        }
        let Some((&kind, behind)) = behind.split_first() else { break };
        rest = behind;
        match kind {
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let Some((mut code, mut behind)) = hexadecimal(rest) else { break };
                if (0xD800..0xDC00).contains(&code)
                    && let Some(low) = behind.strip_prefix(b"\\u")
                    && let Some((low, further)) = hexadecimal(low)
                    && (0xDC00..0xE000).contains(&low)
                {
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    behind = further;
                }
                push_code(&mut text, code);
                rest = behind;
            }
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

fn hexadecimal(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

fn push_code(text: &mut Vec<u8>, code: u32) {
    if let Some(letter) = char::from_u32(code) {
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        // A surrogate: three bytes, like Python's "surrogatepass".
        let [_, _, high, low] = code.to_be_bytes();
        text.extend_from_slice(&[
            0xE0 | (high >> 4),
            0x80 | ((high & 15) << 2) | (low >> 6),
            0x80 | (low & 63),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The values that a field may have in a record.
    fn values(name: &str, record: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        FieldPath::new(name)
            .values(record, &mut |value| found.push(String::from_utf8_lossy(value).into_owned()));
        found
    }

    #[test]
    fn each_value_that_a_field_may_have_is_found() {
        for (name, record, found) in [
            ("a", r#"{"a": 1, "b": {"a": 2}, "c": [{"a": 3}]}"#, &["1"][..]),
            ("a", " \t\r\n{ \"b\" : [\"}\", {\"x\": 1}] , \"a\" : \"t\" }", &[r#""t""#]),
            ("a", r#"{"a": 1, "a": {"b": [2, "]"]}}"#, &["1", r#"{"b": [2, "]"]}"#]),
            ("a.b", r#"{"a": {"b": 1}, "a.b": 2}"#, &["1", "2"]),
            ("a.b", r#"{"a": 3, "b": 4}"#, &[]),
            ("a.b.c", r#"{"a": {"b": {"c": true}, "b.c": 1}, "a.b": {"c": 2}}"#, &["true"]),
            ("é", r#"{"\u00e9": null}"#, &["null"]),
            ("a", r#"{"\u0061": -1.5e3}"#, &["-1.5e3"]),
            ("", r#"{"": 0}"#, &["0"]),
            ("a", r#"[{"a": 1}]"#, &[]),
            ("a", r#"{"a": "unfinished"#, &[]),
            ("a", r#"{"a": 1, "b": "#, &["1"]),
            ("a", "no JSON", &[]),
            ("a", "", &[]),
        ] {
            assert_eq!(values(name, record.as_bytes()), found, "{name} in {record}");
        }
    }

    #[test]
    fn escapes_stand_for_what_they_mean() {
        for (inside, text) in [
            (r"plain", &b"plain"[..]),
            (r#"\"\\\/\b\f\n\r\t"#, b"\"\\/\x08\x0c\n\r\t"),
            (r"\u00e9", "é".as_bytes()),
            (r"\ud83d\ude00", "😀".as_bytes()),
            (r"\ud83d", b"\xed\xa0\xbd"),
            (r"\ud83d\u0041", b"\xed\xa0\xbdA"),
            (r"\ude00", b"\xed\xb8\x80"),
            (r"cut\u12", b"cut"),
            (r"cut\", b"cut"),
        ] {
            assert_eq!(*unescaped(inside.as_bytes()), *text, "{inside}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 10 } else { 2000 }))]

        #[test]
        fn any_bytes_come_to_an_end(
            bytes in prop::collection::vec(
                prop::sample::select(&b"{}[]\":,\\ ua0e-\xed\x00"[..]), 0..60,
            ),
        ) {
            values("a", &bytes);
            values("a.u.e", &bytes);
            unescaped(&bytes);
        }
    }
}
