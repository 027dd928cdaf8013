//! Checkpoints in the layouts of real ones, against what PyTorch computes with them
//! (`tests/reference/make_checkpoints.py`), through the program as a user calls it.

mod common;

use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    model: String,
    prompt: String,
    images: usize,
    answer: String,
    answer_ids: Vec<u32>,
    greedy: Vec<u32>,
    logprobs: Vec<f64>,
    tolerance: Option<f64>,
    #[serde(default)]
    beams: Vec<Beams>,
}

/// What three beams find with a length penalty.
#[derive(Deserialize)]
struct Beams {
    length_penalty: f64,
    ids: Vec<u32>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/checkpoints")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("expected.json")).expect("reads");
    serde_json::from_str(&text).expect("parses")
}

/// `COMMAND --model M --image F... --raw-prompt REST`
fn call(case: &Case, command: &[&str], rest: &[&str]) -> serde_json::Value {
    let path = |name: &str| root().join(name).display().to_string();
    let mut args: Vec<String> = command.iter().map(|a| a.to_string()).collect();
    args.extend(["--json".into(), "--raw-prompt".into(), "--model".into(), path(&case.model)]);
    for image in ["picture.png", "other.png"].iter().take(case.images) {
        args.extend(["--image".into(), path(image)]);
    }
    args.extend(rest.iter().map(|a| a.to_string()));
    common::json(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn greedy_answers_are_pytorchs() {
    for case in cases() {
        let out = call(&case, &["ask", "--greedy", "--max-new-tokens", "12"], &[&case.prompt]);
        let ids: Vec<u32> = serde_json::from_value(out["token_ids"].clone()).expect("ids");
        assert_eq!(ids, case.greedy, "{} {}", case.model, case.prompt);
    }
}

#[test]
fn a_picture_seen_in_an_earlier_session_is_not_encoded_again() {
    let case = cases().into_iter().find(|c| c.images == 1).expect("one with a picture");
    let data = common::fresh_data();
    let path = |name: &str| root().join(name).display().to_string();
    let ask = |image: &str| -> (Vec<u32>, f64) {
        let output = common::program(data.path())
            .args(["ask", "--json", "--raw-prompt", "--greedy", "--max-new-tokens", "12"])
            .args(["--model", &path(&case.model), "--image", &path(image), &case.prompt])
            .output()
            .expect("runs");
        let out: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let ids = serde_json::from_value(out["token_ids"].clone()).expect("ids");
        (ids, out["timings"]["encode_ms"].as_f64().expect("a time"))
    };
    let first = ask("picture.png");
    let again = ask("picture.png");
    assert!(first.1 > 0.0 && again.1 == 0.0, "{first:?} {again:?}");
    assert_eq!(first.0, again.0);
    assert!(ask("other.png").1 > 0.0, "another picture is encoded");
}

#[test]
fn beams_find_what_transformers_finds() {
    for case in cases() {
        for beams in &case.beams {
            let penalty = beams.length_penalty.to_string();
            let command =
                ["ask", "--beams", "3", "--length-penalty", &penalty, "--max-new-tokens", "12"];
            let out = call(&case, &command, &[&case.prompt]);
            let ids: Vec<u32> = serde_json::from_value(out["token_ids"].clone()).expect("ids");
            assert_eq!(ids, beams.ids, "{} {} {penalty}", case.model, case.prompt);
        }
    }
}

/// A LoRA that the package `peft` wrote (`tests/reference/make_peft.py`).
fn lora() -> Case {
    let text = std::fs::read_to_string(root().join("../peft/expected.json")).expect("reads");
    serde_json::from_str(&text).expect("parses")
}

#[test]
fn a_lora_of_peft_computes_what_peft_does() {
    let case = lora();
    let out = call(&case, &["ask", "--greedy", "--max-new-tokens", "12"], &[&case.prompt]);
    let ids: Vec<u32> = serde_json::from_value(out["token_ids"].clone()).expect("ids");
    assert_eq!(ids, case.greedy);
    let out = call(&case, &["score"], &["--prompt", &case.prompt, "--answer", &case.answer]);
    let scores: Vec<f64> = serde_json::from_value(out["logprobs"].clone()).expect("numbers");
    let base = cases().into_iter().find(|c| c.prompt == case.prompt).expect("its base");
    for ((a, b), without) in scores.iter().zip(&case.logprobs).zip(&base.logprobs) {
        assert!((a - b).abs() < 1e-4, "{a} is not {b}");
        assert!((b - without).abs() > 1e-2, "the reference does not depend on the LoRA");
    }
}

/// As safetensors of ours, and on a GGUF base, whose rows of q and k have another order.
#[test]
fn a_converted_lora_computes_what_its_source_does() {
    converted_case(lora(), &[], 1e-4);
    converted_case(lora(), &["--language", "q8_0"], 0.15);
}

/// Log-probabilities of the case's answer by `model`.
fn scores(case: &Case, model: &str) -> Vec<f64> {
    let args = ["score", "--json", "--raw-prompt", "--model", model];
    let out =
        common::json(&[&args[..], &["--prompt", &case.prompt, "--answer", &case.answer]].concat());
    serde_json::from_value(out["logprobs"].clone()).expect("numbers")
}

fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() < tolerance, "{what}: {a} is not {b}");
    }
}

#[test]
fn a_lora_is_merged_into_its_base_and_taken_out_again() {
    let case = lora();
    let base = cases().into_iter().find(|c| c.prompt == case.prompt).expect("its base");
    let dir = tempfile::tempdir().expect("temp dir");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let peft = root().join("../peft").display().to_string();
    let source = root().join(&base.model).display().to_string();
    let convert = |args: &[&str]| common::json(&[&["models", "convert", "--json"], args].concat());

    convert(&["--merge", &peft, &path("merged")]);
    assert_close(&scores(&case, &path("merged")), &case.logprobs, 1e-4, "its own, merged");
    let shown = common::json(&["models", "show", "--json", &path("merged")]);
    assert!(shown["manifest"]["adapters"].is_null(), "{shown}");
    // The same from a base without a manifest that joins the two.
    convert(&[&format!("--merge={peft}"), &source, &path("joined")]);
    assert_close(&scores(&case, &path("joined")), &case.logprobs, 1e-4, "a folder's, merged");
    convert(&["--unmerge", &peft, &path("merged"), &path("plain")]);
    assert_close(&scores(&case, &path("plain")), &base.logprobs, 1e-4, "taken out");

    // On GGUF the rows of q and k have another order.
    convert(&["--language", "q8_0", &peft, &path("gguf")]);
    convert(&["--merge", &path("gguf"), &path("gguf-merged")]);
    let beside = scores(&case, &path("gguf"));
    assert_close(&scores(&case, &path("gguf-merged")), &beside, 2e-2, "merged into a GGUF file");

    let refused = common::program(common::shared_data())
        .args(["models", "convert", "--merge", &source, &path("none")])
        .assert()
        .code(1);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("no fine-tuning"), "{said}");
    assert!(!Path::new(&path("none")).exists());
}

/// Several models on one base live in one process, and each says what it says alone.
#[test]
fn models_of_one_base_take_turns_without_reading_it_again() {
    use artgpt::inference::{Engine, Prompt};
    use artgpt::model::manifest::Model;
    let case = lora();
    let base = cases().into_iter().find(|c| c.prompt == case.prompt).expect("its base");
    let find = |path: PathBuf| Model::find(&path.display().to_string(), &root()).expect("finds");
    let (plain, tuned) = (find(root().join(&base.model)), find(root().join("../peft")));
    let device = candle_core::Device::Cpu;
    let mut engine = Engine::load(&plain, &device, |_, _| {}).expect("loads");
    let check = |engine: &mut Engine, expected: &[f64], what: &str| {
        let prompt = Prompt::Raw(case.prompt.clone());
        let score = engine.score(&prompt, &[], &case.answer).expect("scores");
        let ours: Vec<f64> = score.logprobs.iter().map(|l| f64::from(*l)).collect();
        assert_close(&ours, expected, 1e-4, what);
    };
    check(&mut engine, &base.logprobs, "the base");
    for round in 0..2 {
        assert!(engine.switch(&tuned).expect("switches"));
        check(&mut engine, &case.logprobs, &format!("with the LoRA, {round}"));
        assert!(engine.switch(&plain).expect("switches"));
        check(&mut engine, &base.logprobs, &format!("without it, {round}"));
    }
    let other = find(root().join("llama-linear-tied"));
    assert!(!engine.switch(&other).expect("reads the manifest"), "another base");
    check(&mut engine, &base.logprobs, "still the base");
}

/// Scores of the first case of each model after `models convert`.
fn converted(flags: &[&str], tolerance: f64) {
    let mut seen = Vec::new();
    for case in cases() {
        if seen.contains(&case.model) {
            continue;
        }
        seen.push(case.model.clone());
        converted_case(case, flags, tolerance);
    }
    assert_eq!(seen.len(), 7);
}

fn converted_case(case: Case, flags: &[&str], tolerance: f64) {
    let dir = tempfile::tempdir().expect("temp dir");
    let target = dir.path().join("ours").display().to_string();
    let source = root().join(&case.model).display().to_string();
    let mut args = vec!["models", "convert", "--json", &source, &target];
    args.extend(flags);
    common::json(&args);
    assert!(Path::new(&target).join("manifest.toml").is_file());
    common::program(common::shared_data()).args(&args).assert().code(1); // never overwrites
    let moved = Case { model: target, ..case };
    let rest = ["--prompt", &moved.prompt, "--answer", &moved.answer];
    let out = call(&moved, &["score"], &rest);
    let scores: Vec<f64> = serde_json::from_value(out["logprobs"].clone()).expect("numbers");
    for (a, b) in scores.iter().zip(&moved.logprobs) {
        assert!((a - b).abs() < tolerance, "{source} {flags:?}: {a} is not {b}");
    }
    let ids: Vec<u32> = serde_json::from_value(out["token_ids"].clone()).expect("ids");
    assert_eq!(ids, moved.answer_ids);
}

#[test]
fn a_converted_model_computes_what_its_source_does() {
    converted(&[], 2e-2); // bf16's own distance to PyTorch
    converted(&["--rest", "f16"], 2e-2);
}

/// 8 bits a weight; the small checkpoints' wild weights make much of each rounding.
#[test]
fn a_quantised_model_is_close_to_its_source() {
    converted(&["--language", "q8_0"], 0.3);
}

/// Everything but the language model in blocks, where they fit; the language model stays as it is.
#[test]
fn a_model_with_a_quantised_bridge_is_close_to_its_source() {
    converted(&["--rest", "q8_0"], 0.1);
    let case = cases().into_iter().find(|c| c.model == "originals").expect("is there");
    let dir = tempfile::tempdir().expect("temp dir");
    let target = dir.path().join("ours").display().to_string();
    let source = root().join(&case.model).display().to_string();
    common::json(&["models", "convert", "--json", "--rest", "q8_0", &source, &target]);
    let shown = common::json(&["models", "show", "--json", &target]);
    let parts = shown["weights"]["parts"].as_array().expect("parts");
    let dtypes = |name: &str| {
        let part = parts.iter().find(|p| p["name"] == name).expect(name);
        part["dtypes"].to_string()
    };
    assert!(dtypes("adapters").contains("Q8_0"), "{}", dtypes("adapters"));
    assert!(!dtypes("language model").contains("Q8_0"), "{}", dtypes("language model"));
}

#[test]
fn scores_are_pytorchs() {
    for case in cases() {
        let rest = ["--prompt", &case.prompt, "--answer", &case.answer];
        let out = call(&case, &["score"], &rest);
        let ids: Vec<u32> = serde_json::from_value(out["token_ids"].clone()).expect("ids");
        assert_eq!(ids, case.answer_ids, "{}", case.model);
        let scores: Vec<f64> = serde_json::from_value(out["logprobs"].clone()).expect("numbers");
        for (i, (a, b)) in scores.iter().zip(&case.logprobs).enumerate() {
            let gap = (a - b).abs();
            assert!(
                gap < case.tolerance.unwrap_or(1e-4),
                "{} {:?}, token {i}: {a} is not {b}",
                case.model,
                case.prompt
            );
        }
    }
}
