//! Submitting jobs, each at most once.
//!
//! One file, `job/sbatch.out`, is the lock of a job's Slurm records and receives what `sbatch` prints.
//! `sbatch` holds the lock too while it runs, as the file is its standard output. So if our process dies
//! between the call and the record of its answer, the next process waits for `sbatch`, and finds the job
//! ID in the file; where there is none, it asks Slurm by the job's name.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::answers::Queue;
use super::command::{ask, command, run_into};
use super::steer::cancel;
use super::{Submitter, script};
use crate::{Job, JobError, Result, io, list};
use artgpt_base::files::read_text;
use artgpt_rundir::job::{self as record, JOB, Progress, Record, Submitting};
use artgpt_rundir::{Resources, RunState, run_folders, write_whole};

const MAX_SCRIPT: u64 = 1 << 20;

/// How long to wait for `sbatch`, which repeats its call while the controller is busy.
const SBATCH_TIMEOUT: Duration = Duration::from_secs(120);
/// How long to wait for another process that works on the same job.
const LOCK_TIMEOUT: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_millis(50);
/// Parts of `sbatch`'s messages after which the job may have been accepted.
const UNSURE: [&str; 7] = [
    "timed out",
    "timeout",
    "socket",
    "communication",
    "zero bytes",
    "receive failure",
    "unexpected message",
];

/// The lock of a job's Slurm records.
pub(super) struct Lock(File);

impl Lock {
    /// Waits for the lock of the job in the run directory `run`.
    ///
    /// # Errors
    /// [`JobError::Io`] if the file cannot be opened, [`JobError::Refused`] if another process keeps it.
    pub(super) fn take(run: &Path) -> Result<Self> {
        let path = output_path(run);
        let begun = Instant::now();
        loop {
            if let Some(lock) = Self::try_take(&path)? {
                return Ok(lock);
            }
            if begun.elapsed() >= LOCK_TIMEOUT {
                return Err(JobError::Refused {
                    id: artgpt_rundir::run_id(run),
                    state: "being submitted by another process",
                    hint: "wait for it",
                });
            }
            std::thread::sleep(POLL);
        }
    }

    /// The lock whose file is `path`; `None` if another process has it.
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).append(true).open(path).map_err(io(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(io(path)(e)),
        }
    }

    /// The job ID that `sbatch` printed, if it did.
    fn job_id(&self) -> Option<String> {
        let mut text = String::new();
        let mut file = &self.0;
        file.seek(SeekFrom::Start(0)).ok()?;
        file.take(1 << 20).read_to_string(&mut text).ok()?;
        parse_id(&text)
    }
}

/// The file of a job's lock.
pub(super) fn output_path(run: &Path) -> PathBuf {
    run.join(JOB).join("sbatch.out")
}

/// `123`, `123;cluster`, or `Submitted batch job 123`: the last line that names one.
fn parse_id(text: &str) -> Option<String> {
    let lines = text.lines().rev().filter_map(|line| {
        let line = line.trim();
        let id = line.strip_prefix("Submitted batch job ").unwrap_or(line);
        let id = id.split([';', ' ']).next()?;
        (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| id.to_string())
    });
    // A line without its end may be a part of the number.
    text.ends_with('\n').then_some(lines).and_then(|mut lines| lines.next())
}

/// Submits `jobs` with one `sbatch` call; several become a job array. They start after the jobs in
/// `after` have finished.
///
/// # Errors
/// [`JobError::Slurm`] if `sbatch` is missing or refuses, [`JobError::Unsure`] if it does not say whether
/// it took the jobs; [`JobError::Run`] or [`JobError::Record`] if the script or a record cannot be written.
pub fn submit(jobs: &[Job], by: &Submitter, resources: &Resources, after: &[Job]) -> Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let lock = Lock::take(&first.path)?;
    // Somebody may have resumed one of them since it was made.
    for job in jobs {
        let now: Progress = record::read(&job.path, Record::Progress)?.unwrap_or_default();
        if now.slurm_id.is_some() || now.submitting.is_some() {
            let (id, state) = (job.id.clone(), "submitted already");
            return Err(JobError::Refused { id, state, hint: "`artgpt-tui jobs list` shows it" });
        }
    }
    submit_locked(&lock, jobs, by, resources, after)
}

/// [`submit`] with the lock of the first job.
pub(super) fn submit_locked(
    lock: &Lock,
    jobs: &[Job],
    by: &Submitter,
    resources: &Resources,
    after: &[Job],
) -> Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let before = unfinished(after)?;
    let output = absolute(&output_path(&first.path));
    let path = absolute(&first.path.join(JOB).join("batch.sh"));
    write_whole(&path, script::script(jobs, &by.data, resources)?.as_bytes())?;
    lock.0.set_len(0).map_err(io(&output))?;
    for (i, job) in jobs.iter().enumerate() {
        let submitting = Submitting {
            output: output.clone(),
            name: script::name(jobs),
            task: (jobs.len() > 1).then_some(i),
        };
        let progress =
            Progress { submitting: Some(submitting), missed: None, ..job.progress.clone() };
        record::write(&job.path, Record::Progress, &progress)?;
    }
    let mut sbatch = command("sbatch", &["--parsable"]);
    for name in &by.without {
        sbatch.env_remove(name);
    }
    if !before.is_empty() {
        sbatch.arg(format!("--dependency=afterok:{}", before.join(":")));
        sbatch.arg("--kill-on-invalid-dep=yes");
    }
    let refused = |e: JobError| {
        // It was not submitted, so that the next submission is the first.
        for job in jobs {
            let _ = record::write(&job.path, Record::Progress, &job.progress);
        }
        Err(e)
    };
    let handle = lock.0.try_clone().map_err(io(&output))?;
    let (status, stderr) = match run_into(sbatch.arg(&path), handle, SBATCH_TIMEOUT) {
        Ok(Some(ended)) => ended,
        Ok(None) => return Err(unsure(first, "sbatch does not answer")),
        Err(e) => return refused(e),
    };
    let text = artgpt_base::text::printable(&stderr);
    if !status.success() {
        let message = stderr.to_lowercase();
        return match status.signal().is_some() || UNSURE.iter().any(|part| message.contains(part)) {
            true => Err(unsure(first, &text)),
            false => refused(JobError::Slurm { command: "sbatch".into(), reason: text }),
        };
    }
    let Some(id) = lock.job_id() else {
        return Err(unsure(first, if text.is_empty() { "sbatch named no job" } else { &text }));
    };
    for job in jobs {
        if let Err(e) = note_id(&job.path, &id) {
            // Without its record nobody could stop the job.
            return Err(match cancel(&id) {
                Ok(()) => e,
                Err(also) => unsure(
                    first,
                    &format!("it is Slurm's job {id}, but that cannot be noted ({e}), and {also}"),
                ),
            });
        }
    }
    Ok(())
}

/// The Slurm jobs of those in `after` that have not finished. Slurm soon forgets the others.
fn unfinished(after: &[Job]) -> Result<Vec<&str>> {
    let open = after.iter().filter(|job| job.status.state != RunState::Finished);
    open.map(|job| {
        // Without its number the next one would not wait for it.
        let none = || JobError::Slurm {
            command: "sbatch".into(),
            reason: format!("job {}, which it comes after, is not known to Slurm yet", job.id),
        };
        job.progress.slurm_id.as_deref().ok_or_else(none)
    })
    .collect()
}

fn unsure(job: &Job, reason: &str) -> JobError {
    JobError::Unsure { id: job.id.clone(), reason: reason.into() }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Records the Slurm job `id` of the submission that a run's progress names.
fn note_id(run: &Path, id: &str) -> Result<()> {
    let now: Progress = record::read(run, Record::Progress)?.unwrap_or_default();
    let task = now.submitting.as_ref().and_then(|submitting| submitting.task);
    let own = task.map_or(id.to_string(), |task| format!("{id}_{task}"));
    let progress = Progress {
        slurm_id: Some(own),
        starts: now.starts + 1,
        submitting: None,
        unknown_since: None,
        missed: None,
        ended: None,
        ..now
    };
    Ok(record::write(run, Record::Progress, &progress)?)
}

/// What became of a submission whose answer is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is none, or its job ID is recorded now.
    Known,
    /// A complete list has no job of its name.
    Missing,
    /// `sbatch` still runs.
    UnderWay,
    /// Slurm does not answer.
    Unknown,
}

/// Finds the Slurm job of a submission that was cut off, and records its ID.
///
/// # Errors
/// [`JobError::Record`] if the ID cannot be recorded.
pub(super) fn recover(job: &Job) -> Result<Outcome> {
    let Some(submitting) = &job.progress.submitting else { return Ok(Outcome::Known) };
    // `sbatch` holds the lock while it runs.
    let Ok(Some(lock)) = Lock::try_take(&submitting.output) else { return Ok(Outcome::UnderWay) };
    let now: Progress = record::read(&job.path, Record::Progress)?.unwrap_or_default();
    if now.submitting.as_ref() != Some(submitting) {
        return Ok(Outcome::Known);
    }
    if let Some(id) = lock.job_id() {
        return note_id(&job.path, &id).map(|()| Outcome::Known);
    }
    let queue = Queue::parse(ask(&mut command(
        "squeue",
        &["--noheader", "--me", "--array", "--name", &submitting.name, "-o", "%i|%T|%r"],
    )));
    let runs = job.path.parent().unwrap_or(Path::new("."));
    let others: HashSet<String> = list(runs)
        .into_iter()
        .filter_map(|other| base(other.progress.slurm_id.as_deref()?))
        .collect();
    let found: HashSet<String> =
        queue.ids().filter_map(base).filter(|id| !others.contains(id)).collect();
    match (found.len(), found.into_iter().next()) {
        (1, Some(id)) => note_id(&job.path, &id).map(|()| Outcome::Known),
        (0, _) if queue.doubt.is_none() => Ok(Outcome::Missing),
        _ => Ok(Outcome::Unknown),
    }
}

/// The run in whose folder the batch script of a job's last submission is, and the job's task in it.
pub(super) fn submitted_in(job: &Job) -> Option<(PathBuf, Option<usize>)> {
    let runs = job.path.parent().unwrap_or(Path::new("."));
    // Its own submission is newer than that of an array.
    let folders = std::iter::once(job.path.clone()).chain(run_folders(runs));
    folders.into_iter().find_map(|folder| {
        let script = read_text(&folder.join(JOB).join("batch.sh"), MAX_SCRIPT).ok()?;
        let task = script::task(&script, &job.id)?;
        Some((folder, task))
    })
}

/// The numbers that a job may have in Slurm whose bookkeeping cannot be read: what `sbatch` printed, or else
/// the jobs of its name. `own` is the job's lock, where the caller has it.
///
/// # Errors
/// [`JobError::Refused`] if no submission names the run, or if one is under way; [`JobError::Silent`] if
/// `sbatch` printed no number and `squeue` does not answer.
pub(super) fn lost_ids(job: &Job, own: Option<&Lock>) -> Result<Vec<String>> {
    let refused = |state, hint| Err(JobError::Refused { id: job.id.clone(), state, hint });
    let Some((folder, task)) = submitted_in(job) else {
        return refused(
            "perhaps in Slurm's queue, and its number is lost",
            "cancel it with `scancel`, then delete its directory yourself",
        );
    };
    let taken;
    let lock = match own.filter(|_| folder == job.path) {
        Some(lock) => lock,
        None => match Lock::try_take(&output_path(&folder))? {
            Some(lock) => {
                taken = lock;
                &taken
            }
            None => return refused("being submitted by another process", "wait for it"),
        },
    };
    let own = |id: String| task.map_or(id.clone(), |task| format!("{id}_{task}"));
    if let Some(id) = lock.job_id() {
        return Ok(vec![own(id)]);
    }
    let name = script::name_of(&artgpt_rundir::run_id(&folder));
    let format = ["--noheader", "--me", "--array", "--name", &name, "-o", "%i|%T|%r"];
    let queue = Queue::parse(ask(&mut command("squeue", &format)));
    if queue.doubt.is_some() {
        return Err(JobError::Silent { id: job.id.clone() });
    }
    let all: HashSet<String> = queue.ids().filter_map(base).collect();
    Ok(all.into_iter().map(own).collect())
}

/// The job with its number in Slurm, where its bookkeeping is missing although a submission names it:
/// somebody has deleted a damaged record.
///
/// # Errors
/// Those of [`lost_ids`]; [`JobError::Silent`] if several jobs have its name.
pub(super) fn found_again(lock: &Lock, job: Job) -> Result<Job> {
    if Record::Progress.path(&job.path).exists() || submitted_in(&job).is_none() {
        return Ok(job);
    }
    let mut ids = lost_ids(&job, Some(lock))?;
    match (ids.len(), ids.pop()) {
        (1, id) => {
            let progress = Progress { slurm_id: id, starts: 1, ..Progress::default() };
            record::write(&job.path, Record::Progress, &progress)?;
            Ok(Job { progress, ..job })
        }
        (0, _) => Ok(job),
        _ => Err(JobError::Silent { id: job.id }),
    }
}

/// The number of a job without its array task.
fn base(id: &str) -> Option<String> {
    id.split(['_', '+']).next().map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::tests::{Cluster, NOTE};

    #[test]
    fn a_job_that_can_neither_be_noted_nor_cancelled_stays_a_job() {
        for (scancel, is_unsure) in [("exit 1", true), ("exit 0", false)] {
            let cluster = Cluster::new();
            let job = cluster.job("A", RunState::Queued, Progress::default());
            // The record cannot be replaced any more, as a folder has its name.
            let path = Record::Progress.path(&job.path).display().to_string();
            cluster.answer("sbatch", &format!("rm '{path}'; mkdir -p '{path}/x'; echo 100"));
            cluster.answer("scancel", &format!("{NOTE}{scancel}"));
            let by = Submitter { data: "/data".into(), without: Vec::new() };
            let e = submit(&[job], &by, &Resources::default(), &[]).expect_err("cannot be noted");
            assert_eq!(cluster.calls("scancel"), ["100"]);
            assert_eq!(matches!(e, JobError::Unsure { .. }), is_unsure, "{e}");
            assert_eq!(e.to_string().contains("Slurm's job 100"), is_unsure, "{e}");
        }
    }

    #[test]
    fn the_id_is_found_in_what_sbatch_prints() {
        assert_eq!(parse_id("123\n").as_deref(), Some("123"));
        assert_eq!(parse_id("123;cluster\n").as_deref(), Some("123"));
        assert_eq!(parse_id("Submitted batch job 7\n").as_deref(), Some("7"));
        assert_eq!(parse_id("note: on partition gpu\n8\n").as_deref(), Some("8"));
        for none in ["", "12", "\n", "error: 5 nodes\n"] {
            assert_eq!(parse_id(none), None, "{none:?}");
        }
    }
}
