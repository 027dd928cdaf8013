//! Jobs: submit, list, pause, resume, stop, take over, remove, logs, and the supervisor.

mod logs;
mod look;
mod steer;
mod submit;
mod supervise;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;

pub use logs::{LogEnd, LogRequest, logs};
pub use look::{Outlook, all, one, outlook};
pub use steer::{SteerError, Steered, request, steer_run, take_over, wait};
pub use submit::{Checked, SubmitError, SubmitRequest, check, queue};
pub use supervise::supervise;

use super::{App, Result, absolute};
use artgpt_jobs::ensure_supervisor;

/// Starts a supervisor where jobs wait or run and there is none.
pub fn adopt(app: &App) -> Result<()> {
    let data = absolute(&app.paths.data)?;
    let settings = absolute(&app.paths.config_file)?;
    let mut options: Vec<&OsStr> = vec!["--data-dir".as_ref(), data.as_ref()];
    if settings.is_file() {
        options.extend::<[&OsStr; 2]>(["--config".as_ref(), settings.as_ref()]);
    }
    let log = absolute(&app.paths.jobs_log())?;
    Ok(ensure_supervisor(&app.paths.runs(), &log, &options, &app.own_variables)?)
}

/// Deletes jobs that have ended, with their runs: all of them, or none. Returns their IDs.
pub fn remove(app: &App, names: &[String]) -> Result<Vec<String>> {
    let path = |name: &String| Ok(one(app, name)?.path.display().to_string());
    let paths: Vec<String> = names.iter().map(path).collect::<Result<_>>()?;
    super::runs::remove(app, &paths)
}
