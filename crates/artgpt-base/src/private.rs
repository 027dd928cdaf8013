//! Files and folders that only their owner can read: sessions, pictures, caches, logs.
//!
//! A folder that was made by an earlier version is made private when it is used. Folders that people
//! share on purpose, such as the data folder or its models, never come here.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// All that others may do.
const OTHERS: u32 = 0o077;

/// Creates a folder that only its owner can use, or makes an existing one private. Its parents are
/// created as usual.
///
/// # Errors
/// If the folder cannot be created.
pub fn folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(FOLDER).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            restrict(path, FOLDER);
            Ok(())
        }
        result => result,
    }
}

/// Makes an existing regular file private.
pub fn file(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file()) {
        restrict(path, FILE);
    }
}

/// Makes a folder private with all that is in it. Links are not followed.
pub fn tree(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => restrict(path, FOLDER),
        Ok(meta) if meta.is_file() => return restrict(path, FILE),
        _ => return,
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        tree(&entry.path());
    }
}

/// [`tree`], unless the folder is private already: nobody else can reach what is in it. Takes no time for
/// a folder with many files that an earlier start has made private.
pub fn tree_unless_private(path: &Path) {
    let is_private = |meta: fs::Metadata| meta.is_dir() && meta.mode() & OTHERS == 0;
    if !fs::symlink_metadata(path).is_ok_and(is_private) {
        tree(path);
    }
}

/// Takes all rights from others. Where that fails, the file is somebody else's, or the file system has
/// no rights: nothing that the user could change at this moment.
fn restrict(path: &Path, mode: u32) {
    if fs::metadata(path).is_ok_and(|meta| meta.mode() & OTHERS != 0) {
        let _ = fs::set_permissions(path, Permissions::from_mode(mode));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).map_or(0, |meta| meta.mode() & 0o777)
    }

    #[test]
    fn new_and_old_files_are_private_and_links_stay_as_they_are() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let shared = dir.path().join("shared");
        fs::write(&shared, "theirs")?;
        fs::set_permissions(&shared, Permissions::from_mode(0o644))?;
        let old = dir.path().join("a/old");
        fs::create_dir_all(&old)?;
        fs::set_permissions(&old, Permissions::from_mode(0o755))?;
        fs::write(old.join("file"), "ours")?;
        fs::set_permissions(old.join("file"), Permissions::from_mode(0o664))?;
        std::os::unix::fs::symlink(&shared, old.join("link"))?;
        folder(&old)?;
        assert_eq!((mode(&old), mode(&old.join("file"))), (0o700, 0o664));
        tree(&old);
        assert_eq!((mode(&old.join("file")), mode(&shared)), (0o600, 0o644));
        // What a private folder holds is out of reach, and is not looked at again.
        fs::set_permissions(old.join("file"), Permissions::from_mode(0o664))?;
        tree_unless_private(&old);
        assert_eq!(mode(&old.join("file")), 0o664);
        fs::set_permissions(&old, Permissions::from_mode(0o750))?;
        tree_unless_private(&old);
        assert_eq!((mode(&old), mode(&old.join("file"))), (0o700, 0o600));
        let new = dir.path().join("b/new");
        folder(&new)?;
        assert_eq!(mode(&new), 0o700);
        file(&old.join("link"));
        assert_eq!(mode(&shared), 0o644);
        assert!(folder(&shared).is_err());
        Ok(())
    }
}
