//! From a configuration to a queued job.

use std::path::Path;

use super::record::{self, JOB, Kind, Request, Spec};
use super::{Estimate, Job, JobError, Result, estimate, io};
use crate::fetch::is_installed;
use crate::model::checkpoint::LanguageFile;
use crate::model::manifest::Model;
use crate::training::data::DataConfig;
use crate::training::{RunDir, RunState, Status, TrainConfig, open_feed, run_id};

/// Finds what is wrong with a configuration before it waits in a queue for hours, and tells what it
/// will need.
pub fn check(config: &TrainConfig, models: &Path, runs: &Path) -> Result<Estimate> {
    config.check()?;
    open_feed(config)?;
    let installed = |name: &str| {
        let model = Model::find(name, models)?;
        match is_installed(&model) {
            true => Ok(model),
            false => Err(JobError::NotInstalled(name.to_string())),
        }
    };
    let model = installed(&config.model)?;
    if let DataConfig::Museum(name) = &config.data
        && !Path::new(name).join("objects.json").is_file()
    {
        installed(name)?;
    }
    let language = match model.language_path() {
        Some(path) => {
            let llama = LanguageFile::open(&path)?.weights().config()?;
            Some((llama, path.metadata().map_or(0, |m| m.len())))
        }
        None => None,
    };
    Ok(estimate(config, language.as_ref().map(|(llama, bytes)| (llama, *bytes)), runs))
}

/// Makes a job of a run that was begun in the foreground and stands still; it goes on where it stands.
pub fn enlist(path: &Path, spec: &Spec) -> Result<Job> {
    let id = run_id(path);
    let refused = |state, hint| Err(JobError::Refused { id: id.clone(), state, hint });
    let Ok(run) = RunDir::open(path) else {
        return refused("running in the foreground", "stop it first");
    };
    if Job::read(path)?.is_some() {
        return refused("a job", "resume it");
    }
    let config = run.config()?;
    let step = match run.status() {
        Ok(status) if status.state == RunState::Finished => {
            return refused("finished", "start a new run to train longer");
        }
        status => status.map_or(0, |status| status.step),
    };
    Status::now(RunState::Queued, step, config.total_steps(), None).write(path)?;
    spell(path, spec)
}

/// Makes the run, queued.
pub fn submit(runs: &Path, config: &TrainConfig, spec: &Spec) -> Result<Job> {
    let id = ulid::Ulid::generate().to_string();
    // Closed again: the process that trains opens it.
    let path = RunDir::create(runs, &id, config)?.path.clone();
    Status::now(RunState::Queued, 0, config.total_steps(), None).write(&path)?;
    spell(&path, spec)
}

fn spell(path: &Path, spec: &Spec) -> Result<Job> {
    let folder = path.join(JOB);
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    record::write(path, Kind::Request, &Request::default())?;
    // What makes it a job comes last.
    record::write(path, Kind::Spec, spec)?;
    Job::read(path)?.ok_or_else(|| JobError::Unknown(path.display().to_string()))
}
