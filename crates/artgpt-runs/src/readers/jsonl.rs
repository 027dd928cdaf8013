//! JSON Lines such as `metrics.jsonl`: one object a line.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::number::Notation;
use super::role::{Role, Roles};
use super::row::{Placing, Row};
use super::words::{Texts, Words, quoted};
use super::{Curves, Format, Tailed};
use crate::skipped::Skipped;
use crate::tail::Tail;

/// Follows a JSON Lines file.
pub type JsonLines = Tailed<Json>;

/// State of the JSON Lines parser. Names of nested values have slashes; a `split` (or `mode` or `phase`) becomes
/// part of the name.
#[derive(Debug, Default)]
pub struct Json {
    objects: Objects,
    skipped: Skipped,
}

/// The metrics of our own runs that depend on the split; the others depend on the step only.
const SPLIT_METRICS: &[&str] = &["loss", "accuracy"];

impl Format for Json {
    const IS_TEXT: bool = true;

    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        let Self { objects, skipped } = self;
        let dropped = tail.text_lines(|text, number| {
            // A list of objects, one a line, is read like them.
            let text = text.trim().trim_end_matches(',');
            if matches!(text, "" | "[" | "]") {
                return;
            }
            let (found, reason) = parse(text);
            for object in &found {
                objects.push(object, into, skipped, &|| format!("line {number}"));
            }
            if let Some(reason) = reason {
                skipped.add_first(reason, 1, || format!("line {number}: {}", quoted(text)));
            }
        });
        if dropped > 0 {
            skipped.add_first("lines that are too long", 1, || format!("{dropped} bytes"));
        }
        objects.settle(into, skipped);
    }

    fn finish(&mut self, tail: &mut Tail) {
        tail.finish();
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// The objects of a line, and why a part of it is none.
fn parse(text: &str) -> (Vec<Map<String, Value>>, Option<&'static str>) {
    let text = repaired(text.as_bytes());
    let (mut objects, mut reason) = (Vec::new(), None);
    let mut values = serde_json::Deserializer::from_slice(&text).into_iter();
    let mut end = 0;
    while let Some(value) = values.next() {
        match value {
            Ok(Value::Object(object)) => objects.push(object),
            Ok(_) => reason = Some("lines that are not a JSON object"),
            Err(_) => {
                reason = Some("lines that are not JSON");
                // A program that was killed left half a line, and the next one went on in it.
                let rest = &text[end..];
                if let Some(at) = memchr::memmem::rfind(rest, b"{\"").filter(|at| end + at > 0) {
                    objects.extend(serde_json::from_slice::<Map<_, _>>(&rest[at..]).ok());
                }
                break;
            }
        }
        end = values.byte_offset().min(text.len());
    }
    (objects, reason)
}

/// Whether a line is an object with a step or epoch, and something else.
pub(crate) fn is_metrics_object(line: &str) -> bool {
    let (objects, None) = parse(line) else { return false };
    let (mut counts, mut others) = (false, false);
    for (key, value) in objects.iter().flatten() {
        flatten(key.into(), value, &mut |key, leaf| match (Role::of(&key), leaf) {
            (Role::Step(_) | Role::Epoch, Leaf::Number(_) | Leaf::Text(_)) => counts = true,
            (Role::Metric, Leaf::Number(_)) => others = true,
            (Role::Metric, Leaf::Text(text)) => {
                others |= Notation::default().number(text).is_some();
            }
            _ => {}
        });
    }
    counts && others
}

/// Objects of one file become points.
#[derive(Debug, Default)]
pub(super) struct Objects {
    roles: Roles,
    places: Placing,
    words: Words,
}

impl Objects {
    /// Adds the numbers of one object to the curves. `at` tells where it is.
    pub(crate) fn push(
        &mut self,
        object: &Map<String, Value>,
        into: &mut Curves,
        skipped: &mut Skipped,
        at: &dyn Fn() -> String,
    ) {
        let Self { roles, places, words } = self;
        let mut row = Row::default();
        let (mut split, mut found) = (None, Vec::new());
        roles.begin_row();
        for (key, value) in object {
            flatten(key.into(), value, &mut |key, value| {
                let role = roles.of(&key);
                match value {
                    Leaf::Number(value) => row.number(role, key, value),
                    Leaf::Text(text) if role == Role::Split => {
                        if split.is_none() || key == "split" {
                            split = Some(text.to_string());
                        }
                    }
                    Leaf::Text(text) => {
                        if !row.text(role, key.clone(), text, Notation::default()) {
                            found.push((key, text));
                        }
                    }
                    Leaf::Nothing => row.nothing(role),
                }
            });
        }
        if let Some(split) = &split {
            let is_ours = object.contains_key("split") && object.contains_key("stage");
            if is_ours && split != "train" {
                row.drop_clocks();
            }
            row.rename(|name| match !is_ours || SPLIT_METRICS.contains(&name) {
                true => Some(format!("{name}/{split}")),
                false => (split == "train").then(|| name.to_string()),
            });
        }
        row.push_into(places, into, Texts { words, found }, skipped, at);
    }

    /// Counts the texts that should have been numbers.
    pub(crate) fn settle(&mut self, curves: &mut Curves, skipped: &mut Skipped) {
        self.words.settle(curves, skipped);
    }
}

const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Quotes the numbers that Python writes but JSON lacks: `NaN`, `Infinity`, `-Infinity`; those that are too
/// large, such as `1e400`, become infinite ones. [`unrepaired`] reads them.
pub fn repaired(text: &[u8]) -> Cow<'_, [u8]> {
    let has_word = || WORDS.iter().any(|w| memchr::memmem::find(text, w.as_bytes()).is_some());
    if !has_large_exponent(text) && !has_word() {
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
        if !quoted && (c == '-' || c.is_ascii_digit()) {
            let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            match rest[..length].parse() {
                Ok(f64::INFINITY) => out.push_str("\"\\u0000Infinity\""),
                Ok(f64::NEG_INFINITY) => out.push_str("\"\\u0000-Infinity\""),
                _ => out.push_str(&rest[..length]),
            }
            rest = &rest[length..];
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out.into_bytes().into()
}

/// Whether there may be a number with an exponent of three digits.
fn has_large_exponent(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'e', b'E', text).any(|at| {
        let after = &text[at + 1..];
        let digits = after.strip_prefix(b"+").unwrap_or(after);
        digits.len() >= 3 && digits[..3].iter().all(u8::is_ascii_digit)
    })
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

/// A value that holds no others.
enum Leaf<'a> {
    Number(f64),
    Text(&'a str),
    Nothing,
}

fn flatten<'a>(key: Cow<'a, str>, value: &'a Value, put: &mut impl FnMut(Cow<'a, str>, Leaf<'a>)) {
    match value {
        Value::Number(n) => put(key, Leaf::Number(n.as_f64().unwrap_or(f64::NAN))),
        Value::Bool(b) => put(key, Leaf::Number(f64::from(u8::from(*b)))),
        Value::String(word) => match unrepaired(word) {
            Some(number) => put(key, Leaf::Number(number)),
            None => put(key, Leaf::Text(word)),
        },
        Value::Object(inner) => {
            inner.iter().for_each(|(k, v)| flatten(format!("{key}/{k}").into(), v, put));
        }
        // Losses of one element are still losses.
        Value::Array(items) if let [item] = &items[..] => flatten(key, item, put),
        Value::Null | Value::Array(_) => put(key, Leaf::Nothing),
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
        assert_eq!(skipped.total(), 2);
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
    fn several_objects_on_a_line_and_numbers_that_are_too_large_are_read() {
        let text = "{\"step\":1,\"loss\":1}{\"step\":2,\"loss\":-1e999} {\"step\":3,\"loss\":1E+400}\n\
                    {\"step\":4,\"loss\":4}{\"step\":5,\"lo{\"step\":6,\"loss\":6}\n{\"step\":7,\"loss\":7e-400}\n";
        let (curves, skipped) = read_all(text, |p| Box::new(JsonLines::new(p)));
        let loss = curves.get("loss").expect("loss").points();
        let found: Vec<_> = loss.map(|p| (p.step, p.value)).collect();
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        let expected = [(1.0, 1.0), (2.0, low), (3.0, high), (4.0, 4.0), (6.0, 6.0), (7.0, 0.0)];
        assert_eq!((found, skipped.total()), (expected.to_vec(), 1));
    }

    #[test]
    fn a_file_with_no_steps_counts_its_lines() {
        let (curves, _) = read_all("{\"x\":1}\n\n{\"x\":2}\n", |p| Box::new(JsonLines::new(p)));
        let steps: Vec<f64> = curves.get("x").expect("x").points().map(|p| p.step).collect();
        assert_eq!(steps, [0.0, 1.0]);
    }
}
