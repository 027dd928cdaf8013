//! Memory maps of weight files.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::UncheckedAdvice;

pub use memmap2::Mmap;

/// Maps the file at `path` for reading.
///
/// # Errors
/// Those of opening and mapping it. An empty file has no map: [`io::ErrorKind::UnexpectedEof`].
pub fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty"));
    }
    // SAFETY: the map is only read, and a file of weights is not changed while a model is loaded
    // from it; every program that maps checkpoints asks the same of its users.
    unsafe { Mmap::map(&file) }
}

/// Releases the pages of `part`, which lies in `map`: a model is read once, and its file need not
/// stay in the process's memory beside what was made of it.
pub fn forget(map: &Mmap, part: &[u8]) {
    let start = (part.as_ptr() as usize).wrapping_sub(map.as_ptr() as usize);
    if start.checked_add(part.len()).is_none_or(|end| end > map.len()) {
        return;
    }
    // SAFETY: the map is of a file and never written, so a page that is read again has what it had.
    let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, part.len()) };
}
