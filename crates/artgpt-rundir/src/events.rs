//! TensorBoard event files: the scalars of `metrics.jsonl`, so that TensorBoard can show a run.
//!
//! A file is a sequence of records: length, its checksum, an `Event` message, its checksum
//! (`tensorflow/core/lib/io/record_writer.h`, `tensorflow/core/util/event.proto`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use prost::Message;

use crate::{Metrics, Result, io};

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, because prost does not write a required zero.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog::START`: readers ignore this and later steps of earlier files.
const START: i32 = 1;

/// Appends events to a new file of a run.
pub struct EventFile {
    file: File,
    path: std::path::PathBuf,
    /// Scalars that are not written yet.
    pending: Vec<u8>,
}

/// Bytes of scalars that are written at a time.
const BUFFER: usize = 1 << 16;

impl EventFile {
    /// Creates a file in `run`, which resumes after `step` steps.
    ///
    /// # Errors
    /// [`crate::RunError::Io`].
    pub fn create(run: &Path, step: usize) -> Result<Self> {
        let others = run.read_dir().map_err(io(run))?.flatten();
        let goes_on = others
            .into_iter()
            .any(|e| e.file_name().to_string_lossy().starts_with("events.out.tfevents"));
        let now = jiff::Timestamp::now();
        // Readers take files in the order of their names.
        let path = run.join(format!(
            "events.out.tfevents.{:020}.artgpt.{}",
            now.as_nanosecond(),
            std::process::id()
        ));
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
        let mut events = Self { file, path, pending: Vec::new() };
        let version = Some("brain.Event:2".to_string());
        events.write(Event { file_version: version, ..stamped(0) })?;
        if goes_on {
            let session_log = Some(SessionLog { status: START });
            events.write(Event { session_log, ..stamped(step + 1) })?;
        }
        Ok(events)
    }

    /// Appends the scalars of one step.
    ///
    /// # Errors
    /// [`crate::RunError::Io`].
    pub fn log(&mut self, m: &Metrics) -> Result<()> {
        let value =
            scalars(m).map(|(tag, v)| Value { tag, simple_value: Some(v as f32) }).collect();
        self.write(Event { summary: Some(Summary { value }), ..stamped(m.step) })
    }

    /// Adds one scalar at `wall`, in seconds since 1970; at the present time if `wall` is not
    /// finite. It may be in memory until [`Self::flush`].
    ///
    /// # Errors
    /// [`crate::RunError::Io`].
    pub fn write_scalar(&mut self, tag: &str, step: f64, wall: f64, value: f64) -> Result<()> {
        let value = vec![Value { tag: tag.into(), simple_value: Some(value as f32) }];
        let wall_time = if wall.is_finite() { wall } else { stamped(0).wall_time };
        let (step, summary) = (step as i64, Some(Summary { value }));
        let event = Event { wall_time, step, summary, ..Event::default() };
        self.pending.extend(record(&event.encode_to_vec()));
        if self.pending.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes what is in memory.
    ///
    /// # Errors
    /// [`crate::RunError::Io`].
    pub fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.pending).map_err(io(&self.path))?;
        self.pending.clear();
        Ok(())
    }

    fn write(&mut self, event: Event) -> Result<()> {
        self.flush()?;
        self.file.write_all(&record(&event.encode_to_vec())).map_err(io(&self.path))
    }
}

fn stamped(step: usize) -> Event {
    let wall_time = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    Event { wall_time, step: step as i64, ..Event::default() }
}

/// Tags and values; loss and accuracy carry the split in their tag.
fn scalars(m: &Metrics) -> impl Iterator<Item = (String, f64)> {
    let of_split = [("loss", Some(m.loss)), ("accuracy", m.accuracy)];
    let of_step = [
        ("lr", m.lr),
        ("grad_norm", m.grad_norm),
        ("epoch", m.epoch),
        ("tokens_per_second", m.tokens_per_second),
        ("samples_per_second", m.samples_per_second),
        ("data_share", m.data_share),
        ("elapsed_s", m.elapsed_s),
    ];
    let updates = m.update_ratio.map(|ratio| ("update_ratio".to_string(), ratio));
    let system = m.system.into_iter().flat_map(|used| {
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        [
            ("system/cpu", Some(used.cpu)),
            ("system/memory", bytes(used.memory)),
            ("system/gpu", used.gpu),
            ("system/gpu_memory", bytes(used.gpu_memory)),
        ]
    });
    let system = system.filter_map(|(tag, value)| Some((tag.to_string(), value?)));
    let memory = m.peak_memory.map(|bytes| ("peak_memory".to_string(), bytes as f64));
    let trains = m.split == "train";
    let split = m.split.clone();
    let named = of_split.into_iter().filter_map(move |(n, v)| Some((format!("{n}/{split}"), v?)));
    let of_step = of_step.into_iter().map(|(n, v)| (n.to_string(), v)).chain(updates);
    let of_step = of_step.chain(memory).chain(system);
    named.chain(of_step.filter(move |_| trains))
}

/// Encodes one record. One write appends it whole, so that a reader never finds half of its header.
pub fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked_crc32c(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc32c(data).to_le_bytes());
    out
}

/// TensorFlow's masked CRC32C: rotated and shifted, so that checksums of data that holds checksums
/// stay strong.
pub fn masked_crc32c(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_bytes_that_tensorboard_writes() {
        // Checksums by `masked_crc32c` of the Python package tensorboard 2.21.
        let mut expected = vec![3u8, 0, 0, 0, 0, 0, 0, 0];
        expected.extend(0x0e49_99b0u32.to_le_bytes());
        expected.extend(b"abc");
        expected.extend(0x21f1_576eu32.to_le_bytes());
        assert_eq!(record(b"abc"), expected);
        // CRC32C of "123456789" is 0xe3069283 (RFC 3720, B.4 names the polynomial).
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }
}
