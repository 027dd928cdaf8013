//! After damage reading goes on at the next record: files of the real packages whose records' places are
//! known (`tests/reference/make_damage.py`) are damaged at random.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use artgpt_runs::catalogue::find;
use artgpt_runs::readers::{EventFile, Reader, WandbFile};
use artgpt_runs::{Curves, Grown, Run, RunReader};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::program;

#[derive(serde::Deserialize)]
struct Truth {
    values: Vec<serde_json::Value>,
    events: BTreeMap<u32, Range2>,
    wandb: BTreeMap<u32, Range2>,
    wandb_others: Vec<Range2>,
}

type Range2 = (usize, usize);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/damage").join(name)
}

fn truth() -> Truth {
    let text = std::fs::read_to_string(file("records.json")).expect("reads");
    serde_json::from_str(&text).expect("parses")
}

/// The loss as it was logged, bit by bit.
fn values(truth: &Truth) -> Vec<f64> {
    let number = |value: &serde_json::Value| match value.as_str() {
        Some(word) => word.parse().expect("a number"),
        None => value.as_f64().expect("a number"),
    };
    truth.values.iter().map(number).collect()
}

const EVENTS: &str = "events.out.tfevents.0001.damage";
const LOG: &str = "run-damage.wandb";

fn open(name: &str, path: &Path) -> Box<dyn Reader> {
    if name == LOG { Box::new(WandbFile::new(path)) } else { Box::new(EventFile::new(path)) }
}

/// Everything in a file that grows no more.
fn read(mut reader: Box<dyn Reader>) -> (Curves, Box<dyn Reader>) {
    let mut curves = Curves::default();
    while reader.fetch().expect("reads") == Grown::Some {
        reader.parse(&mut curves);
    }
    reader.finish();
    reader.parse(&mut curves);
    (curves, reader)
}

fn whole(path: &Path) -> Run {
    RunReader::whole(find(path, false).pop().expect("a run"), None)
}

fn bits(values: impl Iterator<Item = f64>) -> Vec<u64> {
    values.map(|v| if v.is_nan() { 1 } else { v.to_bits() }).collect()
}

#[test]
fn values_that_are_not_finite_are_read_from_both_formats() {
    let expected = bits(values(&truth()).into_iter());
    for (name, metrics) in [(EVENTS, &["loss"][..]), (LOG, &["loss", "deep/low"])] {
        let run = whole(&file(name));
        assert!(run.skipped.is_empty(), "{name}: {:?}", run.skipped);
        for metric in metrics {
            let series = run.curves.get(metric).expect("the metric");
            assert_eq!(bits(series.points().map(|p| p.value)), expected, "{name} {metric}");
            assert_eq!(series.not_finite(), 12);
        }
    }
    let run = whole(&file(LOG));
    let config: Vec<_> = run.config.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    // W&B itself writes NaN as null here and in the summary.
    let odd = [
        ("betas", "[null,0.5]"),
        ("deep.high", "1"),
        ("deep.low", "-Infinity"),
        ("lr", "Infinity"),
        ("x", "null"),
    ];
    assert_eq!(config, odd);
    let results = run.results();
    assert!(results.contains(&("best", "-Infinity")), "{results:?}");
    assert!(results.contains(&("value", "null")), "{results:?}");
}

/// What was done to a file: these bytes of it are no more as they were.
fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) -> (Range<usize>, &'static str) {
    // The head of a W&B log stays.
    let at = rng.random_range(7..bytes.len());
    let to = (at + rng.random_range(1..600)).min(bytes.len());
    match rng.random_range(0..6) {
        0 => {
            bytes[at..to].fill(0);
            (at..to, "zeros")
        }
        1 => {
            bytes[at..to].iter_mut().for_each(|byte| *byte = !*byte);
            (at..to, "other bytes")
        }
        2 => {
            bytes[at] ^= 1 << rng.random_range(0..8);
            (at..at + 1, "one bit")
        }
        3 => {
            drop(bytes.drain(at..to));
            (at..to, "a hole")
        }
        4 => {
            let garbage: Vec<u8> = (at..to).map(|_| rng.random()).collect();
            drop(bytes.splice(at..at, garbage));
            (at..at, "garbage inserted")
        }
        _ => {
            let length = bytes.len();
            bytes.truncate(at);
            (at..length, "cut off")
        }
    }
}

/// Whether damage hits a record: garbage only if it stands within it.
fn hits(record: &Range2, damage: &Range<usize>) -> bool {
    match damage.is_empty() {
        true => record.0 < damage.start && damage.start < record.1,
        false => record.0 < damage.end && damage.start < record.1,
    }
}

#[test]
fn damage_costs_only_the_records_that_it_hits() {
    let truth = truth();
    let expected = values(&truth);
    let dir = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    for (name, records) in [(EVENTS, &truth.events), (LOG, &truth.wandb)] {
        let intact = std::fs::read(file(name)).expect("reads");
        let path = dir.path().join(name);
        for round in 0..600 {
            let mut bytes = intact.clone();
            let (lost, kind) = damage(&mut bytes, &mut rng);
            // Zeros over zeros, such as padding, are no damage.
            let changed = bytes != intact;
            std::fs::write(&path, &bytes).expect("writes");
            let (curves, reader) = read(open(name, &path));
            let left = records.iter().filter(|(_, place)| !changed || !hits(place, &lost));
            let left: Vec<u32> = left.map(|(step, _)| *step).collect();
            // Everything may be cut off.
            let points = || curves.get("loss").into_iter().flat_map(|series| series.points());
            let steps: Vec<f64> = points().map(|p| p.step).collect();
            let wanted: Vec<f64> = left.iter().map(|step| f64::from(*step)).collect();
            assert_eq!(steps, wanted, "{name}, round {round}: {kind} at {lost:?}");
            let wanted = bits(left.iter().map(|step| expected[*step as usize]));
            assert_eq!(bits(points().map(|p| p.value)), wanted, "{name}, round {round}");
            // What is lost is said, wherever it was.
            let others = if name == LOG { &truth.wandb_others[..] } else { &[] };
            let mut all = records.values().chain(others);
            if changed && all.any(|place| hits(place, &lost) && lost.start > place.0) {
                let told = reader.skipped();
                assert!(!told.is_empty(), "{name}, round {round}: {kind} at {lost:?}: {told:?}");
            }
        }
    }
}

/// Each piece comes while the reader follows the file.
#[test]
fn half_a_record_at_the_end_of_a_growing_file_is_no_damage() {
    use std::io::Write;
    let dir = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for name in [EVENTS, LOG] {
        let path = dir.path().join(name);
        let bytes = std::fs::read(file(name)).expect("reads");
        let mut grows = std::fs::File::create(&path).expect("makes");
        let (mut reader, mut curves) = (open(name, &path), Curves::default());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rng.random_range(1..400).min(rest.len()));
            grows.write_all(now).expect("writes");
            rest = later;
            while reader.fetch().expect("reads") == Grown::Some {
                reader.parse(&mut curves);
            }
            assert!(reader.skipped().is_empty(), "{name}: {:?}", reader.skipped());
        }
        assert_eq!(curves.get("loss").map(|series| series.len()), Some(60), "{name}");
    }
}

#[test]
fn two_files_in_one_are_read_one_after_the_other() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in [EVENTS, LOG] {
        let path = dir.path().join(name);
        let bytes = std::fs::read(file(name)).expect("reads");
        std::fs::write(&path, [&bytes[..], &bytes].concat()).expect("writes");
        let (curves, reader) = read(open(name, &path));
        assert!(reader.skipped().is_empty(), "{name}: {:?}", reader.skipped());
        // The run was begun again.
        assert_eq!(curves.get("loss").map(|series| series.len()), Some(60), "{name}");
    }
}

#[test]
fn the_command_line_says_what_was_lost_and_keeps_nan() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(EVENTS);
    let mut bytes = std::fs::read(file(EVENTS)).expect("reads");
    // The checksum of the length of the record of step 5.
    bytes[truth().events[&5].0 + 8] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    // Nobody writes it any more.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    std::fs::File::options()
        .append(true)
        .open(&path)
        .and_then(|f| f.set_modified(old))
        .expect("sets");
    let run = |args: &[&str]| {
        let output = program(dir.path()).args(args).arg(&path).output().expect("runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let shown = run(&["runs", "show"]);
    let lost = "skipped   damaged parts where no record begins: 1 (42 bytes)";
    assert!(shown.contains(lost) && shown.contains("not finite"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&run(&["--json", "runs", "show"])).expect("JSON");
    assert_eq!((&json["skipped"], &json["skipped_reasons"][0]["bytes"]), (&1.into(), &42.into()));
    assert_eq!(json["metrics"]["loss"]["not_finite"], 12);
    assert_eq!(json["metrics"]["loss"]["max"], 14.75);
    let csv = run(&["runs", "export"]);
    assert_eq!(csv.lines().count(), 60);
    for line in ["10,1700000010,NaN", "30,1700000030,inf", "40,1700000040,-inf"] {
        assert!(csv.lines().any(|l| l == line), "{csv}");
    }
}
