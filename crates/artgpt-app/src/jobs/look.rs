//! Jobs as they are now.

use std::time::SystemTime;

use crate::{App, Event, Result};
use artgpt_jobs::{self as jobs, Job, slurm};
use artgpt_rundir::RunState;
use artgpt_runs::catalogue::find;
use artgpt_runs::{RunReader, Standing};

/// The status of a job as people read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// The state, as it is now.
    pub standing: Standing,
    /// Where it is known.
    pub seconds_left: Option<f64>,
}

/// All jobs, the oldest first.
pub fn all(app: &App) -> Vec<Job> {
    let mut all = jobs::list(&app.paths.runs());
    ask_slurm(app, &mut all);
    all
}

/// One job, by its ID, a unique prefix of it, its name or its directory.
pub fn one(app: &App, name: &str) -> Result<Job> {
    let mut job = jobs::find(&app.paths.runs(), name)?;
    ask_slurm(app, std::slice::from_mut(&mut job));
    Ok(job)
}

/// Brings jobs that are on a cluster up to date. Where Slurm does not answer they stay as last seen.
pub(super) fn ask_slurm(app: &App, jobs: &mut [Job]) {
    if let Err(e) = slurm::refresh(jobs) {
        app.tell(&Event::SlurmSilent(&e.into()));
    }
}

/// The status of a job, and the seconds it still needs.
pub fn outlook(job: &Job) -> Outlook {
    let told = Outlook { standing: Standing::Told(job.status.state), seconds_left: None };
    if job.status.state != RunState::Running {
        return told;
    }
    let now = SystemTime::now();
    find(&job.path, false).pop().map_or(told, |found| {
        let run = RunReader::whole(found, None);
        Outlook { standing: run.standing(now), seconds_left: run.left(now) }
    })
}
