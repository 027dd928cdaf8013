//! Memory maps of weight files.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::UncheckedAdvice;

pub use memmap2::Mmap;

/// Maps the file at `path` for reading.
///
/// # Errors
/// Those of opening and mapping it; [`io::ErrorKind::UnexpectedEof`] for an empty file, which cannot be
/// mapped.
pub fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty"));
    }
    // SAFETY: the program only reads the map, and nobody changes a file of weights while a model
    // loads from it; every program that maps checkpoints asks the same of its users.
    unsafe { Mmap::map(&file) }
}

/// Releases the pages of `part`, a slice of `map`: the program reads a file once, and its pages need
/// not stay in memory beside the tensors. Does nothing for a slice outside of `map`.
pub fn forget(map: &Mmap, part: &[u8]) {
    let start = (part.as_ptr() as usize).wrapping_sub(map.as_ptr() as usize);
    if start.checked_add(part.len()).is_none_or(|end| end > map.len()) {
        return;
    }
    // SAFETY: the map is backed by a file and never written, so reading a page again returns the same.
    let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, part.len()) };
}
