//! Image tokens in memory, the most recently used ones.

use std::num::NonZeroUsize;
use std::sync::Arc;

use candle_core::Tensor;
use lru::LruCache;

/// Entries; 32 query tokens of width 576 take 74 kB.
const CAPACITY: NonZeroUsize = match NonZeroUsize::new(32) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

/// Tokens by a key that names all that determines them; the least recently used entry goes first.
#[derive(Debug)]
pub(crate) struct ImageCache(LruCache<Arc<str>, Tensor>);

impl Default for ImageCache {
    fn default() -> Self {
        Self(LruCache::new(CAPACITY))
    }
}

impl ImageCache {
    /// The tokens of `key`, which become the most recently used ones.
    pub(crate) fn get(&mut self, key: &str) -> Option<Tensor> {
        self.0.get(key).cloned()
    }

    /// Stores tokens; those that `key` had are replaced.
    pub(crate) fn insert(&mut self, key: Arc<str>, tensor: Tensor) {
        self.0.put(key, tensor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> Tensor {
        Tensor::zeros(1, candle_core::DType::F32, &candle_core::Device::Cpu).expect("a tensor")
    }

    #[test]
    fn the_least_recently_used_entry_goes() {
        let mut cache = ImageCache::default();
        for i in 0..CAPACITY.get() {
            cache.insert(i.to_string().into(), tensor());
        }
        assert!(cache.get("0").is_some());
        cache.insert("new".into(), tensor());
        assert!(cache.get("0").is_some() && cache.get("1").is_none());
    }

    #[test]
    fn inserting_a_key_again_evicts_nothing() {
        let mut cache = ImageCache::default();
        cache.insert("first".into(), tensor());
        for _ in 0..2 * CAPACITY.get() {
            cache.insert("same".into(), tensor());
        }
        assert!(cache.get("first").is_some());
    }
}
