//! The one process that starts, stops and restarts the jobs of a data folder.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use super::local::{become_supervisor, last_lines, start, terminate, trains};
use super::queue::{Slots, Turn, slots, turns};
use super::{Job, JobError, Result, list};
use artgpt_machine::Machine;
use artgpt_rundir::job::{self as record, OUTPUT, Place, Progress, Record, Wanted};
use artgpt_rundir::{MarkKind, RunDir, RunState, Status, note_mark};

/// Between looks at what is wanted.
const PACE: Duration = Duration::from_millis(400);
/// Before a job starts again after its first crash; twice as long after each further one.
const PAUSE_AFTER_CRASH: i64 = 5;

/// Told when something happens to a job.
pub type Told<'a> = &'a dyn Fn(&Job, &str);

pub struct Supervisor<'a> {
    data: PathBuf,
    runs: PathBuf,
    counts: Slots,
    machine: Machine,
    /// Processes that this one started. Those of an earlier supervisor are known by their locks.
    children: HashMap<String, Child>,
    /// Variables that trainers do not inherit: thread counts for other work.
    without: &'a [&'static str],
    told: Told<'a>,
}

/// How a process of a job ended.
enum End {
    /// It is not ours, or it was killed together with the supervisor.
    Unknown,
    Known(ExitStatus),
}

impl<'a> Supervisor<'a> {
    pub fn new(
        (data, runs): (&Path, &Path),
        counts: Slots,
        without: &'a [&'static str],
        told: Told<'a>,
    ) -> Self {
        Self {
            data: data.into(),
            runs: runs.into(),
            counts,
            machine: Machine::open(),
            children: HashMap::new(),
            without,
            told,
        }
    }

    /// Works until nothing is left to do, or `stop`. Jobs go on without it. `looked` is called after
    /// each look.
    pub fn run(mut self, mut looked: impl FnMut(), stop: &dyn Fn() -> bool) -> Result<()> {
        loop {
            let Some(lock) = become_supervisor(&self.runs)? else { return Ok(()) };
            looked();
            while self.tick() && !stop() {
                std::thread::sleep(PACE);
                looked();
            }
            looked();
            drop(lock);
            // A job that was submitted just now found the lock held.
            if stop() || !list(&self.runs).iter().any(|job| job.is_local() && job.is_open()) {
                return Ok(());
            }
        }
    }

    /// One look; whether there is more to come.
    fn tick(&mut self) -> bool {
        for job in list(&self.runs).into_iter().filter(Job::is_local) {
            // Of those that are over nothing is wanted; a process that ended is still taken note of.
            if !job.is_open() && !self.children.contains_key(&job.id) {
                continue;
            }
            if let Err(e) = self.settle(&job) {
                // A full disk: the next look tries again.
                (self.told)(&job, &e.to_string());
            }
        }
        let jobs = list(&self.runs);
        if jobs.iter().any(|job| job.is_local() && job.status.state == RunState::Queued) {
            let all = slots(self.counts, self.machine.memory(), &self.machine.gpus());
            for (id, turn) in turns(&jobs, &all, jiff::Timestamp::now()) {
                let Some(job) = jobs.iter().find(|job| job.id == id) else { continue };
                match self.take(job, turn) {
                    Ok(()) => {}
                    Err(e @ JobError::Start { .. }) => {
                        let _ = self.end(job, RunState::Failed, &e.to_string());
                    }
                    Err(e) => (self.told)(job, &e.to_string()),
                }
            }
        }
        jobs.iter().any(|job| job.is_local() && job.is_open())
    }

    /// Brings what a job is and what is wanted of it together.
    fn settle(&mut self, job: &Job) -> Result<()> {
        let ended = match self.children.get_mut(&job.id).map(Child::try_wait) {
            Some(Ok(None)) => None,
            Some(Ok(Some(status))) => {
                self.children.remove(&job.id);
                Some(End::Known(status))
            }
            Some(Err(_)) | None => Some(End::Unknown),
        };
        // Ours may have found that another process trains already.
        let end = ended.filter(|_| !RunDir::is_open(&job.path));
        // It may have written its last word since.
        let fresh = Job::read(&job.path)?;
        let job = fresh.as_ref().unwrap_or(job);
        let wanted = job.request.wanted;
        let Some(end) = end else {
            return match wanted {
                Wanted::Run => Ok(()),
                Wanted::Pause | Wanted::Stop => self.ask_to_end(job),
            };
        };
        let again = job.is_asked_again();
        match (job.status.state, wanted) {
            // One that stopped and was not asked to is as good as one that crashed.
            (RunState::Running | RunState::Stopped, Wanted::Run) if !again => {
                self.crashed(job, end)
            }
            (RunState::Stopped | RunState::Paused | RunState::Failed | RunState::Running, _)
                if again =>
            {
                let progress = Progress {
                    followed: job.request.number,
                    crashes: 0,
                    not_before: None,
                    ..job.progress.clone()
                };
                record::write(&job.path, Record::Progress, &progress)?;
                self.end(job, RunState::Queued, "resumed")
            }
            (RunState::Queued | RunState::Running | RunState::Stopped, Wanted::Pause) => {
                self.end(job, RunState::Paused, "paused")
            }
            (RunState::Queued | RunState::Running | RunState::Paused, Wanted::Stop) => {
                self.end(job, RunState::Stopped, "asked to stop")
            }
            _ => Ok(()),
        }
    }

    fn ask_to_end(&self, job: &Job) -> Result<()> {
        // Nobody but a process that a supervisor started.
        let own = self.children.get(&job.id).map(Child::id);
        let Some(pid) = own.or(job.progress.pid.filter(|pid| trains(*pid, &job.id))) else {
            return Ok(());
        };
        // Twice would end it without a checkpoint, so it is noted before.
        if job.progress.asked == Some(pid) {
            return Ok(());
        }
        let progress = Progress { asked: Some(pid), ..job.progress.clone() };
        record::write(&job.path, Record::Progress, &progress)?;
        terminate(pid);
        Ok(())
    }

    /// Without having said why.
    fn crashed(&self, job: &Job, end: End) -> Result<()> {
        let what = match end {
            End::Unknown => "its process is gone".to_string(),
            End::Known(status) => match (status.signal(), status.code()) {
                (Some(9), _) => {
                    "its process was killed (is memory short? lower batch or threads)".into()
                }
                (Some(signal), _) => format!("its process was ended by signal {signal}"),
                (None, code) => format!("its process ended with code {}", code.unwrap_or(-1)),
            },
        };
        let told = matches!(end, End::Known(status) if status.code() == Some(2));
        let stood_still = job.progress.crashed_at >= job.status.step;
        let crashes = if stood_still { job.progress.crashes + 1 } else { 1 };
        if told || crashes > job.spec.retries {
            return self.end(job, RunState::Failed, &self.with_last_line(job, what));
        }
        let wait = PAUSE_AFTER_CRASH << (crashes - 1).min(6);
        let not_before =
            jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(wait)).ok();
        let progress =
            Progress { crashes, crashed_at: job.status.step, not_before, ..job.progress.clone() };
        record::write(&job.path, Record::Progress, &progress)?;
        let what = format!("{what}; it starts again in {wait} s");
        note_mark(&job.path, job.status.step, MarkKind::Warning, &what);
        self.end(job, RunState::Queued, &what)
    }

    fn with_last_line(&self, job: &Job, what: String) -> String {
        match last_lines(&job.path.join(OUTPUT), 1).pop() {
            Some(line) => format!("{what}; its last line: {line}"),
            None => what,
        }
    }

    fn take(&mut self, job: &Job, turn: Turn) -> Result<()> {
        let waits = |reason: Option<String>| Progress {
            waits_for: reason,
            // Requests up to here are followed by this start.
            followed: job.request.number,
            ..job.progress.clone()
        };
        match turn {
            Turn::Fail { reason } => self.end(job, RunState::Failed, &reason),
            Turn::Wait { reason } => {
                let progress = waits(Some(reason));
                match progress == job.progress {
                    true => Ok(()),
                    false => Ok(record::write(&job.path, Record::Progress, &progress)?),
                }
            }
            Turn::Start { .. } if RunDir::is_open(&job.path) => Ok(()),
            Turn::Start { slot } => {
                let progress = Progress {
                    slot: Some(slot.clone()),
                    starts: job.progress.starts + 1,
                    pid: None,
                    ..waits(None)
                };
                record::write(&job.path, Record::Progress, &progress)?;
                // From here on a process that is gone is a crash.
                self.end(job, RunState::Running, &format!("starts on {slot}"))?;
                let child = start(job, &self.data, &slot, self.without)?;
                // Its number is not lost with a full disk: it is held here, too.
                let progress = Progress { pid: Some(child.id()), ..progress };
                self.children.insert(job.id.clone(), child);
                Ok(record::write(&job.path, Record::Progress, &progress)?)
            }
        }
    }

    /// Writes a state of a job that has no process.
    fn end(&self, job: &Job, state: RunState, why: &str) -> Result<()> {
        debug_assert!(job.spec.on == Place::Local);
        let status = &job.status;
        let reason = (state != RunState::Running).then(|| why.to_string());
        Status::now(state, status.step, status.total_steps, reason).write(&job.path)?;
        (self.told)(job, why);
        Ok(())
    }
}
