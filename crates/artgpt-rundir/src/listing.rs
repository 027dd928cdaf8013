//! Runs of a folder: their ids and names.

use std::path::{Path, PathBuf};

pub(crate) const NAME: &str = "name.json";

/// A run's id: its folder's name.
pub fn run_id(run: &Path) -> String {
    run.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What lies in a folder of runs, in the order of their ids. Names that begin with a dot are no runs:
/// locks, notes, and runs on their way out.
pub fn run_folders(runs: &Path) -> Vec<PathBuf> {
    let entries = runs.read_dir().into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|path| !run_id(path).starts_with('.')).collect();
    all.sort();
    all
}

/// What the run in a folder was called when `train` began it.
pub fn run_name(run: &Path) -> Option<String> {
    let path = run.join(NAME);
    // A larger one, or a device, is none of ours.
    if !path.metadata().is_ok_and(|about| about.is_file() && about.len() <= 4096) {
        return None;
    }
    let name: String = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(name).filter(|name| !name.is_empty())
}
