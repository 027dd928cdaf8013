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
    let is = match () {
        () if about.is_dir() => Some("a folder, not a file".into()),
        () if !about.is_file() => Some("not a regular file".into()),
        () => recognised(&head),
    };
    match is {
        Some(is) => Err(DataError::Foreign { path: path.display().to_string(), is }),
        None => Ok(()),
    }
}

/// What a file is by its first bytes, and what to do with it.
fn recognised(head: &[u8]) -> Option<String> {
    let is = |magic: &[u8]| head.starts_with(magic);
    let compressed = |program| Some(format!("compressed; unpack it first, as with `{program}`"));
    match () {
        () if is(b"\x1f\x8b") => compressed("gunzip"),
        () if is(b"\x28\xb5\x2f\xfd") => compressed("unzstd"),
        () if is(b"BZh") => compressed("bunzip2"),
        () if is(b"\xfd7zXZ\0") => compressed("unxz"),
        () if is(b"\x04\x22\x4d\x18") => compressed("unlz4"),
        () if is(b"\x1f\x9d") => compressed("uncompress"),
        () if is(b"PK\x03\x04") => Some("a zip archive; unpack it first, as with `unzip`".into()),
        () if is(b"PAR1") => Some("a Parquet table; save it as CSV or JSON Lines".into()),
        () if is(b"version https://git-lfs.github.com/spec/") => {
            Some("a Git LFS pointer; run `git lfs pull` in its folder".into())
        }
        () => None,
    }
}
