//! What a run will need, before it starts: as an earlier run like it did, or by arithmetic.

use std::collections::HashMap;
use std::path::Path;

use artgpt_base::files::read_text;
use artgpt_manifest::Method;
use artgpt_model::llama::LlamaConfig;
use artgpt_rundir::TrainPrecision;
use artgpt_rundir::{Metrics, Stage, StageKind, TrainConfig, run_folders, run_id};

const MAX_CONFIG: u64 = 1 << 20;
/// A million steps take 200 MB; a longer log gives no estimate.
const MAX_METRICS: u64 = 256 << 20;

/// What a run will need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimate {
    /// Bytes.
    pub memory: Option<u64>,
    /// Duration in seconds.
    pub seconds: Option<f64>,
    /// The run that it was seen in; by arithmetic alone where there is none.
    pub seen_in: Option<String>,
}

/// The newest runs are looked at, so many.
const MOST: usize = 200;
/// Tokens of a question with its answer, and of a caption, on average.
const TOKENS: (usize, usize) = (40, 64);
/// Tokens of a segment of conversations, on average: some have several rounds.
const TALK_TOKENS: usize = 150;
/// Vision encoder, Q-Former and the program itself, with the default model.
const REST: u64 = 300 << 20;

/// `language` is the base model's configuration and the size of its file in bytes.
pub fn estimate(
    config: &TrainConfig,
    language: Option<(&LlamaConfig, u64)>,
    runs: &Path,
) -> Estimate {
    let reckoned = || language.map(|(llama, bytes)| memory(config, llama, bytes));
    match seen(config, runs) {
        // What was seen is memory of the host, which says nothing of a GPU's.
        Some(seen) if cfg!(feature = "cuda") => Estimate { memory: reckoned(), ..seen },
        Some(seen) => seen,
        None => Estimate { memory: reckoned(), ..Estimate::default() },
    }
}

/// By a run that does the same for other lengths of time.
fn seen(config: &TrainConfig, runs: &Path) -> Option<Estimate> {
    run_folders(runs).iter().rev().take(MOST).find_map(|run| {
        let text = read_text(&run.join("config.toml"), MAX_CONFIG).ok()?;
        let other: TrainConfig = toml::from_str(&text).ok()?;
        if pace(&other) != pace(config) {
            return None;
        }
        let text = read_text(&run.join("metrics.jsonl"), MAX_METRICS).ok()?;
        let lines = text.lines().filter_map(|l| serde_json::from_str::<Metrics>(l).ok());
        let metrics: Vec<Metrics> = lines.filter(|m| m.split == "train").collect();
        let mut stages: HashMap<&str, (f64, f64, usize)> = HashMap::new();
        for m in &metrics {
            let seen = stages.entry(&m.stage).or_insert((m.elapsed_s, m.elapsed_s, 0));
            (seen.1, seen.2) = (m.elapsed_s, seen.2 + 1);
        }
        let mut seconds = 0.0;
        for stage in &config.stage {
            let (first, last, count) = stages.get(stage.kind.name())?;
            seconds += (last - first) / count.checked_sub(1).filter(|n| *n > 0)? as f64
                * stage.steps as f64;
        }
        let memory = metrics.iter().filter_map(|m| m.peak_memory).max();
        let seen_in = Some(run_id(run));
        Some(Estimate { memory, seconds: Some(seconds), seen_in })
    })
}

/// What a step's time and memory hang on.
fn pace(config: &TrainConfig) -> TrainConfig {
    let mut same = config.clone();
    for stage in &mut same.stage {
        (stage.steps, stage.warmup_steps) = (1, 0);
        (stage.lr, stage.min_lr, stage.warmup_lr, stage.bridge_lr_scale) = (1.0, 0.0, 0.0, 1.0);
    }
    TrainConfig {
        init: None,
        seed: 0,
        split_seed: None,
        held_out: 0,
        betas: (0.0, 0.0),
        weight_decay: 0.0,
        clip: 1.0,
        checkpoint_every: 1,
        checkpoints_kept: 1,
        early_stop: None,
        slurm: None,
        ..same
    }
}

/// Weights, gradients, moments, and what the backward pass keeps of each view that is computed at the
/// same time. Within about a third of what was measured with the default model.
fn memory(config: &TrainConfig, llama: &LlamaConfig, stored: u64) -> u64 {
    let (h, mlp) = (llama.hidden_size as u64, llama.intermediate_size as u64);
    let kv = (llama.num_key_value_heads * llama.head_dim) as u64;
    let (blocks, vocabulary) = (llama.num_hidden_layers as u64, llama.vocab_size as u64);
    let block = 2 * h * h + 2 * h * kv + 3 * h * mlp;
    let all = blocks * block + vocabulary * h;
    let trained = match &config.method {
        Method::Full {} => all,
        Method::Adapter { .. } => blocks * (h * (h / 4) * 2 + h + h / 4),
        Method::Lora { rank, targets, .. } => {
            blocks * targets.len() as u64 * *rank as u64 * (h + mlp.min(2 * h))
        }
        Method::Prefix { tokens } => blocks * *tokens as u64 * kv * 2,
        Method::Bitfit {} | Method::Norms {} | Method::Projection {} => blocks * 8 * h,
    };
    let frozen = match config.precision {
        _ if matches!(config.method, Method::Full {}) => 0,
        TrainPrecision::F32 => all * 4,
        TrainPrecision::Bf16 => blocks * block * 2 + vocabulary * h * 4,
        TrainPrecision::Stored => stored,
    };
    let cores = artgpt_machine::cores();
    let threads = if config.threads == 0 { cores } else { config.threads };
    let views = |stage: &Stage| stage.batch.min(threads) as u64;
    let activations = config.stage.iter().map(|stage| {
        let tokens = 34 + tokens(stage) as u64;
        let heads = llama.num_attention_heads as u64;
        let a_block = 10 * h + 4 * mlp + heads * tokens;
        match stage.kind {
            StageKind::Align => 0,
            _ => views(stage) * tokens * 4 * (blocks * a_block + 2 * vocabulary),
        }
    });
    let at_once = config.stage.iter().map(views).max().unwrap_or(1);
    // f32: the weights, two moments, a gradient of each view and their sum.
    let state = trained * 4 * (4 + at_once);
    REST + frozen + state + activations.max().unwrap_or(0) + ((config.cache_mb as u64) << 20) / 4
}

fn tokens(stage: &Stage) -> usize {
    match stage.kind {
        StageKind::Align => 0,
        StageKind::Caption => TOKENS.1,
        StageKind::Talk => stage.questions * TALK_TOKENS,
        StageKind::Answer => {
            (stage.questions + stage.always.len() + stage.presence + stage.labels) * TOKENS.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_kernels::mode::RopeLayout;
    use artgpt_model::llama::RopeScaling;

    fn config(method: &str) -> TrainConfig {
        let text = format!(
            "model = \"m\"\ndata = \"d\"\nthreads = 2\ncache_mb = 0\nmethod = {method}\n[[stage]]\nkind = \"answer\"\nsteps = 10\nbatch = 2\nquestions = 8\nlr = 0.1\n"
        );
        toml::from_str(&text).expect("parses")
    }

    /// SmolLM2-135M.
    fn smol() -> LlamaConfig {
        LlamaConfig {
            hidden_size: 576,
            num_hidden_layers: 30,
            num_attention_heads: 9,
            num_key_value_heads: 3,
            head_dim: 64,
            intermediate_size: 1536,
            vocab_size: 49152,
            context_length: 2048,
            rms_norm_eps: 1e-5,
            rope_theta: 1e5,
            rope_layout: RopeLayout::Halves,
            rope_scaling: RopeScaling::None,
        }
    }

    #[test]
    fn arithmetic_comes_near_what_was_measured() {
        // `docs/methods.md`.
        for (method, measured) in [
            ("{ kind = \"adapter\" }", 2.204e9),
            ("{ kind = \"norms\" }", 1.954e9),
            ("{ kind = \"full\" }", 7.964e9),
        ] {
            let told = memory(&config(method), &smol(), 100 << 20) as f64;
            assert!((0.6..1.5).contains(&(told / measured)), "{method}: {told} {measured}");
        }
    }

    #[test]
    fn a_run_like_it_tells_more() {
        let runs = tempfile::tempdir().expect("a folder");
        let run = runs.path().join("R");
        std::fs::create_dir(&run).expect("makes");
        let known = config("{ kind = \"norms\" }");
        std::fs::write(run.join("config.toml"), toml::to_string(&known).expect("TOML"))
            .expect("writes");
        let line = |step: u32| {
            format!(
                "{{\"step\":{step},\"epoch\":0,\"stage\":\"answer\",\"split\":\"train\",\"loss\":1,\"lr\":1,\"grad_norm\":1,\"tokens_per_second\":1,\"samples_per_second\":1,\"elapsed_s\":{},\"peak_memory\":77}}\n",
                20 + 2 * step
            )
        };
        std::fs::write(run.join("metrics.jsonl"), line(1) + &line(2) + &line(3)).expect("writes");
        let mut longer = known.clone();
        longer.stage[0].steps = 100;
        longer.stage[0].lr = 0.01;
        let told = estimate(&longer, None, runs.path());
        assert_eq!(
            told,
            Estimate { memory: Some(77), seconds: Some(200.0), seen_in: Some("R".into()) }
        );
        let other = config("{ kind = \"full\" }");
        assert_eq!(estimate(&other, None, runs.path()), Estimate::default());
    }
}
