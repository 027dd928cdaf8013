//! Values of W&B's items, which are JSON.

use serde_json::Value;

use crate::readers::jsonl::{repaired, unrepaired};
use crate::readers::number::Notation;
use crate::readers::protobuf::{Field, fields};

/// Name and JSON value of an item of history, configuration, summary or statistics; `None` if it is
/// damaged.
pub(super) fn item(item: &[u8]) -> Option<(String, &[u8])> {
    let (mut names, mut json): (Vec<&str>, &[u8]) = (Vec::new(), &[]);
    for entry in fields(item) {
        match entry? {
            // Field 1 is the key, field 2 the nested keys; statistics have only the key.
            (1 | 2, Field::Bytes(name)) => names.push(std::str::from_utf8(name).ok()?),
            (16, Field::Bytes(value)) => json = value,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    Some((names.join("/"), json))
}

/// A number. W&B quotes NaN and infinities; other texts are read as in JSON Lines.
pub(super) fn number(json: &[u8]) -> Option<f64> {
    match value(json)? {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(u8::from(truth))),
        Value::String(text) => word(&text),
        _ => None,
    }
}

/// The number that a text is.
pub(super) fn word(text: &str) -> Option<f64> {
    unrepaired(text).or_else(|| Notation::default().number(text))
}

/// Any value; in it NaN, infinities and numbers that are too large are words as
/// [`repaired`] makes them.
pub(super) fn value(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(&repaired(json)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_history_may_be_words() {
        let told = |json: &str| number(json.as_bytes()).map(|v| v.to_string()).unwrap_or_default();
        for (json, expected) in [
            ("NaN", "NaN"),
            ("\"NaN\"", "NaN"),
            ("\"nan\"", "NaN"),
            ("\"-Infinity\"", "-inf"),
            ("Infinity", "inf"),
            ("\"inf\"", "inf"),
            ("\"-inf\"", "-inf"),
            ("true", "1"),
            ("1e3", "1000"),
            ("\"1e3\"", "1000"),
            ("\"0.5\"", "0.5"),
            ("1e999", "inf"),
            ("-1e999", "-inf"),
            ("\"x\"", ""),
            ("null", ""),
            ("[1]", ""),
        ] {
            assert_eq!(told(json), expected, "{json}");
        }
    }

    #[test]
    fn numbers_that_are_too_large_are_kept() {
        let told = |json: &str| value(json.as_bytes()).map(|v| v.to_string()).unwrap_or_default();
        assert_eq!(told("1e999"), r#""\u0000Infinity""#);
        assert_eq!(told(r#"{"a":[-1e999,2]}"#), r#"{"a":["\u0000-Infinity",2]}"#);
        assert_eq!(told("{"), "");
    }
}
