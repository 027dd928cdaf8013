//! What the readers get from files of the real packages.

use std::path::Path;

use artgpt_runs::catalogue::find;
use artgpt_runs::media::{bytes, embeddings, project, sound, table};
use artgpt_runs::{At, Bin, Media, Run, RunReader};

use super::reference;
use crate::common::program;

/// What was logged as the training loss.
fn values() -> Vec<(u64, f64)> {
    let text = std::fs::read_to_string(reference("values.json")).expect("reads");
    let map: std::collections::HashMap<u64, f64> = serde_json::from_str(&text).expect("numbers");
    let mut all: Vec<(u64, f64)> = map.into_iter().collect();
    all.sort_by_key(|v| v.0);
    all
}

/// All of a reference run.
fn read(name: &str) -> Run {
    let found = find(&reference(name), false).pop().expect("a run");
    RunReader::whole(found, None)
}

fn exported(run: &Path, column: &str) -> Vec<(u64, f64)> {
    let dir = tempfile::tempdir().expect("a folder");
    let output = program(dir.path()).args(["runs", "export"]).arg(run).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let mut reader = csv::Reader::from_reader(&output.stdout[..]);
    let head = reader.headers().expect("a head").clone();
    let place = head.iter().position(|name| name == column).expect("the column");
    reader
        .records()
        .map(|row| row.expect("a row"))
        .filter(|row| !row[place].is_empty())
        .map(|row| (row[0].parse().expect("a step"), row[place].parse().expect("a value")))
        .collect()
}

/// Decimal numbers are read to within their last bit.
const LAST_BIT: f64 = 3e-16;

fn same(found: &[(u64, f64)], expected: &[(u64, f64)], within: f64) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (a, b) in found.iter().zip(expected) {
        assert!(a.0 == b.0 && (a.1 - b.1).abs() <= within * b.1.abs(), "{a:?} {b:?}");
    }
}

#[test]
fn files_of_the_real_packages_give_what_was_logged() {
    same(&exported(&reference("trainer"), "loss"), &values(), LAST_BIT);
    same(&exported(&reference("trainer"), "eval_loss"), &[(95, 0.75)], LAST_BIT);
    same(&exported(&reference("csv"), "train_loss"), &values(), LAST_BIT);
    same(&exported(&reference("csv"), "val_loss"), &[(95, 0.75)], LAST_BIT);
    same(&exported(&reference("wandb"), "loss"), &values(), LAST_BIT);
    let scores: Vec<(u64, f64)> = (0..100).step_by(5).map(|s| (s, s as f64 / 10.0)).collect();
    same(&exported(&reference("wandb"), "eval/score"), &scores, LAST_BIT);
    // The second file takes back what the first one said from step 50 on; floats are 32 bits.
    let mut restarted: Vec<(u64, f64)> = values().into_iter().filter(|v| v.0 < 50).collect();
    restarted.extend([(50, 0.125), (55, 0.25)]);
    same(&exported(&reference("pytorch"), "loss/train"), &restarted, 1e-7);
    let epochs: Vec<(u64, f64)> = (0..50).step_by(5).map(|s| (s, s as f64 / 10.0)).collect();
    same(&exported(&reference("pytorch"), "epoch"), &epochs, 1e-7);
}

#[test]
fn what_real_packages_log_besides_numbers_is_there() {
    let colour = |at: &At<Media>| {
        let picture = bytes(&at.what).expect("reads");
        let (image, _) = artgpt_art::decode(&at.what.path, &picture).expect("decodes");
        (at.step, image.dimensions(), image.get_pixel(0, 0).0)
    };
    let count = |at: &At<Vec<Bin>>| (at.step, at.what.iter().map(|bin| bin.count).sum::<f64>());
    let ends = |at: &At<Vec<Bin>>| (at.what[0].low, at.what[at.what.len() - 1].high);
    let red = [200, 40, 10];

    let run = read("pytorch-media");
    assert!(run.skipped.is_empty(), "{:?}", run.skipped);
    let about = &run.curves.about;
    let texts: Vec<_> = about.texts["answer"].iter().map(|at| (at.step, &*at.what)).collect();
    assert_eq!(texts, [(0, "A **horse** at step 0."), (10, "A **horse** at step 10.")]);
    let pictures: Vec<_> = about.pictures["sample"].iter().map(colour).collect();
    assert_eq!(pictures, [(0, (8, 6), red), (10, (8, 6), red)]);
    let weights = &about.histograms["weights"];
    assert_eq!(weights.iter().map(count).collect::<Vec<_>>(), [(0, 10.0), (10, 10.0)]);
    assert_eq!(weights.iter().map(ends).collect::<Vec<_>>(), [(0.0, 9.0), (10.0, 19.0)]);

    let run = read("tf2-media");
    let about = &run.curves.about;
    assert_eq!(about.pictures["sample"].iter().map(colour).collect::<Vec<_>>(), [(3, (8, 6), red)]);
    let weights = about.histograms["weights"].iter().map(count);
    assert_eq!(weights.collect::<Vec<_>>(), [(3, 13.0), (4, 14.0)]);
    assert_eq!(about.settings["lr"], "0.5");
    assert_eq!(about.settings["method"], "adapter");
    assert_eq!(about.exit, None, "PyTorch writes it at the beginning");
    assert!(run.curves.is_empty());

    let run = read("wandb-media");
    assert!(run.skipped.is_empty(), "{:?}", run.skipped);
    let about = &run.curves.about;
    assert_eq!(run.title(), Some("warm-up"));
    assert_eq!(about.remarks(), "too hot #lr #short");
    assert_eq!((about.project.as_deref(), about.exit), (Some("art"), Some(3)));
    assert_eq!(run.standing(std::time::SystemTime::now()).word(), "failed");
    let settings: Vec<_> = run.config.clone().into_iter().collect();
    assert_eq!(
        settings,
        [("lr".into(), "0.5".into()), ("method.kind".to_string(), "adapter".to_string())]
    );
    assert!(about.results().contains(&("best", "step 10")), "{:?}", about.results());
    let lines = about.console.told();
    assert!(lines.iter().any(|line| line == "step 2 of 2"), "{lines:?}");
    assert!(about.alerts.iter().any(|alert| alert.what == "Loss: it leaps"), "{:?}", about.alerts);
    let pictures: Vec<_> = about.pictures["sample"].iter().map(colour).collect();
    assert_eq!(pictures, [(0, (8, 6), red), (10, (8, 6), [210, 50, 20])]);
    assert_eq!(about.pictures["sample"][1].what.caption, "step 10");
    let weights = about.histograms["weights"].iter().map(count);
    assert_eq!(weights.collect::<Vec<_>>(), [(0, 10.0), (10, 20.0)]);
    // Width and size of a picture are no metrics.
    let names: Vec<&str> = run.curves.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss"]);

    let run = read("wandb-machine");
    assert_eq!(run.curves.about.environment["GPU"], "A100");
    assert_eq!(run.curves.about.environment["host"], "gpu7");
    let busy = run.curves.get("system/gpu.0.gpu").and_then(|s| s.last()).expect("a point");
    assert_eq!((busy.value, busy.wall), (87.5, 2e9));
}

#[test]
fn sounds_tables_networks_and_the_like_of_real_packages_are_there() {
    let hear = |at: &At<Media>| {
        let heard = sound(&bytes(&at.what).expect("reads")).expect("a sound");
        assert!((heard.peak - 0.5).abs() < 1e-3 && (heard.rms - 0.5).abs() < 1e-3, "{heard:?}");
        (at.step, heard.rate, heard.channels, heard.seconds, at.what.caption.clone())
    };

    let run = read("pytorch-more");
    assert!(run.skipped.is_empty(), "{:?}", run.skipped);
    let about = &run.curves.about;
    let tones: Vec<_> = about.sounds["tone"].iter().map(hear).collect();
    assert_eq!(tones, [(0, 8000, 1, 0.1, String::new()), (10, 8000, 1, 0.1, String::new())]);
    // Of the eight scores that were logged: at 0.5 four are at least as sure, three of them rightly.
    let horse = &about.precision["horse"];
    assert_eq!(horse.iter().map(|at| at.step).collect::<Vec<_>>(), [0, 10]);
    let cut = horse[0].what[5];
    assert_eq!((horse[0].what.len(), cut.threshold), (11, 0.5));
    assert!((cut.precision, cut.recall) == (0.75, 0.75), "{cut:?}");
    let first = horse[0].what[0];
    assert_eq!((first.precision, first.recall), (0.5, 1.0));
    let graph = about.graph.as_ref().expect("a network");
    let row = |name: &str| graph.rows.iter().find(|row| row.name == name).expect("a row");
    assert!(row("Linear[down]").inside >= 3, "{graph:#?}");
    let output = graph.rows.iter().find(|row| row.what.starts_with("aten::gelu"));
    assert!(output.is_some_and(|row| row.what.contains("[1, 2]")), "{graph:#?}");
    let styles = &embeddings(&run.path)["styles"];
    let plane = project(&styles[0].what).expect("a plane");
    assert_eq!((styles[0].step, plane.count, plane.dimensions), (10, 40, 3));
    // The two heaps lie eight apart, on either side of the middle.
    let along = |style: &str| -> f64 {
        let of = plane.points.iter().zip(&plane.labels).filter(|(_, label)| *label == style);
        of.map(|((x, _), _)| x / 20.0).sum()
    };
    assert!(((along("baroque") - along("rococo")).abs() - 8.0).abs() < 0.05, "{plane:?}");

    let run = read("tf2-more");
    let tones: Vec<_> = run.curves.about.sounds["tone"].iter().map(hear).collect();
    assert_eq!(tones, [(3, 8000, 1, 0.1, "a tone".to_string())]);

    let run = read("wandb-more");
    assert!(run.skipped.is_empty(), "{:?}", run.skipped);
    let about = &run.curves.about;
    let tones: Vec<_> = about.sounds["tone"].iter().map(hear).collect();
    assert_eq!(tones, [(5, 8000, 1, 0.1, "a tone".to_string())]);
    let answers = &about.tables["answers"][0];
    let rows = table(&bytes(&answers.what).expect("reads")).expect("a table");
    assert_eq!((answers.step, &rows.columns), (5, &vec!["artwork".into(), "score".into()]));
    assert_eq!(rows.rows, [["Judith", "4.5"], ["Salome", ""], ["Susanna", "NaN"]]);
    // What cannot be seen here is told where it lies.
    assert!(about.texts["page"][0].what.starts_with("html-file: files/media/html/page_"));
    let names: Vec<&str> = run.curves.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss"]);
}

#[test]
fn runs_are_listed_shown_and_exported_to_tensorboard_and_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = program(dir.path())
        .args(["--json", "runs", "list"])
        .arg(reference(""))
        .output()
        .expect("runs");
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<&str> =
        all.as_array().expect("a list").iter().filter_map(|r| r["run"].as_str()).collect();
    let with_media = [
        "pytorch-media",
        "pytorch-more",
        "tf2-media",
        "tf2-more",
        "wandb-machine",
        "wandb-media",
        "wandb-more",
    ];
    let mut expected = ["csv", "pytorch", "trainer", "wandb"].to_vec();
    expected.extend(with_media);
    expected.sort_unstable();
    assert_eq!(names, expected);
    let show =
        program(dir.path()).args(["runs", "show"]).arg(reference("csv")).output().expect("runs");
    let text = String::from_utf8(show.stdout).expect("text");
    assert!(text.contains("val_loss") && text.contains("0.750000"), "{text}");
    for (name, lr) in [("a", 0.1), ("b", 0.2)] {
        let run = dir.path().join("runs").join(name);
        std::fs::create_dir_all(&run).expect("makes");
        std::fs::write(run.join("config.toml"), format!("lr = {lr}\nseed = 1\n")).expect("writes");
    }
    let diff = program(dir.path()).args(["runs", "diff", "a", "b"]).output().expect("runs");
    let text = String::from_utf8(diff.stdout).expect("text");
    assert_eq!(text, "    a    b\nlr  0.1  0.2\n");
    let to = dir.path().join("tb");
    program(dir.path())
        .args(["runs", "export", "--format", "tensorboard", "--out"])
        .args([&to, &reference("trainer")])
        .assert()
        .success();
    same(&exported(&to, "loss"), &values(), 1e-7);
    // An unknown run is a failure, a wrong argument is wrong usage.
    for (args, word, code) in [
        (vec!["runs", "show", "nowhere"], "there is no run nowhere", 1),
        (vec!["runs", "remove", "nowhere"], "there is no run nowhere", 1),
        (vec!["runs", "list", "nowhere"], "there is no nowhere", 2),
        (vec!["runs", "list", "--pattern", "loss ("], "--pattern cannot be used", 2),
        (
            vec![
                "runs",
                "export",
                "--format",
                "tensorboard",
                reference("csv").to_str().expect("text"),
            ],
            "--out DIR",
            2,
        ),
    ] {
        let output = program(dir.path()).args(&args).output().expect("runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && told.contains(word), "{args:?}: {told}");
    }
}
