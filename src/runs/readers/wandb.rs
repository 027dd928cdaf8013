//! W&B's own log, `run-ID.wandb`: records of LevelDB's log format that hold protobuf messages.
//!
//! The layout is that of `wandb/sdk/internal/datastore.py` and `wandb/proto/wandb_internal.proto` in the
//! Python package.

use super::events::{Field, field};
use super::{Curves, Format, Line, Tailed};
use crate::runs::tail::Tail;

/// Records are cut so that none crosses a multiple of this.
const BLOCK: u64 = 32_768;
/// Checksum, length and kind of a piece.
const HEAD: usize = 7;
/// Of longer records the rest is not kept.
const LONGEST: usize = 64 << 20;
/// `:W&B`, a magic number and a version.
const FILE_HEAD: usize = 7;

pub type WandbFile = Tailed<Wandb>;

#[derive(Debug, Default)]
pub struct Wandb {
    /// Of the first byte that is pending.
    at: u64,
    /// Pieces of a record whose end has not come.
    record: Vec<u8>,
    rows: u64,
    skipped: usize,
    /// It is no file of W&B's, or a length in it is wrong.
    broken: bool,
}

impl Wandb {
    fn pieces(&mut self, tail: &mut Tail, curves: &mut Curves) {
        let pending = tail.pending();
        let mut used = 0;
        if self.at == 0 {
            let Some(head) = pending.get(..FILE_HEAD) else { return };
            if !head.starts_with(b":W&B") {
                (self.broken, self.skipped) = (true, 1);
                return;
            }
            used = FILE_HEAD;
        }
        loop {
            let left = (BLOCK - (self.at + used as u64) % BLOCK) as usize;
            if left < HEAD {
                // The rest of a block that holds no head is empty.
                if pending.len() < used + left {
                    break;
                }
                used += left;
                continue;
            }
            let Some(head) = pending.get(used..used + HEAD) else { break };
            let sum = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
            let kind = head[6];
            if length > left - HEAD || !(1..=4).contains(&kind) {
                (self.broken, self.skipped) = (true, self.skipped + 1);
                break;
            }
            let Some(data) = pending.get(used + HEAD..used + HEAD + length) else { break };
            used += HEAD + length;
            let mut hash = crc32fast::Hasher::new();
            hash.update(&[kind]);
            hash.update(data);
            if hash.finalize() != sum {
                self.record.clear();
                self.skipped += 1;
                continue;
            }
            /// A record in one piece, and the first and last of several.
            const FULL: u8 = 1;
            const FIRST: u8 = 2;
            const LAST: u8 = 4;
            if matches!(kind, FULL | FIRST) {
                self.record.clear();
            }
            if self.record.len() + data.len() <= LONGEST {
                self.record.extend(data);
            }
            if matches!(kind, FULL | LAST) {
                match message(&self.record, self.rows) {
                    Some(Some(line)) => {
                        line.push_into(curves, self.rows);
                        self.rows += 1;
                    }
                    Some(None) => {}
                    None => self.skipped += 1,
                }
                self.record.clear();
            }
        }
        tail.consume(used);
        self.at += used as u64;
    }
}

impl Format for Wandb {
    fn anew(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        match self.broken {
            true => tail.consume(usize::MAX),
            false => self.pieces(tail, into),
        }
    }

    fn skipped(&self) -> usize {
        self.skipped
    }
}

/// The numbers of a `Record` that is a row of history; `None` if it is damaged.
fn message(mut record: &[u8], row: u64) -> Option<Option<Line>> {
    let mut history = None;
    while !record.is_empty() {
        if let (2, Field::Bytes(inner)) = field(&mut record)? {
            history = Some(inner);
        }
    }
    let Some(mut history) = history else { return Some(None) };
    let mut line = Line { step: Some(row), ..Line::default() };
    while !history.is_empty() {
        match field(&mut history)? {
            (1, Field::Bytes(item)) => {
                if let Some((name, value)) = number(item)? {
                    line.put(name, value);
                }
            }
            (2, Field::Bytes(mut step)) => {
                while !step.is_empty() {
                    if let (1, Field::Varint(number)) = field(&mut step)? {
                        line.step = Some(number);
                    }
                }
            }
            _ => {}
        }
    }
    Some(Some(line))
}

/// The name and value of a `HistoryItem` that is a number; `None` if it is damaged.
fn number(mut item: &[u8]) -> Option<Option<(String, f64)>> {
    let (mut names, mut json): (Vec<&str>, &[u8]) = (Vec::new(), &[]);
    while !item.is_empty() {
        match field(&mut item)? {
            (1 | 2, Field::Bytes(name)) => names.push(std::str::from_utf8(name).ok()?),
            (16, Field::Bytes(value)) => json = value,
            _ => {}
        }
    }
    let value = match json {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        json => serde_json::from_slice::<f64>(json).ok(),
    };
    names.retain(|name| !name.is_empty());
    Some(value.map(|value| (names.join("/"), value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Grown;
    use crate::runs::readers::Reader;

    #[test]
    fn another_file_is_told_and_not_read() {
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
