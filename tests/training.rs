//! The trainer: gradients, packed sequences, and a run that is resumed.

mod common;

use std::path::Path;

use artgpt_chat::{Piece, Role, Template, Turn};
use artgpt_kernels::matrix::{Matrix, Precision};
use artgpt_kernels::mode::{Differentiable, RopeLayout};
use artgpt_kernels::ops::attention::{Sight, Span};
use artgpt_manifest::{Method, Target};
use artgpt_model::bridge::Bridge;
use artgpt_model::llama::{Block, Llama, LlamaConfig, RopeScaling};
use artgpt_model::peft::Tuning;
use artgpt_model::qformer::QFormerConfig;
use artgpt_rundir::Weigh;
use artgpt_train::{Example, Packed, Params, answer_loss, pack};
use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HIDDEN: usize = 16;
const QUERIES: usize = 3;
const WIDTH: usize = 10;

/// A small network whose small parts train, as in a real run.
struct Small {
    params: Params,
    bridge: Bridge,
    language: Llama<Differentiable>,
    image: Tensor,
    second: Tensor,
    qformer: QFormerConfig,
}

fn small(vocab_size: usize) -> Result<Small> {
    small_by(Method::Adapter { zero_up: false }, vocab_size)
}

fn small_by(method: Method, vocab_size: usize) -> Result<Small> {
    let device = Device::Cpu;
    let params = Params::new(3, &device);
    let config = LlamaConfig {
        hidden_size: HIDDEN,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        intermediate_size: 24,
        vocab_size,
        context_length: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_layout: RopeLayout::Interleaved,
        rope_scaling: RopeScaling::None,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let full = method == Method::Full {};
    let mut matrices = 0;
    let mut random = |out: usize, width: usize| -> Result<Matrix> {
        let values = noise(&mut rng, (out, width), 0.5)?;
        if !full {
            return Ok(Matrix::Dense(values));
        }
        let name = format!("llama_model.matrix.{matrices}");
        matrices += 1;
        params.set(&name, &values)?;
        Ok(Matrix::Trained(vec![params.builder().get((out, width), &name)?]))
    };
    let layers = (0..2)
        .map(|i| {
            let vb = params.builder().pp("llama_model.model.layers").pp(i);
            let norm = candle_nn::Init::Const(1.0);
            Ok(Block {
                input_layernorm: vb.get_with_hints(HIDDEN, "input_layernorm.weight", norm)?,
                qkv_proj: random((4 + 2 * 2) * 4, HIDDEN)?,
                o_proj: random(HIDDEN, 16)?,
                post_attention_layernorm: vb.get_with_hints(
                    HIDDEN,
                    "post_attention_layernorm.weight",
                    norm,
                )?,
                gate_up_proj: random(48, HIDDEN)?,
                down_proj: random(HIDDEN, 24)?,
                tuning: Tuning::load(&method, &config, &vb)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let embed = random(vocab_size, HIDDEN)?;
    let norm = Tensor::ones(HIDDEN, candle_core::DType::F32, &device)?;
    let language = Llama::new(config, embed.clone(), layers, norm, embed, &device)?;
    let qformer = QFormerConfig {
        num_query_tokens: QUERIES,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 12,
        cross_attention_freq: 2,
        encoder_width: WIDTH,
        layer_norm_eps: 1e-6,
        image_grid: 2,
        relation_channels: 6,
        standardise: true,
        text: None,
    };
    let bridge = Bridge::load(&qformer, HIDDEN, params.builder())?;
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let image = noise(&mut rng, (4, WIDTH), 1.5)?.unsqueeze(0)?;
    let second = noise(&mut rng, (4, WIDTH), 1.5)?.unsqueeze(0)?;
    Ok(Small { params, bridge, language, image, second, qformer })
}

/// Uniform within `bound`; candle's own generator cannot be seeded on the CPU.
fn noise(rng: &mut ChaCha8Rng, shape: (usize, usize), bound: f32) -> Result<Tensor> {
    let values = (0..shape.0 * shape.1).map(|_| rng.random_range(-bound..bound)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn examples() -> Vec<Example> {
    let ask = |question: &str, answer: &str, sees: bool| {
        let mut turn = Turn::new(Role::User, question);
        if sees {
            turn.images.push((0, "none".into()));
        }
        Example { turns: vec![turn], answer: answer.into() }
    };
    vec![
        ask("What is the palette?", "Mostly brown.", true),
        ask("Dark or light?", "I see no picture.", false),
        ask("Is it warm?", "Warm colours.", true),
        on_two_pictures(),
    ]
}

fn on_two_pictures() -> Example {
    let mut first = Turn::new(Role::User, "What is it called?");
    first.images.push((0, "Title: Wheat".into()));
    let mut second = Turn::new(Role::User, "And this one?");
    second.images.push((1, "Title: Sea".into()));
    let turns = vec![first, Turn::new(Role::Assistant, "Wheat."), second];
    Example { turns, answer: "Sea.".into() }
}

fn packed(examples: &[Example]) -> Packed {
    pack(examples, QUERIES, Template::ChatMl, &common::tokenizer()).expect("packs")
}

fn loss(s: &Small, packed: &Packed) -> Result<Tensor> {
    weighed(s, packed, Weigh::Tokens)
}

fn weighed(s: &Small, packed: &Packed, weigh: Weigh) -> Result<Tensor> {
    let see = |image: &Tensor| s.bridge.forward::<Differentiable>(image, &[]);
    answer_loss(&s.language, packed, &see(&s.image)?, Some(&see(&s.second)?), weigh)
}

fn number(t: &Tensor) -> f64 {
    f64::from(t.to_scalar::<f32>().expect("a number"))
}

#[test]
fn questions_packed_together_lose_what_they_lose_apart() -> Result<()> {
    let s = small(49_152)?;
    let all = examples();
    let (mut sum, mut by_answer, mut count) = (0.0, 0.0, 0);
    for example in &all {
        let one = packed(std::slice::from_ref(example));
        // A question with no picture alone has no picture in its sequence at all.
        let n = one.targets.len();
        let lost = number(&loss(&s, &one)?);
        sum += lost * n as f64;
        by_answer += lost / all.len() as f64;
        count += n;
    }
    let together = packed(&all);
    assert_eq!(together.targets.len(), count);
    for (weigh, apart) in [(Weigh::Tokens, sum / count as f64), (Weigh::Answers, by_answer)] {
        let gap = (number(&weighed(&s, &together, weigh)?) - apart).abs();
        assert!(gap < 1e-4, "{weigh:?}: {gap}");
    }
    Ok(())
}

/// The loss over a packed sequence is that of the chat's own reading of the conversation.
#[test]
fn a_second_picture_stands_where_the_chat_puts_it() -> Result<()> {
    let s = small(49_152)?;
    let example = on_two_pictures();
    let tokenizer = common::tokenizer();
    let pieces = Template::ChatMl.render(None, &example.turns, &tokenizer).expect("renders");
    let see = |image: &Tensor| s.bridge.forward::<Differentiable>(image, &[]);
    let mut parts = Vec::new();
    for piece in &pieces {
        parts.push(match piece {
            Piece::Tokens(ids) => s.language.embed(ids)?,
            Piece::Image(0) => see(&s.image)?,
            Piece::Image(_) => see(&s.second)?,
        });
    }
    let mut answer = tokenizer.encode(&example.answer).expect("encodes");
    answer.push(tokenizer.special("<|im_end|>").expect("has one"));
    parts.push(s.language.embed(&answer)?);
    let x = Tensor::cat(&parts, 1)?;
    let (places, first) = (x.dim(1)?, x.dim(1)? - answer.len() - 1);
    let rotary = s.language.rotary_at(&(0..places as u32).collect::<Vec<_>>())?;
    let sight = Sight::new(vec![Span { places: 0..places, prefix: 0 }]).expect("covers all");
    let hidden = s.language.forward(&x, &rotary, &sight)?.narrow(1, first, answer.len())?;
    let logits = s.language.logits(&hidden, Precision::Exact)?.squeeze(0)?;
    let plain = candle_nn::loss::cross_entropy(&logits, &Tensor::new(answer, &Device::Cpu)?)?;
    let gap = (number(&loss(&s, &packed(&[example]))?) - number(&plain)).abs();
    assert!(gap < 1e-4, "{gap}");
    Ok(())
}

fn all_targets() -> Vec<Target> {
    Target::ALL.to_vec()
}

#[test]
fn adapters_have_their_true_gradients() -> Result<()> {
    let s = small(49_152)?;
    assert!(s.params.trainable().len() > 40);
    gradients_are_true(&s)
}

#[test]
fn lora_has_its_true_gradients() -> Result<()> {
    let s = small_by(Method::Lora { rank: 2, alpha: 3.0, targets: all_targets() }, 49_152)?;
    let factors = s.params.trainable().iter().filter(|(n, _)| n.contains(".lora_")).count();
    assert_eq!(factors, 2 * 2 * 7);
    gradients_are_true(&s)
}

#[test]
fn bitfit_has_its_true_gradients() -> Result<()> {
    let s = small_by(Method::Bitfit {}, 49_152)?;
    let in_blocks = |n: &str| n.starts_with("llama_model.") && n.ends_with("_proj.bias");
    assert_eq!(s.params.trainable().iter().filter(|(n, _)| in_blocks(n)).count(), 2 * 7);
    gradients_are_true(&s)
}

#[test]
fn a_prefix_has_its_true_gradients() -> Result<()> {
    let s = small_by(Method::Prefix { tokens: 3 }, 49_152)?;
    assert_eq!(s.params.trainable().iter().filter(|(n, _)| n.contains(".prefix.")).count(), 2 * 2);
    gradients_are_true(&s)
}

#[test]
fn full_fine_tuning_has_its_true_gradients() -> Result<()> {
    let s = small_by(Method::Full {}, 49_152)?;
    gradients_are_true(&s)
}

/// candle's fused kernels stop gradients silently; this is what would notice.
fn gradients_are_true(s: &Small) -> Result<()> {
    let packed = packed(&examples());
    // What starts at zero would hide the gradient of its factor.
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for (_, var) in s.params.trainable() {
        if var.abs()?.max_all()?.to_scalar::<f32>()? == 0.0 {
            let n = var.elem_count();
            var.set(&noise(&mut rng, (1, n), 0.1)?.reshape(var.shape())?)?;
        }
    }
    let grads = loss(s, &packed)?.backward()?;
    let trainable = s.params.trainable();
    for (name, var) in &trainable {
        // The softmax does not see a constant added to all keys; in LLaMA the rotation makes it
        // differ from place to place.
        if name.contains("self.key.bias") {
            continue;
        }
        let grad = grads.get(var).unwrap_or_else(|| panic!("{name} has no gradient"));
        let norm = grad.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt();
        assert!(norm > 0.0, "{name} has a zero gradient");
        // Along the gradient itself the slope is its norm.
        // Small enough to be straight, large enough for an f32 loss to change.
        let step = (2e-3 / norm).clamp(1e-4, 1e-2);
        let direction = (grad / f64::from(norm))?;
        let start = var.as_detached_tensor().copy()?;
        let at = |t: f32| -> Result<f64> {
            var.set(&(&start + (&direction * f64::from(t))?)?)?;
            Ok(number(&loss(s, &packed)?))
        };
        let central = |h: f32| -> Result<f64> { Ok((at(h)? - at(-h)?) / f64::from(2.0 * h)) };
        // Richardson's step takes the curvature out.
        let slope = (4.0 * central(step)? - central(2.0 * step)?) / 3.0;
        var.set(&start)?;
        let error = (slope - f64::from(norm)).abs() / f64::from(norm);
        // f32 losses of about 5, over steps of at most 1e-2, leave a slope's fourth digit open.
        let allowed = 0.02 + 1e-4 / f64::from(norm);
        assert!(error < allowed, "{name}: slope {slope}, gradient {norm}");
    }
    Ok(())
}

#[test]
fn three_optimiser_steps_are_pytorchs_adamw() -> Result<()> {
    // torch.optim.AdamW([w], lr=0.1, betas=(0.9, 0.98), weight_decay=0.02) on the loss
    // ((w - t) ** 2).sum() with w = [[1, -2], [0.5, 3]] and t = [[0, 1], [2, -1]], three steps;
    // tests/reference/make_adamw.py.
    let expected: Vec<f32> =
        serde_json::from_str(include_str!("reference/adamw.json")).expect("numbers");
    let params = Params::new(1, &Device::Cpu);
    params.set("w", &Tensor::new(&[[1f32, -2.0], [0.5, 3.0]], &Device::Cpu)?)?;
    let target = Tensor::new(&[[0f32, 1.0], [2.0, -1.0]], &Device::Cpu)?;
    let trainable: Vec<(String, Var)> = params.trainable();
    let mut optimiser =
        artgpt_train::AdamW::new(trainable.clone(), (0.9, 0.98), 0.02).expect("makes");
    for _ in 0..3 {
        let loss = (trainable[0].1.as_tensor() - &target)?.sqr()?.sum_all()?;
        let grads = artgpt_train::Gradients::of(&loss.backward()?, &trainable);
        let norm = optimiser.norm(&grads).expect("adds up");
        optimiser.step(&grads, norm, f64::INFINITY, false, |_| 0.1).expect("steps");
    }
    let ours: Vec<f32> = trainable[0].1.flatten_all()?.to_vec1()?;
    for (a, b) in ours.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-5, "{ours:?} {expected:?}");
    }
    Ok(())
}

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
    assert_eq!(tensorboard(&run), Some(unbroken.clone()).filter(|_| has_tensorboard()));
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
    assert_eq!(tensorboard(&run), Some(unbroken.clone()).filter(|_| has_tensorboard()));
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
    let plain = score(&common::plain_model());
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

/// What a configuration freezes gets no gradient.
#[test]
fn frozen_parts_of_the_bridge_have_no_gradient() -> Result<()> {
    let params = Params::new(3, &Device::Cpu).training(|name| name.starts_with("llama_proj."));
    let qformer = small(64)?.qformer;
    let bridge = Bridge::load(&qformer, HIDDEN, params.builder())?;
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let image = noise(&mut rng, (4, WIDTH), 1.5)?.unsqueeze(0)?;
    let grads = bridge.forward::<Differentiable>(&image, &[])?.sqr()?.sum_all()?.backward()?;
    let (trained, frozen): (Vec<_>, Vec<_>) =
        params.all().into_iter().partition(|(name, _)| name.starts_with("llama_proj."));
    assert!(frozen.len() > 20);
    assert_eq!(trained.len(), params.trainable().len());
    assert!(trained.iter().all(|(_, var)| grads.get(var).is_some()));
    for (name, var) in &frozen {
        assert!(grads.get(var).is_none(), "{name} has a gradient");
    }
    // A value that is restored later reaches the network all the same.
    let before: Vec<f32> =
        bridge.forward::<Differentiable>(&image, &[])?.flatten_all()?.to_vec1()?;
    params.set("query_tokens", &frozen_value(&params, "query_tokens")?.affine(2.0, 0.5)?)?;
    let after: Vec<f32> =
        bridge.forward::<Differentiable>(&image, &[])?.flatten_all()?.to_vec1()?;
    assert_ne!(before, after);
    Ok(())
}

fn frozen_value(params: &Params, name: &str) -> Result<Tensor> {
    let all = params.all();
    let (_, var) = all.iter().find(|(n, _)| n == name).expect("is there");
    var.as_detached_tensor().copy()
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

/// Where the Python package `tensorboard` is, installed once by pip; `None` where it cannot be.
fn tensorboard_package() -> Option<&'static Path> {
    static PACKAGE: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    PACKAGE
        .get_or_init(|| {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tensorboard");
            let pip = ["-m", "pip", "install", "--quiet", "--target"];
            let done = target.join("tensorboard").is_dir()
                || std::process::Command::new("python3")
                    .args(pip)
                    .arg(&target)
                    .args(["tensorboard==2.20.0", "setuptools<81"])
                    .status()
                    .is_ok_and(|s| s.success());
            if !done {
                eprintln!("skipped: pip cannot install tensorboard here");
            }
            done.then_some(target)
        })
        .as_deref()
}

fn has_tensorboard() -> bool {
    tensorboard_package().is_some()
}

/// Steps and training losses as TensorBoard itself reads a run, rounded as JSON has them.
fn tensorboard(run: &Path) -> Option<Vec<(u64, String)>> {
    let script = "import sys, json\n\
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
        events = EventAccumulator(sys.argv[1])\n\
        events.Reload()\n\
        print(json.dumps([[e.step, e.value] for e in events.Scalars('loss/train')]))";
    let output = std::process::Command::new("python3")
        .env("PYTHONPATH", tensorboard_package()?)
        .args(["-c", script])
        .arg(run)
        .output()
        .expect("python3 runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let all: Vec<(u64, f64)> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {text}"));
    // Event files hold f32; so did the loss before it was written as f64.
    Some(all.into_iter().map(|(step, loss)| (step, serde_json::json!(loss).to_string())).collect())
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
