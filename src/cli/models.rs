//! `models list | show | install | verify | convert | remove`.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use candle_core::Device;

use super::args::ModelsCommand;
use super::progress::install_with_bar;
use super::{Context, Failure, out};
use artgpt_app::catalogue::names;
use artgpt_chat::Tokenizer;
use artgpt_engine::{Engine, Picture, Prompt};
use artgpt_fetch::{check_installed, is_installed, remove};
use artgpt_model::checkpoint::LanguageFile;
use artgpt_model::convert::{FloatType, Fold, LanguageType, convert};
use artgpt_model::inspect::{Inspection, inspect};
use artgpt_model::manifest::Model;
use artgpt_model::peft::merge::Delta;
use artgpt_model::verify::first_damaged;

pub fn run(context: &Context, command: ModelsCommand) -> Result<ExitCode, Failure> {
    let dir = context.paths.models();
    match command {
        ModelsCommand::List => list(context),
        ModelsCommand::Show { model } => {
            let model = Model::find(&model, &dir)?;
            show(context, &model)
        }
        ModelsCommand::Install { model } => {
            let model = Model::find(&model, &dir)?;
            install_with_bar(&model)?;
            done(context, &model, "installed")
        }
        ModelsCommand::Verify { model } => {
            let model = Model::find(&model, &dir)?;
            check_installed(&model)?;
            if model.manifest.language.is_some() {
                let device = artgpt_model::device::open(&context.settings.device)?;
                numbers(&model, &device)?;
            }
            done(context, &model, "intact")
        }
        ModelsCommand::Convert { source, target, language, rest, merge, unmerge } => {
            let model = Model::find(&source, &dir)?;
            if !is_installed(&model) {
                install_with_bar(&model)?;
            }
            let fold = match (merge, unmerge) {
                (_, Some(folder)) => Fold::Other(Delta::open(&folder)?.negated()),
                (Some(Some(folder)), None) => Fold::Other(Delta::open(&folder)?),
                (Some(None), None) => Fold::Own,
                (None, None) => Fold::No,
            };
            convert_model(&model, &target, language.into(), rest.into(), fold)?;
            done(context, &Model::find(&target.display().to_string(), &dir)?, "converted")
        }
        ModelsCommand::Remove { model } => {
            let model = Model::find(&model, &dir)?;
            remove(&model)?;
            done(context, &model, "removed")
        }
    }
}

fn convert_model(
    model: &Model,
    target: &Path,
    language: LanguageType,
    rest: FloatType,
    fold: Fold,
) -> Result<(), Failure> {
    let tokenizer = |json: &Path| {
        let path = model.language_path().unwrap_or_default();
        let wrong = |e: String| std::io::Error::other(e);
        let mut file = LanguageFile::open(&path).map_err(|e| wrong(e.to_string()))?;
        let tokenizer = Tokenizer::of(model, &mut file).map_err(|e| wrong(e.to_string()))?;
        tokenizer.save(json).map_err(|e| wrong(e.to_string()))?;
        Ok((tokenizer.bos, tokenizer.eos.clone()))
    };
    convert(model, target, language, rest, fold, &tokenizer, &mut |part| {
        eprintln!("writing the {part}")
    })?;
    Ok(())
}

/// The manifest, and, where the files are here, what is in them.
fn show(context: &Context, model: &Model) -> Result<ExitCode, Failure> {
    let installed = is_installed(model);
    let device = artgpt_model::device::open(&context.settings.device)?;
    let weights = match installed && model.manifest.language.is_some() {
        true => Some(inspect(model, &device)?),
        false => None,
    };
    if context.json {
        out::line(serde_json::json!({
            "manifest": model.manifest,
            "dir": model.dir,
            "installed": installed,
            "weights": weights,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    let text = toml::to_string(&model.manifest).map_err(|e| Failure::new("model", e))?;
    out::write(artgpt_base::text::printable_lines(&text));
    match weights {
        Some(weights) => {
            out::write(artgpt_base::text::printable_lines(&describe(&weights)));
            out::line(artgpt_model::device::reason(&context.settings.device, &device));
        }
        None if model.manifest.language.is_some() => {
            eprintln!("not installed: artgpt-tui models install {}", model.manifest.name);
        }
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(weights: &Inspection) -> String {
    let mut text = String::from("\n");
    for part in &weights.parts {
        let dtypes: Vec<String> =
            part.dtypes.iter().map(|(name, n)| format!("{n} {name}")).collect();
        let _ = writeln!(
            text,
            "{:<24} {:>14} parameters  {:>9}  {}\n  {}",
            part.name,
            thousands(part.parameters),
            bytes(part.bytes),
            dtypes.join(", "),
            part.path.display()
        );
        for (what, keys) in [("missing", &part.missing), ("wrong shape", &part.misshaped)] {
            for key in keys {
                let _ = writeln!(text, "  {what}: {key}");
            }
        }
    }
    let _ = writeln!(text, "{:<24} {:>14} parameters", "together", thousands(weights.parameters()));
    for (path, keys) in &weights.unused {
        let _ = writeln!(text, "not used in {path}:");
        for key in keys {
            let _ = writeln!(text, "  {key}");
        }
    }
    for (what, count) in &weights.trainable {
        let _ = writeln!(text, "trains {:<48} {:>14}", what, thousands(*count));
    }
    let _ = writeln!(
        text,
        "memory, about: {} to chat with a full context, {} to train adapters (and activations)",
        bytes(weights.memory_to_chat),
        bytes(weights.memory_to_train_adapters)
    );
    text
}

/// `models verify`: every tensor finite and sane, and one forward pass that gives finite logits.
fn numbers(model: &Model, device: &Device) -> Result<(), Failure> {
    let weights = inspect(model, device)?;
    let broken = |reason: String| {
        Failure::new("model", format!("{reason}; fetch the file again from where it came"))
    };
    if let Some((path, problem)) = weights.first_problem() {
        return Err(broken(format!("{}: {problem}", path.display())));
    }
    if let Some(problem) = first_damaged(&weights, model)? {
        return Err(broken(problem));
    }
    let mut engine = Engine::load(model, device, |_, _| {})?;
    let mut prompts = vec![(Prompt::Raw("a".into()), Vec::new())];
    if engine.sees() {
        let grey = image::RgbImage::from_pixel(64, 64, image::Rgb([128, 128, 128]));
        let picture = Picture { key: "grey".into(), image: Arc::new(grey) };
        prompts.push((Prompt::Raw("a <image>".into()), vec![picture]));
    }
    for (prompt, pictures) in prompts {
        let score = engine.score(&prompt, &pictures, "a")?;
        if !score.logprobs.iter().all(|l| l.is_finite()) {
            return Err(broken("the model computes numbers that are not finite".into()));
        }
    }
    Ok(())
}

fn thousands(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}

fn done(context: &Context, model: &Model, what: &str) -> Result<ExitCode, Failure> {
    if context.json {
        let answer =
            serde_json::json!({"model": model.manifest.name, "state": what, "dir": model.dir});
        out::line(answer);
    } else {
        out::line(format_args!("{} {what} in {}", model.manifest.name, model.dir.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(context: &Context) -> Result<ExitCode, Failure> {
    let dir = context.paths.models();
    let models: Vec<Model> =
        names(&dir).iter().map(|n| Model::find(n, &dir)).collect::<Result<_, _>>()?;
    if context.json {
        let rows: Vec<_> = models
            .iter()
            .map(|m| {
                serde_json::json!({
                    "name": m.manifest.name,
                    "description": m.manifest.description,
                    "license": m.manifest.license,
                    "installed": is_installed(m),
                })
            })
            .collect();
        out::line(serde_json::Value::from(rows));
        return Ok(ExitCode::SUCCESS);
    }
    for m in &models {
        let state = if is_installed(m) { "installed" } else { "-" };
        out::line(format_args!(
            "{:<16} {state:<10} {}",
            m.manifest.name,
            artgpt_base::text::printable(&m.manifest.description)
        ));
    }
    Ok(ExitCode::SUCCESS)
}
