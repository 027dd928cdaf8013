//! Files that are something else than their names say.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{DataError, Result, io};

/// Fails for a file that is compressed, a pointer of Git LFS, or no regular file: a FIFO would block.
pub(super) fn check(path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).map_err(io(path))?;
    let mut head = Vec::new();
    if about.is_file() {
        let file = File::open(path).map_err(io(path))?;
        file.take(64).read_to_end(&mut head).map_err(io(path))?;
    }
    let found = match () {
        () if about.is_dir() => Some(("a folder, not a file", "name a file in it")),
        () if !about.is_file() => Some(("not a regular file", "copy it to a normal file first")),
        () => recognised(&head),
    };
    match found {
        Some((is, hint)) => Err(DataError::Foreign { path: path.display().to_string(), is, hint }),
        None => Ok(()),
    }
}

/// What a file is by its first bytes, and what to do with it.
fn recognised(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let known: [(&[u8], &str, &str); 9] = [
        (b"\x1f\x8b", "compressed", "unpack it first, as with `gunzip`"),
        (b"\x28\xb5\x2f\xfd", "compressed", "unpack it first, as with `unzstd`"),
        (b"BZh", "compressed", "unpack it first, as with `bunzip2`"),
        (b"\xfd7zXZ\0", "compressed", "unpack it first, as with `unxz`"),
        (b"\x04\x22\x4d\x18", "compressed", "unpack it first, as with `unlz4`"),
        (b"\x1f\x9d", "compressed", "unpack it first, as with `uncompress`"),
        (b"PK\x03\x04", "a zip archive", "unpack it first, as with `unzip`"),
        (b"PAR1", "a Parquet table", "save it as CSV or JSON Lines"),
        (
            b"version https://git-lfs.github.com/spec/",
            "a Git LFS pointer",
            "run `git lfs pull` in its folder",
        ),
    ];
    let found = known.iter().find(|(magic, ..)| head.starts_with(magic));
    found.map(|(_, is, hint)| (*is, *hint))
}
