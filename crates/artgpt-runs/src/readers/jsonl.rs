//! JSON Lines such as `metrics.jsonl`: one object a line.

use serde_json::Value;

use super::{Curves, Format, Line, Skipped, Tailed};
use crate::tail::Tail;

/// Follows a JSON Lines file.
pub type JsonLines = Tailed<Json>;

/// State of the JSON Lines parser. Names of nested values have slashes; a `split` (or `mode` or `phase`) becomes
/// part of the name.
#[derive(Debug, Default)]
pub struct Json {
    lines: u64,
    skipped: Skipped,
}

/// Keys that name a line's data split.
const SPLIT: &[&str] = &["split", "mode", "phase"];

/// The metrics of our own runs that depend on the split; the others depend on the step only.
const SPLIT_METRICS: &[&str] = &["loss", "accuracy"];

impl Format for Json {
    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        let (lines, skipped) = (&mut self.lines, &mut self.skipped);
        tail.lines(b'\n', |text| {
            if text.iter().all(u8::is_ascii_whitespace) {
                return;
            }
            match serde_json::from_slice(&repaired(text)) {
                Ok(Value::Object(object)) => {
                    numbers(&object).push_into(into, *lines);
                    *lines += 1;
                }
                _ => skipped.add("lines that are no JSON object", 1),
            }
        });
    }

    fn finish(&mut self, tail: &mut Tail) {
        tail.finish();
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// Quotes the numbers that Python writes but JSON lacks: `NaN`, `Infinity`, `-Infinity`. [`unrepaired`] reads
/// them.
pub fn repaired(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !WORDS.iter().any(|w| memchr::memmem::find(text, w.as_bytes()).is_some()) {
        return text.into();
    }
    let text = String::from_utf8_lossy(text);
    // Only values, not the contents of strings.
    let mut out = String::with_capacity(text.len() + 16);
    let mut quoted = false;
    let mut escaped = false;
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        if !quoted && let Some(word) = WORDS.iter().find(|w| rest.starts_with(**w)) {
            out.push_str(&format!("\"\\u0000{word}\""));
            rest = &rest[word.len()..];
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out.into_bytes().into()
}

/// The number that [`repaired`] quoted.
pub fn unrepaired(word: &str) -> Option<f64> {
    match word.strip_prefix('\0')? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Collects the numbers of one object.
fn numbers(object: &serde_json::Map<String, Value>) -> Line {
    let mut line = Line::default();
    let split = SPLIT.iter().find_map(|key| object.get(*key)?.as_str());
    let is_ours = object.get("split").is_some() && object.get("stage").is_some();
    for (key, value) in object {
        let named = |key: &str| match split {
            Some(split) if !is_ours || SPLIT_METRICS.contains(&key) => {
                Some(format!("{key}/{split}"))
            }
            Some(split) if split != "train" => None,
            _ => Some(key.to_string()),
        };
        flatten(key, value, &mut |key, value| match super::Role::of(key) {
            super::Role::Metric => {
                if let Some(name) = named(key) {
                    line.put(name, value);
                }
            }
            _ => line.put(key.to_string(), value),
        });
    }
    line
}

fn flatten(key: &str, value: &Value, put: &mut impl FnMut(&str, f64)) {
    match value {
        Value::Number(n) => put(key, n.as_f64().unwrap_or(f64::NAN)),
        Value::Bool(b) => put(key, f64::from(u8::from(*b))),
        Value::String(word) => {
            if let Some(number) = unrepaired(word) {
                put(key, number);
            }
        }
        Value::Object(inner) => {
            inner.iter().for_each(|(k, v)| flatten(&format!("{key}/{k}"), v, put));
        }
        Value::Null | Value::Array(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::read_all;

    #[test]
    fn ours_and_others_lines_become_curves() {
        let ours = r#"{"step":1,"epoch":0.5,"stage":"answer","split":"train","loss":2.5,"lr":0.1,"elapsed_s":4.0}
{"step":1,"epoch":0.5,"stage":"answer","split":"held_out","loss":3.0,"lr":0.1,"elapsed_s":4.0}
not json
{"step":2,"stage":"answer","split":"train","loss":NaN,"lr":0.2,"note":"NaN \"Infinity\"","elapsed_s":5.0}
{"step":3,"stage":"answer","spl"#;
        let (curves, skipped) = read_all(ours, |path| Box::new(JsonLines::new(path)));
        // The last line, which is not whole, is one of them.
        assert_eq!(skipped, 2);
        let names: Vec<&str> = curves.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["elapsed_s", "epoch", "loss/train", "lr", "loss/held_out"]);
        let loss = curves.get("loss/train").expect("is there");
        assert_eq!(loss.get(0).map(|p| (p.step, p.value)), Some((1.0, 2.5)));
        assert!(loss.get(1).is_some_and(|p| p.step == 2.0 && p.value.is_nan()));
        let seconds = loss.get(1).zip(loss.get(0)).map(|(b, a)| b.wall - a.wall);
        assert_eq!(seconds, Some(1.0));

        let others = "{\"_step\":5,\"_timestamp\":1000000000.5,\"train\":{\"loss\":1,\"ok\":true}}\n{\"a\":1e400}\n";
        let (curves, _) = read_all(others, |path| Box::new(JsonLines::new(path)));
        let point = curves.get("train/loss").and_then(|s| s.last()).expect("is there");
        assert_eq!((point.step, point.wall, point.value), (5.0, 1_000_000_000.5, 1.0));
        assert_eq!(curves.get("train/ok").and_then(|s| s.last()).map(|p| p.value), Some(1.0));
    }

    #[test]
    fn a_file_with_no_steps_counts_its_lines() {
        let (curves, _) = read_all("{\"x\":1}\n\n{\"x\":2}\n", |p| Box::new(JsonLines::new(p)));
        let steps: Vec<f64> = curves.get("x").expect("x").points().map(|p| p.step).collect();
        assert_eq!(steps, [0.0, 1.0]);
    }
}
