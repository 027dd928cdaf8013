//! Weights & Biases' log `run-ID.wandb`: protobuf messages in LevelDB's log format.
//!
//! The layout follows `wandb/sdk/internal/datastore.py` and `wandb/proto/wandb_internal.proto` in the
//! Python package.

mod history;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use self::history::history;
use self::value::{item, number, value};
use super::pieces::{Kind, Next, Pieces};
use super::protobuf::{Field, fields};
use super::words::Words;
use super::{Curves, Format, Skipped, Tailed};
use crate::about::About;
use crate::curves::SYSTEM;
use crate::series::Point;
use crate::settings::flatten;
use crate::tail::Tail;

/// Limit on a record's bytes.
const MAX_RECORD: usize = 64 << 20;

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
    pieces: Pieces,
    /// The pieces of an incomplete record.
    record: Record,
    rows: u64,
    words: Words,
    /// Step of the last row.
    step: u64,
    skipped: Skipped,
    /// It is not a W&B log.
    is_foreign: bool,
    /// The file will not grow any more.
    is_over: bool,
}

/// A record whose last piece has not come yet.
#[derive(Debug, Default)]
struct Record {
    data: Vec<u8>,
    /// Its first piece was read.
    is_open: bool,
    /// Pieces whose first one is missing belong to damage that is counted.
    after_damage: bool,
}

impl Wandb {
    /// Parses the complete pieces that are pending.
    fn parse_pieces(&mut self, tail: &mut Tail, curves: &mut Curves) {
        let (bytes, offset) = (tail.pending(), tail.at());
        let mut at = 0;
        loop {
            match self.pieces.next(bytes, at, offset) {
                Next::Piece(kind, data) => {
                    at = data.end;
                    if self.take_piece(kind, &bytes[data]) {
                        let record = std::mem::take(&mut self.record.data);
                        if self.parse_record(&record, tail.path(), curves).is_none() {
                            let length = record.len() as u64;
                            self.skipped.add_bytes(
                                "records that are no readable messages",
                                1,
                                length,
                            );
                        }
                        // Keeps the buffer's capacity.
                        self.record.data = record;
                    }
                }
                Next::Skip(end) => at = end,
                Next::Damage { end, goes_on } => {
                    self.lose("damaged parts", goes_on, end - at);
                    at = end;
                }
                Next::Foreign => {
                    self.is_foreign = true;
                    self.skipped.add("files that are no W&B log", 1);
                    at = bytes.len();
                    break;
                }
                Next::Wait => break,
            }
        }
        if self.is_over {
            // An open record without more pieces is cut off, too.
            let rest = self.pieces.rest(bytes, at);
            if let Some(goes_on) = rest.or(self.record.is_open.then_some(false)) {
                let reason = if goes_on { "damaged parts" } else { "records that are cut off" };
                self.lose(reason, goes_on, bytes.len() - at);
            }
            at = bytes.len();
        }
        tail.consume(at);
    }

    /// Adds a piece to its record; returns whether the record is complete.
    fn take_piece(&mut self, kind: Kind, data: &[u8]) -> bool {
        let record = &mut self.record;
        if matches!(kind, Kind::Full | Kind::First) {
            if record.is_open {
                self.skipped.add_bytes("records without an end", 1, record.data.len() as u64);
            }
            record.data.clear();
            (record.is_open, record.after_damage) = (true, false);
        } else if !record.is_open {
            if !record.after_damage {
                self.skipped.add_bytes(
                    "pieces of records without a beginning",
                    1,
                    data.len() as u64,
                );
            }
            return false;
        }
        if record.data.len() + data.len() > MAX_RECORD {
            self.skipped.add("records of more than 64 MiB", 1);
            (record.is_open, record.after_damage) = (false, true);
            return false;
        }
        record.data.extend(data);
        let is_whole = matches!(kind, Kind::Full | Kind::Last);
        record.is_open &= !is_whole;
        is_whole
    }

    /// Counts damage, of which an incomplete record is part.
    fn lose(&mut self, reason: &'static str, goes_on: bool, bytes: usize) {
        let bytes = bytes + if self.record.is_open { self.record.data.len() } else { 0 };
        self.record.data.clear();
        (self.record.is_open, self.record.after_damage) = (false, true);
        self.skipped.add_bytes(reason, usize::from(!goes_on), bytes as u64);
    }

    /// Parses one `Record`; `None` if it is damaged.
    fn parse_record(&mut self, record: &[u8], path: &Path, curves: &mut Curves) -> Option<()> {
        for entry in fields(record) {
            let (number, Field::Bytes(inner)) = entry? else { continue };
            match number {
                2 => {
                    self.step = history(inner, path, self.rows, &mut self.words, curves)?;
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
        match self.is_foreign {
            true => tail.consume(usize::MAX),
            false => self.parse_pieces(tail, into),
        }
        self.words.settle(into, &mut self.skipped);
    }

    fn finish(&mut self, _tail: &mut Tail) {
        self.is_over = true;
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
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
                    && let Some(value) = value(json)
                {
                    let name = name.replace('/', ".");
                    forget(&name, into);
                    flatten(&name, &value, into);
                }
            }
            (2, Field::Bytes(inner)) => {
                let (name, _) = item(inner)?;
                forget(&name.replace('/', "."), into);
            }
            _ => {}
        }
    }
    Some(())
}

/// Removes a key with all keys below it, and keys above it that held a single value.
fn forget(name: &str, from: &mut BTreeMap<String, String>) {
    let below = format!("{name}.");
    let range = from.range(below.clone()..).take_while(|(key, _)| key.starts_with(&below));
    let gone: Vec<String> = range.map(|(key, _)| key.clone()).collect();
    gone.iter().for_each(|key| drop(from.remove(key)));
    from.remove(name);
    name.match_indices('.').for_each(|(end, _)| drop(from.remove(&name[..end])));
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
            curves.push(&format!("{SYSTEM}{name}"), Point { step: step as f64, wall, value });
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
        assert_eq!((reader.skipped().total(), curves.is_empty()), (1, true));
    }

    /// A field of bytes, as protobuf encodes it.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        // Field 16 has a key of two bytes.
        let key = match number {
            16 => vec![0x82, 1],
            number => vec![number << 3 | 2],
        };
        [&key[..], &[content.len() as u8], content].concat()
    }

    fn update(name: &str, json: &str) -> Vec<u8> {
        field(1, &[field(1, name.as_bytes()), field(16, json.as_bytes())].concat())
    }

    #[test]
    fn the_last_record_of_a_summary_wins_whatever_its_value() {
        let mut all = BTreeMap::new();
        for (name, json) in [
            ("best", "0.5"),
            ("note", "\"NaN\""),
            ("deep", r#"{"a":1,"b":{"c":2}}"#),
            ("list", "[NaN,1,\"x\"]"),
            ("none", "null"),
            ("best", "-Infinity"),
            ("deep", r#"{"a":NaN}"#),
            ("value", "1"),
            ("value", r#"{"min":Infinity}"#),
        ] {
            updates(&update(name, json), &mut all).expect("whole");
        }
        let told: Vec<_> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("best", "-Infinity"),
            ("deep.a", "NaN"),
            ("list", "[NaN,1,\"x\"]"),
            ("none", "null"),
            ("note", "NaN"),
            ("value.min", "Infinity"),
        ];
        assert_eq!(told, expected);
        updates(&field(2, &field(1, b"deep")), &mut all).expect("whole");
        assert!(!all.contains_key("deep.a"));
    }
}
