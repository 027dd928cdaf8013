//! The thread that finds and follows runs for the panel.

use std::path::PathBuf;

use artgpt_runs::{Change, Follower, Pattern};

/// The folders that the panel reads and writes.
pub struct PanelPaths {
    /// Runs are searched below these.
    pub paths: Vec<PathBuf>,
    /// Reads metrics from logs.
    pub pattern: Option<Pattern>,
    /// Our own data folder.
    pub data: PathBuf,
    /// Exported files go here.
    pub exports: PathBuf,
}

impl PanelPaths {
    /// The absolute paths, one a line.
    pub fn as_text(&self) -> String {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        };
        self.paths.iter().map(absolute).collect::<Vec<_>>().join("\n")
    }
}

/// Finds and follows runs. Its thread ends soon after this is dropped.
pub(crate) struct FindRuns {
    _follower: Follower,
}

impl FindRuns {
    /// `tell` gets each change, in order.
    pub(crate) fn spawn(
        paths: &PanelPaths,
        tell: impl Fn(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        let follower = Follower::spawn(paths.paths.clone(), paths.pattern.clone(), tell)?;
        Ok(Self { _follower: follower })
    }
}
