//! Text logs as trainers, spreadsheets and shells write them, through the command line: what is exported,
//! and what is said of the rest.

use std::path::Path;

use crate::common::program;

/// Steps and values of one column of `runs export`.
fn exported(run: &Path, more: &[&str], column: &str) -> Vec<(f64, f64)> {
    let dir = tempfile::tempdir().expect("a folder");
    let output =
        program(dir.path()).args(["runs", "export"]).arg(run).args(more).output().expect("runs");
    assert!(output.status.success(), "{run:?}: {output:?}");
    let mut reader = csv::Reader::from_reader(&output.stdout[..]);
    let head = reader.headers().expect("a head").clone();
    let place = head.iter().position(|name| name == column);
    let place = place.unwrap_or_else(|| panic!("{run:?} has {head:?}"));
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.filter(|row| !row[place].is_empty())
        .map(|row| (row[0].parse().expect("a step"), row[place].parse().expect("a value")))
        .collect()
}

fn shown(run: &Path, more: &[&str]) -> serde_json::Value {
    let dir = tempfile::tempdir().expect("a folder");
    let output = program(dir.path())
        .args(["--json", "runs", "show"])
        .arg(run)
        .args(more)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{run:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn metrics(run: &Path) -> Vec<String> {
    shown(run, &[])["metrics"].as_object().expect("metrics").keys().cloned().collect()
}

/// Points of one metric: step and value.
type Points = &'static [(f64, f64)];

/// Logs of widely used trainers, shortened: file, text, metric, its points.
const LOGS: &[(&str, &str, &str, Points)] = &[
    (
        // Ultralytics pads its columns and counts epochs.
        "yolo/results.csv",
        "                  epoch,         train/box_loss,   metrics/precision(B)\n                      1,                1.50000,                0.10000\n                      2,                0.75000,                0.20000\n",
        "train/box_loss",
        &[(1.0, 1.5), (2.0, 0.75)],
    ),
    (
        // Keras: CSVLogger(separator=";").
        "keras/training.log.csv",
        "epoch;accuracy;loss;val_loss\n0;0.25;2.5;2.75\n1;0.5;1.5;1.75\n",
        "val_loss",
        &[(0.0, 2.75), (1.0, 1.75)],
    ),
    (
        // TensorBoard's download of a curve.
        "tb/run-train-tag-loss.csv",
        "Wall time,Step,Value\n1700000000.5,0,1.0\n1700000060.5,100,0.5\n",
        "Value",
        &[(0.0, 1.0), (100.0, 0.5)],
    ),
    (
        // W&B's download of a chart.
        "wandb/wandb_export_2024-01-01.csv",
        "\"Step\",\"calm-sun-1 - loss\",\"calm-sun-1 - _step\",\"calm-sun-1 - _step__MIN\"\n\"0\",\"2.5\",\"0\",\"0\"\n\"10\",\"1.25\",\"10\",\"10\"\n",
        "calm-sun-1 - loss",
        &[(0.0, 2.5), (10.0, 1.25)],
    ),
    (
        "llama-factory/trainer_log.jsonl",
        "{\"current_steps\": 10, \"total_steps\": 50, \"loss\": 3.0, \"lr\": 1e-4, \"epoch\": 0.2, \"percentage\": 20.0, \"elapsed_time\": \"0:00:10\", \"remaining_time\": \"0:00:40\"}\n{\"current_steps\": 20, \"total_steps\": 50, \"loss\": 1.5, \"lr\": 1e-4, \"epoch\": 0.4, \"percentage\": 40.0, \"elapsed_time\": \"0:00:20\", \"remaining_time\": \"0:00:30\"}\n",
        "elapsed_time",
        &[(10.0, 10.0), (20.0, 20.0)],
    ),
    (
        // Detectron2 calls its JSON Lines .json.
        "detectron/metrics.json",
        "{\"data_time\": 0.01, \"eta_seconds\": 12.5, \"iteration\": 19, \"lr\": 0.005, \"total_loss\": 1.5}\n{\"data_time\": 0.01, \"eta_seconds\": 6.25, \"iteration\": 39, \"lr\": 0.005, \"total_loss\": 0.75}\n",
        "total_loss",
        &[(19.0, 1.5), (39.0, 0.75)],
    ),
    (
        // mmengine's vis_data.
        "mm/vis_data/scalars.json",
        "{\"lr\": 0.02, \"loss\": 2.5, \"time\": 0.25, \"epoch\": 1, \"iter\": 50, \"memory\": 5000, \"step\": 50}\n{\"coco/bbox_mAP\": 0.5, \"step\": 50}\n{\"lr\": 0.02, \"loss\": 1.25, \"time\": 0.25, \"epoch\": 1, \"iter\": 100, \"memory\": 5000, \"step\": 100}\n",
        "loss",
        &[(50.0, 2.5), (100.0, 1.25)],
    ),
    (
        // fairseq --log-format json writes numbers as text.
        "fairseq/train_log.jsonl",
        "{\"epoch\": 1, \"update\": 0.5, \"loss\": \"9.5\", \"num_updates\": \"100\", \"lr\": \"1e-05\"}\n{\"epoch\": 1, \"update\": 1.0, \"loss\": \"8.5\", \"num_updates\": \"200\", \"lr\": \"2e-05\"}\n{\"epoch\": 1, \"valid_loss\": \"8.25\", \"valid_num_updates\": \"200\"}\n",
        "valid_loss",
        &[(200.0, 8.25)],
    ),
    (
        // Stable Baselines3.
        "sb3/progress.csv",
        "time/fps,time/iterations,time/total_timesteps,train/loss\n100,1,2048,\n110,2,4096,0.5\n105,3,6144,0.25\n",
        "train/loss",
        &[(4096.0, 0.5), (6144.0, 0.25)],
    ),
    (
        // Spinning Up: tabs.
        "spinup/progress.txt",
        "Epoch\tAverageEpRet\tTotalEnvInteracts\tTime\n0\t-10.5\t4000\t5.5\n1\t-5.25\t8000\t11.0\n",
        "AverageEpRet",
        &[(4000.0, -10.5), (8000.0, -5.25)],
    ),
    (
        // fastai's CSVLogger: times are minutes and seconds.
        "fastai/history.csv",
        "epoch,train_loss,valid_loss,accuracy,time\n0,0.75,0.5,0.75,00:12\n1,0.5,0.25,0.875,01:10\n",
        "time",
        &[(0.0, 12.0), (1.0, 70.0)],
    ),
    (
        // DeepLabCut: no head.
        "dlc/learning_stats.csv",
        "1000, 0.01, 0.005\n2000, 0.005, 0.005\n",
        "column 2",
        &[(1000.0, 0.01), (2000.0, 0.005)],
    ),
    (
        // A spreadsheet of a country with decimal commas, as Excel saves "Unicode text".
        "excel/log.csv",
        "Step\tLoss\n1.000\t0,75\n2.000\t0,5\n",
        "Loss",
        &[(1000.0, 0.75), (2000.0, 0.5)],
    ),
    (
        // A count that begins again in each epoch goes on.
        "batches/log.jsonl",
        "{\"epoch\": 0, \"batch\": 0, \"loss\": 4}\n{\"epoch\": 0, \"batch\": 1, \"loss\": 3}\n{\"epoch\": 1, \"batch\": 0, \"loss\": 2}\n{\"epoch\": 1, \"batch\": 1, \"loss\": 1}\n",
        "loss",
        &[(0.0, 4.0), (1.0, 3.0), (2.0, 2.0), (3.0, 1.0)],
    ),
    (
        "halves/log.jsonl",
        "{\"step\": -1, \"loss\": 4}\n{\"step\": 0.0, \"loss\": 3}\n{\"step\": 0.5, \"loss\": 2}\n{\"step\": 0.5, \"loss\": 1}\n",
        "loss",
        &[(-1.0, 4.0), (0.0, 3.0), (0.5, 2.0), (0.5, 1.0)],
    ),
];

#[test]
fn logs_of_widely_used_trainers_are_found_and_read() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text, metric, points) in LOGS {
        let path = dir.path().join(name);
        let folder = path.parent().expect("has one").to_path_buf();
        std::fs::create_dir_all(&folder).expect("makes");
        std::fs::write(&path, text).expect("writes");
        for run in [&folder, &path] {
            assert_eq!(exported(run, &[], metric), *points, "{name}");
        }
        let shown = shown(&folder, &[]);
        assert_eq!(shown["skipped"], 0, "{name}: {shown}");
        for name in ["current_steps", "total_steps", "iteration", "num_updates", "Step", "step"] {
            assert!(shown["metrics"].get(name).is_none(), "{shown}");
        }
    }
    let total = &shown(&dir.path().join("llama-factory"), &[])["total_steps"];
    assert_eq!(*total, 50);
}

#[test]
fn a_run_reads_the_same_in_every_encoding() {
    let dir = tempfile::tempdir().expect("a folder");
    let numbers: Vec<(f64, f64)> =
        (1..=20).map(|step| (f64::from(step), f64::from(step) / 8.0)).collect();
    let lines = |line: &dyn Fn(f64, f64) -> String| -> String {
        numbers.iter().map(|(step, loss)| line(*step, *loss) + "\r\n").collect()
    };
    let pattern = ["--pattern", r"step (?<step>\d+) loss (?<loss>\S+)"];
    let files = [
        ("a.csv", "step,loss\r\n".to_string() + &lines(&|s, l| format!("{s},{l}")), &[][..]),
        ("a.jsonl", lines(&|s, l| format!("{{\"step\": {s}, \"loss\": {l}}}")), &[]),
        ("a.log", lines(&|s, l| format!("[10:00] step {s} loss {l} lr 1e-3")), &pattern[..]),
        (
            "colour.log",
            lines(&|s, l| {
                format!("\x1b[36m[10:00]\x1b[0m step \x1b[1m{s}\x1b[0m loss \x1b[31m{l}\x1b[0m")
            }),
            &pattern,
        ),
        (
            "bar.log",
            lines(&|s, l| format!("10%\r20% step {s} loss {l} {}", "\x08".repeat(9))),
            &pattern,
        ),
    ];
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    };
    for (name, text, more) in &files {
        let marked = format!("\u{feff}{text}");
        for bytes in [
            text.clone().into_bytes(),
            marked.clone().into_bytes(),
            utf16(&marked, false),
            utf16(&marked, true),
            utf16(text, false),
            text.replace("\r\n", "\n").into_bytes(),
            text.replace("\r\n", "\r").into_bytes(),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("writes");
            assert_eq!(exported(&path, more, "loss"), numbers, "{name}");
        }
    }
    let path = dir.path().join("wide.csv");
    std::fs::write(&path, [0xff, 0xfe, 0, 0, b's', 0, 0, 0]).expect("writes");
    let trouble = shown(&path, &[])["trouble"].to_string();
    assert!(trouble.contains("UTF-32") && trouble.contains("wide.csv"), "{trouble}");
}

#[test]
fn a_pattern_that_matches_nothing_is_named_in_list_and_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("train.log");
    std::fs::write(&path, "step 1 loss 0.5\nstep 2 loss 0.25\n").expect("writes");
    let pattern = ["--pattern", r"iter (?<step>\d+) loss (?<loss>\S+)"];
    for command in [&["runs", "list"][..], &["runs", "show"]] {
        let output =
            program(dir.path()).args(command).arg(&path).args(pattern).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("the pattern matches no line"), "{text}");
    }
    let reasons = shown(&path, &pattern)["skipped_reasons"].to_string();
    assert!(reasons.contains("line 1") && reasons.contains("step 1 loss 0.5"), "{reasons}");
}

#[test]
fn the_most_complete_of_several_files_is_read_and_the_others_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("makes");
        std::fs::write(&path, text).expect("writes");
    };
    let state = r#"{"max_steps": 50, "log_history": [
        {"step": 10, "loss": 3.0, "grad_norm": 1.0}, {"step": 20, "loss": 1.5, "grad_norm": 1.0}]}"#;
    let few = "{\"current_steps\": 10, \"loss\": 3.0}\n";
    let no_steps = "{\"loss\": 3.0}\n{\"loss\": 2.0}\n{\"loss\": 1.0}\n";
    let all = "step,loss\n10,3.0\n20,1.5\n30,0.5\n";
    let told = [(10.0, 3.0), (20.0, 1.5)];
    for (name, text, unread, points) in [
        ("sft/trainer_log.jsonl", few, "trainer_log.jsonl", &told[..]),
        ("sft/trainer_log.jsonl", no_steps, "trainer_log.jsonl", &told),
        ("sft/metrics.csv", all, "trainer_state.json", &[(10.0, 3.0), (20.0, 1.5), (30.0, 0.5)]),
    ] {
        write("sft/trainer_state.json", state);
        write(name, text);
        let run = dir.path().join("sft");
        assert_eq!(exported(&run, &[], "loss"), points, "{name}");
        let named = shown(&run, &[])["unread"].to_string();
        assert!(named.contains(unread), "{name}: {named}");
        let output = program(dir.path()).args(["runs", "show"]).arg(&run).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("not read  {unread}")), "{text}");
        std::fs::remove_dir_all(run).expect("removes");
    }
}

#[test]
fn a_file_that_is_not_read_is_named_with_its_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("exp");
    std::fs::create_dir_all(&folder).expect("makes");
    std::fs::write(folder.join("paintings.csv"), "title,year\nJudith,1901\n").expect("writes");
    std::fs::write(folder.join("train.log"), "step 1 loss 0.5\n").expect("writes");
    for command in ["list", "show"] {
        let output =
            program(dir.path()).args(["runs", command]).arg(&folder).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        for word in ["paintings.csv is not read: no column is named step or epoch", "train.log"] {
            assert!(text.contains(word), "{text}");
        }
    }
    // Named on the command line it is read all the same.
    assert_eq!(metrics(&folder.join("paintings.csv")), ["year"]);
}
