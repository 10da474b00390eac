//! JSON values in an index: a hash that equal values share, and the minimum and maximum of the values of a group.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::unescaped;

/// Maximum length of a text in bounds, in bytes; longer ones are truncated.
pub(crate) const MAX_BOUND: usize = 16;

/// A value with the properties by which an index distinguishes values.
#[derive(Debug)]
pub(crate) enum Value<'a> {
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
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
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

    pub(crate) fn hash(&self) -> u64 {
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
pub(crate) struct Bounds {
    pub(crate) numbers: Option<(f64, f64)>,
    /// The first bytes of texts: no text is less than the first, and no text starts with bytes greater than the second.
    pub(crate) texts: Option<(Vec<u8>, Vec<u8>)>,
}

impl Bounds {
    pub(crate) fn include(&mut self, value: &Value<'_>) {
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
pub(crate) fn start_of(text: &[u8]) -> &[u8] {
    &text[..text.len().min(MAX_BOUND)]
}

/// The values to find: from a minimum to a maximum, both inclusive and optional.
#[derive(Debug)]
pub(crate) enum Interval {
    Numbers(Option<f64>, Option<f64>),
    Texts(Option<Vec<u8>>, Option<Vec<u8>>),
}

impl Interval {
    /// Returns whether a value in the interval may be within these bounds.
    pub(crate) fn meets(&self, bounds: &Bounds) -> bool {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn hash(text: &str) -> Option<u64> {
        Value::parse(text.as_bytes()).map(|value| value.hash())
    }

    #[test]
    fn equal_values_have_one_hash() {
        for same in [
            &["1", "1.0", "1e0", "true"][..],
            &["0", "-0", "0.0", "-0.0", "false"],
            &["1e400", "Infinity"],
            &["9007199254740992", "9007199254740993"],
            &[r#""a/""#, r#""\u0061\/""#],
            &[r#""😀""#, r#""\ud83d\ude00""#],
            &["[]", "[1, 2]"],
            &["{}", r#"{"a": 1}"#],
        ] {
            assert!(same.iter().all(|text| hash(text).is_some() && hash(text) == hash(same[0])), "{same:?}");
        }
    }

    #[test]
    fn values_of_different_kinds_have_different_hashes() {
        let all = ["1", r#""1""#, "null", r#""null""#, "[]", "{}", r#""""#, "0", "Infinity", "-Infinity"];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| hash(one) != hash(other)), "{one}");
        }
        for none in ["NaN", "", "nothing", "-", "--1", "1x"] {
            assert_eq!(hash(none), None);
        }
    }

    #[test]
    fn bounds_meet_what_is_between_them() {
        let mut bounds = Bounds::default();
        for text in ["5", "-2", r#""pear""#, r#""apple""#, "null", "[9]", "{}"] {
            bounds.include(&Value::parse(text.as_bytes()).unwrap());
        }
        let numbers = |low, high| Interval::Numbers(low, high).meets(&bounds);
        assert!(numbers(Some(5.0), Some(5.0)) && numbers(None, Some(-2.0)) && numbers(None, None));
        assert!(!numbers(Some(5.5), None) && !numbers(None, Some(-2.5)));
        let texts = |low: Option<&str>, high: Option<&str>| {
            Interval::Texts(low.map(Into::into), high.map(Into::into)).meets(&bounds)
        };
        assert!(texts(Some("pear"), None) && texts(None, Some("apple")) && texts(Some("b"), Some("c")));
        assert!(!texts(Some("q"), None) && !texts(None, Some("ant")));
        let empty = Bounds::default();
        assert!(!Interval::Numbers(None, None).meets(&empty) && !Interval::Texts(None, None).meets(&empty));
    }

    #[test]
    fn bounds_of_long_texts_have_only_their_start() {
        let mut bounds = Bounds::default();
        bounds.include(&Value::parse(br#""aaaaaaaaaaaaaaaaaaaaaaaab""#).unwrap());
        assert_eq!(bounds.texts, Some((b"a".repeat(MAX_BOUND), b"a".repeat(MAX_BOUND))));
        // What the bounds do not have of a text may be anything.
        let wanted = b"a".repeat(MAX_BOUND + 1);
        assert!(Interval::Texts(Some(wanted.clone()), Some(wanted)).meets(&bounds));
    }
}
