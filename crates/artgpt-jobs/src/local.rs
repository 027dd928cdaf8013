//! Processes on this machine: the supervisor and the training processes it starts.

use artgpt_rundir::job::{OUTPUT, asked, note_asked};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Job, JobError, Result, io, list};
use artgpt_rundir::{RunDir, Status, run_id};

/// The supervisor holds a lock on this file in the runs directory.
const LOCK: &str = ".supervisor.lock";
/// How long to wait for a new supervisor to take its lock.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes at the end of a log that [`last_lines`] reads.
const TAIL_BYTES: u64 = 64 << 10;

/// Starts a supervisor if a local job is open and none runs, and waits until it holds its lock.
///
/// `options` go before the subcommand, `log` receives the supervisor's output, and the environment
/// variables in `without` are removed.
///
/// # Errors
/// [`JobError::Start`] if the process cannot be started, exits with an error or does not come up within
/// 10 seconds; [`JobError::Run`] if the log cannot be opened.
pub fn ensure_supervisor(
    runs: &Path,
    log: &Path,
    options: &[&std::ffi::OsStr],
    without: &[&str],
) -> Result<()> {
    if is_supervised(runs) || !list(runs).iter().any(|job| job.is_local() && job.is_open()) {
        return Ok(());
    }
    let what = || "the job supervisor".to_string();
    let start = |e: &dyn std::fmt::Display| JobError::Start { what: what(), reason: e.to_string() };
    let program = std::env::current_exe().map_err(|e| start(&e))?;
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
    }
    let mut command = Command::new(program);
    command.args(options).args(["jobs", "supervise"]);
    detach(&mut command, log, without)?;
    let mut child = command.spawn().map_err(|e| start(&e))?;
    let begun = Instant::now();
    while !is_supervised(runs) {
        // It exits at once if another supervisor was faster or no job is open any more.
        if let Ok(Some(status)) = child.try_wait() {
            return match status.success() {
                true => Ok(()),
                false => Err(start(&format!("it exited with {status} (log: {})", log.display()))),
            };
        }
        if begun.elapsed() > STARTUP_TIMEOUT {
            return Err(start(&format!("it did not come up in time (log: {})", log.display())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn is_supervised(runs: &Path) -> bool {
    File::open(runs.join(LOCK))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Takes the supervisor's lock of a runs directory; `None` if another process holds it.
///
/// # Errors
/// [`JobError::Run`] if the lock file cannot be created.
pub(crate) fn lock_supervisor(runs: &Path) -> Result<Option<File>> {
    let path = runs.join(LOCK);
    let lock = File::create(&path).map_err(io(&path))?;
    // `is_supervised` in another process holds the lock for a moment, so try again.
    for _ in 0..10 {
        if lock.try_lock().is_ok() {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// Starts the training process of a job on the device `slot`, without the environment variables in
/// `without`. The process appends its output to the run's log.
///
/// # Errors
/// [`JobError::Start`] if the program cannot be started, [`JobError::Run`] if the log cannot be opened.
pub(crate) fn start(job: &Job, data: &Path, slot: &str, without: &[&str]) -> Result<Child> {
    let path = job.path.join(OUTPUT);
    let mut command = Command::new(&job.spec.program);
    match slot.strip_prefix("cuda:") {
        // NVML numbers GPUs by PCI bus, CUDA by speed by default: show the process this one only.
        Some(index) => {
            command.env("CUDA_DEVICE_ORDER", "PCI_BUS_ID").env("CUDA_VISIBLE_DEVICES", index);
            command.args(arguments(job, data, "cuda"));
        }
        None => drop(command.args(arguments(job, data, slot))),
    }
    detach(&mut command, &path, without)?;
    command.spawn().map_err(|e| JobError::Start {
        what: job.spec.program.display().to_string(),
        reason: e.to_string(),
    })
}

/// The command line of a job's training process. It is the same for every start: `--resume` continues
/// at the run's current step. The last argument is the run directory.
pub(crate) fn arguments(job: &Job, data: &Path, device: &str) -> Vec<std::ffi::OsString> {
    let mut all: Vec<std::ffi::OsString> = vec!["--data-dir".into(), data.into()];
    if job.spec.settings.is_file() {
        all.extend(["--config".into(), job.spec.settings.clone().into()]);
    }
    all.extend(["--device".into(), device.into()]);
    all.extend(["train", "--own-session", "--resume"].map(Into::into));
    all.push(job.path.clone().into());
    all
}

/// Whether process `pid` trains the job `id`; the system may have reused the number for another process.
/// True on systems without `/proc`.
pub(crate) fn trains(pid: u32, id: &str) -> bool {
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => String::from_utf8_lossy(&line).contains(id),
        Err(_) => !Path::new("/proc/self").exists(),
    }
}

/// Sends SIGTERM, on which a training process writes a checkpoint and exits.
pub(crate) fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Stops a run that is no job: its process writes a checkpoint and exits, as on Ctrl-C in its terminal.
///
/// # Errors
/// [`JobError::Refused`] if no process of this machine runs it, [`JobError::Record`] if the request
/// cannot be noted.
pub fn stop_foreground(run: &Path) -> Result<()> {
    // The process that holds the run wrote its PID into the status, but it may be on another machine.
    let status = Status::read(run).filter(|_| RunDir::is_open(run));
    let Some(pid) = status.map(|status| status.pid).filter(|pid| holds(*pid, run)) else {
        return Err(JobError::Refused {
            id: run_id(run),
            state: "not running here",
            hint: "if it runs on another machine, stop it there",
        });
    };
    // A second signal would end it without a checkpoint.
    if asked(run) != Some(pid) {
        note_asked(run, pid)?;
        terminate(pid);
    }
    Ok(())
}

/// Whether process `pid` has the lock file of this run open.
fn holds(pid: u32, run: &Path) -> bool {
    let Ok(lock) = run.join(".lock").canonicalize() else { return false };
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file == lock)
}

/// Detaches a command from this process: output is appended to `log`, the working directory is `/` so
/// that no other directory stays in use, and the variables in `without` are removed.
fn detach(command: &mut Command, log: &Path, without: &[&str]) -> Result<()> {
    let out = OpenOptions::new().create(true).append(true).open(log).map_err(io(log))?;
    for name in without {
        command.env_remove(name);
    }
    command.current_dir("/").stdin(Stdio::null());
    command.stderr(out.try_clone().map_err(io(log))?).stdout(out);
    Ok(())
}

/// The last `count` non-empty lines of a log, without control characters; empty if the log cannot be
/// read.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let lines = lines[lines.len().saturating_sub(count)..].iter();
    // A progress bar overwrites its line.
    lines.map(|line| artgpt_base::text::visible_line(line)).collect()
}
