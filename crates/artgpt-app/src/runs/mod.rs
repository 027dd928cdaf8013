//! Runs, finished and live: find, summarise, compare, export, remove.

mod export;
mod summary;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use export::{ExportTarget, Rounded, export};
pub use summary::{MetricSummary, Summary};

use super::{App, Result};
use artgpt_rundir::job::named;
use artgpt_rundir::run_id;
use artgpt_runs::catalogue::{Found, Unread, find};
use artgpt_runs::{Pattern, Run, RunReader};

/// What is wrong with a run, or with where it goes.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// A file or directory does not exist.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// A path holds several runs.
    #[error("{name} holds {count} runs")]
    Several {
        /// The name.
        name: String,
        /// How many.
        count: usize,
        /// Some of their paths.
        such_as: Vec<PathBuf>,
    },
    /// A path holds no metrics.
    #[error("{name} holds no metrics{}", told(unread))]
    NoMetrics {
        /// The name.
        name: String,
        /// Files that look like logs and are not read.
        unread: Vec<Unread>,
    },
    /// There is no configuration.
    #[error("{0} keeps no configuration that can be read")]
    NoConfiguration(String),
    /// A run could not be read to its end.
    #[error("{0}")]
    Partial(String),
    /// The target directory is not empty.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A CSV file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Csv {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: csv::Error,
    },
}

/// Files that are not read, each with its reason.
fn told(unread: &[Unread]) -> String {
    unread
        .iter()
        .map(|file| format!("; {} is not read: {}", file.path.display(), file.reason))
        .collect()
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RunsError {
    let path = path.to_path_buf();
    |source| RunsError::Io { path, source }
}

/// The directories to look for runs in: the given ones, or else our own.
pub fn folders(app: &App, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        let own = app.paths.runs();
        // Created now, so that it can be watched.
        std::fs::create_dir_all(&own).map_err(io(&own))?;
        return Ok(vec![own]);
    }
    match paths.iter().find(|path| !path.exists()) {
        None => Ok(paths.to_vec()),
        Some(missing) => Err(RunsError::Missing(missing.clone()).into()),
    }
}

/// A summary of each run below some directories (our own where none is given). `pattern` reads plain
/// logs too.
pub fn list(app: &App, paths: &[PathBuf], pattern: Option<&Pattern>) -> Result<Vec<Summary>> {
    let folders = folders(app, paths)?;
    let found: Vec<Found> = folders.iter().flat_map(|path| find(path, pattern.is_some())).collect();
    // A run's curves are dropped when it is summarised.
    let summary = |found| Summary::of(&RunReader::whole(found, pattern.cloned()));
    Ok(found.into_par_iter().map(summary).collect())
}

/// Files that look like logs and belong to no run, below the paths that a user named.
pub fn unread(paths: &[PathBuf]) -> Vec<Unread> {
    paths.iter().flat_map(|path| artgpt_runs::catalogue::unread(path)).collect()
}

/// All of one run, by ID, name or path.
pub fn open(app: &App, name: &str, pattern: Option<&Pattern>) -> Result<Run> {
    let path = named(&app.paths.runs(), name)?;
    let mut found = find(&path, pattern.is_some());
    if found.len() > 1 {
        // The folder's own files come before those of folders in it.
        let Some(own) = found.iter().position(|f| f.path == path) else {
            let such_as = found.iter().take(3).map(|f| f.path.clone()).collect();
            let (name, count) = (name.to_string(), found.len());
            return Err(RunsError::Several { name, count, such_as }.into());
        };
        found = vec![found.swap_remove(own)];
    }
    match found.pop() {
        Some(found) => Ok(RunReader::whole(found, pattern.cloned())),
        None => {
            let unread = artgpt_runs::catalogue::unread(&path);
            Err(RunsError::NoMetrics { name: name.to_string(), unread }.into())
        }
    }
}

/// A setting that differs between runs, with its value in each run.
pub type Difference = (String, Vec<Option<String>>);

/// The settings whose values differ between runs.
pub fn diff(app: &App, names: &[String]) -> Result<Vec<Difference>> {
    let mut all = Vec::new();
    for name in names {
        let settings = match artgpt_runs::settings(&named(&app.paths.runs(), name)?) {
            // W&B and TensorBoard keep them in their logs.
            none if none.is_empty() => open(app, name, None)?.config,
            settings => settings,
        };
        if settings.is_empty() {
            return Err(RunsError::NoConfiguration(name.clone()).into());
        }
        all.push(settings);
    }
    Ok(artgpt_runs::differing(&all).into_iter().collect())
}

/// Deletes runs of ours that have ended: all of them, or none where one may not be deleted. Returns
/// their IDs.
pub fn remove(app: &App, names: &[String]) -> Result<Vec<String>> {
    let runs = app.paths.runs();
    let paths = names.iter().map(|name| named(&runs, name));
    let paths: Vec<PathBuf> = paths.collect::<std::result::Result<_, _>>()?;
    artgpt_jobs::remove(&runs, &paths)?;
    Ok(paths.iter().map(|path| run_id(path)).collect())
}
