//! The runs of a folder: their IDs and names.

use std::path::{Path, PathBuf};

/// The file of a run's name.
pub(crate) const NAME: &str = "name.json";

/// A run's id: its folder's name.
pub fn run_id(run: &Path) -> String {
    run.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of a folder of runs, in the order of their IDs. Names that start with a dot are not
/// runs: locks, notes, and runs under removal.
pub fn run_folders(runs: &Path) -> Vec<PathBuf> {
    let entries = runs.read_dir().into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|path| !run_id(path).starts_with('.')).collect();
    all.sort();
    all
}

/// The name that `train` gave to the run in a folder.
pub fn run_name(run: &Path) -> Option<String> {
    // A larger file, or a device, is not ours.
    let bytes = artgpt_base::files::read_limited(&run.join(NAME), 4096).ok()?;
    let name: String = serde_json::from_slice(&bytes).ok()?;
    Some(name).filter(|name| !name.is_empty())
}
