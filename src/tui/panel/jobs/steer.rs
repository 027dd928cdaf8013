//! How the panel controls jobs: whoever opens it implements this.

use std::path::{Path, PathBuf};

use super::form::Form;
use artgpt_rundir::job::Wanted;

/// Controls runs and jobs. Errors say what to do.
pub trait Steer: Send + Sync {
    /// Requests that a job pauses, runs or stops.
    fn wish(&self, run: &Path, wanted: Wanted) -> Result<String, String>;

    /// Deletes runs that have ended: all of them or none.
    fn remove(&self, runs: &[PathBuf]) -> Result<String, String>;

    /// Checks a form; returns what the run needs.
    fn check(&self, form: &Form) -> Result<String, String>;

    /// Submits a form; returns a message and the new runs.
    fn submit(&self, form: &Form) -> Result<(String, Vec<PathBuf>), String>;

    /// Starts a supervisor if jobs wait and none is running.
    fn adopt(&self);
}
