//! `installed.json`: which files of a model's folder were installed.
//!
//! A folder may come from anywhere, and this file with it: it can name files of its own folder only.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FetchError, Result, io};
use artgpt_base::files::{read_limited, sync_folder, write_json};
use artgpt_base::text::printable;

/// Lists the installed files, in the model's directory.
pub(crate) const RECORD: &str = "installed.json";
/// The directory into which an installation unpacks an archive.
pub(crate) const FOLDER: &str = "files";
/// Held by the process that installs into the directory.
pub(crate) const LOCK: &str = ".lock";
/// Bytes of the largest record.
const MAX_BYTES: u64 = 16 << 20;

/// An entry of `installed.json`: a file or directory as it was installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstalledFile {
    /// Its name in the model's directory.
    pub name: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The manifest's source, as written there.
    pub from: String,
    /// Whether the file was converted (requantised) after the download.
    pub converted: bool,
}

impl InstalledFile {
    /// The file in the model's directory; `None` if the name leads anywhere else.
    pub(crate) fn path(&self, dir: &Path) -> Option<PathBuf> {
        is_plain(&self.name).then(|| dir.join(&self.name))
    }
}

/// Whether a name is that of a file directly in a folder.
pub(crate) fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

/// The entries; none where the file is missing or is no such list.
pub(crate) fn read(dir: &Path) -> Vec<InstalledFile> {
    read_limited(&dir.join(RECORD), MAX_BYTES)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// The entries with their files.
///
/// # Errors
/// [`FetchError::Foreign`], if one names a file outside the folder.
pub(crate) fn read_checked(dir: &Path) -> Result<Vec<(InstalledFile, PathBuf)>> {
    let checked = |entry: InstalledFile| match entry.path(dir) {
        Some(path) => Ok((entry, path)),
        None => Err(foreign(dir, &entry)),
    };
    read(dir).into_iter().map(checked).collect()
}

/// The error about an entry that names what no installation wrote.
pub(crate) fn foreign(dir: &Path, entry: &InstalledFile) -> FetchError {
    FetchError::Foreign {
        record: dir.join(RECORD).display().to_string(),
        name: printable(&entry.name),
    }
}

/// Replaces the record; durable on return. Whoever may read the models may read it, too.
pub(crate) fn write(dir: &Path, records: &[InstalledFile]) -> Result<()> {
    let path = dir.join(RECORD);
    // The lock has the rights that the user's umask gives new files.
    let like = [&path, &dir.join(LOCK)].into_iter().find_map(|p| std::fs::metadata(p).ok());
    write_json(&path, &records).map_err(io(&path))?;
    if let Some(like) = like {
        std::fs::set_permissions(&path, like.permissions()).map_err(io(&path))?;
    }
    sync_folder(dir).map_err(io(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_file_names_are_taken() {
        for name in ["model.gguf", "files", "a b.bin", "...", "é.bin"] {
            assert!(is_plain(name), "{name}");
        }
        let wrong = ["", ".", "..", "../victim", "/etc/passwd", "a/b", "a\\b", "a\nb", "a\0"];
        for name in wrong {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(!is_plain(&"a".repeat(256)));
    }
}
