//! Look-up of a run by ID, name or path.

use std::path::{Path, PathBuf};

use super::record::{self, Record, Spec};
use super::{RecordError, Result};
use crate::{run_folders, run_id, run_name};

/// Name prefix of folders under removal.
pub const REMOVED: &str = ".removed-";
/// Max number of IDs in the error of an ambiguous name.
const MAX_IDS: usize = 5;

/// The path of a run, from its ID, a unique ID prefix, its job's name, or its folder or file.
///
/// # Errors
/// [`RecordError::NoRun`], and [`RecordError::Ambiguous`] if several runs match.
pub fn named(runs: &Path, name: &str) -> Result<PathBuf> {
    let unknown = || RecordError::NoRun {
        name: artgpt_base::text::printable(name),
        runs: runs.display().to_string(),
    };
    if name.is_empty() || name.starts_with(REMOVED) {
        return Err(unknown());
    }
    let given = PathBuf::from(name);
    // A single component is a path only if no run has that name.
    let path = Some(given.clone()).filter(|path| path.components().count() > 1);
    if let Some(path) = [Some(runs.join(name)), path].into_iter().flatten().find(|p| p.exists()) {
        return Ok(path);
    }
    let mut all = run_folders(runs);
    all.retain(|path| path.is_dir());
    let wanted = name.to_uppercase();
    let begins = |path: &&PathBuf| run_id(path).to_uppercase().starts_with(&wanted);
    let mut found: Vec<&PathBuf> = all.iter().filter(begins).collect();
    if found.is_empty() {
        // Foreground runs have names, too; a job takes precedence.
        found = all.iter().filter(|path| submitted(path).as_deref() == Some(name)).collect();
    }
    if found.is_empty() {
        found = all.iter().filter(|path| called(path).as_deref() == Some(name)).collect();
    }
    match found[..] {
        [] if given.exists() => Ok(given),
        [] => Err(unknown()),
        [one] => Ok(one.clone()),
        _ => {
            let plain = |path: &&PathBuf| artgpt_base::text::printable(&run_id(path));
            let mut ids: Vec<String> = found.iter().take(MAX_IDS).map(plain).collect();
            ids.extend((found.len() > MAX_IDS).then(|| "…".to_string()));
            let name = artgpt_base::text::printable(name);
            Err(RecordError::Ambiguous { name, ids: ids.join(", ") })
        }
    }
}

/// The name that a run was submitted or started with.
pub fn called(run: &Path) -> Option<String> {
    submitted(run).or_else(|| run_name(run))
}

fn submitted(run: &Path) -> Option<String> {
    record::read::<Spec>(run, Record::Spec).ok().flatten()?.name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_id_beginning_and_name() {
        let runs = tempfile::tempdir().expect("a folder");
        let make = |id: &str, name: Option<&str>| {
            let run = runs.path().join(id);
            std::fs::create_dir_all(run.join(record::JOB)).expect("makes");
            let spec = serde_json::json!({
                "submitted": "2026-01-01T00:00:00Z", "device": "cpu", "name": name,
                "program": "p", "settings": "s",
            });
            record::write(&run, Record::Spec, &spec).expect("writes");
            run
        };
        let (one, two) = (make("01AB", Some("warm")), make("01AC", Some("cold")));
        let find = |name: &str| named(runs.path(), name).map_err(|e| e.to_string());
        assert_eq!(find("01AB"), Ok(one.clone()));
        assert_eq!(find("01ab"), Ok(one.clone()));
        assert_eq!(find("cold"), Ok(two.clone()));
        assert_eq!(find(&one.display().to_string()), Ok(one));
        assert!(find("01").expect_err("two").contains("more than one"));
        assert!(find("hot").expect_err("none").contains("no run hot"));
        assert!(find("").is_err());
        make("01AD", Some("cold"));
        assert!(find("cold").expect_err("two").contains("more than one"));
    }
}
