//! The talk stage on a small random network with a byte-level tokenizer.

mod views;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};
use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::words::{Shown, Writer};
use super::*;
use crate::data::conversations::{Dialogue, PictureSource};
use crate::pack::{Apart, Segment, pack_segments};
use crate::task::Share;
use crate::{Alone, Outcome, Params, TrainEvent, Trainer};
use artgpt_chat::{PromptStyle, Role, Template, Tokenizer, Turn};
use artgpt_kernels::matrix::Matrix;
use artgpt_kernels::mode::{Differentiable, RopeLayout};
use artgpt_manifest::{GgufVocabulary, Method, QFormerConfig, TokenizerData, TokenizerSource};
use artgpt_model::bridge::Bridge;
use artgpt_model::llama::{Block, Llama, LlamaConfig, RopeScaling};
use artgpt_model::peft::Tuning;
use artgpt_model::vision::VisionEncoder;
use artgpt_rundir::RunDir;

const HIDDEN: usize = 16;
const VOCABULARY: usize = 260;
const SIDE: usize = 8;

/// One token for each byte, and ChatML's marks.
fn tokenizer() -> Tokenizer {
    // GPT-2's letters for bytes: printable ones are themselves, the others follow from U+0100 on.
    let printable = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || b >= 174;
    let mut next = 256;
    let mut tokens: Vec<String> = (0..256u32)
        .map(|b| {
            let code = if printable(b) { b } else { next };
            next += u32::from(!printable(b));
            char::from_u32(code).expect("a letter").to_string()
        })
        .collect();
    tokens.extend(["<|im_start|>", "<|im_end|>", "<pad>", "<unk>"].map(String::from));
    let types = (0..VOCABULARY).map(|i| if i < 256 { 1 } else { 3 }).collect();
    let vocabulary = GgufVocabulary {
        model: Some("gpt2".into()),
        pre: Some("smollm".into()),
        tokens: Some(tokens),
        types,
        merges: Some(Vec::new()),
        eos: vec![257],
        ..GgufVocabulary::default()
    };
    let source = TokenizerSource::Gguf(vocabulary);
    let data = TokenizerData { path: "bytes.gguf".into(), rows: VOCABULARY, source };
    Tokenizer::new(&data).expect("a tokenizer")
}

/// Four tokens a picture: the pixels of its quarters.
struct Quarters;

impl VisionEncoder for Quarters {
    fn encode(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        let half = SIDE / 2;
        let x = pixels.reshape((pixels.dim(0)?, 3, 2, half, 2, half))?;
        x.permute((0, 2, 4, 1, 3, 5))?.contiguous()?.reshape((pixels.dim(0)?, 4, self.width()))
    }

    fn width(&self) -> usize {
        3 * SIDE * SIDE / 4
    }

    fn side(&self) -> usize {
        SIDE
    }

    fn normalisation(&self) -> ([f32; 3], [f32; 3]) {
        ([128.0; 3], [64.0; 3])
    }
}

/// A network whose adapters and bridge train.
struct Small {
    params: Params,
    bridge: Bridge,
    language: Llama<Differentiable>,
    tokenizer: Tokenizer,
}

fn small() -> Small {
    small_with(512)
}

/// The same with another context window.
fn small_with(context_length: usize) -> Small {
    let device = Device::Cpu;
    let params = Params::new(3, &device);
    let config = LlamaConfig {
        hidden_size: HIDDEN,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        intermediate_size: 24,
        vocab_size: VOCABULARY,
        context_length,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_layout: RopeLayout::Halves,
        rope_scaling: RopeScaling::None,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut random = |rows: usize, width: usize| {
        let values: Vec<f32> = (0..rows * width).map(|_| rng.random_range(-0.3..0.3)).collect();
        Matrix::Dense(Tensor::from_vec(values, (rows, width), &device).expect("a tensor"))
    };
    let method = Method::Adapter { zero_up: true };
    let blocks = (0..2).map(|i| {
        let vb = params.builder().pp("llama_model.model.layers").pp(i);
        let norm =
            |name| vb.get_with_hints(HIDDEN, name, candle_nn::Init::Const(1.0)).expect("a norm");
        Block {
            input_layernorm: norm("input_layernorm.weight"),
            qkv_proj: random(32, HIDDEN),
            o_proj: random(HIDDEN, 16),
            post_attention_layernorm: norm("post_attention_layernorm.weight"),
            gate_up_proj: random(48, HIDDEN),
            down_proj: random(HIDDEN, 24),
            tuning: Tuning::load(&method, &config, &vb).expect("a tuning"),
        }
    });
    let blocks = blocks.collect();
    let embed = random(VOCABULARY, HIDDEN);
    let norm = Tensor::ones(HIDDEN, candle_core::DType::F32, &device).expect("a norm");
    let language =
        Llama::new(config, embed.clone(), blocks, norm, embed, &device).expect("a model");
    let qformer = QFormerConfig {
        num_query_tokens: 3,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 12,
        cross_attention_freq: 2,
        encoder_width: Quarters.width(),
        layer_norm_eps: 1e-6,
        image_grid: 2,
        relation_channels: 0,
        standardise: false,
        text: None,
    };
    let bridge = Bridge::load(&qformer, HIDDEN, params.builder()).expect("a bridge");
    Small { params, bridge, language, tokenizer: tokenizer() }
}

impl Small {
    fn network(&self, measured: bool) -> Network<'_> {
        Network {
            detector: None,
            vision: &Quarters,
            bridge: &self.bridge,
            language: &self.language,
            tokenizer: &self.tokenizer,
            style: PromptStyle { measured, ..Template::ChatMl.into() },
            device: Device::Cpu,
            seed: 7,
        }
    }
}

fn config(keys: &str, stage: &str) -> TrainConfig {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/conversations");
    let files = ["own.jsonl", "llava.json", "openai.jsonl"].map(|name| path.join(name));
    toml::from_str(&format!(
        "model = \"m\"\nseed = 7\nvalidate_every = 5\ncheckpoint_every = 4\n{keys}\n\
         [data]\nkind = \"conversations\"\npath = {files:?}\nheld_out = 0.3\n\
         [[stage]]\nkind = \"talk\"\nsteps = 24\nbatch = 2\nlr = 1e-2\n{stage}\n"
    ))
    .expect("a configuration")
}

fn conversations(config: &TrainConfig) -> Conversations {
    let DataConfig::Conversations(data) = &config.data else { panic!("conversations") };
    Conversations::open(data, None).expect("opens")
}

fn task<'a>(network: Network<'a>, config: &TrainConfig) -> TalkTask<'a> {
    let split = Split::default();
    TalkTask::new(network, config, conversations(config), None, &split).expect("a task")
}

/// Steps and losses of a run in `dir`, which may hold its beginning.
fn train(dir: &Path, config: &TrainConfig, stop: &dyn Fn() -> bool) -> (Outcome, Vec<String>) {
    let small = small();
    let task = task(small.network(true), config);
    let run = match dir.join("run").is_dir() {
        true => RunDir::open(&dir.join("run")),
        false => RunDir::create(dir, "run", config)
            .and_then(|run| run.begin(&Split::default(), "base").map(|()| run)),
    };
    let trainer = Trainer {
        config: config.clone(),
        params: small.params.clone(),
        task: &task,
        threads: crate::thread_pool(config).expect("threads"),
        peers: &Alone,
    };
    let mut warnings = Vec::new();
    let outcome = trainer.run(&mut run.expect("a run"), stop, |event| {
        if let TrainEvent::Warning { text, .. } = event {
            warnings.push(text.to_string());
        }
    });
    let text = std::fs::read_to_string(dir.join("run/metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|line| {
        let m: serde_json::Value = serde_json::from_str(line).expect("JSON");
        format!("{} {} {} {}", m["step"], m["split"], m["loss"], m["epoch"])
    });
    (outcome.expect("trains"), lines.collect())
}

#[test]
fn the_loss_falls_and_a_resumed_run_repeats_the_unbroken_one() {
    let config = config("", "questions = 5\nmin_lr = 1e-3");
    let whole = tempfile::tempdir().expect("a folder");
    let (outcome, expected) = train(whole.path(), &config, &|| false);
    assert_eq!(outcome, Outcome::Finished);
    let losses = |split: &str| -> Vec<f64> {
        let lines = expected.iter().filter(|line| line.contains(split));
        lines.map(|line| line.split(' ').nth(2).expect("a loss").parse().expect("one")).collect()
    };
    let (train_losses, held_out) = (losses("train"), losses("held_out"));
    assert_eq!((train_losses.len(), held_out.len()), (24, 4));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&train_losses[20..]) < mean(&train_losses[..4]) - 0.5, "{train_losses:?}");
    assert!(held_out[3] < held_out[0], "{held_out:?}");
    let samples = artgpt_rundir::samples(&whole.path().join("run"));
    assert_eq!(samples.len(), 6, "one for each checkpoint");
    let data = conversations(&config);
    for sample in samples.iter().flat_map(|samples| &samples.answers) {
        let shows = |d: &&Dialogue| match d.pictures[..] {
            [at] => data.pictures[at].key == sample.artwork,
            _ => false,
        };
        let first = data.all.iter().find(shows).expect("is about it");
        assert_eq!(sample.question, first.rounds[0].asked);
    }
    assert!(samples.iter().all(|samples| !samples.answers.is_empty()));

    let broken = tempfile::tempdir().expect("a folder");
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) == 10;
    assert_eq!(train(broken.path(), &config, &stop).0, Outcome::Stopped);
    let (outcome, lines) = train(broken.path(), &config, &|| false);
    assert_eq!((outcome, lines), (Outcome::Finished, expected));
    let weights = |dir: &Path| std::fs::read(dir.join("run/bridge.safetensors")).expect("reads");
    assert!(weights(whole.path()) == weights(broken.path()), "the weights differ");
}

/// The loss over a conversation in one segment is that of its answers one by one.
#[test]
fn the_loss_of_a_conversation_is_the_mean_over_its_separate_answers() {
    let small = small();
    let network = small.network(true);
    let writer = Writer::new(&network).expect("a writer");
    let round = |asked: &str, said: &str| crate::data::conversations::Round {
        asked: asked.into(),
        said: said.into(),
    };
    let rounds = [
        round("What is it?", "A red field."),
        round("Sure?", "Yes."),
        round("Why?", "Red is warm, and this is."),
    ];
    let other = [round("Dark?", "Not very.")];
    let text = [round("hi", "Hello."), round("What is red?", "A colour.")];
    let shown = Shown {
        label: Some("title: Red".into()),
        second: None,
        measured: vec![Some("mostly red; vivid".into())],
    };
    let conversation = |rounds: &[crate::data::conversations::Round], shown: &Shown, system| {
        let rounds: Vec<_> = rounds.iter().collect();
        writer.conversation(&rounds, shown, system).expect("writes")
    };
    let image = Tensor::from_vec(
        (0..3 * HIDDEN).map(|i| (i as f32 * 0.7).sin()).collect(),
        (1, 3, HIDDEN),
        &Device::Cpu,
    )
    .expect("an image");
    let loss = |segments: &[Segment]| {
        let packed = pack_segments(segments, 3, Apart::Alone).expect("packs");
        let loss = answer_loss(&small.language, &packed, &image, None, Weigh::Tokens);
        let loss = loss.expect("a loss").to_scalar::<f32>().expect("a number");
        (f64::from(loss), packed.targets.len())
    };
    // With a system prompt of its own, a conversation without the picture attends to itself alone.
    let mut together = conversation(&rounds, &shown, None);
    assert_eq!(together.len(), 1, "the template goes on as it began");
    together.extend(conversation(&other, &shown, None));
    together.extend(conversation(&text, &Shown::default(), None));
    together.extend(conversation(&text, &Shown::default(), Some("Be brief.")));
    assert_eq!(together.len(), 4);
    let (mean, count) = loss(&together);
    // Each answer by itself: the example of an answer stage.
    let (mut sum, mut scored) = (0.0, 0);
    for (rounds, shown, system) in [
        (&rounds[..], shown.clone(), None),
        (&other, shown.clone(), None),
        (&text, Shown::default(), None),
        (&text, Shown::default(), Some("Be brief.")),
    ] {
        for last in 0..rounds.len() {
            let mut turns = Vec::new();
            for round in &rounds[..last] {
                turns.push(Turn::new(Role::User, round.asked.as_str()));
                turns.push(Turn::new(Role::Assistant, round.said.as_str()));
            }
            turns.push(Turn::new(Role::User, rounds[last].asked.as_str()));
            let label = shown.label.iter().map(|label| (0, label.clone()));
            turns[0].images.extend(label);
            let prompt = writer.prompt(&turns, &shown, system).expect("renders");
            let mut answer = small.tokenizer.encode(&rounds[last].said).expect("encodes");
            answer.push(257);
            let mut segment = Segment::of(&prompt, 3);
            segment.answer(&answer);
            let (loss, n) = loss(&[segment]);
            sum += loss * n as f64;
            scored += n;
        }
    }
    assert_eq!(count, scored);
    assert!((mean - sum / scored as f64).abs() < 1e-5, "{mean} {}", sum / scored as f64);
    // What the first two have in common behind the picture is in the sequence once.
    let pack = |segments: &[Segment]| pack_segments(segments, 3, Apart::Alone).expect("packs");
    let (one, other, both) = (pack(&together[..1]), pack(&together[1..2]), pack(&together[..2]));
    assert!(both.head > "title: Red".len() && one.head == 0, "{}", both.head);
    assert_eq!(both.len() + both.head, one.len() + other.len() - one.before.len() - 3);
}

#[test]
fn conversations_about_two_pictures_have_the_same_loss_in_one_sequence() {
    let small = small();
    let network = small.network(true);
    let writer = Writer::new(&network).expect("a writer");
    let shown = Shown {
        label: Some("title: Red".into()),
        second: Some((1, "title: Blue".into())),
        measured: vec![Some("mostly red; vivid".into()), Some("mostly blue; muted".into())],
    };
    let tokens = |scale: f32| {
        let values = (0..3 * HIDDEN).map(|i| (i as f32 * scale).sin()).collect();
        Tensor::from_vec(values, (1, 3, HIDDEN), &Device::Cpu).expect("an image")
    };
    let (first, second) = (tokens(0.7), tokens(1.3));
    let segments: Vec<Segment> = [["What?", "Red."], ["Is it warm?", "Very warm."]]
        .iter()
        .flat_map(|[asked, said]| {
            let round = |asked: &str, said: &str| crate::data::conversations::Round {
                asked: asked.into(),
                said: said.into(),
            };
            let rounds = [round(asked, said), round("And this?", "Blue.")];
            writer.conversation(&rounds.iter().collect::<Vec<_>>(), &shown, None).expect("writes")
        })
        .collect();
    assert_eq!(segments.len(), 2);
    let loss = |segments: &[Segment]| {
        let packed = pack_segments(segments, 3, Apart::Alone).expect("packs");
        let loss = answer_loss(&small.language, &packed, &first, Some(&second), Weigh::Tokens);
        let loss = loss.expect("a loss").to_scalar::<f32>().expect("a number");
        (f64::from(loss), packed)
    };
    let (together, packed) = loss(&segments);
    assert!(packed.head > 0 && packed.second.len() == 2);
    let separate: Vec<_> = segments.iter().map(|one| loss(std::slice::from_ref(one))).collect();
    assert!(separate.iter().all(|(_, packed)| packed.head == 0));
    let sum: f64 = separate.iter().map(|(loss, one)| loss * one.targets.len() as f64).sum();
    let mean = sum / packed.targets.len() as f64;
    assert!((together - mean).abs() < 1e-5, "{together} {mean}");
    // The second picture matters.
    let other = tokens(0.2);
    let changed = answer_loss(&small.language, &packed, &first, Some(&other), Weigh::Tokens);
    let changed = changed.expect("a loss").to_scalar::<f32>().expect("a number");
    assert!((f64::from(changed) - together).abs() > 1e-4, "{changed} {together}");
}

#[test]
fn processes_share_the_views_of_a_batch_and_agree_on_their_weights() {
    let small = small();
    let config = config("", "questions = 5\nweigh = \"answers\"");
    let task = task(small.network(false), &config);
    let batch = |share| {
        let context = StepContext { stage: &config.stage[0], index: 0, step: 3, share };
        task.draw(context, 0).expect("draws")
    };
    let all = batch(Share::ALL);
    assert_eq!(all.units(), 2);
    assert!(((0..2).map(|unit| all.weight(unit)).sum::<f64>() - 1.0).abs() < 1e-12);
    let number = |batch: &dyn Batch, unit| {
        batch.loss(unit).expect("a loss").loss.to_scalar::<f32>().expect("a number")
    };
    for rank in 0..2 {
        let part = batch(Share { rank, of: 2 });
        assert_eq!(part.units(), 2);
        assert_eq!(part.weight(rank), all.weight(rank));
        assert_eq!(number(part.as_ref(), rank), number(all.as_ref(), rank));
        assert!(part.loss(1 - rank).is_err());
    }
}

#[test]
fn held_out_and_set_aside_paintings_never_train() {
    let painting = |id: u64| artgpt_art::Painting {
        id,
        image: RgbImage::from_pixel(9, 9, image::Rgb([id as u8 * 20, 90, 30])),
        label: artgpt_art::Label::default(),
        tags: Vec::new(),
        kind: None,
    };
    let paintings = Paintings { all: (1..=6).map(painting).collect() };
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("c.jsonl");
    let text: String = (1..=6)
        .map(|id| {
            format!(
                "{{\"image\": {id}, \"turns\": [{{\"role\": \"user\", \"text\": \"q\"}}, \
                 {{\"role\": \"assistant\", \"text\": \"a\"}}]}}\n"
            )
        })
        .collect();
    std::fs::write(&path, text).expect("writes");
    let mut config = config("held_out = 2\nset_aside = 1", "");
    let data = format!("kind = \"conversations\"\npath = {path:?}\nimages = \"museum\"");
    config.data = DataConfig::Conversations(toml::from_str(&data).expect("parses"));
    let split = paintings.split(3, 2).expect("splits").setting_aside(1).expect("leaves some");
    let small = small();
    let DataConfig::Conversations(data) = &config.data else { panic!("conversations") };
    let open = || {
        let ids = paintings.all.iter().map(|p| p.id).collect();
        Conversations::open(data, Some(&ids)).expect("opens")
    };
    let new = |split: &Split| {
        TalkTask::new(small.network(true), &config, open(), Some(&paintings), split)
            .expect("is one")
    };
    let ids = |task: &TalkTask, chosen: &[usize]| -> Vec<u64> {
        let of = |at: &usize| match task.data.pictures[task.data.all[*at].pictures[0]].source {
            PictureSource::Painting(id) => id,
            PictureSource::Picture(_) => panic!("a painting"),
        };
        chosen.iter().map(of).collect()
    };
    let task = new(&split);
    assert_eq!(ids(&task, &task.train), split.train);
    assert_eq!(ids(&task, &task.held_out), split.set_aside);
    let without = Split { set_aside: Vec::new(), ..split.clone() };
    let task = new(&without);
    assert_eq!(ids(&task, &task.held_out), split.held_out);
}
