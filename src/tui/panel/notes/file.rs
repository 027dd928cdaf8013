//! Notes and tags of runs, in one file of ours, so that folders of other programs stay unchanged.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use artgpt_base::files::read_limited;
use artgpt_rundir::write_json;

const MAX_BYTES: u64 = 64 << 20;

/// Notes by run path. Words that begin with `#` are tags.
pub(crate) type Notes = BTreeMap<PathBuf, String>;

/// The file, below a data folder.
pub(crate) fn path_in(data: &Path) -> PathBuf {
    data.join("runs/.notes.json")
}

/// No notes if there is no file; an error if it cannot be parsed, so that it is not overwritten.
pub(crate) fn read(path: &Path) -> io::Result<Notes> {
    match read_limited(path, MAX_BYTES) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Notes::new()),
        Err(e) => Err(e),
    }
}

/// Sets one note and keeps all others.
pub(crate) fn set(path: &Path, run: &Path, note: &str) -> io::Result<()> {
    change(path, |all| match note.trim() {
        "" => drop(all.remove(run)),
        note => drop(all.insert(run.into(), note.to_string())),
    })
}

/// Appends words to the note of each run. A run without a note starts with the one that it logged.
pub(crate) fn add(path: &Path, runs: &[(PathBuf, String)], words: &str) -> io::Result<()> {
    let words = words.trim();
    change(path, |all| {
        for (run, logged) in runs.iter().filter(|_| !words.is_empty()) {
            let note = all.entry(run.clone()).or_insert_with(|| logged.clone());
            *note = format!("{note} {words}").trim().to_string();
        }
    })
}

fn change(path: &Path, change: impl FnOnce(&mut Notes)) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Another panel may write at the same time.
    let lock = std::fs::File::create(path.with_extension("lock"))?;
    lock.lock()?;
    let mut all = read(path)?;
    change(&mut all);
    write_json(path, &all).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_kept_and_a_damaged_file_is_not_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path_in(dir.path());
        assert_eq!(read(&path).expect("is none"), Notes::new());
        set(&path, Path::new("/a"), " too hot #lr ").expect("writes");
        set(&path, Path::new("/b"), "good").expect("writes");
        set(&path, Path::new("/b"), " ").expect("writes");
        let all = read(&path).expect("reads");
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [("/a".into(), "too hot #lr".into())]);
        let runs = ["/a", "/b", "/c"].map(PathBuf::from).map(|run| (run, "#warm".to_string()));
        add(&path, &runs[..2], " #x ").expect("writes");
        add(&path, &runs, "").expect("writes");
        let all = read(&path).expect("reads").into_iter().collect::<Vec<_>>();
        let wanted = [("/a".into(), "too hot #lr #x".into()), ("/b".into(), "#warm #x".into())];
        assert_eq!(all, wanted);
        std::fs::write(&path, "{").expect("writes");
        assert!(set(&path, Path::new("/b"), "x").is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "{");
    }
}
