//! The application layer: use cases with typed requests and typed errors, for the CLI and the TUI alike.
//!
//! A use case is a function that takes [`App`] and a request struct and returns a result struct. What
//! happens on the way goes to the [`Observer`] as [`Event`]s. Errors say what failed, on which file or
//! value; [`hint`] says what to do about one. This module must not know clap, ratatui, crossterm, the
//! CLI or the TUI.

pub mod ask;
pub mod backend;
pub mod catalogue;
mod check_run;
mod conversations;
pub mod data;
mod error;
mod estimate;
pub mod eval;
mod event;
mod hint;
pub mod jobs;
pub mod log;
pub mod models;
mod notice;
pub mod overrides;
pub mod runs;
pub mod score;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod train;
pub mod train_config;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use check_run::{CheckError, check_run};
pub use error::{AppError, Result};
pub use estimate::{Estimate, estimate};
pub use event::{Event, Observer, Silent};
pub use hint::{NO_METRICS, explain, explain_inference, hint};

use crate::settings::{Paths, Settings};

/// What every use case needs: settings, folders, and somebody to tell about progress.
#[derive(Clone)]
pub struct App {
    /// The settings, with flags applied.
    pub settings: Settings,
    /// The folders of data and settings.
    pub paths: Paths,
    /// Environment variables that this process set for itself; child processes must not inherit them.
    pub own_variables: Vec<&'static str>,
    /// Receives events.
    pub observer: Arc<dyn Observer>,
}

impl App {
    /// An application layer that reports to nobody, with absolute paths: it may outlive the working
    /// folder, as the training panel does.
    pub fn detached(&self) -> Result<Self> {
        let mut app = self.clone();
        app.paths.data = absolute(&self.paths.data)?;
        app.observer = Arc::new(Silent);
        Ok(app)
    }

    fn tell(&self, event: &Event<'_>) {
        self.observer.observe(event);
    }
}

/// Makes a path absolute, without resolving links.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(AppError::WorkingFolder)
}

#[cfg(test)]
mod tests;
