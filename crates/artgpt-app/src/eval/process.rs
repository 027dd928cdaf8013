//! A training run as a process of its own, so that its memory is its own and one that fails takes
//! nothing with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::{EvalError, io, unusable};
use crate::{App, AppError, Result};
use artgpt_engine::Cancel;
use artgpt_rundir::TrainConfig;

/// How soon an interrupt reaches the process.
const TICK: Duration = Duration::from_millis(100);

/// Runs `train` with a data folder of its own below `root`, resumes a run that was begun, and returns
/// the finished run.
pub(super) fn train(
    app: &App,
    root: &Path,
    name: &str,
    config: &TrainConfig,
    cancel: &Cancel,
) -> Result<PathBuf> {
    let home = home(app, root, name)?;
    if let Some(done) = newest_run(&home).filter(|run| run.join("manifest.toml").is_file()) {
        return Ok(done);
    }
    let path = home.join("train.toml");
    let text = toml::to_string(config).map_err(|e| unusable(&path, e))?;
    std::fs::write(&path, text).map_err(io(&path))?;
    let program = std::env::current_exe().map_err(io(Path::new("this program")))?;
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(&home).args(["--device", &app.settings.device, "train"]);
    match newest_run(&home) {
        Some(begun) => command.arg("--resume").arg(begun),
        None => command.arg(&path).args(["--name", name]),
    };
    for name in &app.own_variables {
        command.env_remove(name);
    }
    // Ctrl-C reaches this process alone, which passes it on.
    let child = command.stdout(Stdio::null()).process_group(0).spawn().map_err(io(&home))?;
    let status = wait(child, cancel).map_err(io(&home))?;
    match newest_run(&home).filter(|_| status.success()) {
        Some(run) => Ok(run),
        None if cancel.is_cancelled() || status.code() == Some(130) => Err(AppError::Interrupted),
        None => Err(EvalError::RunFailed { name: name.into(), status }.into()),
    }
}

/// The data folder of a run, with the caller's models.
fn home(app: &App, root: &Path, name: &str) -> Result<PathBuf> {
    let home = root.join("runs").join(name);
    std::fs::create_dir_all(&home).map_err(io(&home))?;
    let models = home.join("models");
    if !models.exists() {
        let from = std::path::absolute(app.paths.models()).map_err(io(&models))?;
        std::fs::create_dir_all(&from).map_err(io(&from))?;
        std::os::unix::fs::symlink(from, &models).map_err(io(&models))?;
    }
    Ok(home)
}

/// IDs rise with time.
fn newest_run(home: &Path) -> Option<PathBuf> {
    home.join("runs").read_dir().ok()?.flatten().map(|entry| entry.path()).max()
}

/// Waits for the end of the process. An interrupt is passed on once, so that the run writes a
/// checkpoint: at a second one it would end without.
fn wait(mut child: Child, cancel: &Cancel) -> std::io::Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if cancel.is_cancelled() && !told {
            told = true;
            let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::TERM);
        }
        std::thread::sleep(TICK);
    }
}
