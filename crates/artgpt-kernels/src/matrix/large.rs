//! Memory for matrices of many megabytes, in huge pages on systems that have them: fewer pages to
//! clear while loading, and fewer TLB misses in each pass over the weights.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// A type for which memory of zeros holds a value.
///
/// # Safety
/// All bits zero is a valid value, and dropping one does nothing.
pub(crate) unsafe trait ZeroBits: Sized {}

/// A slice in its own pages.
#[derive(Debug)]
pub(crate) struct LargeSlice<T> {
    memory: MmapMut,
    count: usize,
    holds: PhantomData<T>,
}

impl<T: ZeroBits> LargeSlice<T> {
    /// `count` values of all bits zero. Errors are those of mapping the memory.
    pub(crate) fn zeroed(count: usize) -> std::io::Result<Self> {
        assert!(align_of::<T>() <= 4096, "aligned beyond a page");
        let bytes = count.checked_mul(size_of::<T>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let memory = MmapMut::map_anon(bytes.max(1))?;
        // A kernel without huge pages refuses; small pages work too.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Self { memory, count, holds: PhantomData })
    }
}

impl<T> Deref for LargeSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the pages hold `count` values, aligned as pages are; they started as zeros, a
        // value by `ZeroBits`, and have been written as values only.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.count) }
    }
}

impl<T> DerefMut for LargeSlice<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), self.count) }
    }
}
