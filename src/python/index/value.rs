//! JSON values in an index: a hash that equal values share, and the minimum and maximum of the values of a group.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::unescaped;

/// Maximum length of a text in bounds, in bytes; longer ones are truncated.
pub(super) const MAX_BOUND: usize = 16;

/// A value with the properties by which an index distinguishes values.
#[derive(Debug)]
pub(in crate::python) enum Value<'a> {
    Text(Cow<'a, [u8]>),
    /// A number, or true or false, which equal 1 and 0. Different numbers may have the same `f64`.
    Number(f64),
    Null,
    /// All arrays count as equal, and so do all objects.
    Array,
    Object,
}

impl<'a> Value<'a> {
    /// Returns the value with this JSON text; `None` for NaN, which is not equal to any value, and for invalid text.
    pub(in crate::python) fn parse(text: &'a [u8]) -> Option<Self> {
        Some(match text {
            [b'"', inside @ .., b'"'] => Self::Text(unescaped(inside)),
            [b'[', ..] => Self::Array,
            [b'{', ..] => Self::Object,
            b"null" => Self::Null,
            b"true" => Self::Number(1.0),
            b"false" => Self::Number(0.0),
            b"Infinity" => Self::Number(f64::INFINITY),
            b"-Infinity" => Self::Number(f64::NEG_INFINITY),
            // Adding 0 converts -0 to the equal 0, and does not change other numbers.
            [b'-' | b'0'..=b'9', ..] => {
                Self::Number(std::str::from_utf8(text).ok()?.parse::<f64>().ok()? + 0.0)
            }
            _ => return None,
        })
    }

    pub(in crate::python) fn hash(&self) -> u64 {
        match self {
            Self::Text(text) => xxh3_64_with_seed(text, 0),
            Self::Number(number) => xxh3_64_with_seed(&number.to_bits().to_le_bytes(), 1),
            Self::Null => xxh3_64_with_seed(b"null", 2),
            Self::Array => xxh3_64_with_seed(b"array", 2),
            Self::Object => xxh3_64_with_seed(b"object", 2),
        }
    }
}

/// The minimum and maximum of the values in a group, for each kind of ordered values.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Bounds {
    pub(super) numbers: Option<(f64, f64)>,
    /// The first bytes of texts: no text is less than the first, and no text starts with bytes greater than the second.
    pub(super) texts: Option<(Vec<u8>, Vec<u8>)>,
}

impl Bounds {
    pub(super) fn include(&mut self, value: &Value<'_>) {
        match value {
            Value::Number(number) => {
                let (least, greatest) = self.numbers.get_or_insert((*number, *number));
                *least = least.min(*number);
                *greatest = greatest.max(*number);
            }
            Value::Text(text) => {
                let start = start_of(text);
                let Some((least, greatest)) = &mut self.texts else {
                    self.texts = Some((start.to_vec(), start.to_vec()));
                    return;
                };
                if *start < **least {
                    *least = start.to_vec();
                }
                if *start > **greatest {
                    *greatest = start.to_vec();
                }
            }
            Value::Null | Value::Array | Value::Object => {}
        }
    }
}

/// Returns the start of a text that bounds may contain.
pub(super) fn start_of(text: &[u8]) -> &[u8] {
    &text[..text.len().min(MAX_BOUND)]
}

/// The values to find: from a minimum to a maximum, both inclusive and optional.
#[derive(Debug)]
pub(super) enum Interval {
    Numbers(Option<f64>, Option<f64>),
    Texts(Option<Vec<u8>>, Option<Vec<u8>>),
}

impl Interval {
    /// Returns whether a value in the interval may be within these bounds.
    pub(super) fn meets(&self, bounds: &Bounds) -> bool {
        match self {
            Self::Numbers(low, high) => bounds.numbers.is_some_and(|(least, greatest)| {
                low.is_none_or(|low| greatest >= low) && high.is_none_or(|high| least <= high)
            }),
            Self::Texts(low, high) => bounds.texts.as_ref().is_some_and(|(least, greatest)| {
                low.as_ref().is_none_or(|low| **greatest >= *start_of(low))
                    && high.as_ref().is_none_or(|high| **least <= *start_of(high))
            }),
        }
    }
}
