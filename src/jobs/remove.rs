//! Runs that are no longer wanted.

use std::path::Path;

use super::{Job, JobError, Result, io, list};
use crate::training::{RunDir, RunState};

/// What a run is called on its way out: one that was left half removed is no run.
pub const REMOVED: &str = ".removed-";

/// Deletes a run of ours with all that it left: metrics, checkpoints, weights.
///
/// Refused while something may come of it: it runs, waits or is paused, or a job waits for it.
pub fn remove(runs: &Path, run: &Path) -> Result<()> {
    let id = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let refused = |state, hint| Err(JobError::Refused { id: id.clone(), state, hint });
    let ours = run.parent().and_then(|p| p.canonicalize().ok()) == runs.canonicalize().ok();
    if !ours || !run.join("config.toml").is_file() {
        return refused("no run of this data folder", "delete its folder yourself");
    }
    if let Some(job) = Job::read(run)?
        && (job.is_open() || job.status.state == RunState::Paused)
    {
        return refused("not over", "stop it first");
    }
    let waits = |job: &Job| job.is_open() && job.spec.after.contains(&id);
    if list(runs).iter().any(waits) {
        return refused("waited for by another job", "stop that one first");
    }
    // Whoever wants to go on with it meanwhile finds it taken.
    let Ok(_held) = RunDir::open(run) else {
        return refused("in use by a running process", "stop it first");
    };
    let doomed = runs.join(format!("{REMOVED}{id}"));
    std::fs::rename(run, &doomed).map_err(io(run))?;
    std::fs::remove_dir_all(&doomed).map_err(io(&doomed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::TrainConfig;

    #[test]
    fn only_what_is_over_is_removed() {
        let runs = tempfile::tempdir().expect("a folder");
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let open = RunDir::create(runs.path(), "A", &config).expect("makes");
        let path = open.path.clone();
        let told = |path: &Path| remove(runs.path(), path).map_err(|e| e.to_string());
        assert!(told(&path).expect_err("is open").contains("in use"));
        drop(open);
        let other = tempfile::tempdir().expect("a folder");
        std::fs::write(other.path().join("config.toml"), text).expect("writes");
        assert!(told(other.path()).expect_err("is not ours").contains("no run of this"));
        assert_eq!(told(&path), Ok(()));
        assert_eq!(runs.path().read_dir().expect("reads").count(), 0);
    }
}
