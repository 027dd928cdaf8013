//! Files that are something else than their names say.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{DataError, Result, io};
use artgpt_base::foreign::{self, Foreign};

/// Fails for a file that is compressed, a pointer of Git LFS, or no regular file: a FIFO would block.
pub(super) fn check(path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).map_err(io(path))?;
    let mut head = Vec::new();
    if about.is_file() {
        let file = File::open(path).map_err(io(path))?;
        file.take(foreign::HEAD as u64).read_to_end(&mut head).map_err(io(path))?;
    }
    let found = match () {
        () if about.is_dir() => Some(("a folder, not a file".into(), "name a file in it")),
        () if !about.is_file() => {
            Some(("not a regular file".into(), "copy it to a normal file first"))
        }
        () => recognised(&head),
    };
    match found {
        Some((is, hint)) => Err(DataError::Foreign { path: path.display().to_string(), is, hint }),
        None => Ok(()),
    }
}

/// What a file is by its first bytes, if it can be no list and no shard, and what to do with it.
fn recognised(head: &[u8]) -> Option<(String, &'static str)> {
    match foreign::recognise(head)? {
        // Lists are JSON or text, a shard is a tar archive.
        Foreign::Json | Foreign::Text | Foreign::Zeros => None,
        Foreign::Container("a tar archive") => None,
        found => Some((found.to_string(), found.hint())),
    }
}
