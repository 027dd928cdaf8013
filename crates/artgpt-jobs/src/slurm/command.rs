//! Calls of Slurm's programs, with a limit on time and output.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{JobError, Result, io};

/// How long to wait for an answer. Slurm's programs themselves give up after about 10 seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// Limit on an answer's bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Filters that users set for their own `squeue`. They would hide jobs from us.
const FILTERS: [&str; 8] = [
    "SQUEUE_ACCOUNT",
    "SQUEUE_LICENSES",
    "SQUEUE_NAMES",
    "SQUEUE_PARTITION",
    "SQUEUE_QOS",
    "SQUEUE_STATES",
    "SQUEUE_SORT",
    "SQUEUE_USERS",
];

/// What a program of Slurm's answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whether the exit code is 0.
    pub is_success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its error output, trimmed.
    pub stderr: String,
}

/// A program that gives no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The program is not installed.
    Missing,
    /// It could not be run, or did not answer in time.
    Failed(String),
}

impl Answer {
    /// Whether it can be believed: exit code 0, no error output, and only whole lines.
    pub(super) fn is_clean(&self) -> bool {
        self.is_success && self.stderr.is_empty() && self.is_whole()
    }

    /// Whether the last line has an end.
    pub(super) fn is_whole(&self) -> bool {
        self.stdout.trim().is_empty() || self.stdout.ends_with('\n')
    }

    /// What is wrong with it, for people.
    pub(super) fn trouble(&self) -> String {
        match (self.stderr.as_str(), self.is_success) {
            ("", true) => "its answer is not complete".into(),
            ("", false) => "it exited with an error".into(),
            (text, _) => artgpt_base::text::printable(text),
        }
    }
}

/// A program with its arguments.
pub(super) fn command(program: &str, arguments: &[&str]) -> Command {
    #[cfg(test)]
    let program = &super::tests::stand_in(program);
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a program and returns what it answers.
pub(super) fn ask(command: &mut Command) -> std::result::Result<Answer, NoAnswer> {
    for name in FILTERS {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that its children end with it.
    let mut child = command.process_group(0).spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => NoAnswer::Missing,
        _ => NoAnswer::Failed(e.to_string()),
    })?;
    let stdout = child.stdout.take().map(|pipe| std::thread::spawn(move || read(pipe)));
    let stderr = child.stderr.take().map(|pipe| std::thread::spawn(move || read(pipe)));
    let status = wait(&mut child, TIMEOUT);
    if !matches!(status, Ok(Some(_))) {
        end(&mut child);
    }
    let joined = |thread: Option<std::thread::JoinHandle<String>>| {
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (joined(stdout), joined(stderr).trim().to_string());
    match status {
        Ok(Some(status)) => Ok(Answer { is_success: status.success(), stdout, stderr }),
        Ok(None) => Err(NoAnswer::Failed(format!("no answer in {} s", TIMEOUT.as_secs()))),
        Err(e) => Err(NoAnswer::Failed(e.to_string())),
    }
}

/// Runs a program whose success is all that counts.
///
/// # Errors
/// [`JobError::Slurm`] if it is missing, fails, or does not answer.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    match ask(command) {
        Ok(answer) if answer.is_success => Ok(()),
        Ok(answer) => Err(JobError::Slurm { command: name, reason: answer.trouble() }),
        Err(e) => Err(e.of(&name)),
    }
}

impl NoAnswer {
    /// The error of the program `command`.
    pub(super) fn of(self, command: &str) -> JobError {
        let reason = match self {
            Self::Missing => "this machine has no such program".into(),
            Self::Failed(reason) => reason,
        };
        JobError::Slurm { command: command.into(), reason }
    }
}

/// Starts a program whose output goes to a file, and waits until it ends. It is not ended when the time
/// is up: what it began may still happen. `None` if it still runs.
///
/// # Errors
/// [`JobError::Slurm`] if it is missing, [`JobError::Io`] if it cannot be started.
pub(super) fn run_into(
    command: &mut Command,
    output: std::fs::File,
    timeout: Duration,
) -> Result<Option<(ExitStatus, String)>> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => NoAnswer::Missing.of(&name),
        _ => io(Path::new(&name))(e),
    })?;
    let stderr = child.stderr.take().map(|pipe| std::thread::spawn(move || read(pipe)));
    let Some(status) = wait(&mut child, timeout).map_err(io(Path::new(&name)))? else {
        return Ok(None);
    };
    let text = stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
    Ok(Some((status, text.trim().to_string())))
}

fn read(pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is missing at the end, which makes the answer a partial one.
    let _ = pipe.take(MAX_BYTES).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= timeout {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.wait();
}
