//! Training on pictures with captions, through the program.

use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::Value;

use crate::common;
use crate::common::wait;

/// A folder with eight pictures and a list of captions, and a configuration for it.
fn source(dir: &Path, more: &str, stage: &str, caption: &str) -> PathBuf {
    let images = dir.join("images");
    if !images.is_dir() {
        std::fs::create_dir(&images).expect("dir");
        let mut list = String::new();
        for i in 0..8u8 {
            let of = |k: u8| i.wrapping_mul(41).wrapping_add(k.wrapping_mul(83));
            image::RgbImage::from_fn(60, 44, |x, y| {
                image::Rgb([of(0).wrapping_add(x as u8), of(1).wrapping_add(y as u8), of(2)])
            })
            .save(images.join(format!("{i}.png")))
            .expect("saves");
            list.push_str(&format!("{{\"image_id\": {i}, \"caption\": \"Number {i}!\"}}\n"));
        }
        std::fs::write(dir.join("list.jsonl"), list).expect("writes");
    }
    let text = format!(
        "model = \"artgpt-smol\"\ncheckpoint_every = 2\ncheckpoints_kept = 9\nvalidate_every = 2\n\
         method = {{kind = \"norms\"}}\n{more}\n\
         [data]\nkind = \"pairs\"\npath = {:?}\nheld_out = 0.3\n\
         [[stage]]\nkind = \"caption\"\nlr = 1e-3\n{stage}\n[stage.caption]\n{caption}\n",
        dir.join("list.jsonl").display().to_string()
    );
    let path = dir.join(format!("{}.toml", ulid::Ulid::generate()));
    std::fs::write(&path, text).expect("writes");
    path
}

/// Trains and gives the run's folder.
fn train(data: &Path, args: &[&str]) -> PathBuf {
    let output = common::program(data).args(["--json", "train"]).args(args).output().expect("runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let last: Value = serde_json::from_str(stdout.lines().last().expect("a line")).expect("JSON");
    data.join("runs").join(last["run"].as_str().expect("a run"))
}

/// Step, split and loss of every line.
fn losses(run: &Path) -> Vec<(u64, String, f64)> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("reads");
    text.lines()
        .map(|line| {
            let m: Value = serde_json::from_str(line).expect("JSON");
            let split = m["split"].as_str().expect("a split").to_string();
            (m["step"].as_u64().expect("a step"), split, m["loss"].as_f64().expect("a loss"))
        })
        .collect()
}

fn failure(data: &Path, args: &[&str]) -> (i32, String) {
    let output = common::program(data).args(["--json"]).args(args).output().expect("runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap_or("{}")).expect("JSON");
    let said = |key: &str| last["error"][key].as_str().unwrap_or_default().to_string();
    (output.status.code().unwrap_or(-1), format!("{}; {}", said("message"), said("hint")))
}

#[test]
fn a_killed_run_goes_on_as_if_nothing_had_been() {
    let data = common::fresh_data();
    let dir = tempfile::tempdir().expect("temp dir");
    let stage = "steps = 12\nbatch = 1\naccumulate = 2";
    let caption = "instructions = [\"What?\", \"Which?\"]\ncrop = [0.5, 1.0]\nvariants = 2";
    let config = source(dir.path(), "ema = 0.5\nbridge = \"projection\"", stage, caption);
    let config = config.to_str().expect("UTF-8");
    let unbroken = train(data.path(), &[config]);
    let expected = losses(&unbroken);
    assert_eq!(expected.iter().filter(|l| l.1 == "train").count(), 12);
    assert_eq!(expected.iter().filter(|l| l.1 == "held_out").count(), 6);
    assert!(expected[0].2 > expected[expected.len() - 2].2, "it learns: {expected:?}");

    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("artgpt-tui"))
        .args(["--device", "cpu", "--data-dir"])
        .arg(data.path())
        .args(["train", config])
        .env("XDG_CONFIG_HOME", data.path().join("config"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let runs = data.path().join("runs");
    let newest = || {
        let mut all: Vec<_> =
            std::fs::read_dir(&runs).expect("runs").map(|e| e.expect("an entry").path()).collect();
        all.sort();
        all.pop().filter(|run| *run != unbroken)
    };
    let lines = |run: &Path| {
        std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
    };
    // In the middle of a step, wherever that is.
    let killed = wait::until("six lines", || {
        assert!(child.try_wait().expect("waits").is_none(), "it ended by itself");
        newest().filter(|run| lines(run) >= 6).ok_or_else(|| format!("{:?}", newest()))
    });
    child.kill().expect("is killed");
    child.wait().expect("has ended");
    let run = killed.file_name().expect("a name").to_str().expect("UTF-8");
    assert_eq!(train(data.path(), &["--resume", run]), killed);
    assert_eq!(losses(&killed), expected);
    let weights = |run: &Path| std::fs::read(run.join("bridge.safetensors")).expect("reads");
    assert_eq!(weights(&unbroken), weights(&killed));

    // What was frozen is as it was, bit by bit.
    let after = candle_core::safetensors::load(unbroken.join("bridge.safetensors"), &Device::Cpu);
    let after = after.expect("loads");
    let base = candle_core::safetensors::load("models/artgpt-smol.safetensors", &Device::Cpu);
    let base = base.expect("loads");
    let bits = |t: &candle_core::Tensor| {
        let t = t.to_dtype(candle_core::DType::F16).expect("casts");
        t.flatten_all().expect("flat").to_vec1::<half::f16>().expect("values")
    };
    let mut frozen = 0;
    for (name, tensor) in &base {
        if let Some(now) = after.get(name) {
            let trains = name.starts_with("llama_");
            frozen += usize::from(!trains);
            assert_eq!(bits(now) == bits(tensor), !trains, "{name}");
        }
    }
    assert!(frozen > 40, "{frozen}");

    // Another configuration, and another base, are refused.
    let path = killed.to_str().expect("UTF-8");
    let other = source(dir.path(), "ema = 0.5\nbridge = \"projection\"\nseed = 8", stage, caption);
    let (code, said) =
        failure(data.path(), &["train", other.to_str().expect("UTF-8"), "--resume", path]);
    assert!(code == 2 && said.contains("seed (8 instead of 7)"), "{said}");
    std::fs::write(killed.join("base.json"), "\"00\"").expect("writes");
    let (code, said) = failure(data.path(), &["train", "--resume", path]);
    assert!(code == 1 && said.contains("another base model"), "{said}");
}

#[test]
fn micro_batches_make_the_step_that_one_batch_makes() {
    let data = common::fresh_data();
    let dir = tempfile::tempdir().expect("temp dir");
    // Captions of one length weigh the same, however they are grouped.
    let first = |stage: &str| {
        let config = source(
            dir.path(),
            "precision = \"f32\"\nbridge = \"projection\"",
            stage,
            "end = \"\\n\"",
        );
        let run = train(data.path(), &[config.to_str().expect("UTF-8")]);
        losses(&run).into_iter().filter(|l| l.1 == "train").map(|l| l.2).collect::<Vec<_>>()
    };
    let (whole, parts) =
        (first("steps = 3\nbatch = 4"), first("steps = 3\nbatch = 2\naccumulate = 2"));
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-4 * a, "{whole:?} {parts:?}");
    }
}

#[test]
fn a_run_that_no_longer_gets_better_ends_with_its_best_weights() {
    let data = common::fresh_data();
    let dir = tempfile::tempdir().expect("temp dir");
    // So fast that it soon gets worse.
    let config = source(
        dir.path(),
        "early_stop = 2\nvalidate_every = 1",
        "steps = 40\nbatch = 1\nmin_lr = 0.3",
        "",
    );
    let text = std::fs::read_to_string(&config).expect("reads");
    let text = text.replacen("validate_every = 2\n", "", 1).replace("lr = 1e-3", "lr = 0.3");
    std::fs::write(&config, text).expect("writes");
    let run = train(data.path(), &[config.to_str().expect("UTF-8")]);
    let held_out: Vec<(u64, String, f64)> =
        losses(&run).into_iter().filter(|l| l.1 == "held_out").collect();
    let best = held_out.iter().min_by(|a, b| a.2.total_cmp(&b.2)).expect("has some");
    let last = held_out.last().expect("has some");
    assert!(last.0 < 40, "{held_out:?}");
    assert_eq!(last.0, best.0 + 2, "{held_out:?}");
    let bytes = |name: &str| std::fs::read(run.join(name)).expect("reads");
    let best = format!("best-{:08}.safetensors", best.0);
    assert_eq!(bytes("bridge.safetensors"), bytes(&best));
}

#[test]
fn data_that_cannot_train_is_told_before_a_model_is_loaded() {
    let data = common::fresh_data();
    let dir = tempfile::tempdir().expect("temp dir");
    let config = source(dir.path(), "", "steps = 1\nbatch = 1", "");
    let config = config.to_str().expect("UTF-8");
    let check = |set: &str| {
        let output = common::program(data.path())
            .args(["--json", "data", "check", config, "--set", set])
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str::<Value>(text.lines().next().expect("a line")).expect("JSON")
    };
    let report = check("seed=1");
    assert_eq!((report["pairs"].as_u64(), report["bad"].as_u64()), (Some(8), Some(0)));
    let split = ["train", "held_out"].map(|part| report[part].as_u64().expect("a number"));
    assert!(split[0] + split[1] == 8 && split[1] > 0, "{report}");
    assert_eq!(report["samples"].as_array().map(Vec::len), Some(3));
    std::fs::write(dir.path().join("none.jsonl"), "{\"image\": \"gone\", \"caption\": \"x\"}\n")
        .expect("writes");
    let set = format!("data.path={:?}", dir.path().join("none.jsonl"));
    let (code, said) = failure(data.path(), &["train", config, "--set", &set]);
    assert!(code == 1 && said.contains("there is no picture gone"), "{code} {said}");
    for (set, wanted) in [
        ("data.path=\"/nowhere/x.csv\"", "/nowhere/x.csv"),
        ("stage.0.lr=50.0", "lr must be from 0 to 1"),
        ("data.kind=\"laion\"", "webdataset"),
        ("stage.0.kind=\"answer\"", "caption stages learn from"),
        ("stage.0.caption.prompts=[\"no picture\"]", "<image>"),
    ] {
        let (code, said) = failure(data.path(), &["train", config, "--set", set]);
        assert!(code != 0 && said.contains(wanted), "{set}: {said}");
    }
}
