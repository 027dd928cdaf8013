//! LRU cache for outputs of frozen parts, bounded in bytes.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Tensor};
use lru::LruCache;

use super::Result;

/// Tensors by key, each with a value of type `T`. The cache stores f16: half the memory, and a rounding
/// error far below the effect of a view's jitter.
pub(crate) struct FrozenCache<T> {
    entries: Mutex<Entries<T>>,
    /// Max size of all tensors, bytes.
    limit: usize,
}

struct Entries<T> {
    by_name: LruCache<String, (Tensor, T)>,
    bytes: usize,
}

impl<T: Clone> FrozenCache<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: Mutex::new(Entries { by_name: LruCache::unbounded(), bytes: 0 }), limit }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.lock().by_name.contains(name)
    }

    /// The value of `name` in f32; calls `compute` on a miss.
    ///
    /// The first use is rounded like the later ones, so that a resumed run, which finds the cache
    /// empty, equals the uninterrupted one.
    pub(crate) fn get(
        &self,
        name: &str,
        compute: impl FnOnce() -> Result<(Tensor, T)>,
    ) -> Result<(Tensor, T)> {
        // A tensor and its shape share their memory: a clone is a pointer.
        let known = self.lock().by_name.get(name).cloned();
        let (tensor, more) = match known {
            Some(known) => known,
            None => {
                let (tensor, more) = compute()?;
                let tensor = tensor.to_dtype(DType::F16)?;
                self.insert(name, &tensor, &more);
                (tensor, more)
            }
        };
        Ok((tensor.to_dtype(DType::F32)?, more))
    }

    fn insert(&self, name: &str, tensor: &Tensor, more: &T) {
        let bytes = size(tensor);
        if bytes > self.limit {
            return;
        }
        let mut known = self.lock();
        known.bytes += bytes;
        if let Some((_, (old, _))) =
            known.by_name.push(name.to_string(), (tensor.clone(), more.clone()))
        {
            known.bytes -= size(&old);
        }
        while known.bytes > self.limit
            && let Some((_, (old, _))) = known.by_name.pop_lru()
        {
            known.bytes -= size(&old);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn of(values: &[f32]) -> Result<(Tensor, usize)> {
        Ok((Tensor::new(values, &Device::Cpu)?, values.len()))
    }

    #[test]
    fn the_first_use_and_the_second_are_the_same() {
        let cache = FrozenCache::new(100);
        let first = cache.get("a", || of(&[0.1, 0.7])).expect("looks");
        let second = cache.get("a", || unreachable!("it is known")).expect("is known");
        let values = |t: &Tensor| t.to_vec1::<f32>().expect("values");
        assert_eq!(values(&first.0), values(&second.0));
        assert_eq!(second.1, 2);
    }

    #[test]
    fn what_was_used_longest_ago_goes_when_the_room_is_full() {
        let cache = FrozenCache::new(9); // two of four bytes
        for name in ["a", "b", "a", "c"] {
            cache.get(name, || of(&[1.0, 2.0])).expect("looks");
        }
        assert!(cache.contains("a") && cache.contains("c") && !cache.contains("b"));
        cache.get("large", || of(&[0.0; 5])).expect("looks");
        assert!(!cache.contains("large") && cache.contains("a"));
    }
}
