//! Prefill, decode and one training pass of the default model: `cargo bench --bench llama`.
//!
//! The model must be installed in the usual data folder, or `ARTGPT_BENCH_DATA` names another:
//! `artgpt-tui models install artgpt-smol`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::PathBuf;

use artgpt_app::settings::Paths;
use artgpt_chat::{Role, Template, Tokenizer, Turn};
use artgpt_kernels::matrix::{Precision, TrainPrecision};
use artgpt_kernels::mode::{Differentiable, Fused};
use artgpt_kernels::process::{self, Workload};
use artgpt_manifest::Method;
use artgpt_model::artgpt::{ArtGpt, load_trainable};
use artgpt_model::bridge::Bridge;
use artgpt_model::checkpoint::{LanguageFile, tokenizer_data};
use artgpt_model::llama::Llama;
use artgpt_model::manifest::Model;
use artgpt_rundir::Weigh;
use artgpt_train::{Example, Params, answer_loss, pack};
use candle_core::{Device, Tensor};
use divan::Bencher;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROMPT: usize = 128;

fn main() {
    process::set_up(Workload::Chat).expect("no other thread runs yet");
    divan::main();
}

fn model() -> Model {
    let data = std::env::var_os("ARTGPT_BENCH_DATA").map(PathBuf::from);
    let paths = Paths::new(data, None).expect("a home folder");
    Model::find("artgpt-smol", &paths.models()).expect("is built in")
}

fn open(model: &Model) -> LanguageFile {
    let path = model.language_path().expect("has one");
    LanguageFile::open(&path).expect("run `artgpt-tui models install artgpt-smol` first")
}

fn language() -> Llama<Fused> {
    let model = model();
    ArtGpt::load(&model, &mut open(&model), &Device::Cpu, |_, _| {}).expect("loads").language
}

#[divan::bench]
fn prefill_128(bencher: Bencher) {
    let language = language();
    let x = language.embed(&[504; PROMPT]).expect("embeds");
    bencher.bench_local(|| {
        let mut cache = language.new_cache().expect("a cache");
        language.extend(&x, &mut cache, Precision::Fast).expect("reads")
    });
}

#[divan::bench]
fn decode_one_token_after_128(bencher: Bencher) {
    let language = language();
    let mut cache = language.new_cache().expect("a cache");
    let x = language.embed(&[504; PROMPT]).expect("embeds");
    language.extend(&x, &mut cache, Precision::Fast).expect("reads");
    let x = language.embed(&[314]).expect("embeds");
    bencher.bench_local(|| {
        cache.truncate(PROMPT);
        let hidden = language.extend(&x, &mut cache, Precision::Fast).expect("reads");
        language.logits(&hidden, Precision::Fast).expect("logits")
    });
}

#[divan::bench(sample_count = 10)]
fn see_one_picture(bencher: Bencher) {
    let model = model();
    let artgpt = ArtGpt::load(&model, &mut open(&model), &Device::Cpu, |_, _| {}).expect("loads");
    let picture = image::RgbImage::from_pixel(300, 200, image::Rgb([90, 60, 30]));
    bencher.bench_local(|| artgpt.encode(&picture, &[]).expect("encodes"));
}

/// Forward and backward of one view with four questions.
#[divan::bench(sample_count = 5, args = [TrainPrecision::F32, TrainPrecision::Bf16])]
fn training_pass(bencher: Bencher, precision: TrainPrecision) {
    let model = model();
    let mut file = open(&model);
    let device = Device::Cpu;
    let params = Params::new(7, &device);
    let language: Llama<Differentiable> = load_trainable(
        &mut file,
        params.builder(),
        Method::default(),
        precision,
        &device,
        |_, _| {},
    )
    .expect("loads");
    let tokenizer = Tokenizer::new(&tokenizer_data(&model, &mut file)).expect("reads");
    let config = &model.manifest.qformer.as_ref().expect("has one").config;
    let bridge =
        Bridge::load(config, language.config.hidden_size, params.builder()).expect("makes");
    let tokens =
        Tensor::randn(0f32, 1.0, (1, 49, config.encoder_width), &device).expect("a tensor");
    let examples: Vec<Example> = ["palette", "contrast", "light key", "composition"]
        .map(|what| {
            let mut turn = Turn::new(Role::User, format!("What is the {what}?"));
            turn.images.push((0, "none".into()));
            Example { turns: vec![turn], answer: "Mostly brown, with black.".into() }
        })
        .into();
    let packed = pack(&examples, config.num_query_tokens, &Template::ChatMl.into(), &tokenizer)
        .expect("packs");
    bencher.bench_local(|| {
        let image = bridge.forward::<Differentiable>(&tokens, &[]).expect("runs");
        answer_loss(&language, &packed, &image, None, Weigh::Tokens)
            .expect("runs")
            .backward()
            .expect("runs")
    });
}
