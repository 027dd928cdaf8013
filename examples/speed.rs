//! Times prefill and decode of a model and prints one JSON object; `scripts/beside_llama_cpp.py`
//! sets it beside llama.cpp.
//!
//!     cargo run --release --example speed -- MODEL DATA_DIR

#![allow(clippy::print_stdout)]

use std::time::Instant;

use anyhow::Context;
use artgpt_engine::{Cancel, Engine, Prompt, Request};
use artgpt_kernels::process::{self, Workload};
use artgpt_manifest::SamplingConfig;
use artgpt_model::manifest::Model;
use candle_core::Device;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROMPT_WORDS: usize = 128;
const ANSWER: usize = 64;

fn main() -> anyhow::Result<()> {
    process::set_up(Workload::Chat)?;
    let mut args = std::env::args().skip(1);
    let name = args.next().context("name a model")?;
    let data = args.next().context("name the data folder")?;
    let model = Model::find(&name, &std::path::Path::new(&data).join("models"))?;
    let mut engine = Engine::load(&model, &Device::Cpu, |_, _| {})?;
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for round in 0..5 {
        // A different first word each round, so that nothing is cached.
        let text = format!("{round}{}", " the".repeat(PROMPT_WORDS - 1));
        let request = Request {
            prompt: Prompt::Raw(text),
            pictures: vec![],
            sampling: SamplingConfig::greedy(),
            max_new_tokens: ANSWER,
        };
        let started = Instant::now();
        let answer = engine.generate(&request, &Cancel::default(), |_| {})?;
        anyhow::ensure!(started.elapsed().as_secs() < 600, "far too slow");
        let t = answer.timings;
        let prompt_tokens = answer.usage.prompt_tokens.unwrap_or_default() as f64;
        prefill.push(prompt_tokens * 1000.0 / t.prefill_ms.unwrap_or_default());
        decode.push(t.tokens_per_second.unwrap_or_default());
    }
    let median = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    println!(
        "{}",
        serde_json::json!({
            "prefill_tokens_per_second": median(&mut prefill),
            "decode_tokens_per_second": median(&mut decode),
        })
    );
    Ok(())
}
