//! `eval peft CONFIG.toml --out DIR`: each run is a process of its own, so that its memory is its own
//! and one that fails takes nothing with it. What is finished is kept, and not done again.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::args::PeftArgs;
use super::eval::Local;
use super::{Context, Failure, out};
use artgpt_app::models;
use artgpt_app::overrides::with_overrides;
use artgpt_app::train_config::rooted;
use artgpt_art::{Paintings, Split};
use artgpt_engine::Engine;
use artgpt_eval::peft::{Comparison, Measured, Trial, accuracy_plot, csv, loss_plot, markdown};
use artgpt_eval::{Extent, Row, seeing};
use artgpt_model::checkpoint::Tensors;
use artgpt_model::manifest::Model;
use artgpt_rundir::DataConfig;
use artgpt_rundir::{Metrics, TrainConfig, write_whole};
use artgpt_train::outcome;

pub(crate) fn run(context: &Context, args: &PeftArgs) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(&args.config_file).map_err(|e| {
        Failure::usage(
            format!("cannot read {}: {e}", args.config_file.display()),
            "name a comparison, such as examples/peft/smol.toml",
        )
    })?;
    let wrong = |reason: String| {
        Failure::usage(
            format!("{} is no comparison: {reason}", args.config_file.display()),
            "compare it with examples/peft/smol.toml",
        )
    };
    let comparison: Comparison =
        toml::from_str(&text).map_err(|e| wrong(e.message().to_string()))?;
    let mut comparison = with_overrides(comparison, &args.set)?;
    comparison.train = rooted(comparison.train)?;
    comparison.prepare = comparison.prepare.map(rooted).transpose()?;
    if let Some(problem) = comparison.problem() {
        return Err(wrong(problem));
    }
    for trial in comparison.trials() {
        comparison.config_of(&trial).check()?;
    }
    std::fs::create_dir_all(&args.out).map_err(io(&args.out))?;
    // A folder of another comparison is not mixed with this one.
    let kept = args.out.join("comparison.toml");
    let resolved = toml::to_string(&comparison).map_err(|e| wrong(e.to_string()))?;
    match std::fs::read_to_string(&kept) {
        Ok(before) if before != resolved => {
            return Err(Failure::usage(
                format!("{} holds another comparison", args.out.display()),
                "name another --out, or the configuration that began it",
            ));
        }
        Ok(_) => {}
        Err(_) => write_whole(&kept, resolved.as_bytes())?,
    }
    if let Some(prepare) = comparison.preparation() {
        let weights = train(context, &args.out, "prepare", &prepare)?.join(outcome::WEIGHTS);
        comparison.train.init = Some(weights);
    }
    let mut all = Vec::new();
    for trial in comparison.trials() {
        eprintln!("{}", trial.name());
        all.push(measure(context, &args.out, &comparison, &trial)?);
        report(&args.out, &all)?;
    }
    match context.json {
        true => out::line(serde_json::json!(all)),
        false => out::write(markdown(&all)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains and asks, or reads what an earlier call found.
fn measure(
    context: &Context,
    root: &Path,
    comparison: &Comparison,
    trial: &Trial,
) -> Result<Measured, Failure> {
    let path = root.join(format!("{}.json", trial.name()));
    if let Ok(text) = std::fs::read_to_string(&path)
        && let Ok(known) = serde_json::from_str(&text)
    {
        return Ok(known);
    }
    let config = comparison.config_of(trial);
    let run = train(context, root, &trial.name(), &config)?;
    let metrics = metrics(&run)?;
    let train: Vec<&Metrics> = metrics.iter().filter(|m| m.split == "train").collect();
    let last = train.last().ok_or_else(|| fault(&run, "it has no metrics"))?;
    let tail = &train[train.len() - (train.len() / 10).max(1)..];
    let weights = run.join(outcome::WEIGHTS);
    let names = trained(&weights, &config)?;
    let measured = Measured {
        trial: trial.clone(),
        trainable: names.iter().map(|(_, n)| n).sum(),
        in_language_model: names
            .iter()
            .filter(|(name, _)| name.starts_with("llama_model."))
            .map(|(_, n)| n)
            .sum(),
        train_loss: tail.iter().map(|m| m.loss).sum::<f64>() / tail.len() as f64,
        held_out_loss: metrics.iter().rev().find(|m| m.split == "held_out").map(|m| m.loss),
        lr: config.stage.last().map_or(0.0, |stage| stage.lr),
        seconds: last.elapsed_s,
        peak_memory: last.peak_memory,
        weights_bytes: weights.metadata().map_err(io(&weights))?.len(),
        curve: train.iter().map(|m| (m.step, m.loss)).collect(),
        rows: ask(context, &run, &config, comparison.extent())?,
    };
    let text = serde_json::to_string_pretty(&measured).map_err(|e| fault(&run, e))?;
    write_whole(&path, text.as_bytes())?;
    Ok(measured)
}

/// Asks a finished run about the paintings that it never saw; captions ask nothing.
fn ask(
    context: &Context,
    run: &Path,
    config: &TrainConfig,
    extent: Extent,
) -> Result<Vec<Row>, Failure> {
    let DataConfig::Museum(museum) = &config.data else { return Ok(Vec::new()) };
    let name = run.display().to_string();
    let model = Model::find(&name, &context.app.paths.models())?;
    let device = artgpt_model::device::open(&context.app.settings.device)?;
    let mut engine = Engine::load(&model, &device, |_, _| {})?;
    let split = std::fs::read_to_string(run.join("split.json")).map_err(io(run))?;
    let split: Split = serde_json::from_str(&split).map_err(|e| fault(run, e))?;
    let paintings = Paintings::open(&models::data_folder(&context.app, museum)?)?;
    let held_out: Vec<_> = split.held_out.iter().filter_map(|id| paintings.get(*id)).collect();
    let tags = paintings.common_tags(&split);
    let table = seeing(&mut Local(&mut engine), &name, &held_out, &tags, extent, |_, _| {})?;
    Ok(table.rows)
}

/// Names and sizes of what trained.
fn trained(weights: &Path, config: &TrainConfig) -> Result<Vec<(String, u64)>, Failure> {
    let stored = Tensors::open(weights)?.stored();
    Ok(stored
        .into_iter()
        .filter(|(name, _)| config.trains(name))
        .map(|(name, t)| (name, t.shape.iter().product::<usize>() as u64))
        .collect())
}

/// Runs `train` as a process with a data folder of its own, goes on with a run that was begun, and
/// returns the finished run.
fn train(
    context: &Context,
    root: &Path,
    name: &str,
    config: &TrainConfig,
) -> Result<PathBuf, Failure> {
    // Models are those of the caller.
    let home = root.join("runs").join(name);
    std::fs::create_dir_all(&home).map_err(io(&home))?;
    let models = home.join("models");
    if !models.exists() {
        let from = std::path::absolute(context.app.paths.models()).map_err(io(&models))?;
        std::fs::create_dir_all(&from).map_err(io(&from))?;
        std::os::unix::fs::symlink(from, &models).map_err(io(&models))?;
    }
    let run = |home: &Path| -> Option<PathBuf> {
        let mut all: Vec<PathBuf> =
            home.join("runs").read_dir().ok()?.flatten().map(|e| e.path()).collect();
        all.sort();
        all.pop()
    };
    if let Some(done) = run(&home).filter(|r| r.join("manifest.toml").is_file()) {
        return Ok(done);
    }
    let path = home.join("train.toml");
    let text = toml::to_string(config).map_err(|e| fault(&path, e))?;
    std::fs::write(&path, text).map_err(io(&path))?;
    let program = std::env::current_exe().map_err(io(Path::new("this program")))?;
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(&home).args(["--device", &context.app.settings.device, "train"]);
    match run(&home) {
        Some(begun) => command.arg("--resume").arg(begun),
        None => command.arg(&path).args(["--name", name]),
    };
    for name in &context.app.own_variables {
        command.env_remove(name);
    }
    let status = command.stdout(Stdio::null()).status().map_err(io(&home))?;
    match run(&home).filter(|_| status.success()) {
        Some(run) => Ok(run),
        None if status.code() == Some(130) => Err(Failure::interrupted()),
        None => Err(Failure::new(
            "training",
            format!("the run {name} ended with {status}"),
            "its reason stands above",
        )),
    }
}

fn metrics(run: &Path) -> Result<Vec<Metrics>, Failure> {
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).map_err(io(&path))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| fault(&path, e))).collect()
}

/// Writes the tables and plots of what there is so far.
fn report(root: &Path, all: &[Measured]) -> Result<(), Failure> {
    let plot = |drawn: Result<String, Box<dyn std::error::Error>>| {
        drawn.map_err(|e| Failure::new("evaluation", format!("cannot draw: {e}"), ""))
    };
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

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |e| {
        Failure::new(
            "evaluation",
            format!("cannot read or write {path}: {e}"),
            "check permissions and free space",
        )
    }
}

fn fault(path: &Path, reason: impl std::fmt::Display) -> Failure {
    let path = path.display();
    Failure::new(
        "evaluation",
        format!("{path} cannot be used: {reason}"),
        "remove it to start again",
    )
}
