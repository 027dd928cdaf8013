//! Checkpoints in the layouts of real ones, against what PyTorch computes with them
//! (`tests/reference/make_checkpoints.py`), through the program as a user calls it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::common;

#[derive(Clone, Deserialize)]
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
#[derive(Clone, Deserialize)]
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
    common::bare_json(&args.iter().map(String::as_str).collect::<Vec<_>>())
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
    let out = common::bare_json(
        &[&args[..], &["--prompt", &case.prompt, "--answer", &case.answer]].concat(),
    );
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
    let convert =
        |args: &[&str]| common::bare_json(&[&["models", "convert", "--json"], args].concat());

    convert(&["--merge", &peft, &path("merged")]);
    assert_close(&scores(&case, &path("merged")), &case.logprobs, 1e-4, "its own, merged");
    let shown = common::bare_json(&["models", "show", "--json", &path("merged")]);
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

    // A folder that holds all parts is written once, for all of them; also with blocks for the rest.
    let joined = cases().into_iter().find(|c| c.model == "blip2").expect("is there");
    let source = root().join(&joined.model).display().to_string();
    tuned_blip2(dir.path());
    let see = |model: &str| -> Vec<f64> {
        let moved = Case { model: model.into(), ..joined.clone() };
        let out = call(&moved, &["score"], &["--prompt", &moved.prompt, "--answer", &moved.answer]);
        serde_json::from_value(out["logprobs"].clone()).expect("numbers")
    };
    convert(&[&format!("--merge={}", path("lora")), &source, &path("folder")]);
    convert(&[&format!("--merge={}", path("lora")), "--rest", "q8_0", &source, &path("blocks")]);
    let beside = see(&join_parts(&source, &dir.path().join("lora"), None, dir.path(), "lora-only"));
    assert_close(&see(&path("folder")), &beside, 1e-4, "in a joined folder");
    assert_close(&see(&path("blocks")), &beside, 0.2, "in a joined folder, in blocks");
    let changed = beside.iter().zip(&joined.logprobs).any(|(a, b)| (a - b).abs() > 0.5);
    assert!(changed, "the LoRA does nothing: {beside:?}");

    let refused = common::program(common::bare_data())
        .args(["models", "convert", "--merge", &source, &path("none")])
        .assert()
        .code(1);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("no fine-tuning"), "{said}");
    assert!(!Path::new(&path("none")).exists());
}

/// A manifest in `dir` of all parts of `source`, with a LoRA and perhaps another projection.
fn join_parts(
    source: &str,
    lora: &Path,
    projection: Option<&Path>,
    dir: &Path,
    name: &str,
) -> String {
    use artgpt_model::manifest::{AdaptersPart, Model, PathPart, PeftMethod};
    let mut manifest = Model::find(source, &root()).expect("finds").manifest;
    manifest.name = name.into();
    let here = || source.to_string();
    manifest.vision.as_mut().expect("sees").path = here();
    manifest.qformer.as_mut().expect("sees").path = here();
    manifest.language.as_mut().expect("talks").path = here();
    let of = |path: &Path| PathPart { path: path.display().to_string() };
    manifest.projection = Some(projection.map_or_else(|| PathPart { path: here() }, of));
    let path = lora.display().to_string();
    manifest.adapters = Some(AdaptersPart { method: PeftMethod::Lora, path, alpha: None });
    let file = dir.join(format!("{name}.toml"));
    std::fs::write(&file, toml::to_string(&manifest).expect("is TOML")).expect("writes");
    file.display().to_string()
}

/// Waves, so that no two rows are alike.
fn wave(shape: &[usize], seed: usize) -> candle_core::Tensor {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| ((i * 7 + seed * 13) as f32).sin()).collect();
    candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu).expect("a tensor")
}

/// The small BLIP-2 with a LoRA (in `dir/lora`) and a projection of its own: its manifest.
fn tuned_blip2(dir: &Path) -> String {
    use artgpt_manifest::{Method, Target};
    use artgpt_model::peft::package;
    let targets = vec![Target::QProj, Target::DownProj];
    let method = Method::Lora { rank: 2, alpha: 1.0, targets };
    let mut factors = std::collections::BTreeMap::new();
    for block in 0..2 {
        for (path, out, width) in [("self_attn.q_proj", 32, 32), ("mlp.down_proj", 32, 48)] {
            let name = |f: &str| format!("llama_model.model.layers.{block}.{path}.lora_{f}.weight");
            factors.insert(name("A"), wave(&[2, width], block));
            factors.insert(name("B"), wave(&[out, 2], block + 5));
        }
    }
    package::write(&dir.join("lora"), &method, &factors, "blip2").expect("writes");
    let projection = dir.join("projection.safetensors");
    let tensors = [("llama_proj.weight", wave(&[32, 16], 3)), ("llama_proj.bias", wave(&[32], 4))];
    let tensors = tensors.map(|(n, t)| (n.to_string(), t)).into();
    candle_core::safetensors::save(&tensors, &projection).expect("saves");
    let source = root().join("blip2").display().to_string();
    join_parts(&source, &dir.join("lora"), Some(&projection), dir, "tuned")
}

/// What was trained keeps Hugging Face's order of rows, also where the base has another one.
#[test]
fn bitfit_and_a_prefix_do_the_same_on_a_gguf_base() {
    let base = cases().into_iter().find(|c| c.model == "llama-gqa-llama3").expect("is there");
    let dir = tempfile::tempdir().expect("temp dir");
    let linear = [
        ("self_attn.q_proj", 64),
        ("self_attn.k_proj", 32),
        ("self_attn.v_proj", 32),
        ("self_attn.o_proj", 32),
        ("mlp.gate_proj", 48),
        ("mlp.up_proj", 48),
        ("mlp.down_proj", 32),
    ];
    for method in ["bitfit", "prefix"] {
        let mut tensors = std::collections::HashMap::new();
        for block in 0..2 {
            let name = |rest: &str| format!("llama_model.model.layers.{block}.{rest}");
            if method == "bitfit" {
                for (i, (target, out)) in linear.iter().enumerate() {
                    let bias = wave(&[*out], block * 7 + i);
                    tensors.insert(name(&format!("{target}.bias")), bias);
                }
            } else {
                let strong = |seed| (wave(&[3, 2, 16], seed) * 4.0).expect("a product");
                let (keys, values) = (strong(block), strong(block + 2));
                tensors.insert(name("self_attn.prefix.keys"), keys);
                tensors.insert(name("self_attn.prefix.values"), values);
            }
        }
        let home = dir.path().join(method);
        std::fs::create_dir(&home).expect("dir");
        candle_core::safetensors::save(&tensors, home.join("trained.safetensors")).expect("saves");
        let manifest = format!(
            "name = {method:?}\n[language]\nkind = \"llama\"\npath = {:?}\n\
             [adapters]\nmethod = {method:?}\npath = \"trained.safetensors\"\n",
            root().join(&base.model).display().to_string()
        );
        std::fs::write(home.join("manifest.toml"), manifest).expect("writes");
        let (home, target) =
            (home.display().to_string(), dir.path().join(format!("{method}-gguf")));
        let target = target.display().to_string();
        let convert = ["models", "convert", "--json", "--language", "q8_0", &home, &target];
        common::bare_json(&convert);
        let ours = scores(&base, &home);
        assert_close(&scores(&base, &target), &ours, 0.15, method);
        let change = ours.iter().zip(&base.logprobs).map(|(a, b)| (a - b).abs());
        let change = change.fold(0.0, f64::max);
        assert!(change > 0.5, "{method} changes only {change}: too little to tell");
    }
}

/// Several models on one base live in one process, and each says what it says alone.
#[test]
fn models_of_one_base_take_turns_without_reading_it_again() {
    use artgpt_engine::{Engine, Prompt};
    use artgpt_model::manifest::Model;
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
    let edited = root().join("../peft/manifest.toml");
    assert!(engine.switch(&find(edited)).expect("switches"), "by its manifest's path");
    assert!(engine.switch(&plain).expect("switches"));
    let other = find(root().join("llama-linear-tied"));
    assert!(!engine.switch(&other).expect("reads the manifest"), "another base");
    check(&mut engine, &base.logprobs, "still the base");
}

/// Nothing that one model saw is taken for what another one sees.
#[test]
fn models_of_one_base_see_with_their_own_bridges() {
    use artgpt_engine::{Engine, Picture, Prompt};
    use artgpt_model::manifest::Model;
    let case = cases().into_iter().find(|c| c.model == "blip2" && c.images == 1).expect("sees");
    let dir = tempfile::tempdir().expect("temp dir");
    let find = |path: &str| Model::find(path, &root()).expect("finds");
    let plain = find(&root().join("blip2").display().to_string());
    let tuned = find(&tuned_blip2(dir.path()));
    let picture = artgpt_art::Artwork::open(&root().join("picture.png")).expect("opens");
    let picture = [Picture::of(&picture)];
    let prompt = Prompt::Raw(case.prompt.clone());
    let score = |engine: &mut Engine| -> Vec<f64> {
        let score = engine.score(&prompt, &picture, &case.answer).expect("scores");
        score.logprobs.iter().map(|l| f64::from(*l)).collect()
    };
    let load = |model: &Model| {
        let engine = Engine::load(model, &candle_core::Device::Cpu, |_, _| {}).expect("loads");
        engine.keep_embeddings(&dir.path().join("embeddings"))
    };
    let alone = (score(&mut load(&plain)), score(&mut load(&tuned)));
    assert_close(&alone.0, &case.logprobs, 1e-3, "as PyTorch");
    assert!(alone.0.iter().zip(&alone.1).any(|(a, b)| (a - b).abs() > 0.5), "they are alike");
    let mut engine = load(&plain);
    for _ in 0..2 {
        assert_eq!(score(&mut engine), alone.0);
        assert!(engine.switch(&tuned).expect("switches"));
        assert_eq!(score(&mut engine), alone.1);
        assert!(engine.switch(&plain).expect("switches"));
    }
}

/// A base that training changed is nobody else's.
#[test]
fn full_fine_tuning_has_a_base_of_its_own() {
    let dir = tempfile::tempdir().expect("temp dir");
    let name = "llama_model.model.layers.0.mlp.down_proj.weight".to_string();
    let tensors = [(name, wave(&[32, 48], 1))].into();
    candle_core::safetensors::save(&tensors, dir.path().join("all.safetensors")).expect("saves");
    let base = root().join("llama-gqa-llama3").display().to_string();
    let manifest = format!(
        "name = \"whole\"\n[language]\nkind = \"llama\"\npath = {base:?}\n\
         [adapters]\nmethod = \"full\"\npath = \"all.safetensors\"\n"
    );
    std::fs::write(dir.path().join("manifest.toml"), manifest).expect("writes");
    let find = |path: &str| {
        artgpt_model::manifest::Model::find(path, &root()).expect("finds").base_fingerprint()
    };
    assert_eq!(find(&dir.path().display().to_string()).expect("reads"), None);
    assert!(find(&base).expect("reads").is_some());
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
    common::bare_json(&args);
    assert!(Path::new(&target).join("manifest.toml").is_file());
    common::program(common::bare_data()).args(&args).assert().code(1); // never overwrites
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
    common::bare_json(&["models", "convert", "--json", "--rest", "q8_0", &source, &target]);
    let shown = common::bare_json(&["models", "show", "--json", &target]);
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
