//! Which run and which configuration a request means.

use std::path::Path;

use super::{ForegroundError, TrainRequest, resume};
use crate::overrides::with_overrides;
use crate::{App, Result, train_config};
use artgpt_jobs::Job;
use artgpt_rundir::job::named;
use artgpt_rundir::{RunDir, TrainConfig, run_id};
use artgpt_train::Peers;

/// A run before it trains.
pub(super) struct Start {
    pub(super) config: TrainConfig,
    /// The run to resume.
    pub(super) run: Option<RunDir>,
    /// The name of a new run.
    pub(super) name: String,
}

pub(super) fn resolve(app: &App, request: &TrainRequest, peers: &dyn Peers) -> Result<Start> {
    let file = request.config_file.as_deref();
    let given = file.map(|path| train_config::read(path, &request.set)).transpose()?;
    let stem = file.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
    let name = request.name.clone().filter(|name| !name.trim().is_empty()).or(stem);
    let name = name.unwrap_or_default().trim().to_string();
    match (&request.resume, given) {
        (Some(run), given) => {
            let run = open(app, request, run, peers)?;
            let kept = run.config()?;
            let config = match given {
                Some(given) => resume::same(given, &kept, &run.path)?,
                None => resume::resumable(with_overrides(kept.clone(), &request.set)?, &kept)?,
            };
            Ok(Start { config, run: Some(run), name })
        }
        (None, Some(config)) => Ok(Start { config, run: None, name }),
        (None, None) => Err(ForegroundError::NoConfiguration.into()),
    }
}

fn open(app: &App, request: &TrainRequest, run: &str, peers: &dyn Peers) -> Result<RunDir> {
    let runs = app.paths.runs();
    let path = named(&runs, run)?;
    if !path.join("config.toml").is_file() {
        return Err(ForegroundError::NotOurs { path, runs }.into());
    }
    if !request.as_job && Job::read(&path).is_some() {
        return Err(ForegroundError::IsJob(run_id(&path)).into());
    }
    Ok(match peers.rank() {
        0 => RunDir::open(&path)?,
        _ => RunDir::follow(&path)?,
    })
}
