//! Whether a run is running: by its own status, its process, or the age of its files.

use std::time::{Duration, SystemTime};

use artgpt_rundir::{RunState, Status};

/// A run without a status counts as running while its files changed within this time.
pub(super) const LIVELY: Duration = Duration::from_secs(120);

/// The state of a run, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The run's own `status.json` or exit code.
    Told(RunState),
    /// Running, before its next step.
    Starting,
    /// Running; pauses after its current step.
    Pausing,
    /// Asked to stop; its process still runs.
    Stopping,
    /// Its status says running, but its process is gone.
    Lost,
    /// No status; its files changed within the last two minutes.
    Lively,
    /// No status; its files did not change lately.
    Quiet,
}

impl Standing {
    /// Whether a process is training.
    pub fn runs(self) -> bool {
        use Standing::{Lively, Pausing, Starting, Stopping, Told};
        matches!(self, Told(RunState::Running) | Starting | Pausing | Stopping | Lively)
    }

    /// The name that scripts see in JSON output.
    pub fn state(self) -> &'static str {
        match self {
            Self::Starting | Self::Pausing | Self::Stopping => Self::Told(RunState::Running).word(),
            other => other.word(),
        }
    }

    /// The name that people see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Told(RunState::Queued) => "queued",
            Self::Told(RunState::Running) => "running",
            Self::Told(RunState::Paused) => "paused",
            Self::Told(RunState::Finished) => "finished",
            Self::Told(RunState::Failed) => "failed",
            Self::Told(RunState::Stopped) => "stopped",
            Self::Starting => "starting",
            Self::Pausing => "pausing",
            Self::Stopping => "stopping",
            Self::Lost => "lost",
            Self::Lively => "live",
            Self::Quiet => "quiet",
        }
    }
}

/// The standing of a run with a status and the time of its heartbeat. Looks for its process.
pub(crate) fn standing(status: &Status, heard: Option<SystemTime>, now: SystemTime) -> Standing {
    standing_with(status, is_process(status.pid), heard, now)
}

/// The standing of a run with a status, given whether its process exists.
pub(super) fn standing_with(
    status: &Status,
    has_process: bool,
    heard: Option<SystemTime>,
    now: SystemTime,
) -> Standing {
    let running = status.state == RunState::Running;
    // A run on another machine has no process here, but its heartbeat is recent.
    let is_recent = |at| now.duration_since(at).map_or(true, |age| age < LIVELY);
    match running && !has_process && !heard.is_some_and(is_recent) {
        true => Standing::Lost,
        false => Standing::Told(status.state),
    }
}

/// The time that a heartbeat (RFC 3339) states.
pub(super) fn stated(heartbeat: &str) -> Option<SystemTime> {
    let at = heartbeat.parse::<jiff::Timestamp>().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_second().max(0) as u64))
}

/// Whether the process exists. A process that took over the number of an ended one counts, too.
pub(super) fn is_process(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    // `EPERM` means that it exists and belongs to somebody else.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}
