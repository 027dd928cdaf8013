//! Atomic file writes, JSON Lines, and reads with a size limit.

use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Replaces the file at `path` with `bytes`: writes a temporary file in the same folder, syncs it,
/// and renames it. A reader sees the old content or the new, never a part.
///
/// # Errors
/// Those of creating, writing, syncing and renaming the temporary file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Makes the names in `folder` durable: a file that was renamed into it is found after a power failure.
///
/// # Errors
/// Those of opening and syncing the folder. File systems that cannot sync folders are no error.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match std::fs::File::open(folder)?.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

/// [`write_whole`] with `value` as indented JSON.
///
/// # Errors
/// Those of [`write_whole`]; [`io::ErrorKind::InvalidData`] if `value` cannot be written as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_whole(path, &serde_json::to_vec_pretty(value)?)
}

/// Appends `value` to the file at `path` as one line of JSON, in a single write.
///
/// # Errors
/// Those of opening and writing the file.
pub fn append_json_line(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&line)
}

/// The values of a JSON Lines file in the order of its lines. Skips lines that do not
/// parse as `T`; empty if the file cannot be read.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = read_text(path, u64::MAX).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Reads a regular file of at most `limit` bytes whole.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is no regular file (a FIFO or a device may never end),
/// [`io::ErrorKind::FileTooLarge`] if it is larger than `limit`.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {limit} bytes"),
        )),
        false => Ok(bytes),
    }
}

/// [`read_limited`], as text in whatever encoding [`crate::decode`] knows.
///
/// # Errors
/// Those of [`read_limited`]; [`io::ErrorKind::InvalidData`] names an encoding that is not supported.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    Ok(crate::decode::text(read_limited(path, limit)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_read_up_to_its_limit() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.json");
        write_json(&path, &[1, 2])?;
        write_whole(&path, b"12345")?;
        assert_eq!(read_limited(&path, 5)?, b"12345");
        let kind = |read: io::Result<Vec<u8>>| read.err().map(|e| e.kind());
        assert_eq!(kind(read_limited(&path, 4)), Some(io::ErrorKind::FileTooLarge));
        assert_eq!(kind(read_limited(folder.path(), 4)), Some(io::ErrorKind::InvalidInput));
        assert!(write_whole(&folder.path().join("no/a"), b"").is_err());
        // Nothing half written is left beside it.
        assert_eq!(folder.path().read_dir()?.count(), 1);
        Ok(())
    }

    #[test]
    fn lines_are_appended_and_damaged_ones_are_skipped() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.jsonl");
        append_json_line(&path, &1)?;
        std::fs::OpenOptions::new().append(true).open(&path)?.write_all(b"{\n")?;
        append_json_line(&path, &3)?;
        assert_eq!(read_json_lines::<u32>(&path), [1, 3]);
        assert!(read_json_lines::<u32>(folder.path()).is_empty());
        Ok(())
    }
}
