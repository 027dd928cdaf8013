//! What lies around the database: its lock, what a killed command left, and copies that were kept.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::{Result, StoreError, io};
use artgpt_base::private;

/// Held while the store is open. It is not in the store's folder, because a removal replaces that.
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(super) fn acquire(folder: &Path) -> Result<Self> {
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let path = folder.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(io(&path))?;
        private::file(&path);
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(e) => Err(refused(e, folder)),
        }
    }
}

/// Why there is no lock. A file system without locks, such as some NFS mounts, cannot keep two
/// processes from writing at once.
fn refused(e: TryLockError, folder: &Path) -> StoreError {
    let shown = folder.display().to_string();
    match e {
        TryLockError::WouldBlock => StoreError::Locked(shown),
        TryLockError::Error(source) => StoreError::NoLocks { path: shown, source },
    }
}

/// Makes the store's folder private when the database has closed: sled creates files as it ends.
pub(super) struct PrivateAtEnd(pub(super) PathBuf);

impl Drop for PrivateAtEnd {
    fn drop(&mut self) {
        private::tree(&self.0);
    }
}

/// Where a removal writes the store anew.
pub(super) fn rewritten(folder: &Path) -> PathBuf {
    folder.with_extension("sled.new")
}

/// Where a removal puts the old store until the new one has its name.
pub(super) fn replaced(folder: &Path) -> PathBuf {
    folder.with_extension("sled.old")
}

/// Finishes or undoes what a killed process left. The store is locked and not open.
pub(super) fn tidy(folder: &Path) -> Result<()> {
    let (new, old) = (rewritten(folder), replaced(folder));
    if !folder.exists() {
        // Killed between two renames: the new store is complete before the first one.
        for path in [&new, &old] {
            if path.exists() && !folder.exists() {
                std::fs::rename(path, folder).map_err(io(folder))?;
            }
        }
    }
    for path in [new, old] {
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(io(&path))?;
        }
    }
    Ok(())
}

/// Copies of the store that were moved aside because they were damaged. They may hold sessions that
/// were removed later.
pub fn backups(folder: &Path) -> Vec<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = folder.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let current = ["sled", "sled.new", "sled.old", "jsonl", "jsonl.new", "lock"];
    let current = current.map(|extension| format!("{stem}.{extension}"));
    let mut found: Vec<PathBuf> = folder
        .parent()
        .and_then(|parent| std::fs::read_dir(parent).ok())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let file = entry.file_name().to_string_lossy().into_owned();
            let ours = file.starts_with(&name) || file.starts_with(&format!("{stem}.jsonl"));
            ours && !current.contains(&file)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_apart_from_another_process() {
        let folder = Path::new("/data/sessions.sled");
        let none = std::io::Error::from_raw_os_error(37); // ENOLCK
        let e = refused(TryLockError::Error(none), folder);
        assert!(matches!(e, StoreError::NoLocks { .. }), "{e}");
        let e = refused(TryLockError::WouldBlock, folder);
        assert!(matches!(e, StoreError::Locked(_)), "{e}");
    }

    #[test]
    fn a_killed_removal_is_finished_or_undone() {
        let dir = tempfile::tempdir().expect("temp dir");
        let folder = dir.path().join("sessions.sled");
        let make = |path: &Path, text: &str| {
            std::fs::create_dir(path).expect("makes");
            std::fs::write(path.join("db"), text).expect("writes");
        };
        let db = || std::fs::read_to_string(folder.join("db")).expect("reads");
        // Before the first rename.
        make(&folder, "old");
        make(&rewritten(&folder), "half");
        tidy(&folder).expect("undoes");
        assert_eq!((db().as_str(), rewritten(&folder).exists()), ("old", false));
        // Between the two.
        std::fs::rename(&folder, replaced(&folder)).expect("renames");
        make(&rewritten(&folder), "new");
        tidy(&folder).expect("finishes");
        assert_eq!((db().as_str(), replaced(&folder).exists()), ("new", false));
        // After both.
        make(&replaced(&folder), "old");
        tidy(&folder).expect("finishes");
        assert_eq!((db().as_str(), replaced(&folder).exists()), ("new", false));
    }
}
