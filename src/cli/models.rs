//! `models list | show | install | verify | convert | remove`.

use std::fmt::Write;
use std::process::ExitCode;

use super::args::{ConvertArgs, ModelsCommand};
use super::{Context, Failure};
use artgpt_app::models::{self, ConvertRequest, MergeRequest};
use artgpt_base::output;
use artgpt_base::text::{printable, printable_lines};
use artgpt_engine::VocabularyRows;
use artgpt_model::inspect::Inspection;
use artgpt_model::manifest::Model;

pub(crate) fn run(context: &Context, command: ModelsCommand) -> Result<ExitCode, Failure> {
    let app = &context.app;
    match command {
        ModelsCommand::List => list(context)?,
        ModelsCommand::Show { model } => show(context, &model)?,
        ModelsCommand::Install { model } => {
            done(context, &models::install(app, &model)?, "installed");
        }
        ModelsCommand::Verify { model } => {
            let (model, notices) = models::verify(app, &model)?;
            done_with(context, &model, "intact", &notices);
        }
        ModelsCommand::Remove { model } => done(context, &models::remove(app, &model)?, "removed"),
        ModelsCommand::Convert(args) => {
            done(context, &models::convert(app, &request(args))?, "converted");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn request(args: ConvertArgs) -> ConvertRequest {
    ConvertRequest {
        merge: match (args.merge, args.unmerge) {
            (_, Some(folder)) => MergeRequest::Subtract(folder),
            (Some(Some(folder)), None) => MergeRequest::Add(folder),
            (Some(None), None) => MergeRequest::Own,
            (None, None) => MergeRequest::Keep,
        },
        source: args.source,
        target: args.target,
        language: args.language.into(),
        rest: args.rest.into(),
    }
}

/// The manifest, and, where the files are here, what is in them.
fn show(context: &Context, name: &str) -> Result<(), Failure> {
    let models::Shown { model, installed, weights, vocabulary, device } =
        models::show(&context.app, name)?;
    if context.json {
        output::line(serde_json::json!({
            "manifest": model.manifest,
            "dir": model.dir,
            "installed": installed,
            "weights": weights,
            "vocabulary": vocabulary,
        }));
        return Ok(());
    }
    let text = toml::to_string(&model.manifest)
        .map_err(|e| Failure::new("model", format!("cannot print the manifest: {e}"), ""))?;
    output::write(printable_lines(&text));
    match weights {
        Some(weights) => {
            output::write(printable_lines(&describe(&weights)));
            for difference in vocabulary.iter().flat_map(VocabularyRows::differences) {
                output::line(difference);
            }
            output::line(device);
        }
        None if model.manifest.language.is_some() => {
            output::note(format_args!(
                "not installed: artgpt-tui models install {}",
                model.manifest.name
            ));
        }
        None => {}
    }
    Ok(())
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

fn thousands(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}

fn done(context: &Context, model: &Model, what: &str) {
    done_with(context, model, what, &[]);
}

/// `notices` are what the model's files hold and nothing uses.
fn done_with(context: &Context, model: &Model, what: &str, notices: &[String]) {
    if context.json {
        let mut answer =
            serde_json::json!({"model": model.manifest.name, "state": what, "dir": model.dir});
        if what == "intact" {
            answer["unused"] = notices.into();
        }
        output::line(answer);
    } else {
        output::line(format_args!("{} {what} in {}", model.manifest.name, model.dir.display()));
        for notice in notices {
            output::line(format_args!("warning: {}", printable(notice)));
        }
    }
}

fn list(context: &Context) -> Result<(), Failure> {
    let models = models::list(&context.app)?;
    if context.json {
        let row = |m: &models::Listed| {
            serde_json::json!({
                "name": m.name,
                "description": m.description,
                "license": m.license,
                "installed": m.installed,
            })
        };
        output::line(serde_json::Value::from_iter(models.iter().map(row)));
        return Ok(());
    }
    for m in &models {
        let state = if m.installed { "installed" } else { "-" };
        output::line(format_args!("{:<16} {state:<10} {}", m.name, printable(&m.description)));
    }
    Ok(())
}
