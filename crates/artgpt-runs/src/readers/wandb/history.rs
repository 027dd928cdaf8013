//! Rows of W&B's history: numbers, and media that were logged with them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use serde_json::{Map, Value};

use super::value::{item, number, value, word};
use crate::about::{About, Bin, ByTag, Media, keep, keep_histogram, keep_text};
use crate::curves::Curves;
use crate::readers::Line;
use crate::readers::jsonl::unrepaired;
use crate::readers::protobuf::{Field, fields};
use crate::readers::words::{Words, quoted};

/// Parses a row of history: scalars go to the curves, media and histograms beside them. Returns the row's
/// step; `None` if it is damaged.
pub(super) fn history(
    row: &[u8],
    log: &Path,
    count: u64,
    words: &mut Words,
    curves: &mut Curves,
) -> Option<u64> {
    let mut line = Line { step: Some(count as f64), ..Line::default() };
    let mut items: Vec<(String, &[u8])> = Vec::new();
    for entry in fields(row) {
        match entry? {
            (1, Field::Bytes(inner)) => items.push(item(inner)?),
            (2, Field::Bytes(step)) => {
                for entry in fields(step) {
                    if let (1, Field::Varint(number)) = entry? {
                        line.step = Some(number as f64);
                    }
                }
            }
            _ => {}
        }
    }
    // Fields of a media value may come as separate items; `NAME/_type` shows that `NAME` is one.
    let tags: HashSet<&str> =
        items.iter().filter_map(|(name, _)| name.strip_suffix("/_type")).collect();
    let mut texts = Vec::new();
    let mut media: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, json) in &items {
        let ends = || name.match_indices('/').map(|(end, _)| end);
        if let Some(end) = ends().find(|end| tags.contains(&name[..*end])) {
            let of = media.entry(&name[..end]).or_insert_with(|| Value::Object(Map::new()));
            let key = &name[end + 1..];
            if MEDIA_KEYS.contains(&key)
                && let (Some(of), Some(value)) = (of.as_object_mut(), value(json))
            {
                of.insert(key.to_string(), value);
            }
        } else if let Some(value) = number(json) {
            line.put(name.clone(), value);
        } else if let Some(value) = value(json) {
            match value.get("_type") {
                Some(_) => drop(media.insert(name, value)),
                None => nested(name, &value, &mut line, &mut texts),
            }
        }
    }
    // W&B's internal values.
    line.metrics.retain(|(name, _)| !name.starts_with('_'));
    texts.retain(|(name, _)| !name.starts_with('_'));
    for (name, text) in texts {
        words.add(&name, || format!("row {}: {}", count + 1, quoted(&text)));
    }
    let step = line.step.map_or(count, |step| step as u64);
    line.push_into(curves, count);
    // Rows after an exit record: the run was resumed.
    if curves.about.exit.is_some() {
        curves.about_mut().exit = None;
    }
    for (tag, value) in media {
        keep_media(tag, &value, step, log, curves.about_mut());
    }
    Some(step)
}

/// The fields of media values that are read.
const MEDIA_KEYS: &[&str] =
    &["_type", "path", "caption", "filenames", "captions", "values", "bins", "audio"];

/// Adds a media value. Its file is in `files/` beside the log.
fn keep_media(tag: &str, value: &Value, step: u64, log: &Path, about: &mut About) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_string();
    let numbers = |key: &str| -> Vec<f64> {
        let all = value.get(key).and_then(Value::as_array).into_iter().flatten();
        let number = |v: &Value| v.as_f64().or_else(|| unrepaired(v.as_str()?));
        all.filter_map(number).collect()
    };
    let put = |into: &mut ByTag<Media>, path: &str, caption: String| {
        // Ignore a path that leads out of the run directory.
        let own = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        if own && !path.is_empty() {
            let path = log.with_file_name("files").join(path);
            keep(into, tag, step, Media::new(path, None, &caption));
        }
    };
    let single = |into: &mut ByTag<Media>, value: &Value| {
        put(into, &text(value.get("path")), text(value.get("caption")));
    };
    let all = |key: &str| value.get(key).and_then(Value::as_array);
    match value.get("_type").and_then(Value::as_str) {
        Some("image-file") => single(&mut about.pictures, value),
        Some("images/separated") => {
            for (i, name) in all("filenames").into_iter().flatten().enumerate() {
                let caption = all("captions").and_then(|captions| captions.get(i));
                put(&mut about.pictures, name.as_str().unwrap_or(""), text(caption));
            }
        }
        Some("audio-file") => single(&mut about.sounds, value),
        Some("audio") => {
            let sounds = all("audio").into_iter().flatten();
            sounds.for_each(|value| single(&mut about.sounds, value));
        }
        Some("table-file" | "incremental-table-file") => single(&mut about.tables, value),
        Some("histogram") => {
            let (values, edges) = (numbers("values"), numbers("bins"));
            let bins = values.iter().zip(edges.windows(2));
            let bins = bins.map(|(count, edge)| Bin { low: edge[0], high: edge[1], count: *count });
            keep_histogram(about, tag, step, bins.collect());
        }
        // Types that are not displayed: show the path.
        Some(kind) if value.get("path").is_some() => {
            keep_text(about, tag, step, format!("{kind}: files/{}", text(value.get("path"))));
        }
        _ => {}
    }
}

/// Puts the numbers of a value into the line, and texts that are none into `texts`.
fn nested(name: &str, value: &Value, line: &mut Line, texts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(inner) => {
            let all = inner.iter();
            all.for_each(|(key, value)| nested(&format!("{name}/{key}"), value, line, texts));
        }
        Value::Number(number) => line.put(name.into(), number.as_f64().unwrap_or(f64::NAN)),
        Value::Bool(truth) => line.put(name.into(), f64::from(u8::from(*truth))),
        Value::String(text) => match word(text) {
            Some(number) => line.put(name.into(), number),
            None => texts.push((name.into(), text.clone())),
        },
        Value::Null | Value::Array(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Skipped;

    /// A field of bytes, as protobuf encodes it; field 16 has a key of two bytes.
    fn field(key: &[u8], content: &[u8]) -> Vec<u8> {
        [key, &[content.len() as u8], content].concat()
    }

    #[test]
    fn texts_of_history_are_numbers_or_counted() {
        let (mut words, mut curves) = (Words::default(), Curves::default());
        let values = ["\"inf\"", "1e999", "null", "\"0.5\"", "\"n/a\"", "{\"b\":\"1e3\"}"];
        for (at, json) in values.iter().enumerate() {
            let item = [field(&[10], b"a"), field(&[0x82, 1], json.as_bytes())].concat();
            let row = field(&[10], &item);
            assert!(history(&row, Path::new("x"), at as u64, &mut words, &mut curves).is_some());
        }
        let told = |name: &str| -> Vec<(f64, f64)> {
            curves.get(name).map_or(vec![], |s| s.points().map(|p| (p.step, p.value)).collect())
        };
        assert_eq!(told("a"), [(0.0, f64::INFINITY), (1.0, f64::INFINITY), (3.0, 0.5)]);
        assert_eq!(told("a/b"), [(5.0, 1000.0)]);
        let mut skipped = Skipped::default();
        words.settle(&mut curves, &mut skipped);
        let told: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["values of a that are not numbers: 1 (first: row 5: \"n/a\")"]);
    }
}
