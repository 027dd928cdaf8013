//! Training runs through the program: resumed, talked to, diverging, compared.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::tensorboard::scalars;
use crate::common;

#[test]
fn a_resumed_run_repeats_the_unbroken_one() {
    let data = common::shared_data();
    let dir = tempfile::tempdir().expect("temp dir");
    let museum = museum(dir.path());
    let config = dir.path().join("run.toml");
    let text = format!(
        "model = \"artgpt-smol\"\ndata = {:?}\nheld_out = 2\ncheckpoint_every = 2\n\
         checkpoints_kept = 9\nvalidate_every = 0\nview_pool = 8\n\
         [[stage]]\nkind = \"align\"\nsteps = 3\nbatch = 2\nlr = 1e-3\n\
         [[stage]]\nkind = \"answer\"\nsteps = 2\nbatch = 1\nquestions = 2\nlr = 1e-3\n",
        museum.display().to_string()
    );
    std::fs::write(&config, text).expect("write");
    common::program(data).arg("train").arg(&config).assert().success();
    let run = newest(&data.join("runs"));
    let unbroken = losses(&run);
    assert_eq!(scalars(&run), unbroken);
    assert_eq!(unbroken.len(), 5);
    let weights = std::fs::read(run.join("bridge.safetensors")).expect("reads");
    // As if it had been killed after its second step.
    for step in ["step-4", "step-5"] {
        std::fs::remove_dir_all(run.join("checkpoints").join(step)).expect("removes");
    }
    std::fs::remove_file(run.join("bridge.safetensors")).expect("removes");
    common::program(data).args(["train", "--resume"]).arg(&run).assert().success();
    assert_eq!(losses(&run), unbroken);
    // The steps that were done again stand there once.
    assert_eq!(scalars(&run), unbroken);
    assert_eq!(std::fs::read(run.join("bridge.safetensors")).expect("reads"), weights);
    let status = std::fs::read_to_string(run.join("status.json")).expect("reads");
    assert!(status.contains("finished"), "{status}");
    std::fs::remove_dir_all(run).expect("removes");
}

/// A small museum: a run needs pictures with records, not many.
fn museum(dir: &Path) -> std::path::PathBuf {
    let museum = dir.join("museum");
    std::fs::create_dir(&museum).expect("dir");
    let mut records = Vec::new();
    for id in 1..=6u8 {
        let shade = |k: u8| id.wrapping_mul(37).wrapping_add(k.wrapping_mul(91));
        image::RgbImage::from_fn(48, 40, |x, y| {
            image::Rgb([shade(0).wrapping_add(x as u8), shade(1).wrapping_add(y as u8), shade(2)])
        })
        .save(museum.join(format!("{id}.jpg")))
        .expect("saves");
        records.push(serde_json::json!({
            "objectID": id, "title": format!("Number {id}"), "tags": [{"term": "Men"}]
        }));
    }
    let index = serde_json::json!({ "objects": records }).to_string();
    std::fs::write(museum.join("objects.json"), index).expect("write");
    museum
}

/// A run on conversations about a museum's paintings, with a prompt of its own, is resumed and talked to.
#[test]
fn a_run_on_conversations_is_resumed_and_keeps_its_prompt() {
    let data = common::fresh_data();
    let data = data.path();
    let dir = tempfile::tempdir().expect("temp dir");
    let museum = museum(dir.path());
    let line = |id: u8| {
        format!(
            "{{\"image\": {id}, \"kind\": \"mood\", \"turns\": [{{\"role\": \"user\", \"text\": \
             \"How is number {id}?\"}}, {{\"role\": \"assistant\", \"text\": \"It is calm.\"}}]}}\n"
        )
    };
    let path = dir.path().join("talks.jsonl");
    std::fs::write(&path, (1..=6).map(line).collect::<String>().repeat(2)).expect("writes");
    let config = dir.path().join("run.toml");
    let text = format!(
        "model = \"artgpt-smol\"\nheld_out = 1\nset_aside = 1\ncheckpoint_every = 2\n\
         checkpoints_kept = 9\nvalidate_every = 2\nmethod = {{ kind = \"lora\", rank = 2 }}\nbridge = \"projection\"\n\
         prompt = {{ measured = true, system = \"You talk about pictures.\" }}\n\
         [data]\nkind = \"conversations\"\npath = {path:?}\nimages = {museum:?}\n\
         [[stage]]\nkind = \"talk\"\nsteps = 3\nbatch = 1\nquestions = 2\nlr = 1e-3\n"
    );
    std::fs::write(&config, text).expect("write");
    common::program(data).arg("train").arg(&config).assert().success();
    let run = newest(&data.join("runs"));
    let unbroken = losses(&run);
    assert_eq!(unbroken.len(), 4, "three steps and a validation");
    std::fs::remove_dir_all(run.join("checkpoints/step-3")).expect("removes");
    std::fs::remove_file(run.join("bridge.safetensors")).expect("removes");
    common::program(data).args(["train", "--resume"]).arg(&run).assert().success();
    assert_eq!(losses(&run), unbroken);
    let split = std::fs::read_to_string(run.join("split.json")).expect("reads");
    assert!(split.contains("set_aside"), "{split}");
    let manifest = std::fs::read_to_string(run.join("manifest.toml")).expect("reads");
    assert!(manifest.contains("measured = true"), "{manifest}");
    assert!(manifest.contains("system = \"You talk about pictures.\""), "{manifest}");
    common::program(data).args(["models", "show"]).arg(&run).assert().success();
    // The line of measured features takes its place in the prompt of a chat.
    let tokens = |model: &Path| {
        let output = common::program(data)
            .args(["ask", "--json", "--max-new-tokens", "4", "--image"])
            .arg(museum.join("1.jpg"))
            .arg("--model")
            .arg(model)
            .arg("What is it?")
            .output()
            .expect("runs");
        let out: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        out["prompt_tokens"].as_u64().unwrap_or_else(|| panic!("{out}"))
    };
    let with = tokens(&run);
    let plain = manifest.replace("measured = true", "measured = false");
    std::fs::write(run.join("manifest.toml"), plain).expect("writes");
    let without = tokens(&run);
    assert!(with > without + 15, "{with} {without}");
}

/// Trains one step by each method and talks to what came out.
#[test]
fn a_run_of_any_method_can_be_talked_to() {
    let data = common::fresh_data();
    let museum = museum(data.path());
    let config = data.path().join("run.toml");
    let text = format!(
        "model = \"artgpt-smol\"\ndata = {:?}\nheld_out = 2\nvalidate_every = 0\n\
         [[stage]]\nkind = \"answer\"\nsteps = 1\nbatch = 1\nquestions = 2\nlr = 1e-2\n",
        museum.display().to_string()
    );
    std::fs::write(&config, text).expect("write");
    let score = |model: &str| -> f64 {
        let out = common::program(data.path())
            .args(["score", "--json", "--prompt", "What is it?", "--answer", "A portrait."])
            .args(["--model", model])
            .output()
            .expect("runs");
        let out: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        out["sum"].as_f64().unwrap_or_else(|| panic!("{out}"))
    };
    // The language model alone, with the system prompt that a run has from its base.
    let base = common::model("artgpt-smol").manifest.prompt.and_then(|prompt| prompt.system);
    let text = std::fs::read_to_string(common::plain_model()).expect("reads");
    let alone = data.path().join("alone.toml");
    std::fs::write(&alone, format!("{text}system = {:?}\n", base.expect("has one")))
        .expect("writes");
    let plain = score(&alone.display().to_string());
    for (method, kept) in [
        ("{kind = \"adapter\"}", "self_attn.1.up.weight"),
        ("{kind = \"lora\", rank = 4, targets = [\"q_proj\", \"down_proj\"]}", "q_proj.lora_B"),
        ("{kind = \"bitfit\"}", "mlp.up_proj.bias"),
        ("{kind = \"prefix\", tokens = 3}", "self_attn.prefix.keys"),
        ("{kind = \"norms\"}", "post_attention_layernorm.weight"),
        ("{kind = \"projection\"}", "llama_proj.weight"),
        ("{kind = \"full\"}", "mlp.down_proj.weight"),
    ] {
        let output = common::program(data.path())
            .args(["train", "--json"])
            .arg(&config)
            .args(["--set", &format!("method={method}"), "--set", "precision=stored"])
            .args(["--set", if method.contains("full") { "stage.0.lr=1e-9" } else { "seed=7" }])
            .output()
            .expect("runs");
        assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
        let run = newest(&data.path().join("runs"));
        let weights = candle_core::safetensors::load(run.join("bridge.safetensors"), &Device::Cpu);
        let weights = weights.expect("loads");
        assert!(weights.keys().any(|name| name.contains(kept)), "{method}");
        let trained = score(&run.display().to_string());
        // What trains in the language model changes what it says; the projection alone does not,
        // as there is no picture.
        assert_eq!(trained == plain, method.contains("projection"), "{method}: {trained} {plain}");
        if method.contains("full") {
            // Far too slow to learn: what is left is the base, read back as f16. Rows of q and k in
            // the wrong order would be another model.
            assert!((trained - plain).abs() < 0.05, "{method}: {trained} {plain}");
        }
        if method.contains("lora") {
            let path = run.join("manifest.toml");
            let text = std::fs::read_to_string(&path).expect("reads");
            let mut manifest: toml::Table = text.parse().expect("parses");
            manifest["adapters"]["path"] = "peft".into();
            std::fs::write(&path, manifest.to_string()).expect("writes");
            let from_peft = score(&run.display().to_string());
            assert!((from_peft - trained).abs() < 1e-4, "{from_peft} {trained}");
        }
        std::fs::remove_dir_all(run).expect("removes");
    }
}

fn newest(runs: &Path) -> std::path::PathBuf {
    let mut all: Vec<_> =
        std::fs::read_dir(runs).expect("runs").map(|e| e.expect("an entry").path()).collect();
    all.sort();
    all.pop().expect("a run")
}

fn losses(run: &Path) -> Vec<(u64, String)> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("reads");
    text.lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON"))
        .map(|m| (m["step"].as_u64().expect("a step"), m["loss"].to_string()))
        .collect()
}

/// With an absurd learning rate the weights are spoiled at once: the run goes back, finds that the
/// checkpoint is no good, and ends with the reason.
#[test]
fn a_run_that_diverges_goes_back_and_ends_with_the_reason() {
    let data = common::fresh_data();
    let museum = museum(data.path()).display().to_string();
    let config = data.path().join("run.toml");
    let text = format!(
        "model = \"artgpt-smol\"\ndata = {museum:?}\nheld_out = 2\nvalidate_every = 0\n\
         checkpoint_every = 1\nguard = {{ on_bad = \"rollback\", patience = 3 }}\n\
         [[stage]]\nkind = \"answer\"\nsteps = 5\nbatch = 1\nquestions = 2\nlr = 1.0\n\
         bridge_lr_scale = 1e25\n"
    );
    std::fs::write(&config, text).expect("writes");
    common::program(data.path())
        .arg("train")
        .arg(&config)
        .assert()
        .code(1)
        .stderr(predicates::str::contains("lower the learning rate"));
    let run = newest(&data.path().join("runs"));
    let read = |name: &str| std::fs::read_to_string(run.join(name)).expect(name);
    assert!(read("status.json").contains("\"failed\""), "{}", read("status.json"));
    let log = read("log.txt");
    // First to the newest checkpoint, then, as that one is spoiled, to the one before it.
    assert!(log.contains("back after step 1") && log.contains("back after step 0"), "{log}");
    assert!(log.contains("rates times 0.25"), "{log}");
}

/// What is finished is not done again, and another comparison is not mixed with it.
#[test]
fn methods_are_compared_and_finished_runs_are_kept() {
    let data = common::fresh_data();
    let museum = museum(data.path()).display().to_string();
    let run = |steps: usize| {
        format!(
            "model = \"artgpt-smol\"\ndata = {museum:?}\nheld_out = 2\nvalidate_every = 1\n\
             [[SECTION.stage]]\nkind = \"answer\"\nsteps = {steps}\nbatch = 1\nquestions = 2\nlr = 1e-3\n"
        )
    };
    let config = data.path().join("compare.toml");
    let text = format!(
        "seeds = [3]\nthings = 0\n[[method]]\nkind = \"bitfit\"\n[[method]]\nkind = \"norms\"\n\
         [prepare]\nmethod = {{ kind = \"projection\" }}\n{}[train]\n{}",
        run(1).replace("SECTION", "prepare"),
        run(2).replace("SECTION", "train")
    );
    std::fs::write(&config, &text).expect("writes");
    let out = data.path().join("out");
    let compare = || {
        let mut program = common::program(data.path());
        program.args(["eval", "peft", "--json", "--out"]).arg(&out).arg(&config);
        program
    };
    let measured = || -> serde_json::Value {
        let output = compare().output().expect("runs");
        let all = serde_json::from_slice(&output.stdout);
        all.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let first = measured();
    assert_eq!(first.as_array().map(Vec::len), Some(2), "{first}");
    // 30 blocks: q, k, v, o, gate, up and down of 576, 192, 192, 576, 1536, 1536 and 576.
    assert_eq!(first[0]["in_language_model"], 30 * (3 * 576 + 2 * 192 + 2 * 1536));
    assert_eq!(first[1]["in_language_model"], 45 * 576);
    assert!(first[0]["peak_memory"].as_u64() > Some(100 << 20));
    assert_eq!(first[0]["curve"].as_array().map(Vec::len), Some(2));
    // Both began as the same network.
    assert_eq!(first[0]["curve"][0], first[1]["curve"][0]);
    for file in ["report.md", "report.csv", "accuracy.svg", "loss.svg"] {
        let text = std::fs::read_to_string(out.join(file)).expect(file);
        assert!(text.contains("bitfit"), "{file}: {text}");
    }
    let runs = || newest(&out.join("runs/norms-seed3/runs"));
    let written =
        || runs().join("metrics.jsonl").metadata().and_then(|m| m.modified()).expect("a time");
    let before = (runs(), written());
    assert_eq!(measured(), first);
    assert_eq!((runs(), written()), before, "nothing was trained again");
    std::fs::write(&config, text.replace("seeds = [3]", "seeds = [4]")).expect("writes");
    compare().assert().code(2).stdout(predicates::str::contains("another comparison"));
}

/// On the reference project's own layout, as the paper trains it: Q-Former and query tokens are the
/// base's and stay so, and the run's folder is a model that sees.
#[test]
fn the_originals_train_as_the_paper_does_and_the_run_sees() {
    let data = common::fresh_data();
    let museum = museum(data.path());
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/checkpoints/originals");
    let base = data.path().join("originals");
    std::fs::create_dir_all(base.join("vicuna")).expect("dirs");
    for folder in ["", "vicuna"] {
        for entry in std::fs::read_dir(small.join(folder)).expect("reads") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("has one");
                std::fs::copy(&path, base.join(folder).join(name)).expect("copies");
            }
        }
    }
    // Its vocabulary is of letters, and the conversation's system text is long.
    let path = base.join("vicuna/config.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("parses");
    json["max_position_embeddings"] = 2048.into();
    std::fs::write(&path, json.to_string()).expect("writes");
    let config = data.path().join("run.toml");
    let text = format!(
        "model = {:?}\ndata = {:?}\nheld_out = 2\nvalidate_every = 0\nbridge = \"projection\"\n\
         [[stage]]\nkind = \"answer\"\nsteps = 2\nbatch = 1\nquestions = 2\nlr = 1e-2\n",
        base.display().to_string(),
        museum.display().to_string()
    );
    std::fs::write(&config, text).expect("writes");
    common::program(data.path()).arg("train").arg(&config).assert().success();
    let run = newest(&data.path().join("runs"));
    let after = candle_core::safetensors::load(run.join("bridge.safetensors"), &Device::Cpu);
    let after = after.expect("loads");
    let before =
        artgpt_model::checkpoint::Tensors::open(&base.join("blip2_pretrained_flant5xxl.pth"))
            .expect("opens");
    let mut compared = 0;
    for (name, tensor) in &after {
        if before.info(name).is_some() {
            let base = before.read(name).and_then(|t| Ok(t.to_dtype(tensor.dtype())?));
            let base: Vec<f32> = values(&base.expect("reads"));
            assert_eq!(values(tensor), base, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
    let picture = common::picture(data.path(), "red.png", [200, 20, 30]);
    let answer = common::program(data.path())
        .args(["ask", "--json", "--raw-prompt", "--greedy", "--max-new-tokens", "2", "--model"])
        .arg(&run)
        .arg("--image")
        .arg(picture)
        .arg("<image> what is it?")
        .output()
        .expect("runs");
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert_eq!(answer["image_tokens"], 4, "{answer}");
}

fn values(t: &Tensor) -> Vec<f32> {
    let flat = t.to_dtype(candle_core::DType::F32).and_then(|t| t.flatten_all()?.to_vec1());
    flat.expect("numbers")
}
