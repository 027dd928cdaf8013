//! Requests about jobs and runs: pause, resume, stop, take over.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::look::ask_slurm;
use super::submit::{cluster, default_spec, not_ended, predecessors};
use super::{adopt, one};
use crate::{App, Result, absolute};
use artgpt_jobs::{self as jobs, Job, JobError, slurm, stop_foreground};
use artgpt_rundir::job::{Place, Record, Spec, Wanted, ending};
use artgpt_rundir::{Resources, RunDir, RunState, Status, run_id, run_name};

/// How long to wait until a job does what was requested.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// A cluster is not asked five times a second.
const SLURM_POLL: Duration = Duration::from_secs(2);

/// Why a request about a run is refused.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// The run belongs to another data folder.
    #[error("{} is no run of this data folder", .0.display())]
    OtherDataFolder(PathBuf),
    /// The run has not stopped yet.
    #[error("{0} is still stopping")]
    StillStopping(String),
    /// The run cannot pause, because it is no job.
    #[error("{0} runs in somebody's terminal")]
    InForeground(String),
}

/// What a request about one run leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steered {
    /// The job continues when its device is free.
    Resumes(String),
    /// The job pauses after the current step.
    Pauses(String),
    /// The job stops after the current step.
    Stops(String),
    /// A run of the foreground continues as a job when its device is free.
    TakenOver(String),
    /// A run of the foreground stops after the current step.
    ForegroundStops(String),
}

/// Requests something of several jobs: of all, or, where one is unknown, of none. A run of the
/// foreground that is to resume becomes a job.
pub fn request(app: &App, names: &[String], wanted: Wanted) -> Result<Vec<Job>> {
    let jobs = names.iter().map(|name| find_or_take_over(app, name, wanted));
    let jobs: Vec<Job> = jobs.collect::<Result<_>>()?;
    for job in &jobs {
        request_one(app, job, wanted)?;
    }
    Ok(jobs)
}

fn find_or_take_over(app: &App, name: &str, wanted: Wanted) -> Result<Job> {
    let runs = app.paths.runs();
    match jobs::find(&runs, name) {
        Ok(mut job) => {
            ask_slurm(app, std::slice::from_mut(&mut job));
            Ok(job)
        }
        Err(unknown @ JobError::Unknown(_)) if wanted == Wanted::Run => {
            match artgpt_rundir::job::named(&runs, name) {
                Ok(run) if run.join("config.toml").is_file() => take_over(app, &run),
                _ => Err(unknown.into()),
            }
        }
        Err(e) => Err(e.into()),
    }
}

/// Records a request beside the job, where it can be followed.
fn request_one(app: &App, job: &Job, wanted: Wanted) -> Result<()> {
    if wanted == Wanted::Run {
        not_ended(&predecessors(app, &job.spec.after)?)?;
    }
    let has_spec = job.damage.as_ref().is_none_or(|damage| damage.record != Record::Spec);
    match job.spec.on {
        _ if wanted == Wanted::Stop && !has_spec => jobs::stop_damaged(job)?,
        Place::Slurm => {
            let resources = match wanted {
                Wanted::Run => RunDir::follow(&job.path)?.config()?.slurm.unwrap_or_default(),
                // Also a run whose configuration cannot be read is to end.
                Wanted::Pause | Wanted::Stop => Resources::default(),
            };
            slurm::apply_request(job, wanted, &cluster(app)?, &resources)?;
        }
        Place::Local => drop(jobs::request(job, wanted)?),
    }
    adopt(app)
}

/// Waits until a job does what was requested, for a minute at most. Returns the job, and whether it
/// does.
pub fn wait(
    app: &App,
    id: &str,
    wanted: Wanted,
    began: Instant,
    stopped: &dyn Fn() -> bool,
) -> Result<(Job, bool)> {
    loop {
        let job = one(app, id)?;
        let done = follows(&job, wanted);
        if done || began.elapsed() >= TIMEOUT || stopped() {
            return Ok((job, done));
        }
        std::thread::sleep(pace(&job));
    }
}

/// The time between two looks at a job.
pub(super) fn pace(job: &Job) -> Duration {
    if job.spec.on == Place::Slurm { SLURM_POLL } else { POLL }
}

fn follows(job: &Job, wanted: Wanted) -> bool {
    use RunState::{Failed, Finished, Paused, Queued, Running, Stopped};
    match wanted {
        Wanted::Run => matches!(job.status.state, Queued | Running | Finished),
        Wanted::Pause => matches!(job.status.state, Paused | Finished | Failed),
        Wanted::Stop => matches!(job.status.state, Stopped | Finished | Failed),
    }
}

/// Makes a job of a run that was begun in the foreground.
pub fn take_over(app: &App, run: &Path) -> Result<Job> {
    let runs = absolute(&app.paths.runs())?;
    if absolute(run)?.parent() != Some(&runs) {
        return Err(SteerError::OtherDataFolder(run.to_path_buf()).into());
    }
    let config = RunDir::follow(run)?.config()?;
    let needs = crate::check_run(&config, &app.paths.models(), &runs)?;
    let spec = Spec { memory: needs.memory, name: run_name(run), ..default_spec(app)? };
    let job = jobs::submit_existing(run, &spec)?;
    adopt(app)?;
    Ok(job)
}

/// Requests something of one run, which may be a job or a run of the foreground.
pub fn steer_run(app: &App, run: &Path, wanted: Wanted) -> Result<Steered> {
    let Some(mut job) = Job::read(run) else { return steer_foreground(app, run, wanted) };
    ask_slurm(app, std::slice::from_mut(&mut job));
    request_one(app, &job, wanted)?;
    Ok(match wanted {
        Wanted::Run => Steered::Resumes(job.id),
        Wanted::Pause => Steered::Pauses(job.id),
        Wanted::Stop => Steered::Stops(job.id),
    })
}

fn steer_foreground(app: &App, run: &Path, wanted: Wanted) -> Result<Steered> {
    match wanted {
        Wanted::Run => {
            let running = Status::read(run).filter(|s| s.state == RunState::Running);
            let stops = running.is_some_and(|status| ending(run, status.pid).is_some());
            // One that was killed meanwhile is not stopping any more.
            if stops && RunDir::is_open(run) {
                return Err(SteerError::StillStopping(run_id(run)).into());
            }
            Ok(Steered::TakenOver(take_over(app, run)?.id))
        }
        Wanted::Stop => {
            stop_foreground(run)?;
            Ok(Steered::ForegroundStops(run_id(run)))
        }
        Wanted::Pause => Err(SteerError::InForeground(run_id(run)).into()),
    }
}
