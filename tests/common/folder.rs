//! Folders: copies of them, and what is in their files.

use std::path::{Path, PathBuf};

/// A writable copy of a folder with all that is in it.
pub(crate) fn copy(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temp dir");
    copy_into(from, dir.path());
    dir
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("reads") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("creates");
            copy_into(&entry.path(), &target);
        } else {
            // Not the permissions, which may be read-only.
            let bytes = std::fs::read(entry.path()).expect("reads");
            std::fs::write(target, bytes).expect("writes");
        }
    }
}

/// A file below a folder, among those that `counts` takes, that holds a text.
pub(crate) fn holder(folder: &Path, text: &str, counts: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    std::fs::read_dir(folder).expect("reads").flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holder(&path, text, counts);
        }
        let bytes = std::fs::read(&path).expect("reads");
        let holds = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        (holds && counts(&path)).then_some(path)
    })
}

/// Whether a file below a folder holds a text.
pub(crate) fn holds(folder: &Path, text: &str) -> bool {
    holder(folder, text, &|_| true).is_some()
}
