//! Carrying out requests: signals, holds, releases, cancellations and submissions.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Submitter;
use super::answers::Phase;
use super::command::{command, run};
use super::refresh::Slurm;
use super::submission::{self, Lock, submit_locked};
use super::transition::Evidence;
use crate::request::request;
use crate::{Job, JobError, RequestOutcome, Result};
use artgpt_rundir::job::{self as record, Progress, Record, Wanted};
use artgpt_rundir::{Resources, RunDir, RunState, Status};

/// How long to wait for the end of a job that is to be resumed: one that was paused just now.
const ENDING: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 15 });
const POLL: Duration = Duration::from_millis(500);

/// Writes a request beside the run and carries it out: signals, holds, releases, cancels or submits the
/// job. A request that Slurm did not take the first time is made again. A job is submitted only if Slurm
/// has said that its last submission has ended.
///
/// # Errors
/// [`JobError::Refused`] if the job's state does not allow the request, or if Slurm is still ending it;
/// [`JobError::Silent`] if Slurm does not say whether the job has ended; [`JobError::Slurm`] if a Slurm
/// command is missing or fails; [`JobError::Run`] or [`JobError::Record`] if the run's records cannot be
/// written.
pub fn apply_request(
    job: &Job,
    wanted: Wanted,
    by: &Submitter,
    resources: &Resources,
) -> Result<()> {
    // Two processes that resume the same job take turns, and the second sees what the first did.
    let lock = Lock::take(&job.path)?;
    let job = Job::read(&job.path).ok_or_else(|| JobError::Unknown(job.id.clone()))?;
    let job = submission::found_again(&lock, job)?;
    match wanted {
        Wanted::Run => resume(&lock, &job, by, resources),
        Wanted::Pause | Wanted::Stop => end(lock, job, wanted),
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
/// [`JobError::Silent`] if a job of an earlier submission may still exist, [`JobError::Refused`] if it is
/// about to end.
fn means(job: &Job) -> Result<Means> {
    let silent = || Err(JobError::Silent { id: job.id.clone() });
    if job.progress.submitting.is_some() {
        return silent();
    }
    let Some(id) = job.progress.slurm_id.as_deref() else { return Ok(Means::Submit) };
    let mut slurm = Slurm::ask();
    let begun = Instant::now();
    let is_ending =
        |slurm: &Slurm| slurm.queue.get(id).is_some_and(|entry| entry.phase() == Phase::Ending);
    while is_ending(&slurm) && begun.elapsed() < ENDING {
        std::thread::sleep(POLL);
        slurm = Slurm::ask();
    }
    match slurm.queue.get(id) {
        Some(entry) => match entry.phase() {
            Phase::Active => Ok(Means::Nothing),
            // Whether it is queued again shows only after its end, which a new request would make a failure.
            Phase::Ending => Err(JobError::Refused {
                id: job.id.clone(),
                state: "still ending in Slurm",
                hint: "try again in a minute",
            }),
            Phase::Held | Phase::Waiting => Ok(Means::Release(id.to_string())),
        },
        // It may be queued again without being listed.
        None if slurm.queue.doubt.is_some() => silent(),
        None if job.progress.ended.as_deref() == Some(id) => Ok(Means::Submit),
        None => match slurm.look_up(id) {
            Evidence::Ended(_) => Ok(Means::Submit),
            _ => silent(),
        },
    }
}

fn end(lock: Lock, job: Job, wanted: Wanted) -> Result<()> {
    let outcome = request(&job, wanted)?;
    let (_lock, job) = match job.progress.submitting.is_some() {
        false => (lock, job),
        true => {
            // It is taken to find the job's number.
            drop(lock);
            match submission::recover(&job)? {
                submission::Outcome::Known => {}
                // Two complete lists without it are its end.
                submission::Outcome::Missing if wanted == Wanted::Stop => return Ok(()),
                _ => return Err(JobError::Silent { id: job.id }),
            }
            let lock = Lock::take(&job.path)?;
            (lock, Job::read(&job.path).ok_or_else(|| JobError::Unknown(job.id.clone()))?)
        }
    };
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
            note_cancelled(&job.path, id).map(drop)
        }
    }
}

/// Records that the Slurm job `id` was cancelled on request.
pub(super) fn note_cancelled(run: &Path, id: &str) -> Result<Progress> {
    let now: Progress = record::read(run, Record::Progress)?.unwrap_or_default();
    let progress = Progress { cancelled: Some(id.into()), ..now };
    record::write(run, Record::Progress, &progress)?;
    Ok(progress)
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

/// Cancels what Slurm may have of a job with a record that cannot be read.
///
/// # Errors
/// [`JobError::Slurm`] if Slurm refuses; [`JobError::Refused`] or [`JobError::Silent`] if the job's number
/// is lost and neither `sbatch`'s output nor `squeue` tells it.
pub(crate) fn cancel_damaged(job: &Job) -> Result<()> {
    if job.status.state == RunState::Finished {
        return Ok(());
    }
    let read: std::result::Result<Option<Progress>, _> = record::read(&job.path, Record::Progress);
    if let Ok(Some(Progress { slurm_id: Some(id), submitting: None, .. })) = &read {
        return cancel(id);
    }
    let is_lost = match &read {
        Ok(progress) => progress.as_ref().is_some_and(|progress| progress.submitting.is_some()),
        // Without its spec, too, only what a submission left tells where it runs.
        Err(_) => !job.is_local() || submission::submitted_in(job).is_some(),
    };
    let is_spec = job.damage.as_ref().is_some_and(|damage| damage.record == Record::Spec);
    match is_lost && (is_spec || !job.is_local()) {
        true => submission::lost_ids(job, None)?.iter().try_for_each(|id| cancel(id)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::tests::{Cluster, NOTE};
    use artgpt_rundir::job::{Request, Submitting};

    fn apply(job: &Job, wanted: Wanted) -> std::result::Result<(), String> {
        let by = Submitter { data: "/data".into(), without: Vec::new() };
        apply_request(job, wanted, &by, &Resources::default()).map_err(|e| e.to_string())
    }

    fn in_slurm(id: &str) -> Progress {
        Progress { slurm_id: Some(id.into()), ..Progress::default() }
    }

    fn wanted(job: &Job) -> Request {
        Job::read(&job.path).expect("a job").request
    }

    #[test]
    fn nothing_is_submitted_anew_without_a_complete_list() {
        let cluster = Cluster::new();
        cluster.answer("sbatch", &format!("{NOTE}echo 101"));
        cluster.answer("sacct", "echo 'NODE_FAIL|1:0'");
        let ended = Progress { ended: Some("100".into()), ..in_slurm("100") };
        for (id, progress) in [("A", ended), ("B", in_slurm("100"))] {
            let job = cluster.job(id, RunState::Failed, progress);
            for squeue in ["exit 1", "printf '99|PENDING|Prio'", "echo oops", "echo x >&2"] {
                cluster.answer("squeue", squeue);
                let e = apply(&job, Wanted::Run).expect_err("Slurm does not say");
                assert!(e.contains("does not say whether job"), "{squeue}: {e}");
            }
            assert_eq!(wanted(&job), Request::default());
        }
        assert!(cluster.calls("sbatch").is_empty());
        // With one, it is submitted.
        let job = Job::read(&cluster.runs().join("A")).expect("a job");
        cluster.answer("squeue", "");
        assert_eq!(apply(&job, Wanted::Run), Ok(()));
        assert_eq!(cluster.calls("sbatch").len(), 1);
    }

    #[test]
    fn a_job_that_is_ending_is_not_resumed() {
        let cluster = Cluster::new();
        cluster.answer("squeue", "echo '100|COMPLETING|None'");
        let job = cluster.job("A", RunState::Stopped, in_slurm("100"));
        let request = Request { wanted: Wanted::Stop, number: 1 };
        record::write(&job.path, Record::Request, &request).expect("writes");
        let e = apply(&job, Wanted::Run).expect_err("is ending");
        assert!(e.contains("still ending"), "{e}");
        assert_eq!(wanted(&job), request);
        // One that was paused is held a moment later.
        let held =
            "[ -f $0.again ] && echo '100|PENDING|JobHeldUser' || echo '100|COMPLETING|None'";
        cluster.answer("squeue", &format!("{held}\ntouch $0.again"));
        cluster.answer("scontrol", NOTE);
        assert_eq!(apply(&job, Wanted::Run), Ok(()));
        assert_eq!(cluster.calls("scontrol"), ["release 100"]);
    }

    #[test]
    fn a_submission_without_a_number_is_found_and_cancelled() {
        let cluster = Cluster::new();
        cluster.answer("scancel", NOTE);
        cluster.answer("squeue", "exit 1");
        let output = submission::output_path(&cluster.runs().join("A"));
        let submitting = Some(Submitting { output, name: "artgpt-A".into(), task: None });
        let progress = Progress { submitting, ..Progress::default() };
        let job = cluster.job("A", RunState::Queued, progress);
        let e = apply(&job, Wanted::Stop).expect_err("Slurm does not say");
        assert!(e.contains("does not say whether job"), "{e}");
        // The request stays, for when it is found.
        assert_eq!(wanted(&job).wanted, Wanted::Stop);
        assert!(cluster.calls("scancel").is_empty());
        cluster.answer("squeue", "echo '100|PENDING|Priority'");
        assert_eq!(apply(&job, Wanted::Stop), Ok(()));
        assert_eq!(cluster.calls("scancel"), ["100"]);
        let now = Job::read(&job.path).expect("a job").progress;
        assert_eq!((now.slurm_id.as_deref(), now.cancelled.as_deref()), (Some("100"), Some("100")));
    }

    #[test]
    fn a_job_without_its_bookkeeping_is_found_before_it_is_submitted_again() {
        let cluster = Cluster::new();
        cluster.answer("sbatch", &format!("{NOTE}echo 999"));
        cluster.answer("scancel", NOTE);
        cluster.answer("sacct", "echo 'RUNNING|0:0'");
        let lost = |id: &str, printed: &str| {
            let job = cluster.job(id, RunState::Stopped, in_slurm("100"));
            let script = format!("#!/bin/sh\nset -- '/runs/{id}'\n");
            std::fs::write(job.path.join("job/batch.sh"), script).expect("writes");
            std::fs::write(submission::output_path(&job.path), printed).expect("writes");
            std::fs::remove_file(Record::Progress.path(&job.path)).expect("removes");
            job
        };
        // What `sbatch` printed tells its number, and Slurm still has it.
        let job = lost("A", "100\n");
        cluster.answer("squeue", "echo '100|RUNNING|None'");
        assert_eq!(apply(&job, Wanted::Run), Ok(()));
        assert_eq!(Job::read(&job.path).expect("a job").progress.slurm_id.as_deref(), Some("100"));
        // So that it is stopped there, too.
        Status::now(RunState::Running, 3, 10, None).write(&job.path).expect("writes");
        std::fs::remove_file(Record::Progress.path(&job.path)).expect("removes");
        assert_eq!(apply(&job, Wanted::Stop), Ok(()));
        assert_eq!(cluster.calls("scancel"), ["100"]);
        // Only its name is known, and Slurm does not answer.
        let job = lost("B", "");
        cluster.answer("squeue", "exit 1");
        assert!(apply(&job, Wanted::Run).is_err());
        assert!(cluster.calls("sbatch").is_empty());
        // It was refused at its submission.
        cluster.answer("squeue", "");
        assert_eq!(apply(&job, Wanted::Run), Ok(()));
        assert_eq!(cluster.calls("sbatch").len(), 1);
    }

    #[test]
    fn a_damaged_job_is_cancelled_before_it_is_removed() {
        let cluster = Cluster::new();
        let fails = format!("{NOTE}echo 'Unable to contact slurm controller' >&2; exit 1");
        let remove = |job: &Job| crate::remove(&cluster.runs(), std::slice::from_ref(&job.path));
        let damage = |job: &Job, record: Record| {
            std::fs::write(record.path(&job.path), "{").expect("writes");
        };
        // The number is known.
        let job = cluster.job("A", RunState::Queued, in_slurm("100"));
        damage(&job, Record::Spec);
        cluster.answer("scancel", &fails);
        assert!(matches!(remove(&job), Err(JobError::Slurm { .. })));
        assert!(job.path.is_dir());
        cluster.answer("scancel", NOTE);
        remove(&job).expect("removes");
        assert!(!job.path.exists());
        // It is in what `sbatch` printed, also for another task of its array.
        let first = cluster.job("B", RunState::Queued, in_slurm("200_0"));
        let second = cluster.job("C", RunState::Queued, in_slurm("200_1"));
        let script = first.path.join("job/batch.sh");
        std::fs::write(script, "#!/bin/sh\nset -- '/runs/B' '/runs/C'\n").expect("writes");
        std::fs::write(submission::output_path(&first.path), "200\n").expect("writes");
        damage(&second, Record::Progress);
        cluster.answer("scancel", &fails);
        assert!(matches!(remove(&second), Err(JobError::Slurm { .. })));
        cluster.answer("scancel", NOTE);
        remove(&second).expect("removes");
        // Without its spec, too; a job of this machine needs no Slurm.
        let third = cluster.job("B2", RunState::Queued, in_slurm("200_1"));
        std::fs::write(first.path.join("job/batch.sh"), "set -- '/runs/B' '/runs/B2'\n")
            .expect("writes");
        let local = cluster.job("L", RunState::Queued, Progress::default());
        for job in [&third, &local] {
            damage(job, Record::Spec);
            damage(job, Record::Progress);
            remove(job).expect("removes");
        }
        // Only its name is known.
        let job = cluster.job("D", RunState::Queued, in_slurm("300"));
        std::fs::write(job.path.join("job/batch.sh"), "set -- '/runs/D'\n").expect("writes");
        damage(&job, Record::Progress);
        cluster.answer("squeue", "exit 1");
        assert!(matches!(remove(&job), Err(JobError::Silent { .. })));
        cluster.answer("squeue", "[ \"$5\" = artgpt-D ] && echo '300|PENDING|Priority'");
        remove(&job).expect("removes");
        assert_eq!(cluster.calls("scancel"), ["100", "100", "200_1", "200_1", "200_1", "300"]);
        // Nothing is known.
        let job = cluster.job("E", RunState::Queued, in_slurm("400"));
        damage(&job, Record::Progress);
        assert!(matches!(remove(&job), Err(JobError::Refused { .. })));
        assert!(job.path.is_dir());
    }
}
