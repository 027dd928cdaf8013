//! The loop with a task of one vector: what it does when a step goes wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};
use candle_nn::Init;

use super::*;
use crate::Alone;
use crate::task::{Batch, StepContext, UnitLoss};
use artgpt_art::Split;
use artgpt_rundir::RunDir;

/// Pulls a vector to another one; the loss of one step leaps the first times that it is drawn.
struct Pull {
    weights: Tensor,
    leaps_at: usize,
    leaps: AtomicUsize,
}

struct Pulled(Tensor);

impl Task for Pull {
    fn draw<'s>(&'s self, context: StepContext<'s>, _: usize) -> Result<Box<dyn Batch + 's>> {
        // Another target at every step, so that a step that is done twice or left out shows.
        let target = Tensor::full(1.0 + context.step as f32 * 0.01, 4, &Device::Cpu)?;
        let loss = (&self.weights - target)?.sqr()?.sum_all()?;
        let left = |n: usize| n.checked_sub(1);
        let leaps = context.step == self.leaps_at
            && self.leaps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
        Ok(Box::new(Pulled(if leaps { (loss * 1e6)? } else { loss })))
    }

    fn held_out<'s>(&'s self, _: StepContext<'s>) -> Result<Option<Box<dyn Batch + 's>>> {
        Ok(None)
    }

    fn views(&self, _: usize, _: usize) -> Result<Tensor> {
        Err(crate::config_error("no channels are measured here"))
    }

    fn epoch(&self, samples: usize) -> f64 {
        samples as f64
    }
}

impl Batch for Pulled {
    fn units(&self) -> usize {
        1
    }

    fn weight(&self, _: usize) -> f64 {
        1.0
    }

    fn loss(&self, _: usize) -> Result<UnitLoss> {
        Ok(UnitLoss { loss: self.0.clone(), tokens: 4, accuracy: None })
    }
}

const STEPS: usize = 60;
const LEAPS_AT: usize = 43;

/// Trains in `dir`, which may hold the beginning of the run; stops when `stop` says so.
fn train(dir: &std::path::Path, leaps: usize, stop: &dyn Fn() -> bool) -> (Outcome, Vec<String>) {
    let config: TrainConfig = toml::from_str(&format!(
        "model = \"m\"\ndata = \"d\"\nseed = 1\nvalidate_every = 0\ncheckpoint_every = 10\n\
         guard = {{ on_bad = \"rollback\", spike = 50.0, patience = 3 }}\n\
         [[stage]]\nkind = \"answer\"\nsteps = {STEPS}\nbatch = 1\nlr = 1e-2\n"
    ))
    .expect("a configuration");
    let params = Params::new(1, &Device::Cpu);
    let weights = params
        .builder()
        .get_with_hints(4, "llama_model.weights", Init::Const(0.0))
        .expect("a vector");
    let task = Pull { weights, leaps_at: LEAPS_AT, leaps: AtomicUsize::new(leaps) };
    let run = match dir.join("run").is_dir() {
        true => RunDir::open(&dir.join("run")),
        false => {
            let split = Split { seed: 1, train: vec![1], ..Split::default() };
            RunDir::create(dir, "run", &config)
                .and_then(|run| run.begin(&split, "base").map(|()| run))
        }
    };
    let threads = crate::thread_pool(&config).expect("threads");
    let trainer = Trainer { config, params, task: &task, threads, peers: &Alone };
    let outcome = trainer.run(&mut run.expect("a run"), stop, |_| {}).expect("trains");
    let text = std::fs::read_to_string(dir.join("run/metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|line| {
        let m: serde_json::Value = serde_json::from_str(line).expect("JSON");
        format!("{} {} {}", m["step"], m["loss"], m["lr"])
    });
    (outcome, lines.collect())
}

fn steps(lines: &[String]) -> Vec<usize> {
    let first = |line: &String| line.split(' ').next().and_then(|n| n.parse().ok());
    lines.iter().map(|line| first(line).expect("a step")).collect()
}

#[test]
fn a_run_goes_back_once_and_ends_well() {
    let (calm, leapt) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_, expected) = train(calm.path(), 0, &|| false);
    let (outcome, lines) = train(leapt.path(), 1, &|| false);
    assert_eq!(outcome, Outcome::Finished);
    // Every step is told once, also those that were done again.
    assert_eq!(steps(&lines), (1..=STEPS).collect::<Vec<_>>());
    // Up to the checkpoint nothing differs; after it, rates are halved.
    assert_eq!(lines[..40], expected[..40]);
    let rate = |lines: &[String], i: usize| -> f64 {
        lines[i].rsplit(' ').next().and_then(|r| r.parse().ok()).expect("a rate")
    };
    for i in 40..STEPS {
        let ratio = rate(&lines, i) / rate(&expected, i);
        assert!((ratio - 0.5).abs() < 1e-9, "step {}: {ratio}", i + 1);
    }
    let log = std::fs::read_to_string(leapt.path().join("run/log.txt")).expect("a log");
    assert!(log.contains("the loss leapt") && log.contains("back after step 40, rates times 0.5"));
    assert_eq!(log.matches("back after").count(), 1);
    let status = std::fs::read_to_string(leapt.path().join("run/status.json")).expect("a status");
    assert!(status.contains("\"finished\""), "{status}");
}

#[test]
fn a_run_stopped_after_it_went_back_goes_on_alike() {
    let whole = tempfile::tempdir().expect("dir");
    let (_, expected) = train(whole.path(), 1, &|| false);
    let weights = |dir: &std::path::Path| {
        std::fs::read(dir.join("run/bridge.safetensors")).expect("the run's weights")
    };
    // The question comes before each step: 43 good ones and the bad one; then at once, or after two
    // that are done again.
    for more in [0, 2] {
        let broken = tempfile::tempdir().expect("dir");
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) == LEAPS_AT + 1 + more;
        assert_eq!(train(broken.path(), 1, &stop).0, Outcome::Stopped);
        let status = std::fs::read_to_string(broken.path().join("run/status.json"));
        let status = status.expect("a status");
        assert!(status.contains(&format!("\"step\": {}", 40 + more)), "{status}");
        let (outcome, lines) = train(broken.path(), 0, &|| false);
        assert_eq!(outcome, Outcome::Finished);
        assert_eq!(lines, expected, "stopped {more} steps after it went back");
        assert_eq!(weights(whole.path()), weights(broken.path()));
    }
}
