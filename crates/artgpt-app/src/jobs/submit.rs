//! From a configuration to one or several queued jobs.

use std::path::PathBuf;

use crate::Estimate;
use crate::conversations;
use crate::models::{data_folder, ready};
use crate::overrides::{Override, Sweep, with_overrides};
use crate::{App, Result, absolute, train_config};
use artgpt_art::{ArtError, count_paintings};
use artgpt_jobs::{self as jobs, Job, JobError, slurm};
use artgpt_rundir::DataConfig;
use artgpt_rundir::job::{Place, Spec};
use artgpt_rundir::{RunState, TrainConfig};
use artgpt_runs::Standing;
use artgpt_train::open_feed;

use super::adopt;
use super::look::ask_slurm;

/// Training runs to queue.
#[derive(Debug, Clone)]
pub struct SubmitRequest {
    /// The configuration.
    pub config_file: PathBuf,
    /// Values to replace in the configuration.
    pub set: Vec<Override>,
    /// A job for each combination of the values.
    pub sweep: Vec<Sweep>,
    /// The configuration's file name where it is `None`.
    pub name: Option<String>,
    /// Higher priorities start first.
    pub priority: i32,
    /// Jobs that must have finished first.
    pub after: Vec<String>,
    /// Restarts after so many crashes in a row without progress.
    pub retries: u32,
    /// Where to run.
    pub on: Place,
}

impl SubmitRequest {
    /// A machine that is short of memory once is so again and again.
    pub const RETRIES: u32 = 2;
}

/// Why jobs cannot be queued.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The file of first weights is missing.
    #[error("init: there is no file {}", .0.display())]
    NoInit(PathBuf),
    /// A predecessor runs in another place.
    #[error("{0} does not run in the same place")]
    OtherPlace(String),
    /// A predecessor has failed or was stopped.
    #[error("{id}, which it comes after, is {state}")]
    Ended {
        /// The ID.
        id: String,
        /// Its state.
        state: &'static str,
    },
}

/// A run that may be queued.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The configuration.
    pub config: TrainConfig,
    /// What it will need.
    pub estimate: Estimate,
    /// The name of its job.
    pub name: String,
}

/// Checks all runs that are requested and estimates what they need; nothing is queued.
pub fn check(app: &App, request: &SubmitRequest) -> Result<Vec<Checked>> {
    let base = train_config::read(&request.config_file, &request.set)?;
    if request.on == Place::Local {
        // A wrong device is reported now, not when it is the job's turn.
        artgpt_model::device::open(&app.settings.device)?;
    }
    let stem = request.config_file.file_stem().unwrap_or_default().to_string_lossy();
    let name = request.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.unwrap_or(&stem);
    let mut checked: Vec<Checked> = Vec::new();
    for (config, swept) in combinations(base, &request.sweep)? {
        check_config(app, &config, checked.last())?;
        let estimate = crate::check_run(&config, &app.paths.models(), &app.paths.runs())?;
        let name = [name, &swept.join(" ")].join(" ").trim().to_string();
        checked.push(Checked { config, estimate, name });
    }
    check_predecessors(app, request)?;
    Ok(checked)
}

fn check_config(app: &App, config: &TrainConfig, last: Option<&Checked>) -> Result<()> {
    config.check()?;
    if let Some(init) = config.init.as_ref().filter(|init| !init.is_file()) {
        return Err(SubmitError::NoInit(init.clone()).into());
    }
    ready(app, &config.model)?;
    // The runs of a sweep have the same data as a rule.
    let same = |last: &Checked| {
        (&last.config.data, last.config.held_out) == (&config.data, config.held_out)
    };
    if last.is_some_and(same) {
        return Ok(());
    }
    match &config.data {
        DataConfig::Museum(name) => {
            let (held_out, all) = (config.held_out, count_paintings(&data_folder(app, name)?)?);
            match held_out >= all {
                true => Err(ArtError::HeldOut { held_out, all }.into()),
                false => Ok(()),
            }
        }
        DataConfig::Pairs(_) => Ok(open_feed(config).map(drop)?),
        DataConfig::Conversations(_) => conversations::open(app, config).map(drop),
    }
}

/// One configuration for each combination of values, with these values.
fn combinations(base: TrainConfig, sweeps: &[Sweep]) -> Result<Vec<(TrainConfig, Vec<String>)>> {
    let mut all = vec![(base, Vec::new())];
    for sweep in sweeps {
        let mut next = Vec::new();
        for (config, swept) in &all {
            for value in &sweep.values {
                let change = Override { key: sweep.key.clone(), value: value.clone() };
                let words = [&swept[..], &[change.to_string()]].concat();
                next.push((with_overrides(config.clone(), &[change])?, words));
            }
        }
        all = next;
    }
    Ok(all)
}

/// The jobs that must have finished first.
fn check_predecessors(app: &App, request: &SubmitRequest) -> Result<Vec<Job>> {
    let before = predecessors(app, &request.after)?;
    if let Some(other) = before.iter().find(|other| other.spec.on != request.on) {
        return Err(SubmitError::OtherPlace(other.id.clone()).into());
    }
    not_ended(&before)?;
    Ok(before)
}

pub(super) fn predecessors(app: &App, names: &[String]) -> Result<Vec<Job>> {
    let find = |name: &String| jobs::find(&app.paths.runs(), name);
    let mut found: Vec<Job> = names.iter().map(find).collect::<std::result::Result<_, _>>()?;
    // One that Slurm lists again has not failed.
    ask_slurm(app, &mut found);
    Ok(found)
}

/// A job that comes after one that has failed or was stopped would wait for ever.
pub(super) fn not_ended(before: &[Job]) -> Result<()> {
    let ended = |job: &&Job| {
        matches!(job.status.state, RunState::Failed | RunState::Stopped) && !job.is_open()
    };
    match before.iter().find(ended) {
        Some(job) => {
            let (id, state) = (job.id.clone(), Standing::Told(job.status.state).word());
            Err(SubmitError::Ended { id, state }.into())
        }
        None => Ok(()),
    }
}

/// Queues the checked runs: all of them, or none.
pub fn queue(app: &App, request: &SubmitRequest, checked: &[Checked]) -> Result<Vec<Job>> {
    let before = check_predecessors(app, request)?;
    let default = default_spec(app)?;
    let mut made: Vec<Job> = Vec::new();
    for Checked { config, estimate, name } in checked {
        let spec = Spec {
            name: Some(name.clone()).filter(|name| !name.is_empty()),
            submitted: jiff::Timestamp::now(),
            on: request.on,
            priority: request.priority,
            after: before.iter().map(|job| job.id.clone()).collect(),
            retries: request.retries,
            memory: estimate.memory,
            ..default.clone()
        };
        match jobs::submit(&app.paths.runs(), config, &spec) {
            Ok(job) => made.push(job),
            Err(e) => {
                take_back(&made);
                return Err(e.into());
            }
        }
    }
    match (request.on, checked.first()) {
        (Place::Slurm, Some(Checked { config, .. })) => {
            let resources = config.slurm.clone().unwrap_or_default();
            let submitted = slurm::submit(&made, &cluster(app)?, &resources, &before);
            if let Err(e) = submitted {
                // What the cluster did not take is no job; what it may have taken is one.
                if !matches!(e, JobError::Unsure { .. } | JobError::Refused { .. }) {
                    take_back(&made);
                }
                return Err(e.into());
            }
        }
        _ => adopt(app)?,
    }
    Ok(made)
}

fn take_back(made: &[Job]) {
    made.iter().for_each(|job| drop(std::fs::remove_dir_all(&job.path)));
}

/// A job of this machine for which nothing was requested.
pub(super) fn default_spec(app: &App) -> Result<Spec> {
    let program = std::env::current_exe()
        .map_err(|e| JobError::Start { what: "this program".into(), reason: e.to_string() })?;
    Ok(Spec {
        name: None,
        submitted: jiff::Timestamp::now(),
        on: Place::Local,
        device: app.settings.device.clone(),
        priority: 0,
        after: Vec::new(),
        retries: SubmitRequest::RETRIES,
        memory: None,
        program,
        settings: absolute(&app.paths.config_file)?,
    })
}

pub(super) fn cluster(app: &App) -> Result<slurm::Submitter> {
    let data = absolute(&app.paths.data)?;
    Ok(slurm::Submitter { data, without: app.own_variables.clone() })
}
