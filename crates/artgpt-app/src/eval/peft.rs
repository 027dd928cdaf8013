//! The comparison of fine-tuning methods. What is finished is kept, and not done again.

use std::path::{Path, PathBuf};

use super::local::Local;
use super::process::train;
use super::seeing::MAX_SPLIT_BYTES;
use super::{EvalError, io, unusable};
use crate::overrides::{Override, with_overrides};
use crate::train_config::{MAX_CONFIG_BYTES, read_written, rooted};
use crate::{App, Event, Result, models};
use artgpt_art::{Paintings, Split};
use artgpt_base::files::read_text;
use artgpt_engine::{Cancel, Engine};
use artgpt_eval::peft::{Comparison, Measured, Trial, accuracy_plot, csv, loss_plot, markdown};
use artgpt_eval::{Row, seeing};
use artgpt_model::checkpoint::Tensors;
use artgpt_model::manifest::Model;
use artgpt_rundir::{DataConfig, Metrics, TrainConfig, write_whole};
use artgpt_train::outcome;

/// Bytes of the largest metrics of a run that are read: a line for each step.
const MAX_METRICS_BYTES: u64 = 1 << 30;

/// What to compare.
#[derive(Debug, Clone)]
pub struct PeftRequest {
    /// The comparison's file.
    pub config_file: PathBuf,
    /// Replaces values of the comparison.
    pub set: Vec<Override>,
    /// The directory of runs and report.
    pub out: PathBuf,
}

/// A comparison under way.
struct Session<'a> {
    app: &'a App,
    out: &'a Path,
    comparison: Comparison,
    cancel: &'a Cancel,
}

/// Trains each method with each seed, asks the finished models, and writes a report after each run.
pub fn compare(app: &App, request: &PeftRequest, cancel: &Cancel) -> Result<Vec<Measured>> {
    let out = request.out.as_path();
    let comparison = read(request)?;
    std::fs::create_dir_all(out).map_err(io(out))?;
    keep(request, &comparison)?;
    let mut session = Session { app, out, comparison, cancel };
    if let Some(prepare) = session.comparison.preparation() {
        let run = train(app, out, "prepare", &prepare, cancel)?;
        session.comparison.train.init = Some(run.join(outcome::WEIGHTS));
    }
    let mut all = Vec::new();
    for trial in session.comparison.trials() {
        app.tell(&Event::Trial(&trial.name()));
        all.push(session.measure(&trial)?);
        report(out, &all)?;
    }
    Ok(all)
}

/// The comparison with values replaced; each of its configurations is valid.
fn read(request: &PeftRequest) -> Result<Comparison> {
    let path = &request.config_file;
    let cannot = |source| EvalError::ReadComparison { path: path.clone(), source };
    let text = read_written(path, MAX_CONFIG_BYTES).map_err(cannot)?;
    let wrong = |reason: String| EvalError::NotAComparison { path: path.clone(), reason };
    let comparison: Comparison =
        toml::from_str(&text).map_err(|e| wrong(e.message().to_string()))?;
    let mut comparison = with_overrides(comparison, &request.set)?;
    comparison.train = rooted(comparison.train)?;
    comparison.prepare = comparison.prepare.map(rooted).transpose()?;
    if let Some(problem) = comparison.problem() {
        return Err(wrong(problem).into());
    }
    for trial in comparison.trials() {
        comparison.config_of(&trial).check()?;
    }
    Ok(comparison)
}

/// Writes the comparison into its directory. One that holds another is not mixed with it.
fn keep(request: &PeftRequest, comparison: &Comparison) -> Result<()> {
    let kept = request.out.join("comparison.toml");
    let resolved = toml::to_string(comparison).map_err(|e| unusable(&request.config_file, e))?;
    match read_text(&kept, MAX_CONFIG_BYTES) {
        Ok(before) if before != resolved => {
            Err(EvalError::OtherComparison(request.out.clone()).into())
        }
        Ok(_) => Ok(()),
        Err(_) => Ok(write_whole(&kept, resolved.as_bytes())?),
    }
}

impl Session<'_> {
    /// Trains and asks, or reads what an earlier call found.
    fn measure(&self, trial: &Trial) -> Result<Measured> {
        let path = self.out.join(format!("{}.json", trial.name()));
        if let Ok(text) = read_text(&path, MAX_METRICS_BYTES)
            && let Ok(known) = serde_json::from_str(&text)
        {
            return Ok(known);
        }
        let config = self.comparison.config_of(trial);
        let run = train(self.app, self.out, &trial.name(), &config, self.cancel)?;
        let measured = self.measured(trial, &run, &config)?;
        let text = serde_json::to_string_pretty(&measured).map_err(|e| unusable(&run, e))?;
        write_whole(&path, text.as_bytes())?;
        Ok(measured)
    }

    /// What a finished run came to.
    fn measured(&self, trial: &Trial, run: &Path, config: &TrainConfig) -> Result<Measured> {
        let metrics = metrics(run)?;
        let train: Vec<&Metrics> = metrics.iter().filter(|m| m.split == "train").collect();
        let last = train.last().ok_or_else(|| unusable(run, "it has no metrics"))?;
        let tail = &train[train.len() - (train.len() / 10).max(1)..];
        let weights = run.join(outcome::WEIGHTS);
        let names = trained(&weights, config)?;
        let of_language_model = names.iter().filter(|(name, _)| name.starts_with("llama_model."));
        Ok(Measured {
            trial: trial.clone(),
            trainable: names.iter().map(|(_, n)| n).sum(),
            in_language_model: of_language_model.map(|(_, n)| n).sum(),
            train_loss: tail.iter().map(|m| m.loss).sum::<f64>() / tail.len() as f64,
            held_out_loss: metrics.iter().rev().find(|m| m.split == "held_out").map(|m| m.loss),
            lr: config.stage.last().map_or(0.0, |stage| stage.lr),
            seconds: last.elapsed_s,
            peak_memory: last.peak_memory,
            weights_bytes: weights.metadata().map_err(io(&weights))?.len(),
            curve: train.iter().map(|m| (m.step, m.loss)).collect(),
            rows: self.ask(run, config)?,
        })
    }

    /// Asks a finished run about the paintings that it never saw; captions ask nothing.
    fn ask(&self, run: &Path, config: &TrainConfig) -> Result<Vec<Row>> {
        let DataConfig::Museum(museum) = &config.data else { return Ok(Vec::new()) };
        let (app, name) = (self.app, run.display().to_string());
        let model = Model::find(&name, &app.paths.models())?;
        let device = artgpt_model::device::open(&app.settings.device)?;
        let mut engine = Engine::load(&model, &device, |_, _| {})?;
        let split = read_text(&run.join("split.json"), MAX_SPLIT_BYTES).map_err(io(run))?;
        let split: Split = serde_json::from_str(&split).map_err(|e| unusable(run, e))?;
        let paintings = Paintings::open(&models::data_folder(app, museum)?)?;
        let held_out: Vec<_> = split.held_out.iter().filter_map(|id| paintings.get(*id)).collect();
        let tags = paintings.common_tags(&split);
        let mut local = Local { engine: &mut engine, cancel: self.cancel, measured: false };
        let extent = self.comparison.extent();
        let progress = |done, total| app.tell(&Event::Evaluated { done, total });
        Ok(seeing(&mut local, &name, &held_out, &tags, extent, progress)?.rows)
    }
}

/// Names and sizes of what trained.
fn trained(weights: &Path, config: &TrainConfig) -> Result<Vec<(String, u64)>> {
    let stored = Tensors::open(weights)?.stored();
    let trained = stored.into_iter().filter(|(name, _)| config.trains(name));
    Ok(trained.map(|(name, t)| (name, t.shape.iter().product::<usize>() as u64)).collect())
}

fn metrics(run: &Path) -> Result<Vec<Metrics>> {
    let path = run.join("metrics.jsonl");
    let text = read_text(&path, MAX_METRICS_BYTES).map_err(io(&path))?;
    let read = |line| serde_json::from_str(line).map_err(|e| unusable(&path, e).into());
    text.lines().map(read).collect()
}

/// Writes the tables and plots of what there is so far.
fn report(root: &Path, all: &[Measured]) -> Result<()> {
    let plot = |drawn: std::result::Result<String, _>| drawn.map_err(EvalError::Plot);
    for (name, text) in [
        ("report.md", markdown(all)),
        ("report.csv", csv(all)),
        ("accuracy.svg", plot(accuracy_plot(all))?),
        ("loss.svg", plot(loss_plot(all))?),
    ] {
        write_whole(&root.join(name), text.as_bytes())?;
    }
    Ok(())
}
