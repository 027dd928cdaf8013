//! `models list | show | install | verify | remove`.

use std::process::ExitCode;

use super::args::ModelsCommand;
use super::progress::install_with_bar;
use super::{Context, Failure, out};
use crate::fetch::{check_installed, is_installed, remove};
use crate::model::manifest::{BUILTIN, Model};

pub fn run(context: &Context, command: ModelsCommand) -> Result<ExitCode, Failure> {
    let dir = context.paths.models();
    match command {
        ModelsCommand::List => list(context),
        ModelsCommand::Show { model } => {
            let model = Model::find(&model, &dir)?;
            if context.json {
                out::line(serde_json::json!({
                    "manifest": model.manifest,
                    "dir": model.dir,
                    "installed": is_installed(&model),
                }));
            } else {
                let text =
                    toml::to_string(&model.manifest).map_err(|e| Failure::new("model", e))?;
                out::write(crate::text::printable_lines(&text));
            }
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Install { model } => {
            let model = Model::find(&model, &dir)?;
            install_with_bar(&model)?;
            done(context, &model, "installed")
        }
        ModelsCommand::Verify { model } => {
            let model = Model::find(&model, &dir)?;
            check_installed(&model)?;
            done(context, &model, "intact")
        }
        ModelsCommand::Remove { model } => {
            let model = Model::find(&model, &dir)?;
            remove(&model)?;
            done(context, &model, "removed")
        }
    }
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
    let mut names: Vec<String> = BUILTIN.iter().map(|(n, _)| (*n).to_string()).collect();
    for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("manifest.toml").is_file() && !names.contains(&name) {
            names.push(name);
        }
    }
    let models: Vec<Model> =
        names.iter().map(|n| Model::find(n, &dir)).collect::<Result<_, _>>()?;
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
            crate::text::printable(&m.manifest.description)
        ));
    }
    Ok(ExitCode::SUCCESS)
}
