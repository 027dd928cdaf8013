//! What the panel does outside itself, for whoever opens it.

use std::path::{Path, PathBuf};

use super::form::Form;
use artgpt_rundir::job::Wanted;

/// Steers runs; the errors say what to do.
pub trait Steer: Send + Sync {
    /// Asks a job to pause, go on or stop.
    fn wish(&self, run: &Path, wanted: Wanted) -> Result<String, String>;

    /// Deletes runs that are over: all, or none.
    fn remove(&self, runs: &[PathBuf]) -> Result<String, String>;

    /// What the run will need.
    fn check(&self, form: &Form) -> Result<String, String>;

    /// What to tell of it, and the runs that were made.
    fn submit(&self, form: &Form) -> Result<(String, Vec<PathBuf>), String>;

    /// Looks after jobs that another supervisor left; at the start, and now and then.
    fn adopt(&self);
}
