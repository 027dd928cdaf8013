//! Carrying out requests: signals, holds, releases, cancellations and submissions.

use std::path::Path;

use super::Submitter;
use super::answers::Phase;
use super::command::{command, run};
use super::refresh::Slurm;
use super::submission::{Lock, submit_locked};
use super::transition::Evidence;
use crate::request::request;
use crate::{Job, JobError, RequestOutcome, Result};
use artgpt_rundir::job::{self as record, Progress, Record, Wanted};
use artgpt_rundir::{Resources, RunDir, RunState, Status};

/// Writes a request beside the run and carries it out: signals, holds, releases, cancels or submits the
/// job. A request that Slurm did not take the first time is made again. A job is submitted only if Slurm
/// has said that its last submission has ended.
///
/// # Errors
/// [`JobError::Refused`] if the job's state does not allow the request; [`JobError::Silent`] if Slurm does
/// not say whether the job has ended; [`JobError::Slurm`] if a Slurm command is missing or fails;
/// [`JobError::Run`] or [`JobError::Record`] if the run's records cannot be written.
pub fn apply_request(
    job: &Job,
    wanted: Wanted,
    by: &Submitter,
    resources: &Resources,
) -> Result<()> {
    // Two processes that resume the same job take turns, and the second sees what the first did.
    let lock = Lock::take(&job.path)?;
    let job = Job::read(&job.path).ok_or_else(|| JobError::Unknown(job.id.clone()))?;
    match wanted {
        Wanted::Run => resume(&lock, &job, by, resources),
        Wanted::Pause | Wanted::Stop => end(&job, wanted),
    }
}

/// How a job is resumed.
enum Means {
    /// It goes on by itself.
    Nothing,
    /// It is held in the queue.
    Release(String),
    Submit,
}

fn resume(lock: &Lock, job: &Job, by: &Submitter, resources: &Resources) -> Result<()> {
    let is_under_way = matches!(job.status.state, RunState::Queued | RunState::Running);
    let is_submitted = job.progress.slurm_id.is_some() || job.progress.submitting.is_some();
    let wants = job.request.wanted == Wanted::Run && job.damage.is_none();
    if is_under_way && is_submitted && wants {
        return Ok(());
    }
    if RunDir::is_open(&job.path) {
        return request(job, Wanted::Run).map(drop);
    }
    let means = means(job)?;
    request(job, Wanted::Run)?;
    let job = Job::read(&job.path).ok_or_else(|| JobError::Unknown(job.id.clone()))?;
    match means {
        Means::Nothing => {}
        // A requeued job waits a minute or two until its credential expires; no command shortens that.
        Means::Release(id) => run(&mut command("scontrol", &["release", &id]))?,
        Means::Submit => {
            let before = &job.status;
            Status::now(RunState::Queued, before.step, before.total_steps, None)
                .write(&job.path)?;
            let runs = job.path.parent().unwrap_or(Path::new("."));
            let after: Vec<Job> =
                job.spec.after.iter().filter_map(|id| Job::read(&runs.join(id))).collect();
            let one = std::slice::from_ref(&job);
            let submitted = submit_locked(lock, one, by, resources, &after);
            if let Err(e) = submitted {
                // After an answer that says neither yes nor no it may be in the queue.
                if !matches!(e, JobError::Unsure { .. }) {
                    before.write(&job.path)?;
                }
                return Err(e);
            }
        }
    }
    let now: Progress = record::read(&job.path, Record::Progress)?.unwrap_or_default();
    let progress = Progress { followed: job.request.number, ..now };
    Ok(record::write(&job.path, Record::Progress, &progress)?)
}

/// # Errors
/// [`JobError::Silent`] if a job of an earlier submission may still exist.
fn means(job: &Job) -> Result<Means> {
    let silent = || Err(JobError::Silent { id: job.id.clone() });
    if job.progress.submitting.is_some() {
        return silent();
    }
    let Some(id) = job.progress.slurm_id.as_deref() else { return Ok(Means::Submit) };
    let mut slurm = Slurm::ask();
    match slurm.queue.get(id) {
        Some(entry) => Ok(match entry.phase() {
            Phase::Active | Phase::Ending => Means::Nothing,
            Phase::Held | Phase::Waiting => Means::Release(id.to_string()),
        }),
        None if job.progress.ended.as_deref() == Some(id) => Ok(Means::Submit),
        None => match slurm.look_up(id) {
            Evidence::Ended(_) => Ok(Means::Submit),
            _ => silent(),
        },
    }
}

fn end(job: &Job, wanted: Wanted) -> Result<()> {
    let outcome = request(job, wanted)?;
    let is_done = match wanted {
        Wanted::Run => true,
        Wanted::Pause => {
            matches!(job.status.state, RunState::Paused | RunState::Finished | RunState::Failed)
        }
        Wanted::Stop => {
            matches!(job.status.state, RunState::Stopped | RunState::Finished | RunState::Failed)
        }
    };
    let Some(id) = job.progress.slurm_id.as_deref() else { return Ok(()) };
    if outcome == RequestOutcome::Unchanged && is_done {
        return Ok(());
    }
    // The process writes a checkpoint, then the script requeues the job or ends.
    if RunDir::is_open(&job.path) {
        return run(&mut command("scancel", &["--signal=TERM", id]));
    }
    let is_listed = Slurm::ask().queue.get(id).is_some();
    let has_ended = !is_listed && job.progress.ended.as_deref() == Some(id);
    match wanted {
        _ if has_ended => Ok(()),
        Wanted::Pause if is_listed => run(&mut command("scontrol", &["hold", id])),
        Wanted::Pause => Err(JobError::Silent { id: job.id.clone() }),
        // Also where it is not listed: it may exist all the same.
        _ => {
            cancel(id)?;
            let now: Progress = record::read(&job.path, Record::Progress)?.unwrap_or_default();
            let progress = Progress { cancelled: Some(id.into()), ..now };
            Ok(record::write(&job.path, Record::Progress, &progress)?)
        }
    }
}

/// Cancels a job; one that Slurm does not know any more is cancelled.
pub(crate) fn cancel(id: &str) -> Result<()> {
    match run(&mut command("scancel", &[id])) {
        Err(JobError::Slurm { reason, .. }) if reason.to_lowercase().contains("invalid job id") => {
            Ok(())
        }
        other => other,
    }
}
