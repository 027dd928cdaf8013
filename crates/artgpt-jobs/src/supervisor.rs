//! The one process that starts, stops and restarts the jobs of a data folder.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::local::{last_lines, lock_supervisor, start, terminate, trains};
use super::queue::{Decision, Slots, schedule, slots};
use super::{Job, JobError, Result, list};
use artgpt_machine::Machine;
use artgpt_rundir::job::{self as record, OUTPUT, Place, Progress, Record, Wanted};
use artgpt_rundir::{MarkKind, RunDir, RunState, Status, note_mark};

/// How often to read the jobs' requests and states.
const POLL_INTERVAL: Duration = Duration::from_millis(400);
/// Seconds until a job restarts after its first crash; doubles with each further crash.
const RESTART_DELAY: i64 = 5;

/// Called with a job and a message when the supervisor starts it, ends it or fails to.
pub type OnJobEvent<'a> = &'a dyn Fn(&Job, &str);

/// Starts, stops and restarts the local jobs of a data folder, one supervisor a folder.
pub struct Supervisor<'a> {
    data: PathBuf,
    runs: PathBuf,
    counts: Slots,
    machine: Machine,
    clock: Clock,
    /// Processes that this supervisor started, by run ID. A run's lock shows those of an earlier one.
    children: HashMap<String, Child>,
    /// Environment variables that training processes do not inherit (thread counts for inference).
    without: &'a [&'static str],
    on_event: OnJobEvent<'a>,
}

/// The time of day at the start plus a monotonic time, so that a change of the system's clock neither
/// delays a restart nor hastens it.
struct Clock {
    at_start: jiff::Timestamp,
    start: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { at_start: jiff::Timestamp::now(), start: Instant::now() }
    }

    fn now(&self) -> jiff::Timestamp {
        let since = jiff::SignedDuration::try_from(self.start.elapsed());
        since.ok().and_then(|since| self.at_start.checked_add(since).ok()).unwrap_or(self.at_start)
    }
}

/// How a job's process ended.
enum Exit {
    /// It was started by an earlier supervisor, so its exit status is lost.
    Unknown,
    Known(ExitStatus),
}

impl<'a> Supervisor<'a> {
    /// A supervisor of the runs directory `runs` in the data folder `data`, with `counts` jobs a device.
    /// Training processes start without the environment variables in `without`.
    pub fn new(
        (data, runs): (&Path, &Path),
        counts: Slots,
        without: &'a [&'static str],
        on_event: OnJobEvent<'a>,
    ) -> Self {
        Self {
            data: data.into(),
            runs: runs.into(),
            counts,
            machine: Machine::open(),
            clock: Clock::start(),
            children: HashMap::new(),
            without,
            on_event,
        }
    }

    /// Runs until no job is open or `stop` returns true; running jobs continue without it. Calls
    /// `after_poll` after each pass over the jobs. Returns at once if another supervisor runs.
    ///
    /// # Errors
    /// [`JobError::Run`] if the lock file cannot be created.
    pub fn run(mut self, mut after_poll: impl FnMut(), stop: &dyn Fn() -> bool) -> Result<()> {
        loop {
            let Some(lock) = lock_supervisor(&self.runs)? else { return Ok(()) };
            after_poll();
            while self.poll() && !stop() {
                std::thread::sleep(POLL_INTERVAL);
                after_poll();
            }
            after_poll();
            drop(lock);
            // A job submitted just before the lock was released started no supervisor.
            if stop() || !list(&self.runs).iter().any(|job| job.is_local() && job.is_open()) {
                return Ok(());
            }
        }
    }

    /// One pass over all jobs. Returns whether a local job is open.
    fn poll(&mut self) -> bool {
        for job in list(&self.runs).into_iter().filter(Job::is_local) {
            // Ended jobs need nothing, except that their process is still to be reaped.
            if !job.is_open() && !self.children.contains_key(&job.id) {
                continue;
            }
            if let Err(e) = self.reconcile(&job) {
                // Such as a full disk: the next pass tries again.
                (self.on_event)(&job, &e.to_string());
            }
        }
        let jobs = list(&self.runs);
        if jobs.iter().any(|job| job.is_local() && job.status.state == RunState::Queued) {
            let all = slots(self.counts, self.machine.memory(), &self.machine.gpus());
            for (id, decision) in schedule(&jobs, &all, self.clock.now()) {
                let Some(job) = jobs.iter().find(|job| job.id == id) else { continue };
                match self.apply(job, decision) {
                    Ok(()) => {}
                    Err(e @ JobError::Start { .. }) => {
                        let _ = self.set_state(job, RunState::Failed, &e.to_string());
                    }
                    Err(e) => (self.on_event)(job, &e.to_string()),
                }
            }
        }
        jobs.iter().any(|job| job.is_local() && job.is_open())
    }

    /// Brings a job's state in line with the user's request and with its process.
    fn reconcile(&mut self, job: &Job) -> Result<()> {
        let exit = match self.children.get_mut(&job.id).map(Child::try_wait) {
            Some(Ok(None)) => None,
            Some(Ok(Some(status))) => {
                self.children.remove(&job.id);
                Some(Exit::Known(status))
            }
            Some(Err(_)) | None => Some(Exit::Unknown),
        };
        // Our process exits if another process trains this run already.
        let exit = exit.filter(|_| !RunDir::is_open(&job.path));
        // The process may have written its final status since the list was read.
        let fresh = Job::read(&job.path);
        let job = fresh.as_ref().unwrap_or(job);
        if job.damage.is_some() {
            return Ok(());
        }
        let wanted = job.request.wanted;
        let Some(exit) = exit else {
            return match wanted {
                Wanted::Run => Ok(()),
                Wanted::Pause | Wanted::Stop => self.request_exit(job),
            };
        };
        let resumes = job.has_pending_resume();
        match (job.status.state, wanted) {
            // A process that stopped without a request counts as crashed.
            (RunState::Running | RunState::Stopped, Wanted::Run) if !resumes => {
                self.handle_crash(job, exit)
            }
            (RunState::Stopped | RunState::Paused | RunState::Failed | RunState::Running, _)
                if resumes =>
            {
                let progress = Progress {
                    followed: job.request.number,
                    crashes: 0,
                    not_before: None,
                    ..job.progress.clone()
                };
                record::write(&job.path, Record::Progress, &progress)?;
                self.set_state(job, RunState::Queued, "resumed")
            }
            (RunState::Queued | RunState::Running | RunState::Stopped, Wanted::Pause) => {
                self.set_state(job, RunState::Paused, "paused")
            }
            (RunState::Queued | RunState::Running | RunState::Paused, Wanted::Stop) => {
                self.set_state(job, RunState::Stopped, "asked to stop")
            }
            _ => Ok(()),
        }
    }

    /// Sends SIGTERM to the job's process, once.
    fn request_exit(&self, job: &Job) -> Result<()> {
        // Only a process that a supervisor started.
        let own = self.children.get(&job.id).map(Child::id);
        let Some(pid) = own.or(job.progress.pid.filter(|pid| trains(*pid, &job.id))) else {
            return Ok(());
        };
        // A second signal would end it without a checkpoint: note the first one before sending it.
        if job.progress.asked == Some(pid) {
            return Ok(());
        }
        let progress = Progress { asked: Some(pid), ..job.progress.clone() };
        record::write(&job.path, Record::Progress, &progress)?;
        terminate(pid);
        Ok(())
    }

    /// Restarts a job whose process ended without a final status, or fails it after too many crashes
    /// without progress.
    fn handle_crash(&self, job: &Job, exit: Exit) -> Result<()> {
        let what = match exit {
            Exit::Unknown => "its process is gone".to_string(),
            Exit::Known(status) => match (status.signal(), status.code()) {
                (Some(9), _) => {
                    "its process was killed (is memory short? lower batch or threads)".into()
                }
                (Some(signal), _) => format!("its process was ended by signal {signal}"),
                (None, code) => format!("its process exited with code {}", code.unwrap_or(-1)),
            },
        };
        // Code 2: a configuration error, which a restart does not repair.
        let is_usage_error = matches!(exit, Exit::Known(status) if status.code() == Some(2));
        let no_progress = job.progress.crashed_at >= job.status.step;
        let crashes = if no_progress { job.progress.crashes + 1 } else { 1 };
        if is_usage_error || crashes > job.spec.retries {
            return self.set_state(job, RunState::Failed, &with_last_line(job, what));
        }
        let wait = RESTART_DELAY << (crashes - 1).min(6);
        let not_before = self.clock.now().checked_add(jiff::SignedDuration::from_secs(wait)).ok();
        let progress =
            Progress { crashes, crashed_at: job.status.step, not_before, ..job.progress.clone() };
        record::write(&job.path, Record::Progress, &progress)?;
        let what = format!("{what}; it restarts in {wait} s");
        note_mark(&job.path, job.status.step, MarkKind::Warning, &what);
        self.set_state(job, RunState::Queued, &what)
    }

    /// Carries out the scheduler's decision about a queued job.
    fn apply(&mut self, job: &Job, decision: Decision) -> Result<()> {
        let updated = |reason: Option<String>| Progress {
            waits_for: reason,
            // This start fulfils all requests so far.
            followed: job.request.number,
            ..job.progress.clone()
        };
        match decision {
            Decision::Fail { reason } => self.set_state(job, RunState::Failed, &reason),
            Decision::Wait { reason } => {
                let progress = updated(Some(reason));
                match progress == job.progress {
                    true => Ok(()),
                    false => Ok(record::write(&job.path, Record::Progress, &progress)?),
                }
            }
            Decision::Start { .. } if RunDir::is_open(&job.path) => Ok(()),
            Decision::Start { slot } => {
                let progress = Progress {
                    slot: Some(slot.clone()),
                    starts: job.progress.starts + 1,
                    pid: None,
                    ..updated(None)
                };
                record::write(&job.path, Record::Progress, &progress)?;
                // From here on, a missing process is a crash.
                self.set_state(job, RunState::Running, &format!("starts on {slot}"))?;
                let child = start(job, &self.data, &slot, self.without)?;
                // Keep the process here too: writing its PID fails on a full disk.
                let progress = Progress { pid: Some(child.id()), ..progress };
                self.children.insert(job.id.clone(), child);
                Ok(record::write(&job.path, Record::Progress, &progress)?)
            }
        }
    }

    /// Writes the state of a job that has no process.
    fn set_state(&self, job: &Job, state: RunState, why: &str) -> Result<()> {
        debug_assert!(job.spec.on == Place::Local);
        let status = &job.status;
        let reason = (state != RunState::Running).then(|| why.to_string());
        Status::now(state, status.step, status.total_steps, reason).write(&job.path)?;
        (self.on_event)(job, why);
        Ok(())
    }
}

/// Appends the last line of the job's log.
fn with_last_line(job: &Job, what: String) -> String {
    match last_lines(&job.path.join(OUTPUT), 1).pop() {
        Some(line) => format!("{what}; its last line: {line}"),
        None => what,
    }
}
