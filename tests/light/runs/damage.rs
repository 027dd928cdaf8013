//! Damaged files: no reader panics, and none reads for ever.

use std::path::Path;

use artgpt_runs::media::{Embedding, project, sound, table};
use artgpt_runs::readers::{
    CsvFile, EventFile, JsonLines, Matches, PatternLog, Reader, TrainerState, WandbFile,
};
use artgpt_runs::{Curves, Grown, Pattern};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::reference;

/// Every reader gets files that were cut, overwritten and stuffed at random: none panics, and none
/// reads for ever.
#[test]
fn damaged_files_harm_no_reader() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    let events = std::fs::read(reference("pytorch/events.out.tfevents.0001.first")).expect("reads");
    let trainer =
        std::fs::read(reference("trainer/checkpoint-95/trainer_state.json")).expect("reads");
    let table = std::fs::read(reference("csv/metrics.csv")).expect("reads");
    let lines = b"{\"step\":1,\"loss\":NaN,\"a\":{\"b\":[1,2]}}\n{\"step\":-5,\"loss\":1e308,\"time\":\"x\"}\n".to_vec();
    let log = b"step 1 loss 2.5\rstep 2 loss 1,0\nstep 99999999999999999999 loss -inf\n".to_vec();
    let pattern = Pattern::new(r"step (?<step>\d+) loss (?<loss>\S+)").expect("is one");
    type Open = Box<dyn Fn(&Path) -> Box<dyn Reader>>;
    let wandb = std::fs::read(reference("wandb/run-ref.wandb")).expect("reads");
    let kinds: Vec<(Vec<u8>, Open)> = vec![
        (wandb, Box::new(|p| Box::new(WandbFile::new(p)))),
        (events, Box::new(|p| Box::new(EventFile::new(p)))),
        (trainer, Box::new(|p| Box::new(TrainerState::new(p)))),
        (table, Box::new(|p| Box::new(CsvFile::new(p)))),
        (lines, Box::new(|p| Box::new(JsonLines::new(p)))),
        (log, Box::new(move |p| Box::new(PatternLog::of(p, Matches::new(pattern.clone()))))),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for (whole, open) in &kinds {
        for _ in 0..400 {
            let mut bytes = whole.clone();
            damage(&mut bytes, &mut rng);
            std::fs::write(&path, &bytes).expect("writes");
            survives(open(&path), bytes.len());
        }
    }
}

/// What is read when somebody looks at it: sounds, tables, vectors and their labels.
#[test]
fn damaged_media_harm_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    let media = reference("wandb-more/files/media");
    let only = |kind: &str| {
        let mut files = std::fs::read_dir(media.join(kind)).expect("reads").flatten();
        std::fs::read(files.next().expect("a file").path()).expect("reads")
    };
    let (wave, rows) = (only("audio"), only("table"));
    let styles = reference("pytorch-more/00010/styles");
    let [tensors, metadata] = ["tensors.tsv", "metadata.tsv"]
        .map(|name| std::fs::read(styles.join(name)).expect("reads"));
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let (mut heard, mut seen, mut laid_out) = (0, 0, 0);
    for _ in 0..1_000 {
        let damaged = |bytes: &[u8], rng: &mut ChaCha8Rng| {
            let mut bytes = bytes.to_vec();
            damage(&mut bytes, rng);
            bytes
        };
        if let Ok(sound) = sound(&damaged(&wave, &mut rng)) {
            heard += 1;
            assert!(sound.wave.len() <= 2_000 && sound.rms.is_finite(), "{sound:?}");
        }
        if let Ok(rows) = table(&damaged(&rows, &mut rng)) {
            seen += 1;
            assert!(rows.rows.iter().all(|row| row.len() <= rows.columns.len()));
        }
        std::fs::write(dir.path().join("t"), damaged(&tensors, &mut rng)).expect("writes");
        std::fs::write(dir.path().join("m"), damaged(&metadata, &mut rng)).expect("writes");
        let of = Embedding { tensors: dir.path().join("t"), metadata: Some(dir.path().join("m")) };
        if let Ok(plane) = project(&of) {
            laid_out += 1;
            assert!(plane.labels.is_empty() || plane.labels.len() == plane.points.len());
            assert!(plane.points.iter().all(|(x, y)| x.is_finite() && y.is_finite()), "{plane:?}");
        }
    }
    // Some damage leaves something to be read.
    assert!(heard > 100 && seen > 5 && laid_out > 20, "{heard} {seen} {laid_out}");
}

/// Checksums keep damage from what lies within: here they are made anew, so that it gets there.
#[test]
fn damaged_messages_under_good_checksums_harm_no_reader() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    let read = |name: &str| std::fs::read(reference(name)).expect("reads");
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
    let mut events: Vec<Vec<u8>> = Vec::new();
    for name in ["pytorch", "pytorch-media", "pytorch-more", "tf2-media", "tf2-more"] {
        let files = std::fs::read_dir(reference(name)).expect("reads").flatten();
        for file in files.filter(|file| file.file_name().to_string_lossy().starts_with("events")) {
            let bytes = std::fs::read(file.path()).expect("reads");
            let mut at = 0;
            while at < bytes.len() {
                let length = number(&bytes[at..at + 8]);
                events.push(bytes[at + 12..at + 12 + length].to_vec());
                at += length + 16;
            }
        }
    }
    let mut records: Vec<Vec<u8>> = Vec::new();
    for name in [
        "wandb-media/run-media.wandb",
        "wandb-machine/run-machine.wandb",
        "wandb-more/run-more.wandb",
    ] {
        let bytes = read(name);
        let mut at = 7;
        while at + 7 < bytes.len() {
            let length = number(&bytes[at + 4..at + 6]);
            records.push(bytes[at + 7..at + 7 + length].to_vec());
            at += length + 7;
        }
    }
    assert!(events.len() > 50 && records.len() > 10, "{} {}", events.len(), records.len());
    for _ in 0..6_000 {
        let mut file = Vec::new();
        for event in &events {
            let mut event = event.clone();
            if rng.random_bool(0.3) {
                damage(&mut event, &mut rng);
            }
            file.extend(artgpt_rundir::events::record(&event));
        }
        std::fs::write(&path, &file).expect("writes");
        survives(Box::new(EventFile::new(&path)), file.len());
        let mut file = read("wandb-machine/run-machine.wandb")[..7].to_vec();
        for record in &records {
            let mut record = record.clone();
            if rng.random_bool(0.3) {
                damage(&mut record, &mut rng);
            }
            let whole = [&[1], &record[..]].concat();
            file.extend(crc32fast::hash(&whole).to_le_bytes());
            file.extend((record.len() as u16).to_le_bytes());
            file.extend(whole);
        }
        std::fs::write(&path, &file).expect("writes");
        survives(Box::new(WandbFile::new(&path)), file.len());
    }
}

fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..8) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..4) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes[at] = rng.random(),
            2 => {
                let more = (0..rng.random_range(1..40)).map(|_| rng.random::<u8>());
                drop(bytes.splice(at..at, more.collect::<Vec<_>>()));
            }
            _ => drop(bytes.drain(at..(at + rng.random_range(1..40)).min(bytes.len()))),
        }
    }
}

fn survives(mut reader: Box<dyn Reader>, length: usize) {
    let mut curves = Curves::default();
    let mut calls = 0;
    while reader.fetch().expect("reads") != Grown::Not {
        reader.parse(&mut curves);
        calls += 1;
        assert!(calls < 100);
    }
    reader.finish();
    reader.parse(&mut curves);
    for (_, series) in curves.iter() {
        assert!(series.len() <= length);
        assert_eq!(series.points().count(), series.len());
        series.extremes(0..series.len());
        series.steps_of_extremes();
    }
}
