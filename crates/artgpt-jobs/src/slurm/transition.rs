//! What a job's records become after what Slurm said of it. Pure functions.
//!
//! A job ends only on evidence: its own `status.json`, a final state in `sacct` or `scontrol`, or, where
//! `scontrol` no longer knows it, two complete lists of `squeue` without it, a minute apart. Anything else
//! leaves the state as it is.

use super::answers::{Phase, QueueEntry};
use crate::Job;
use artgpt_rundir::job::{Progress, Wanted};
use artgpt_rundir::{RunState, Status};

/// Seconds between two lists without a job that together prove its end.
const APART: i64 = 60;
/// Seconds after which the status of a job that Slurm runs, but whose process does not report yet, is
/// written anew.
const BEAT: i64 = 30;
/// The phase of a job that Slurm runs and whose process has not reported yet.
pub(super) const STARTS: &str = "starting in Slurm";

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Evidence {
    /// `squeue` lists it.
    Listed(QueueEntry),
    /// It has ended: its state and exit code, for people.
    Ended(String),
    /// It is not listed, but its last known state is not final.
    Open,
    /// A complete list lacks it, and neither `sacct` nor `scontrol` knows it.
    Missed,
    /// Slurm did not answer, or not completely.
    Silent,
}

/// The records of a job after a look at Slurm.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Next {
    pub progress: Progress,
    /// `None` if it stays.
    pub status: Option<Status>,
}

/// `asked` is the time before Slurm was asked.
pub(super) fn next(job: &Job, evidence: Evidence, asked: jiff::Timestamp) -> Next {
    let now = jiff::Timestamp::now();
    let mut progress = job.progress.clone();
    let evidence = match evidence {
        // Slurm took its cancellation, and does not know it any more.
        Evidence::Missed if is_cancelled(job) => Evidence::Ended("it was cancelled".into()),
        Evidence::Missed => match progress.missed {
            Some(first) if now.as_second() - first.as_second() >= APART => {
                Evidence::Ended("it no longer knows the job".into())
            }
            // A first time that is yet to come is from a wrong clock.
            Some(first) if first <= now => Evidence::Silent,
            _ => {
                progress.missed = Some(now);
                Evidence::Silent
            }
        },
        other => other,
    };
    let status = match evidence {
        Evidence::Listed(entry) => {
            (progress.unknown_since, progress.missed) = (None, None);
            listed(job, &entry, asked, &mut progress)
        }
        Evidence::Ended(what) => {
            (progress.unknown_since, progress.missed) = (None, None);
            progress.ended = progress.slurm_id.clone();
            ended(job, &what)
        }
        Evidence::Open | Evidence::Missed => {
            (progress.unknown_since, progress.missed) =
                (progress.unknown_since.or(Some(now)), None);
            None
        }
        Evidence::Silent => {
            progress.unknown_since = progress.unknown_since.or(Some(now));
            None
        }
    };
    Next { progress, status }
}

fn is_cancelled(job: &Job) -> bool {
    let Progress { cancelled, slurm_id, .. } = &job.progress;
    job.request.wanted == Wanted::Stop && cancelled.is_some() && cancelled == slurm_id
}

fn listed(
    job: &Job,
    entry: &QueueEntry,
    asked: jiff::Timestamp,
    progress: &mut Progress,
) -> Option<Status> {
    let phase = entry.phase();
    if is_over(job) && !opens_again(job, phase, asked) {
        return None;
    }
    progress.ended = None;
    match phase {
        Phase::Held => change(job, RunState::Paused, Some(held(job, entry))),
        Phase::Waiting => {
            progress.waits_for = Some(format!("Slurm: {}", entry.reason));
            change(job, RunState::Queued, None)
        }
        Phase::Active => {
            let waits = is_over(job) || matches!(job.status.state, RunState::Queued);
            let is_ours = job.status.phase.as_deref() == Some(STARTS);
            let is_old = heartbeat(&job.status)
                .is_none_or(|at| jiff::Timestamp::now().as_second() - at.as_second() >= BEAT);
            if waits || is_ours && is_old {
                let status = &job.status;
                let started = Status::now(RunState::Running, status.step, status.total_steps, None);
                return Some(Status { phase: Some(STARTS.into()), ..started });
            }
            None
        }
        // It writes its checkpoint, or is about to be queued again.
        Phase::Ending => None,
    }
}

fn held(job: &Job, entry: &QueueEntry) -> String {
    match (job.request.wanted, entry.reason.as_str()) {
        (Wanted::Pause, _) | (_, "JobHeldUser") => "paused".into(),
        (_, reason) => format!("held in Slurm: {reason}"),
    }
}

/// Whether a job that has ended is open again because Slurm lists it.
fn opens_again(job: &Job, phase: Phase, asked: jiff::Timestamp) -> bool {
    // Its end was what Slurm said, so that what Slurm says now counts.
    let by_slurm = job.progress.ended.is_some() && job.progress.ended == job.progress.slurm_id;
    match (job.status.state, phase) {
        (RunState::Finished, _) | (_, Phase::Ending) => false,
        _ if by_slurm => true,
        // Its process ended it, and somebody queued it again. The list may be older than the end.
        (_, Phase::Held | Phase::Waiting) => heartbeat(&job.status).is_some_and(|at| at < asked),
        (_, Phase::Active) => false,
    }
}

fn ended(job: &Job, what: &str) -> Option<Status> {
    use RunState::{Failed, Finished, Paused, Queued, Running, Stopped};
    match (job.status.state, job.request.wanted) {
        (Finished | Failed, _) | (Paused, Wanted::Run | Wanted::Pause) => None,
        (Queued | Running | Paused | Stopped, Wanted::Stop) => {
            change(job, Stopped, Some("asked to stop".into()))
        }
        // Its process had written its checkpoint.
        (Stopped, Wanted::Pause) => change(job, Paused, Some("paused".into())),
        (Queued | Running | Stopped, _) => {
            change(job, Failed, Some(format!("Slurm ended it: {what}")))
        }
    }
}

fn change(job: &Job, state: RunState, reason: Option<String>) -> Option<Status> {
    let status = &job.status;
    (status.state != state).then(|| Status::now(state, status.step, status.total_steps, reason))
}

/// Whether the job has ended for good: not open, and not paused.
pub(super) fn is_over(job: &Job) -> bool {
    !job.is_open() && job.status.state != RunState::Paused
}

pub(super) fn heartbeat(status: &Status) -> Option<jiff::Timestamp> {
    status.heartbeat.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::tests::job;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::now() + jiff::SignedDuration::from_secs(second)
    }

    fn in_state(state: RunState) -> Job {
        let mut job = job("A");
        job.progress.slurm_id = Some("100".into());
        job.status = Status::now(state, 3, 10, None);
        job.status.heartbeat = at(-300).to_string();
        job
    }

    fn entry(state: &str, reason: &str) -> Evidence {
        Evidence::Listed(QueueEntry { state: state.into(), reason: reason.into() })
    }

    /// The job after this evidence.
    fn after(job: &Job, evidence: Evidence) -> Job {
        let next = next(job, evidence, jiff::Timestamp::now());
        let status = next.status.unwrap_or_else(|| job.status.clone());
        Job { progress: next.progress, status, ..job.clone() }
    }

    #[test]
    fn silence_and_states_that_are_not_final_leave_the_state_as_it_is() {
        for evidence in [Evidence::Silent, Evidence::Open, Evidence::Missed] {
            for state in [RunState::Queued, RunState::Running, RunState::Paused] {
                let job = after(&in_state(state), evidence.clone());
                assert_eq!(job.status.state, state, "{evidence:?}");
                let since = job.progress.unknown_since.expect("is unknown");
                assert_eq!(after(&job, evidence.clone()).progress.unknown_since, Some(since));
                let known = after(&job, entry("PENDING", "Priority"));
                assert_eq!((known.progress.unknown_since, known.progress.missed), (None, None));
            }
        }
    }

    #[test]
    fn two_misses_a_minute_apart_end_a_job() {
        let mut job = after(&in_state(RunState::Running), Evidence::Missed);
        assert!(job.progress.missed.is_some());
        // Too soon, and the first time stays.
        let again = after(&job, Evidence::Missed);
        assert_eq!(
            (again.status.state, again.progress.missed),
            (RunState::Running, job.progress.missed)
        );
        // Silence in between proves nothing and takes nothing back.
        job.progress.missed = Some(at(-61));
        let silent = after(&job, Evidence::Silent);
        assert_eq!(
            (silent.status.state, silent.progress.missed),
            (RunState::Running, job.progress.missed)
        );
        let gone = after(&silent, Evidence::Missed);
        assert_eq!(gone.status.state, RunState::Failed);
        assert_eq!(
            gone.status.exit_reason.as_deref(),
            Some("Slurm ended it: it no longer knows the job")
        );
        // Where it was known in between, it must be missed twice anew.
        let known = after(&job, Evidence::Open);
        assert_eq!(after(&known, Evidence::Missed).status.state, RunState::Running);
        // A job that was cancelled on request need not be missed twice.
        let mut cancelled = in_state(RunState::Queued);
        cancelled.progress.cancelled = Some("100".into());
        assert_eq!(after(&cancelled, Evidence::Missed).status.state, RunState::Queued);
        cancelled.request.wanted = Wanted::Stop;
        assert_eq!(after(&cancelled, Evidence::Silent).status.state, RunState::Queued);
        assert_eq!(after(&cancelled, Evidence::Missed).status.state, RunState::Stopped);
        // A clock that was set back.
        job.progress.missed = Some(at(3600));
        assert_eq!(after(&job, Evidence::Missed).status.state, RunState::Running);
    }

    #[test]
    fn a_final_state_ends_a_job_as_its_user_wanted() {
        let ended = |state, wanted| {
            let mut job = in_state(state);
            job.request.wanted = wanted;
            after(&job, Evidence::Ended("TIMEOUT, exit code 0:0".into())).status
        };
        let failed = ended(RunState::Running, Wanted::Run);
        assert_eq!(failed.state, RunState::Failed);
        assert_eq!(failed.exit_reason.as_deref(), Some("Slurm ended it: TIMEOUT, exit code 0:0"));
        assert_eq!(failed.step, 3);
        assert_eq!(ended(RunState::Queued, Wanted::Run).state, RunState::Failed);
        assert_eq!(ended(RunState::Stopped, Wanted::Run).state, RunState::Failed);
        assert_eq!(ended(RunState::Queued, Wanted::Stop).state, RunState::Stopped);
        assert_eq!(ended(RunState::Paused, Wanted::Stop).state, RunState::Stopped);
        assert_eq!(ended(RunState::Stopped, Wanted::Pause).state, RunState::Paused);
        assert_eq!(ended(RunState::Paused, Wanted::Run).state, RunState::Paused);
        assert_eq!(ended(RunState::Finished, Wanted::Run).state, RunState::Finished);
    }

    #[test]
    fn a_job_that_slurm_lists_again_is_open_again() {
        // Preempted, and queued again.
        let failed = after(&in_state(RunState::Running), Evidence::Ended("PREEMPTED".into()));
        assert_eq!(failed.status.state, RunState::Failed);
        let queued = after(&failed, entry("PENDING", "BeginTime"));
        assert_eq!((queued.status.state, queued.progress.ended.clone()), (RunState::Queued, None));
        assert_eq!(after(&failed, entry("RUNNING", "None")).status.state, RunState::Running);
        assert_eq!(after(&failed, entry("COMPLETING", "None")).status.state, RunState::Failed);
        // Its own process ended it: the list may lag behind.
        let own = in_state(RunState::Failed);
        assert_eq!(after(&own, entry("RUNNING", "None")).status.state, RunState::Failed);
        assert_eq!(after(&own, entry("PENDING", "BeginTime")).status.state, RunState::Queued);
        let late = next(&own, entry("PENDING", "Priority"), at(-400));
        assert_eq!(late.status, None);
        let finished = in_state(RunState::Finished);
        assert_eq!(after(&finished, entry("PENDING", "Priority")).status.state, RunState::Finished);
    }

    #[test]
    fn a_listed_job_has_the_state_that_slurm_reports() {
        let queued = in_state(RunState::Queued);
        let waits = after(&queued, entry("PENDING", "Priority"));
        assert_eq!(waits.progress.waits_for.as_deref(), Some("Slurm: Priority"));
        assert_eq!(after(&queued, entry("PENDING", "JobHeldUser")).status.state, RunState::Paused);
        let running = after(&queued, entry("RUNNING", "None"));
        assert_eq!(running.status.state, RunState::Running);
        assert_eq!(running.status.phase.as_deref(), Some(STARTS));
        // What the process wrote stays.
        let own = in_state(RunState::Running);
        assert_eq!(after(&own, entry("RUNNING", "None")).status, own.status);
        assert_eq!(after(&own, entry("COMPLETING", "None")).status, own.status);
        assert_eq!(after(&own, entry("PENDING", "Resources")).status.state, RunState::Queued);
    }
}
