//! Coverage-guided fuzzing of every reader of other programs' files.
//!
//!     cd fuzz && RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
//!         -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
//!         -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1" \
//!         cargo run --release --target x86_64-unknown-linux-gnu -- -max_total_time=600 CORPUS
//!
//! The first byte chooses the reader. Where a checksum keeps damage out, it is made over what came, so
//! that it gets to the messages within. A panic, an overflow, an endless loop or a gigabyte is a fault.
#![no_main]

use std::path::{Path, PathBuf};

use artgpt_model::checkpoint::Tensors;
use artgpt_runs::readers::{CsvFile, EventFile, JsonLines, Matches, PatternLog, Reader, TrainerState, WandbFile};
use artgpt_runs::media::{Embedding, project, sound, table};
use artgpt_runs::{Curves, Grown, Pattern};
use artgpt_rundir::events::record;
use libfuzzer_sys::fuzz_target;

// The decoder of a server's stream has no public name.
#[path = "../../crates/artgpt-engine/src/remote/sse.rs"]
#[allow(dead_code)]
mod sse;

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    // In memory, where it can be.
    let folder =
        if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let path: PathBuf = folder.join(format!("artgpt-fuzz-{}", std::process::id()));
    let (bytes, mut reader): (Vec<u8>, Box<dyn Reader>) = match kind % 15 {
        // What lies in files until somebody looks at it.
        8 => return drop(sound(data)),
        9 => return drop(table(data)),
        10 => return vectors(&path, data),
        11 => return stream(data),
        12 => return tensors(&path.with_extension("gguf"), data),
        13 => return tensors(&path.with_extension("safetensors"), data),
        14 => return tensors(&path.with_extension("pth"), data),
        0 => (data.to_vec(), Box::new(EventFile::new(&path))),
        1 => (pieces(data).flat_map(record).collect(), Box::new(EventFile::new(&path))),
        2 => (data.to_vec(), Box::new(WandbFile::new(&path))),
        3 => (sealed(data), Box::new(WandbFile::new(&path))),
        4 => (data.to_vec(), Box::new(TrainerState::new(&path))),
        5 => (data.to_vec(), Box::new(CsvFile::new(&path))),
        6 => (data.to_vec(), Box::new(JsonLines::new(&path))),
        _ => {
            let Ok(pattern) = Pattern::new(r"step (?<step>\d+) loss (?<loss>\S+)") else { return };
            (data.to_vec(), Box::new(PatternLog::of(&path, Matches::new(pattern))))
        }
    };
    if std::fs::write(&path, &bytes).is_err() {
        return;
    }
    let mut curves = Curves::default();
    let mut calls = 0;
    while reader.fetch().is_ok_and(|grown| grown != Grown::Not) {
        reader.parse(&mut curves);
        calls += 1;
        assert!(calls < 1_000, "it reads without end");
    }
    reader.finish();
    reader.parse(&mut curves);
    for (_, series) in curves.iter() {
        assert_eq!(series.points().count(), series.len());
        series.extremes(0..series.len());
        series.steps_of_extremes();
    }
});

/// Numbers and labels, which a zero parts.
fn vectors(path: &Path, data: &[u8]) {
    let (numbers, labels) = data.split_at(data.iter().position(|b| *b == 0).unwrap_or(data.len()));
    let metadata = path.with_extension("labels");
    if std::fs::write(path, numbers).and_then(|()| std::fs::write(&metadata, labels)).is_ok() {
        let of = Embedding { tensors: path.into(), metadata: Some(metadata) };
        if let Ok(plane) = project(&of) {
            assert!(plane.labels.is_empty() || plane.labels.len() == plane.points.len());
        }
    }
}

/// A checkpoint, all of whose tensors are read.
fn tensors(path: &Path, data: &[u8]) {
    if std::fs::write(path, data).is_err() {
        return;
    }
    if let Ok(tensors) = Tensors::open(path) {
        tensors.names().for_each(|name| drop(tensors.read(name)));
    }
}

/// Server-sent events: cut in two anywhere, they are the same as in one piece.
fn stream(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let read = |parts: &[&[u8]]| {
        let (mut decoder, mut events) = (sse::Decoder::default(), Vec::new());
        for part in parts {
            if decoder.push(part, &mut events).is_err() {
                return events;
            }
        }
        events.extend(decoder.finish());
        events
    };
    let (first, second) = data.split_at(usize::from(*cut).min(data.len()));
    assert_eq!(read(&[data]), read(&[first, second]));
}

/// Messages: each begins with its length.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (piece, after) = rest.split_at(usize::from(*length).min(rest.len()));
        data = after;
        Some(piece)
    })
}

/// W&B's log around messages, in its first block.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut out = b":W&B\xe1\xbe\x00".to_vec();
    for piece in pieces(data).take(100) {
        let whole = [&[1], piece].concat();
        out.extend(crc32fast::hash(&whole).to_le_bytes());
        out.extend((piece.len() as u16).to_le_bytes());
        out.extend(whole);
    }
    out
}
