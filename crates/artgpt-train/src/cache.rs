//! Outputs of frozen parts that are used again: bounded, and the least recently used one goes.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Tensor};
use lru::LruCache;

use super::Result;

/// Tensors by name, each with what else is known of it. They are kept in f16: half the memory, and a
/// rounding far below what a view's jitter changes.
pub struct FrozenCache<T> {
    known: Mutex<Known<T>>,
    /// Bytes.
    limit: usize,
}

struct Known<T> {
    by_name: LruCache<String, (Tensor, T)>,
    bytes: usize,
}

impl<T: Clone> FrozenCache<T> {
    pub fn new(limit: usize) -> Self {
        Self { known: Mutex::new(Known { by_name: LruCache::unbounded(), bytes: 0 }), limit }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.lock().by_name.contains(name)
    }

    /// What is kept under `name`, f32; `look` computes it where it is not there.
    ///
    /// The first use is rounded as the later ones are, so that a resumed run, which finds the cache
    /// empty, repeats the unbroken one.
    pub fn get(
        &self,
        name: &str,
        look: impl FnOnce() -> Result<(Tensor, T)>,
    ) -> Result<(Tensor, T)> {
        // A tensor and its shape share their memory: a clone is a pointer.
        let known = self.lock().by_name.get(name).cloned();
        let (tensor, more) = match known {
            Some(known) => known,
            None => {
                let (tensor, more) = look()?;
                let tensor = tensor.to_dtype(DType::F16)?;
                self.keep(name, &tensor, &more);
                (tensor, more)
            }
        };
        Ok((tensor.to_dtype(DType::F32)?, more))
    }

    fn keep(&self, name: &str, tensor: &Tensor, more: &T) {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
