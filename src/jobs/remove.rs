//! Runs that are no longer wanted.

use std::path::{Path, PathBuf};

use super::{Job, JobError, Result, io, list};
use crate::training::{RunDir, RunState, TrainError};

/// What a run is called on its way out. Names that begin with a dot are no runs.
const REMOVED: &str = ".removed-";

/// Deletes runs of ours with all that they left: metrics, checkpoints, weights; all of them or none.
///
/// Refused while something may come of one (it runs, waits or is paused), while a job that has not
/// finished comes after it, and while another run's configuration names it.
pub fn remove(runs: &Path, wanted: &[PathBuf]) -> Result<()> {
    sweep(runs);
    let mut wanted: Vec<&PathBuf> = wanted.iter().collect();
    wanted.sort();
    wanted.dedup();
    // Held until they are out of reach: whoever wants to go on with one finds it taken.
    let held: Vec<RunDir> = wanted.iter().map(|run| hold(runs, run)).collect::<Result<_>>()?;
    for run in &wanted {
        unneeded(runs, run, &wanted)?;
    }
    let mut doomed = Vec::new();
    for run in &wanted {
        let out = runs.join(format!("{REMOVED}{}", id(run)));
        std::fs::rename(run, &out).map_err(io(run))?;
        doomed.push(out);
    }
    // An open file would stay behind on NFS.
    drop(held);
    doomed.iter().try_for_each(|out| std::fs::remove_dir_all(out).map_err(io(out)))
}

fn id(run: &Path) -> String {
    run.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What an earlier call did not come to the end with.
fn sweep(runs: &Path) {
    let entries = runs.read_dir().into_iter().flatten().flatten();
    let left = entries.filter(|e| e.file_name().to_string_lossy().starts_with(REMOVED));
    left.for_each(|entry| drop(std::fs::remove_dir_all(entry.path())));
}

/// The lock of a run that is ours and over.
fn hold(runs: &Path, run: &Path) -> Result<RunDir> {
    let refused = |state, hint| JobError::Refused { id: id(run), state, hint };
    let ours = run.parent().and_then(|p| p.canonicalize().ok()) == runs.canonicalize().ok();
    if !ours || !run.join("config.toml").is_file() {
        return Err(refused("no run of this data folder", "delete its folder yourself"));
    }
    let held = RunDir::open(run).map_err(|e| match e {
        TrainError::Busy(_) => refused("in use by a running process", "stop it first"),
        other => other.into(),
    })?;
    match Job::read(run)? {
        Some(job) if job.is_open() || job.status.state == RunState::Paused => {
            Err(refused("not over", "stop it first"))
        }
        _ => Ok(held),
    }
}

fn unneeded(runs: &Path, run: &Path, wanted: &[&PathBuf]) -> Result<()> {
    let id = id(run);
    let needed = |by: &str| JobError::Needed { id: id.clone(), by: by.to_string() };
    let stays = |path: &Path| wanted.iter().all(|other| other.as_path() != path);
    let after = |job: &Job| {
        job.spec.after.contains(&id)
            && job.status.state != RunState::Finished
            && stays(&runs.join(&job.id))
    };
    if let Some(job) = list(runs).iter().find(|job| after(job)) {
        return Err(needed(&job.id));
    }
    // Weights that another run began with, or whose manifest builds on them.
    for entry in runs.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path == run || !stays(&path) {
            continue;
        }
        let config = std::fs::read_to_string(path.join("config.toml")).unwrap_or_default();
        if config.contains(&id) {
            return Err(needed(&entry.file_name().to_string_lossy()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::TrainConfig;

    #[test]
    fn only_what_is_over_and_needed_by_nobody_is_removed() {
        let runs = tempfile::tempdir().expect("a folder");
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let make = |id: &str, config: &TrainConfig| {
            RunDir::create(runs.path(), id, config).expect("makes")
        };
        let open = make("AAAA", &config);
        let path = open.path.clone();
        let told = |all: &[&PathBuf]| {
            let all: Vec<PathBuf> = all.iter().map(|path| path.to_path_buf()).collect();
            remove(runs.path(), &all).map_err(|e| e.to_string())
        };
        let over = make("BBBB", &config).path.clone();
        // All of them, or none.
        assert!(told(&[&over, &path]).expect_err("is open").contains("in use"));
        assert!(over.is_dir());
        drop(open);
        let other = tempfile::tempdir().expect("a folder");
        std::fs::write(other.path().join("config.toml"), text).expect("writes");
        let foreign = other.path().to_path_buf();
        assert!(told(&[&foreign]).expect_err("is not ours").contains("no run of this"));
        let init = Some(path.join("weights.safetensors"));
        let child = make("CCCC", &TrainConfig { init, ..config }).path.clone();
        assert!(told(&[&path]).expect_err("is needed").contains("CCCC"));
        // What was left half removed goes with the next one, and is no run.
        std::fs::create_dir(runs.path().join(".removed-DDDD")).expect("makes");
        assert_eq!(told(&[&path, &child, &path]), Ok(()));
        let left: Vec<_> = runs.path().read_dir().expect("reads").flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
