//! TensorBoard event files (`tensorflow/core/util/event.proto`) of any program.
//!
//! Messages are parsed field by field: a record takes a tenth of a microsecond and allocates memory only
//! for a new tag.

use std::collections::HashMap;
use std::path::Path;

use prost::bytes::Buf;
use prost::encoding::decode_varint;

use super::graph::graph;
use super::protobuf::{Field, fields};
use super::tensors::SummaryValue;
use super::{Curves, Format, Tailed};
use crate::series::Point;
use crate::tail::Tail;
use artgpt_rundir::events::masked_crc32c;

/// Follows an event file.
pub type EventFile = Tailed<Events>;

/// State of the event-file parser.
#[derive(Debug, Default)]
pub struct Events {
    skipped: usize,
    /// A record's length is wrong, so the next record cannot be located.
    broken: bool,
    plugins: Plugins,
}

/// The plugin of each tag; only a tag's first value names it.
pub(crate) type Plugins = HashMap<String, String>;

/// The position of a message in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilePosition<'a> {
    pub path: &'a Path,
    /// Offset of the first byte.
    pub offset: u64,
}

/// Limit on a record's bytes; a longer one counts as damage.
const MAX_RECORD: u64 = 1 << 30;

/// Bytes of a record's length and that length's checksum.
const HEADER: usize = 12;
/// Bytes of a record's checksum.
const FOOTER: usize = 4;

impl Format for Events {
    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        // Drop what follows a wrong length.
        if self.broken {
            return tail.consume(usize::MAX);
        }
        let file = FilePosition { path: tail.path(), offset: tail.at() };
        let (used, skipped, broken) = records(tail.pending(), file, &mut self.plugins, into);
        self.skipped += skipped;
        self.broken = broken;
        tail.consume(used);
    }

    fn skipped(&self) -> usize {
        self.skipped
    }
}

/// Parses complete records. Returns their bytes, the number of unreadable ones, and whether a length was
/// wrong.
fn records(
    bytes: &[u8],
    file: FilePosition,
    plugins: &mut Plugins,
    curves: &mut Curves,
) -> (usize, usize, bool) {
    let (mut at, mut skipped) = (0, 0);
    while let Some(head) = bytes.get(at..at + HEADER) {
        let mut fields = head;
        let (length, sum) = (fields.get_u64_le(), fields.get_u32_le());
        if masked_crc32c(&head[..8]) != sum || length > MAX_RECORD {
            return (at, skipped + 1, true);
        }
        let start = at + HEADER;
        let end = start + length as usize;
        let Some(mut foot) = bytes.get(end..end + FOOTER) else { break };
        let data = &bytes[start..end];
        let position = FilePosition { offset: file.offset + start as u64, ..file };
        if masked_crc32c(data) != foot.get_u32_le()
            || event(data, position, plugins, curves).is_none()
        {
            skipped += 1;
        }
        at = end + FOOTER;
    }
    (at, skipped, false)
}

/// Parses an `Event`; `None` if the message is damaged.
fn event(
    bytes: &[u8],
    position: FilePosition,
    plugins: &mut Plugins,
    curves: &mut Curves,
) -> Option<()> {
    let whole = bytes;
    let (mut wall, mut step) = (f64::NAN, 0);
    let mut summary: &[u8] = &[];
    let mut session: &[u8] = &[];
    let mut network: &[u8] = &[];
    for entry in fields(bytes) {
        match entry? {
            (1, Field::Fixed64(bits)) => wall = f64::from_bits(bits),
            (2, Field::Varint(n)) => step = (n as i64).max(0) as u64,
            (4, Field::Bytes(inner)) => network = inner,
            (5, Field::Bytes(inner)) => summary = inner,
            (7, Field::Bytes(inner)) => session = inner,
            _ => {}
        }
    }
    if !network.is_empty() {
        curves.about.graph = Some(graph(network)?);
    }
    for entry in fields(session) {
        /// `SessionLog::START`: values of this step and later ones from earlier files are void.
        const START: u64 = 1;
        if let (1, Field::Varint(START)) = entry? {
            curves.restart(step);
        }
    }
    for entry in fields(summary) {
        if let (1, Field::Bytes(value)) = entry? {
            let at = Point { step, wall, value: 0.0 };
            if let Some(other) = summary_value(value, at, curves)? {
                other.keep(whole, position, step, plugins, &mut curves.about)?;
            }
        }
    }
    Some(())
}

/// Parses a `Summary.Value`: adds a scalar to the curves, returns any other value. `None` if it is damaged.
fn summary_value<'a>(
    bytes: &'a [u8],
    at: Point,
    curves: &mut Curves,
) -> Option<Option<SummaryValue<'a>>> {
    let (mut tag, mut value) = ("", None);
    let mut other = SummaryValue::default();
    for entry in fields(bytes) {
        match entry? {
            (1, Field::Bytes(name)) => tag = std::str::from_utf8(name).ok()?,
            (2, Field::Fixed32(bits)) => value = Some(f64::from(f32::from_bits(bits))),
            (4, Field::Bytes(image)) => other.image = Some(image),
            (5, Field::Bytes(histogram)) => other.histogram = Some(histogram),
            (6, Field::Bytes(sound)) => other.sound = Some(sound),
            (8, Field::Bytes(tensor)) => {
                value = value.or(scalar(tensor)?);
                other.tensor = Some(tensor);
            }
            (9, Field::Bytes(metadata)) => other.metadata = Some(metadata),
            _ => {}
        }
    }
    // A histogram of one bar is no scalar, and a first text says that it is one.
    if let Some(value) = value {
        curves.push(tag, Point { value, ..at });
        return Some(None);
    }
    other.tag = tag;
    Some(Some(other))
}

/// The value of a scalar `TensorProto`; `Some(None)` for other tensors, `None` if it is damaged.
fn scalar(bytes: &[u8]) -> Option<Option<f64>> {
    let (mut kind, mut content): (u64, &[u8]) = (0, &[]);
    let mut single = None;
    let mut is_vector = false;
    let mut found = |value: f64| is_vector |= single.replace(value).is_some();
    for entry in fields(bytes) {
        match entry? {
            (1, Field::Varint(n)) => kind = n,
            (4, Field::Bytes(raw)) => content = raw,
            (5, Field::Fixed32(bits)) => found(f32::from_bits(bits).into()),
            (6, Field::Fixed64(bits)) => found(f64::from_bits(bits)),
            (7 | 10, Field::Varint(n)) => found(n as i64 as f64),
            (5, Field::Bytes(mut packed)) if packed.len().is_multiple_of(4) => {
                while packed.has_remaining() {
                    found(packed.get_f32_le().into());
                }
            }
            (6, Field::Bytes(mut packed)) if packed.len().is_multiple_of(8) => {
                while packed.has_remaining() {
                    found(packed.get_f64_le());
                }
            }
            (7 | 10, Field::Bytes(mut packed)) => {
                while packed.has_remaining() {
                    found(decode_varint(&mut packed).ok()? as i64 as f64);
                }
            }
            _ => {}
        }
    }
    // The values of `DataType` in tensorflow/core/framework/types.proto.
    let raw = match (kind, content.len()) {
        (1, 4) => Some(content.get_f32_le().into()),
        (2, 8) => Some(content.get_f64_le()),
        (3, 4) => Some(content.get_i32_le().into()),
        (9, 8) => Some(content.get_i64_le() as f64),
        _ => None,
    };
    Some(single.filter(|_| !is_vector).or(raw))
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::events::record;

    /// An event with a scalar, as TensorBoard's protobuf encodes it.
    fn scalar_event(step: u8, tag: &str, value: f32) -> Vec<u8> {
        let mut inner = vec![0x0a, tag.len() as u8];
        inner.extend(tag.as_bytes());
        inner.push(0x15);
        inner.extend(value.to_le_bytes());
        let mut summary = vec![0x0a, inner.len() as u8];
        summary.extend(inner);
        let mut event = vec![0x09];
        event.extend(1000.5f64.to_le_bytes());
        event.extend([0x10, step, 0x2a, summary.len() as u8]);
        event.extend(summary);
        event
    }

    #[test]
    fn a_damaged_record_costs_itself_and_a_wrong_length_all_that_follows() {
        let good = record(&scalar_event(7, "loss", 0.25));
        let mut damaged = record(&scalar_event(8, "loss", 9.0));
        damaged[20] ^= 1;
        let mut bytes = [&good[..], &damaged, &record(&scalar_event(9, "loss", 0.5))].concat();
        let records = |bytes: &[u8], curves: &mut Curves| {
            let position = FilePosition { path: Path::new("f"), offset: 0 };
            super::records(bytes, position, &mut Plugins::new(), curves)
        };
        let mut curves = Curves::default();
        assert_eq!(records(&bytes, &mut curves), (bytes.len(), 1, false));
        let points: Vec<_> = curves.get("loss").expect("is").points().collect();
        let point = |step, value| Point { step, wall: 1000.5, value };
        assert_eq!(points, [point(7, 0.25), point(9, 0.5)]);
        // Half a record waits.
        let mut curves = Curves::default();
        assert_eq!(records(&bytes[..bytes.len() - 1], &mut curves).0, good.len() + damaged.len());
        bytes[good.len()] ^= 1;
        let mut curves = Curves::default();
        assert_eq!(records(&bytes, &mut curves), (good.len(), 1, true));
        assert_eq!(curves.last_step(), Some(7));
    }

    #[test]
    fn tensors_of_one_number_are_scalars() {
        // dtype float, tensor_content.
        let mut raw = vec![0x08, 1, 0x22, 4];
        raw.extend(2.5f32.to_le_bytes());
        assert_eq!(scalar(&raw), Some(Some(2.5)));
        // double_val, packed.
        let mut packed = vec![0x08, 2, 0x32, 8];
        packed.extend(0.1f64.to_le_bytes());
        assert_eq!(scalar(&packed), Some(Some(0.1)));
        // Two float_val.
        let mut two = vec![0x08, 1, 0x2a, 8];
        two.extend([0; 8]);
        assert_eq!(scalar(&two), Some(None));
        assert_eq!(scalar(&[0x22, 200]), None);
    }
}
