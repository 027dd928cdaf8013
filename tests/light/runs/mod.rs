//! Runs of other programs: files as the real packages write them (`tests/reference/make_runs.py`),
//! damaged ones, and the training panel on a terminal.

mod damage;
mod panel;
mod readers;
mod recovery;
mod text_logs;

use std::path::{Path, PathBuf};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/runs").join(name)
}
