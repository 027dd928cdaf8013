//! Processes on this machine.

use artgpt_rundir::job::{OUTPUT, asked, note_asked};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Job, JobError, Result, io, list};
use artgpt_rundir::{RunDir, Status, run_id};

/// Held by the supervisor of a folder of runs.
const LOCK: &str = ".supervisor.lock";
/// A supervisor that does not come up in this time has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looked at for the last lines of a log.
const TAIL: u64 = 64 << 10;

/// Starts a supervisor where jobs wait or run and none is there. `options` stand before the subcommand;
/// variables in `without` are not handed on.
pub fn ensure_supervisor(
    runs: &Path,
    log: &Path,
    options: &[&std::ffi::OsStr],
    without: &[&str],
) -> Result<()> {
    if is_supervised(runs) || !list(runs).iter().any(|job| job.is_local() && job.is_open()) {
        return Ok(());
    }
    let what = || "the supervisor of jobs".to_string();
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
        // It ends at once where another one was faster, or where nothing is left to do.
        if let Ok(Some(status)) = child.try_wait() {
            return match status.success() {
                true => Ok(()),
                false => Err(start(&format!("it ended with {status}; see {}", log.display()))),
            };
        }
        if begun.elapsed() > PATIENCE {
            return Err(start(&format!("it does not answer; see {}", log.display())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn is_supervised(runs: &Path) -> bool {
    File::open(runs.join(LOCK))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Becomes the supervisor of these runs; `None` where there is one.
pub fn become_supervisor(runs: &Path) -> Result<Option<File>> {
    let path = runs.join(LOCK);
    let lock = File::create(&path).map_err(io(&path))?;
    // Who looks whether it is held holds it for a moment.
    for _ in 0..10 {
        if lock.try_lock().is_ok() {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// Starts the training process of a job. Variables in `without` are this process's own.
pub fn start(job: &Job, data: &Path, slot: &str, without: &[&str]) -> Result<Child> {
    let path = job.path.join(OUTPUT);
    let mut command = Command::new(&job.spec.program);
    match slot.strip_prefix("cuda:") {
        // NVML counts by the bus, CUDA as it likes: the process sees this one alone.
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

/// The same for a first start and every later one: the run goes on where it stands.
pub fn arguments(job: &Job, data: &Path, device: &str) -> Vec<std::ffi::OsString> {
    let mut all: Vec<std::ffi::OsString> = vec!["--data-dir".into(), data.into()];
    if job.spec.settings.is_file() {
        all.extend(["--config".into(), job.spec.settings.clone().into()]);
    }
    all.extend(["--device".into(), device.into()]);
    all.extend(["train", "--own-session", "--resume"].map(Into::into));
    all.push(job.path.clone().into());
    all
}

/// Whether a process is the one that trains this job: numbers are given again. Where the system does
/// not tell, it is believed.
pub fn trains(pid: u32, id: &str) -> bool {
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => String::from_utf8_lossy(&line).contains(id),
        Err(_) => !Path::new("/proc/self").exists(),
    }
}

/// Asks a process to write a checkpoint and end.
pub fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Asks a run that is no job to write a checkpoint and end, as Ctrl-C does in its terminal.
pub fn stop_foreground(run: &Path) -> Result<()> {
    // Who holds the run wrote its number into the status, unless it is on another machine.
    let status = Status::read(run).filter(|_| RunDir::is_open(run));
    let Some(pid) = status.map(|status| status.pid).filter(|pid| holds(*pid, run)) else {
        return Err(JobError::Refused {
            id: run_id(run),
            state: "not running here",
            hint: "what runs on another machine is stopped there",
        });
    };
    // Twice would end it without a checkpoint.
    if asked(run) != Some(pid) {
        note_asked(run, pid)?;
        terminate(pid);
    }
    Ok(())
}

/// Whether a process holds the lock of this run.
fn holds(pid: u32, run: &Path) -> bool {
    let Ok(lock) = run.join(".lock").canonicalize() else { return false };
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file == lock)
}

/// What it prints goes to the end of `log`. It must not keep a folder that is unmounted or removed, and
/// does not inherit the variables in `without`.
fn detach(command: &mut Command, log: &Path, without: &[&str]) -> Result<()> {
    let out = OpenOptions::new().create(true).append(true).open(log).map_err(io(log))?;
    for name in without {
        command.env_remove(name);
    }
    command.current_dir("/").stdin(Stdio::null());
    command.stderr(out.try_clone().map_err(io(log))?).stdout(out);
    Ok(())
}

/// The last `count` lines of a log, without control characters.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let lines = lines[lines.len().saturating_sub(count)..].iter();
    // A progress bar overwrites its line.
    lines.map(|line| artgpt_runs::last_of(line)).collect()
}
