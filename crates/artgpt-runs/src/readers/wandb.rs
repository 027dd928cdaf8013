//! Weights & Biases' log `run-ID.wandb`: protobuf messages in LevelDB's log format.
//!
//! The layout follows `wandb/sdk/internal/datastore.py` and `wandb/proto/wandb_internal.proto` in the
//! Python package.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use serde_json::{Map, Value};

use super::protobuf::{Field, fields};
use super::{Curves, Format, Line, Tailed};
use crate::about::{About, Bin, ByTag, Media, keep, keep_histogram, keep_text};
use crate::curves::SYSTEM;
use crate::series::Point;
use crate::settings::flatten;
use crate::tail::Tail;

/// Block size in bytes: no piece of a record crosses a multiple of it.
const BLOCK: u64 = 32_768;
/// Bytes of a piece's checksum, length and kind.
const PIECE_HEADER: usize = 7;
/// Limit on a record's bytes; the rest is dropped.
const MAX_RECORD: usize = 64 << 20;
/// Bytes of the file's header: `:W&B`, a magic number and a version.
const FILE_HEADER: usize = 7;

/// Limit on the characters of a run's note.
const MAX_NOTE_CHARS: usize = 2_000;
/// Limit on a run's tags.
const MAX_TAGS: usize = 100;
/// Limit on a tag's characters.
const MAX_TAG_CHARS: usize = 100;

/// Follows a W&B log.
pub type WandbFile = Tailed<Wandb>;

/// State of the W&B log parser.
#[derive(Debug, Default)]
pub struct Wandb {
    /// Offset of the first pending byte.
    at: u64,
    /// Pieces of an incomplete record.
    record: Vec<u8>,
    rows: u64,
    /// Step of the last row.
    step: u64,
    skipped: usize,
    /// It is not a W&B log, or a length in it is wrong.
    broken: bool,
}

impl Wandb {
    /// Parses the complete pieces that are pending.
    fn parse_pieces(&mut self, tail: &mut Tail, curves: &mut Curves) {
        let pending = tail.pending();
        let mut used = 0;
        if self.at == 0 {
            let Some(head) = pending.get(..FILE_HEADER) else { return };
            if !head.starts_with(b":W&B") {
                (self.broken, self.skipped) = (true, 1);
                return;
            }
            used = FILE_HEADER;
        }
        loop {
            let left = (BLOCK - (self.at + used as u64) % BLOCK) as usize;
            if left < PIECE_HEADER {
                // The rest of a block that is too short for a header is padding.
                if pending.len() < used + left {
                    break;
                }
                used += left;
                continue;
            }
            let Some(head) = pending.get(used..used + PIECE_HEADER) else { break };
            let sum = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
            let kind = head[6];
            if length > left - PIECE_HEADER || !(1..=4).contains(&kind) {
                (self.broken, self.skipped) = (true, self.skipped + 1);
                break;
            }
            let Some(data) = pending.get(used + PIECE_HEADER..used + PIECE_HEADER + length) else {
                break;
            };
            used += PIECE_HEADER + length;
            let mut hash = crc32fast::Hasher::new();
            hash.update(&[kind]);
            hash.update(data);
            if hash.finalize() != sum {
                self.record.clear();
                self.skipped += 1;
                continue;
            }
            /// Kinds of pieces: a whole record, and the first and last piece of one.
            const FULL: u8 = 1;
            const FIRST: u8 = 2;
            const LAST: u8 = 4;
            if matches!(kind, FULL | FIRST) {
                self.record.clear();
            }
            if self.record.len() + data.len() <= MAX_RECORD {
                self.record.extend(data);
            }
            if matches!(kind, FULL | LAST) {
                let record = std::mem::take(&mut self.record);
                if self.parse_record(&record, tail.path(), curves).is_none() {
                    self.skipped += 1;
                }
                // Keep the buffer's capacity.
                self.record = record;
                self.record.clear();
            }
        }
        tail.consume(used);
        self.at += used as u64;
    }

    /// Parses one `Record`; `None` if it is damaged.
    fn parse_record(&mut self, record: &[u8], path: &Path, curves: &mut Curves) -> Option<()> {
        for entry in fields(record) {
            let (number, Field::Bytes(inner)) = entry? else { continue };
            match number {
                2 => {
                    self.step = history(inner, path, self.rows, curves)?;
                    self.rows += 1;
                }
                3 => updates(inner, &mut curves.about_mut().summary)?,
                4 | 13 => output(inner, curves.about_mut())?,
                5 => config(inner, curves.about_mut())?,
                7 => stats(inner, self.step, curves)?,
                10 => alert(inner, self.step, curves.about_mut())?,
                17 => run(inner, curves.about_mut())?,
                18 => exit(inner, curves.about_mut())?,
                26 => environment(inner, curves.about_mut())?,
                _ => {}
            }
        }
        Some(())
    }
}

impl Format for Wandb {
    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        match self.broken {
            true => tail.consume(usize::MAX),
            false => self.parse_pieces(tail, into),
        }
    }

    fn skipped(&self) -> usize {
        self.skipped
    }
}

/// Parses a row of history: scalars go to the curves, media and histograms beside them. Returns the row's
/// step; `None` if it is damaged.
fn history(row: &[u8], log: &Path, count: u64, curves: &mut Curves) -> Option<u64> {
    let mut line = Line { step: Some(count), ..Line::default() };
    let mut items: Vec<(String, &[u8])> = Vec::new();
    for entry in fields(row) {
        match entry? {
            (1, Field::Bytes(inner)) => items.push(item(inner)?),
            (2, Field::Bytes(step)) => {
                for entry in fields(step) {
                    if let (1, Field::Varint(number)) = entry? {
                        line.step = Some(number);
                    }
                }
            }
            _ => {}
        }
    }
    // Fields of a media value may come as separate items; `NAME/_type` shows that `NAME` is one.
    let tags: HashSet<&str> =
        items.iter().filter_map(|(name, _)| name.strip_suffix("/_type")).collect();
    let mut media: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, json) in &items {
        let ends = || name.match_indices('/').map(|(end, _)| end);
        if let Some(end) = ends().find(|end| tags.contains(&name[..*end])) {
            let of = media.entry(&name[..end]).or_insert_with(|| Value::Object(Map::new()));
            let key = &name[end + 1..];
            if MEDIA_KEYS.contains(&key)
                && let (Some(of), Ok(value)) = (of.as_object_mut(), serde_json::from_slice(json))
            {
                of.insert(key.to_string(), value);
            }
        } else if let Some(value) = number(json) {
            line.put(name.clone(), value);
        } else if json.starts_with(b"{")
            && let Ok(value) = serde_json::from_slice::<Value>(json)
            && value.get("_type").is_some()
        {
            media.insert(name, value);
        }
    }
    // W&B's internal values.
    line.metrics.retain(|(name, _)| !name.starts_with('_'));
    let step = line.step.unwrap_or(count);
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
        all.filter_map(Value::as_f64).collect()
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

/// Parses a `RunRecord`: name, project, tags, configuration and host.
fn run(record: &[u8], about: &mut About) -> Option<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    about.tags.clear();
    for entry in fields(record) {
        let (number, Field::Bytes(inner)) = entry? else { continue };
        let value = Some(text(inner)).filter(|text| !text.is_empty());
        match number {
            3 => about.project = value,
            4 => config(inner, about)?,
            8 => about.name = value,
            9 => about.note = value.map(|note| note.chars().take(MAX_NOTE_CHARS).collect()),
            10 if about.tags.len() < MAX_TAGS => {
                about
                    .tags
                    .extend(value.map(|tag| tag.chars().take(MAX_TAG_CHARS).collect::<String>()));
            }
            6 | 7 | 13 => {
                let key = match number {
                    6 => "group",
                    7 => "job type",
                    _ => "host",
                };
                about.environment.extend(value.map(|value| (key.to_string(), value)));
            }
            21 => {
                for entry in fields(inner) {
                    if let (2, Field::Bytes(commit)) = entry? {
                        about.environment.insert("git commit".into(), text(commit));
                    }
                }
            }
            _ => {}
        }
    }
    Some(())
}

/// Parses a `ConfigRecord` or a `SummaryRecord`, which have the same layout.
fn updates(record: &[u8], into: &mut BTreeMap<String, String>) -> Option<()> {
    for entry in fields(record) {
        match entry? {
            (1, Field::Bytes(inner)) => {
                let (name, json) = item(inner)?;
                if !name.starts_with('_')
                    && let Ok(value) = serde_json::from_slice(json)
                {
                    flatten(&name.replace('/', "."), &value, into);
                }
            }
            (2, Field::Bytes(inner)) => {
                let (name, _) = item(inner)?;
                into.remove(&name.replace('/', "."));
            }
            _ => {}
        }
    }
    Some(())
}

fn config(record: &[u8], about: &mut About) -> Option<()> {
    updates(record, &mut about.settings)
}

/// Parses an `EnvironmentRecord`.
fn environment(record: &[u8], about: &mut About) -> Option<()> {
    let mut arguments = Vec::new();
    for entry in fields(record) {
        let (number, content) = entry?;
        let key = match number {
            1 => "system",
            2 => "python",
            5 => "arguments",
            6 => "program",
            12 => "host",
            13 => "user",
            16 => "cores",
            18 => "GPU",
            19 => "GPUs",
            25 => "CUDA",
            _ => continue,
        };
        let value = match content {
            Field::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Field::Varint(count) => count.to_string(),
            _ => continue,
        };
        match number {
            5 => arguments.push(value),
            _ if value.is_empty() => {}
            _ => drop(about.environment.insert(key.into(), value)),
        }
    }
    if !arguments.is_empty() {
        about.environment.insert("arguments".into(), arguments.join(" "));
    }
    Some(())
}

/// Parses a `StatsRecord`: resource usage, as curves below `system/`.
fn stats(record: &[u8], step: u64, curves: &mut Curves) -> Option<()> {
    let (mut wall, mut items) = (f64::NAN, Vec::new());
    for entry in fields(record) {
        match entry? {
            (2, Field::Bytes(time)) => {
                let mut at = 0.0;
                for entry in fields(time) {
                    match entry? {
                        (1, Field::Varint(seconds)) => at += seconds as f64,
                        (2, Field::Varint(nanos)) => at += nanos as f64 / 1e9,
                        _ => {}
                    }
                }
                wall = at;
            }
            (3, Field::Bytes(inner)) => items.push(item(inner)?),
            _ => {}
        }
    }
    for (name, json) in items {
        // The suffix after `/l:` names the process.
        let name = name.split("/l:").next().unwrap_or(&name);
        if let Some(value) = number(json) {
            curves.push(&format!("{SYSTEM}{name}"), Point { step, wall, value });
        }
    }
    Some(())
}

/// Parses console output: an `OutputRawRecord` or `OutputRecord`.
fn output(record: &[u8], about: &mut About) -> Option<()> {
    let (mut is_error, mut text) = (true, String::new());
    for entry in fields(record) {
        match entry? {
            (1, Field::Varint(kind)) => is_error = kind == 0,
            (3, Field::Bytes(line)) => text = String::from_utf8_lossy(line).into_owned(),
            _ => {}
        }
    }
    about.console.print(is_error, &text);
    Some(())
}

/// Parses a `RunExitRecord`; protobuf omits an exit code of 0.
fn exit(record: &[u8], about: &mut About) -> Option<()> {
    let mut code = 0;
    for entry in fields(record) {
        if let (1, Field::Varint(number)) = entry? {
            code = number as i64;
        }
    }
    about.exit = Some(code);
    Some(())
}

/// Parses an `AlertRecord`.
fn alert(record: &[u8], step: u64, about: &mut About) -> Option<()> {
    let mut words = Vec::new();
    for entry in fields(record) {
        if let (1 | 2, Field::Bytes(text)) = entry? {
            words.push(String::from_utf8_lossy(text).into_owned());
        }
    }
    about.alert(step, words.join(": "));
    Some(())
}

/// Name and JSON value of an item of history, configuration, summary or statistics; `None` if it is
/// damaged.
fn item(item: &[u8]) -> Option<(String, &[u8])> {
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

fn number(json: &[u8]) -> Option<f64> {
    match json {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        json => serde_json::from_slice::<f64>(json).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grown;
    use crate::readers::Reader;

    #[test]
    fn another_file_is_reported_and_not_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run-1.wandb");
        std::fs::write(&path, "no log of theirs").expect("writes");
        let mut reader = WandbFile::new(&path);
        let mut curves = Curves::default();
        assert_eq!(reader.fetch().expect("reads"), Grown::Some);
        reader.parse(&mut curves);
        assert_eq!(reader.fetch().expect("reads"), Grown::Not);
        assert_eq!((reader.skipped(), curves.is_empty()), (1, true));
    }
}
