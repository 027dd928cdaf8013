//! Deletes runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use artgpt_base::files::read_text;
use artgpt_rundir::job::REMOVED;

use super::{Job, JobError, Result, io, list, slurm};
use artgpt_rundir::{RunDir, RunError, RunState, run_folders, run_id};

const MAX_CONFIG: u64 = 1 << 20;

/// Deletes run directories with everything in them: metrics, checkpoints, weights. Deletes all of
/// `wanted` or none.
///
/// # Errors
/// [`JobError::Refused`] if a run is not in the directory `runs`, or if it is running, queued or paused;
/// [`JobError::Slurm`] or [`JobError::Silent`] if it is damaged and Slurm may still have its job;
/// [`JobError::Needed`] if an unfinished job or another run's configuration depends on it;
/// [`JobError::Run`] if a directory cannot be moved or deleted.
pub fn remove(runs: &Path, wanted: &[PathBuf]) -> Result<()> {
    finish_earlier_removals(runs);
    // A set of IDs: two paths may lead to the same run.
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for run in wanted {
        check_is_ours(runs, run)?;
        ids.insert(run_id(run));
    }
    let all: Vec<PathBuf> = ids.iter().map(|id| runs.join(id)).collect();
    // Hold the locks until the runs are moved away, so that no process resumes one.
    let locks: Vec<RunDir> = all.iter().map(|run| lock_ended_run(run)).collect::<Result<_>>()?;
    check_dependents(runs, &ids)?;
    let moved_path = |id: &String| runs.join(format!("{REMOVED}{id}"));
    let mut moved: Vec<&String> = Vec::new();
    for id in &ids {
        if let Err(e) = std::fs::rename(runs.join(id), moved_path(id)) {
            moved.iter().for_each(|id| drop(std::fs::rename(moved_path(id), runs.join(id))));
            return Err(io(&runs.join(id))(e));
        }
        moved.push(id);
    }
    // NFS would keep an open file as `.nfs…` in the directory.
    drop(locks);
    ids.iter()
        .try_for_each(|id| std::fs::remove_dir_all(moved_path(id)).map_err(io(&moved_path(id))))
}

/// Deletes what an interrupted call moved but did not delete.
fn finish_earlier_removals(runs: &Path) {
    let entries = runs.read_dir().into_iter().flatten().flatten();
    let left = entries.filter(|e| e.file_name().to_string_lossy().starts_with(REMOVED));
    left.for_each(|entry| drop(std::fs::remove_dir_all(entry.path())));
}

fn refused(run: &Path, state: &'static str, hint: &'static str) -> JobError {
    JobError::Refused { id: run_id(run), state, hint }
}

fn check_is_ours(runs: &Path, run: &Path) -> Result<()> {
    let ours = run.parent().and_then(|p| p.canonicalize().ok()) == runs.canonicalize().ok();
    match ours && run.join("config.toml").is_file() {
        true => Ok(()),
        false => Err(refused(run, "no run of this data folder", "delete its directory yourself")),
    }
}

/// Locks a run that has ended.
fn lock_ended_run(run: &Path) -> Result<RunDir> {
    let lock = RunDir::open(run).map_err(|e| match e {
        RunError::Busy(_) => refused(run, "in use by a running process", "stop it first"),
        other => other.into(),
    })?;
    match Job::read(run) {
        // A damaged job does nothing more, unless Slurm starts it.
        Some(job) if job.damage.is_some() => slurm::cancel_damaged(&job).map(|()| lock),
        Some(job) if job.is_open() || job.status.state == RunState::Paused => {
            Err(refused(run, "queued or paused", "stop it first"))
        }
        _ => Ok(lock),
    }
}

/// Fails if a run outside `ids` depends on one of them.
fn check_dependents(runs: &Path, ids: &BTreeSet<String>) -> Result<()> {
    let needed = |id: &String, by: &str| Err(JobError::Needed { id: id.clone(), by: by.into() });
    for job in list(runs) {
        let goes_on = job.status.state != RunState::Finished && !ids.contains(&job.id);
        if let Some(id) = job.spec.after.iter().find(|id| goes_on && ids.contains(*id)) {
            return needed(id, &job.id);
        }
    }
    // Other runs may start from their weights, or extend their models.
    for run in run_folders(runs) {
        let other = run_id(&run);
        if ids.contains(&other) {
            continue;
        }
        let path = run.join("config.toml");
        let text = match read_text(&path, MAX_CONFIG) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&path)(e)),
            read => read.unwrap_or_default(),
        };
        // A configuration that does not parse names no run.
        let config: toml::Table = text.parse().unwrap_or_default();
        if let Some(id) = ids.iter().find(|id| builds_on(&config, id)) {
            return needed(id, &other);
        }
    }
    Ok(())
}

/// The settings of a run that can name another run.
const SOURCES: [&str; 3] = ["model", "init", "data"];

/// Whether a configuration takes its model, its initial weights or its data from a run.
fn builds_on(config: &toml::Table, id: &str) -> bool {
    SOURCES.iter().filter_map(|key| config.get(*key)).any(|value| names_run(value, id))
}

/// Whether a value is a path to or into the run directory, or the run's name.
fn names_run(value: &toml::Value, id: &str) -> bool {
    match value {
        toml::Value::String(text) => Path::new(text).components().any(|c| c.as_os_str() == id),
        toml::Value::Table(table) => table.values().any(|value| names_run(value, id)),
        toml::Value::Array(values) => values.iter().any(|value| names_run(value, id)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::TrainConfig;

    #[test]
    fn a_configuration_names_a_run_by_a_whole_path_component() {
        let config = |text: &str| text.parse::<toml::Table>().expect("parses");
        assert!(builds_on(&config("init = \"/data/runs/01AB/weights.safetensors\""), "01AB"));
        assert!(builds_on(&config("model = \"01AB\""), "01AB"));
        assert!(builds_on(&config("[data]\nkind = \"csv\"\npath = \"runs/01AB/c.csv\""), "01AB"));
        assert!(!builds_on(&config("init = \"/data/runs/01ABC/weights.safetensors\""), "01AB"));
        assert!(!builds_on(&config("model = \"m\"\n[slurm]\nname = \"01AB\""), "01AB"));
    }

    #[test]
    fn only_ended_runs_without_dependents_are_removed() {
        let runs = tempfile::tempdir().expect("a folder");
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let make = |id: &str, config: &TrainConfig| {
            RunDir::create(runs.path(), id, config).expect("makes")
        };
        let open = make("AAAA", &config);
        let path = open.path.clone();
        let removed = |all: &[&PathBuf]| {
            let all: Vec<PathBuf> = all.iter().map(|path| path.to_path_buf()).collect();
            remove(runs.path(), &all).map_err(|e| e.to_string())
        };
        let over = make("BBBB", &config).path.clone();
        // All of them, or none.
        assert!(removed(&[&over, &path]).expect_err("is open").contains("in use"));
        assert!(over.is_dir());
        drop(open);
        let other = tempfile::tempdir().expect("a folder");
        std::fs::write(other.path().join("config.toml"), text).expect("writes");
        let foreign = other.path().to_path_buf();
        assert!(removed(&[&foreign]).expect_err("is not ours").contains("no run of this"));
        let init = Some(path.join("weights.safetensors"));
        let child = make("CCCC", &TrainConfig { init, ..config }).path.clone();
        assert!(removed(&[&path]).expect_err("is needed").contains("CCCC"));
        // What was left half removed goes with the next one, and is no run.
        std::fs::create_dir(runs.path().join(".removed-DDDD")).expect("makes");
        assert_eq!(removed(&[&path, &child, &path]), Ok(()));
        let left: Vec<_> = runs.path().read_dir().expect("reads").flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
