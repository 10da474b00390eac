//! What an index knows of JSON values: a hash that equal ones share, and the least and greatest of many.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::unescaped;

/// The length in bytes to which texts are kept as the least and greatest.
pub(super) const MAX_BOUND: usize = 16;

/// A value as far as an index tells it from others.
#[derive(Debug)]
pub(in crate::python) enum Value<'a> {
    Text(Cow<'a, [u8]>),
    /// A number, or true or false, which equal 1 and 0. Those that are the same as `f64` may differ.
    Number(f64),
    Null,
    /// Arrays and objects are not told from others of their kind.
    Array,
    Object,
}

impl<'a> Value<'a> {
    /// Returns the value with this JSON text; `None` for those that nothing equals: NaN, and what is no value.
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
            // Adding 0 leaves no number but -0, which equals it.
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

/// The least and greatest values of a group, of those kinds that have an order.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Bounds {
    pub(super) numbers: Option<(f64, f64)>,
    /// The first bytes of texts. No text is below the one, and of none are the first bytes above the other.
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

/// The part of a text that bounds have of it.
pub(super) fn start_of(text: &[u8]) -> &[u8] {
    &text[..text.len().min(MAX_BOUND)]
}

/// The values that are looked for: from one to another, both included, where they are given.
#[derive(Debug)]
pub(super) enum Interval {
    Numbers(Option<f64>, Option<f64>),
    Texts(Option<Vec<u8>>, Option<Vec<u8>>),
}

impl Interval {
    /// Whether some value in the interval may lie within bounds.
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
