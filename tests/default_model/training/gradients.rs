//! Gradients against finite differences, packed sequences, the optimiser.

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

use crate::common;

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
    pack(examples, QUERIES, &Template::ChatMl.into(), &common::tokenizer()).expect("packs")
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
        serde_json::from_str(include_str!("../../reference/adamw.json")).expect("numbers");
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
