//! TensorBoard event files (`tensorflow/core/util/event.proto`) of any program.
//!
//! Messages are parsed field by field: a record takes a tenth of a microsecond and allocates memory only
//! for a new tag.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use prost::bytes::Buf;
use prost::encoding::decode_varint;

use super::graph::graph;
use super::protobuf::{Field, fields};
use super::records::{Damage, Next, Records};
use super::row::Unwrapped;
use super::tensors::SummaryValue;
use super::{Curves, Format, Skipped, Tailed};
use crate::series::Point;
use crate::tail::Tail;

/// Follows an event file.
pub type EventFile = Tailed<Events>;

/// State of the event-file parser.
#[derive(Debug, Default)]
pub struct Events {
    records: Records,
    /// The file will not grow any more.
    is_over: bool,
    known: Known,
}

/// What earlier events of the file say about later ones.
#[derive(Debug, Default)]
struct Known {
    plugins: Plugins,
    skipped: Skipped,
    steps: Unwrapped,
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

impl Format for Events {
    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        let (bytes, offset) = (tail.pending(), tail.at());
        let mut at = 0;
        loop {
            match self.records.next(bytes, at, offset) {
                Next::Record(data, end) => {
                    let place =
                        FilePosition { path: tail.path(), offset: offset + data.start as u64 };
                    if event(&bytes[data], place, &mut self.known, into).is_none() {
                        let length = (end - at) as u64;
                        self.known.skipped.add_bytes(
                            "records that are no readable events",
                            1,
                            length,
                        );
                    }
                    at = end;
                }
                Next::Damage { end, kind, goes_on } => {
                    self.lose(kind, goes_on, end - at);
                    at = end;
                }
                Next::Wait => break,
            }
        }
        if self.is_over
            && let Some((kind, goes_on)) = self.records.rest(bytes, at)
        {
            self.lose(kind, goes_on, bytes.len() - at);
            at = bytes.len();
        }
        tail.consume(at);
    }

    fn finish(&mut self, _tail: &mut Tail) {
        self.is_over = true;
    }

    fn skipped(&self) -> &Skipped {
        &self.known.skipped
    }
}

impl Events {
    fn lose(&mut self, kind: Damage, goes_on: bool, bytes: usize) {
        self.known.skipped.add_bytes(kind.reason(), usize::from(!goes_on), bytes as u64);
    }
}

/// Parses an `Event`; `None` if the message is damaged.
fn event(
    bytes: &[u8],
    position: FilePosition,
    known: &mut Known,
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
            (2, Field::Varint(n)) => step = n as i64,
            (4, Field::Bytes(inner)) => network = inner,
            (5, Field::Bytes(inner)) => summary = inner,
            (7, Field::Bytes(inner)) => session = inner,
            _ => {}
        }
    }
    let step = known.steps.step(step as f64, curves);
    if !network.is_empty() {
        curves.about_mut().graph = Some(Arc::new(graph(network)?));
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
                let (plugins, about) = (&mut known.plugins, curves.about_mut());
                if !other.keep(whole, position, step as u64, plugins, about)? {
                    let kind = known.plugins.get(other.tag).map_or("none", String::as_str);
                    let reason = format!("values of the plugin {kind}, which are not shown");
                    known.skipped.add_first(reason, 1, || other.tag.to_string());
                }
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
            (field @ (7 | 10 | 11 | 13 | 16 | 17), Field::Varint(n)) => {
                found(integer(field, kind, n))
            }
            (field @ (7 | 10 | 11 | 13 | 16 | 17), Field::Bytes(mut packed)) => {
                while packed.has_remaining() {
                    found(integer(field, kind, decode_varint(&mut packed).ok()?));
                }
            }
            _ => {}
        }
    }
    Some(single.filter(|_| !is_vector).or_else(|| raw_scalar(kind, content)))
}

/// A number of `int_val`, `int64_val`, `bool_val`, `half_val`, `uint32_val` or `uint64_val`.
fn integer(field: u32, kind: u64, n: u64) -> f64 {
    match (field, kind) {
        (13, BFLOAT16) => f32::from_bits((n as u32) << 16).into(),
        (13, _) => half(n as u16),
        (17, _) => n as f64,
        _ => n as i64 as f64,
    }
}

/// A number in `tensor_content`.
fn raw_scalar(kind: u64, mut content: &[u8]) -> Option<f64> {
    // The values of `DataType` in tensorflow/core/framework/types.proto.
    Some(match (kind, content.len()) {
        (1, 4) => content.get_f32_le().into(),
        (2, 8) => content.get_f64_le(),
        (3, 4) => content.get_i32_le().into(),
        (4 | 10, 1) => content.get_u8().into(),
        (5, 2) => content.get_i16_le().into(),
        (6, 1) => content.get_i8().into(),
        (9, 8) => content.get_i64_le() as f64,
        (BFLOAT16, 2) => f32::from_bits(u32::from(content.get_u16_le()) << 16).into(),
        (17, 2) => content.get_u16_le().into(),
        (19, 2) => half(content.get_u16_le()),
        (22, 4) => content.get_u32_le().into(),
        (23, 8) => content.get_u64_le() as f64,
        _ => return None,
    })
}

/// `DataType::DT_BFLOAT16`.
const BFLOAT16: u64 = 14;

/// The value of a 16-bit float.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grown;
    use crate::readers::Reader;
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

    fn points(bytes: &[u8]) -> (Vec<(f64, f64)>, Skipped) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events");
        std::fs::write(&path, bytes).expect("writes");
        let mut reader = EventFile::new(&path);
        let mut curves = Curves::default();
        while reader.fetch().expect("reads") == Grown::Some {
            reader.parse(&mut curves);
        }
        reader.finish();
        reader.parse(&mut curves);
        let loss = curves.get("loss").expect("is there");
        (loss.points().map(|p| (p.step, p.value)).collect(), reader.skipped().clone())
    }

    #[test]
    fn damage_is_counted_and_reading_goes_on() {
        let events: Vec<u8> =
            (0..100).flat_map(|i| record(&scalar_event(i, "loss", i.into()))).collect();
        let length = events.len() / 100;
        let mut bytes = events.clone();
        // The checksum of a length.
        bytes[50 * length + 9] ^= 1;
        // Data.
        bytes[70 * length + 20] ^= 1;
        bytes.truncate(100 * length - 5);
        let (found, skipped) = points(&bytes);
        let expected: Vec<_> = (0..99)
            .filter(|i| ![50, 70].contains(i))
            .map(|i| (f64::from(i), f64::from(i)))
            .collect();
        assert_eq!(found, expected);
        let told: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                format!("damaged parts where no record begins: 1 ({length} bytes)"),
                format!("records with a wrong checksum: 1 ({length} bytes)"),
                format!("records that are cut off: 1 ({} bytes)", length - 5),
            ]
        );
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
        // half_val of 1.5, bool_val, and NaN in the content.
        assert_eq!(scalar(&[0x08, 19, 0x68, 0x80, 0x7c]), Some(Some(1.5)));
        assert_eq!(scalar(&[0x08, 10, 0x58, 1]), Some(Some(1.0)));
        let nan = [&[0x08, 2, 0x22, 8][..], &f64::NAN.to_le_bytes()].concat();
        assert!(scalar(&nan).flatten().is_some_and(f64::is_nan));
        let halves = [0x3c00, 0xc000, 0x0001, 0x7c00, 0x7bff].map(half);
        assert_eq!(halves, [1.0, -2.0, 2f64.powi(-24), f64::INFINITY, 65504.0]);
        // Two float_val.
        let mut two = vec![0x08, 1, 0x2a, 8];
        two.extend([0; 8]);
        assert_eq!(scalar(&two), Some(None));
        assert_eq!(scalar(&[0x22, 200]), None);
    }
}
