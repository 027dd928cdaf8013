//! Brings the records of jobs in line with what Slurm says.

use super::answers::{self, Queue, Verdict};
use super::command::{Answer, NoAnswer, ask, command};
use super::steer::{cancel, note_cancelled};
use super::submission::{self, Lock, Outcome, output_path};
use super::transition::{self, Evidence, heartbeat, is_over, next};
use crate::{Job, JobError};
use artgpt_rundir::job::{self as record, Progress, Record, Wanted};
use artgpt_rundir::{RunDir, RunState, Status};

/// Seconds after its end in which a job is looked for in Slurm's queue: it may be queued again. Slurm
/// itself forgets ended jobs within minutes.
const WATCHED: i64 = 24 * 3600;

/// Updates the states of Slurm jobs, in memory and on disk, to what `squeue`, `sacct` and `scontrol`
/// report. A job of which they do not tell keeps its state, and is noted as unknown.
///
/// # Errors
/// [`JobError::Slurm`] if `squeue` is missing, fails or gives a partial answer while a job is open;
/// [`JobError::Run`] or [`JobError::Record`] if a record cannot be written.
pub fn refresh(jobs: &mut [Job]) -> crate::Result<()> {
    // The first record that cannot be written does not keep the others from being.
    let mut failed = Ok(());
    for job in jobs.iter_mut().filter(|job| job.progress.submitting.is_some()) {
        failed = failed.and(refresh_submission(job));
    }
    if !jobs.iter().any(is_watched) {
        return failed;
    }
    let asked = jiff::Timestamp::now();
    let mut slurm = Slurm::ask();
    let mut is_expected = false;
    for job in jobs.iter_mut().filter(|job| is_watched(job)) {
        let id = job.progress.slurm_id.clone().unwrap_or_default();
        let is_known_to_have_ended = job.progress.ended.as_ref() == Some(&id);
        let evidence = match slurm.queue.get(&id) {
            Some(entry) => Evidence::Listed(entry.clone()),
            None if is_over(job) || is_known_to_have_ended => continue,
            None => slurm.look_up(&id),
        };
        is_expected |= !is_over(job);
        failed = failed.and(update(job, evidence, asked));
    }
    match slurm.queue.doubt {
        Some(reason) if is_expected => Err(JobError::Slurm { command: "squeue".into(), reason }),
        _ => failed,
    }
}

/// Whether Slurm may still say something new of the job.
fn is_watched(job: &Job) -> bool {
    let Progress { slurm_id, submitting, .. } = &job.progress;
    if slurm_id.is_none() || submitting.is_some() || job.damage.is_some() {
        return false;
    }
    if job.status.state == RunState::Finished {
        return false;
    }
    let now = jiff::Timestamp::now().as_second();
    let is_recent = |at: jiff::Timestamp| now - at.as_second() < WATCHED;
    !is_over(job) || heartbeat(&job.status).is_some_and(is_recent)
}

/// What Slurm's programs say in one look.
pub(super) struct Slurm {
    /// The jobs of this user that Slurm knows as pending or running.
    pub queue: Queue,
    /// Programs that did not answer; they are not asked again.
    mute: Vec<&'static str>,
}

impl Slurm {
    pub(super) fn ask() -> Self {
        let arguments = ["--noheader", "--me", "--array", "-o", "%i|%T|%r"];
        let answer = ask(&mut command("squeue", &arguments));
        // Both ask the same controller.
        let answers = answer.as_ref().is_ok_and(|answer| answer.is_success);
        let is_there = !matches!(answer, Err(NoAnswer::Missing));
        let mute = Vec::from_iter((is_there && !answers).then_some("scontrol"));
        Self { queue: Queue::parse(answer), mute }
    }

    /// What is known of a job that the queue does not list.
    pub(super) fn look_up(&mut self, id: &str) -> Evidence {
        let sacct = ["-n", "-P", "-X", "-j", id, "-o", "State,ExitCode"];
        let accounting = answers::accounting(self.try_ask("sacct", &sacct));
        if let Verdict::Ended(what) = accounting {
            return Evidence::Ended(what);
        }
        let control = answers::control(self.try_ask("scontrol", &["show", "job", id]));
        match (accounting, control) {
            // Accounting that fails may know the job when it answers again; one that has a job as open
            // for ever missed its end, if the controller does not know it.
            (Verdict::NoRecord | Verdict::Open, Verdict::NoRecord)
                if self.queue.doubt.is_none() =>
            {
                Evidence::Missed
            }
            (Verdict::Open, _) | (_, Verdict::Open) => Evidence::Open,
            (_, Verdict::Ended(what)) => Evidence::Ended(what),
            (_, Verdict::NoRecord | Verdict::Silent) => Evidence::Silent,
        }
    }

    fn try_ask(&mut self, program: &'static str, arguments: &[&str]) -> Result<Answer, NoAnswer> {
        if self.mute.contains(&program) {
            return Err(NoAnswer::Failed("no answer before".into()));
        }
        let answer = ask(&mut command(program, arguments));
        if matches!(answer, Err(NoAnswer::Failed(_))) {
            self.mute.push(program);
        }
        answer
    }
}

/// Writes what follows from `evidence`, unless another process has just changed the job's records.
fn update(job: &mut Job, evidence: Evidence, asked: jiff::Timestamp) -> crate::Result<()> {
    let Some(_lock) = Lock::try_take(&output_path(&job.path))? else { return Ok(()) };
    // What its process or another client wrote while Slurm was asked counts for more.
    let Some(fresh) = Job::read(&job.path) else { return Ok(()) };
    let same = fresh.progress.slurm_id == job.progress.slurm_id
        && fresh.progress.starts == job.progress.starts;
    *job = fresh;
    if !same || job.damage.is_some() {
        return Ok(());
    }
    let change = match RunDir::is_open(&job.path) {
        // Its process holds the run.
        true => transition::Next {
            progress: Progress { unknown_since: None, missed: None, ..job.progress.clone() },
            status: None,
        },
        false => next(job, evidence, asked),
    };
    apply(job, change)
}

fn apply(job: &mut Job, change: transition::Next) -> crate::Result<()> {
    if change.progress != job.progress {
        record::write(&job.path, Record::Progress, &change.progress)?;
        job.progress = change.progress;
    }
    if let Some(status) = change.status {
        status.write(&job.path)?;
        job.status = status;
    }
    Ok(())
}

/// Cancels a job whose number was not known yet when its user asked to stop it.
fn stop_recovered(job: &mut Job) -> crate::Result<()> {
    let _lock = Lock::take(&job.path)?;
    let Some(fresh) = Job::read(&job.path) else { return Ok(()) };
    *job = fresh;
    let is_wanted = job.request.wanted == Wanted::Stop && job.damage.is_none();
    let Some(id) = job.progress.slurm_id.clone().filter(|_| is_wanted && !is_over(job)) else {
        return Ok(());
    };
    // A process that holds the run sees the request itself.
    if RunDir::is_open(&job.path) {
        return Ok(());
    }
    cancel(&id)?;
    job.progress = note_cancelled(&job.path, &id)?;
    Ok(())
}

/// Finds out what became of a submission that was cut off.
fn refresh_submission(job: &mut Job) -> crate::Result<()> {
    let outcome = submission::recover(job)?;
    let Some(fresh) = Job::read(&job.path) else { return Ok(()) };
    *job = fresh;
    let evidence = match outcome {
        _ if job.damage.is_some() => return Ok(()),
        Outcome::Known => return stop_recovered(job),
        Outcome::UnderWay => return Ok(()),
        Outcome::Missing => Evidence::Missed,
        Outcome::Unknown => Evidence::Silent,
    };
    let Some(_lock) = Lock::try_take(&output_path(&job.path))? else { return Ok(()) };
    let mut change = next(job, evidence, jiff::Timestamp::now());
    if change.status.is_some() {
        // It never reached Slurm, so that it may be submitted again.
        change.progress.submitting = None;
        change.status = change.status.map(|status| Status {
            exit_reason: Some("sbatch was cut off, and Slurm has no job of this run".into()),
            ..status
        });
    }
    apply(job, change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::tests::{Cluster, NOTE};
    use artgpt_rundir::job::{Request, Submitting};

    const UNKNOWN: &str = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";

    #[test]
    fn a_job_that_only_accounting_has_as_open_is_missed() {
        let cluster = Cluster::new();
        let progress = Progress { slurm_id: Some("100".into()), ..Progress::default() };
        let mut jobs = [cluster.job("A", RunState::Running, progress)];
        cluster.answer("squeue", "");
        cluster.answer("sacct", "echo 'RUNNING|0:0'");
        let mut see = |cluster: &Cluster, scontrol: &str| {
            cluster.answer("scontrol", scontrol);
            refresh(&mut jobs).map_err(|e| e.to_string())?;
            Ok::<Job, String>(jobs[0].clone())
        };
        // The controller has it, does not answer, or has no list.
        for scontrol in ["printf 'JobId=100\n JobState=RUNNING\n ExitCode=0:0\n'", "exit 1"] {
            let job = see(&cluster, scontrol).expect("refreshes");
            assert_eq!((job.status.state, job.progress.missed), (RunState::Running, None));
        }
        cluster.answer("squeue", "exit 1");
        assert!(see(&cluster, UNKNOWN).expect_err("fails").contains("squeue"));
        assert_eq!(Slurm::ask().look_up("100"), Evidence::Open);
        cluster.answer("squeue", "");
        let job = see(&cluster, UNKNOWN).expect("refreshes");
        assert_eq!(job.status.state, RunState::Running);
        assert!(job.progress.missed.is_some());
        let then = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(61);
        let progress = Progress { missed: Some(then), ..job.progress };
        record::write(&job.path, Record::Progress, &progress).expect("writes");
        let failed = see(&cluster, UNKNOWN).expect("refreshes");
        assert_eq!(failed.status.state, RunState::Failed);
        assert_eq!(failed.progress.ended.as_deref(), Some("100"));
    }

    #[test]
    fn a_job_is_cancelled_as_soon_as_its_number_is_known_if_it_is_to_stop() {
        let cluster = Cluster::new();
        cluster.answer("squeue", "echo '100|PENDING|Priority'");
        cluster.answer("scancel", NOTE);
        for (id, wanted, calls) in [("A", Wanted::Run, 0), ("B", Wanted::Stop, 1)] {
            let output = output_path(&cluster.runs().join(id));
            let submitting =
                Some(Submitting { output: output.clone(), name: id.into(), task: None });
            let progress = Progress { submitting, ..Progress::default() };
            let mut job = cluster.job(id, RunState::Queued, progress);
            std::fs::write(output, "100\n").expect("writes");
            record::write(&job.path, Record::Request, &Request { wanted, number: 1 })
                .expect("writes");
            refresh_submission(&mut job).expect("finds it");
            assert_eq!(job.progress.slurm_id.as_deref(), Some("100"));
            assert_eq!(job.progress.cancelled.is_some(), wanted == Wanted::Stop);
            assert_eq!(cluster.calls("scancel"), vec!["100"; calls]);
        }
    }
}
