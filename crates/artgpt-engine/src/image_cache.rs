//! Projected query tokens of the pictures seen last.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::Tensor;

/// Pictures kept; 32 queries of 576 are 74 kB each.
const CAPACITY: usize = 32;

/// Oldest use goes first.
#[derive(Debug, Default)]
pub struct ImageCache(VecDeque<(Arc<str>, Tensor)>);

impl ImageCache {
    pub fn get(&mut self, key: &str) -> Option<Tensor> {
        let at = self.0.iter().position(|(k, _)| &**k == key)?;
        let entry = self.0.remove(at)?;
        let tensor = entry.1.clone();
        self.0.push_back(entry);
        Some(tensor)
    }

    pub fn insert(&mut self, key: Arc<str>, tensor: Tensor) {
        if self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back((key, tensor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_goes() -> candle_core::Result<()> {
        let mut cache = ImageCache::default();
        let t = Tensor::zeros(1, candle_core::DType::F32, &candle_core::Device::Cpu)?;
        for i in 0..CAPACITY {
            cache.insert(i.to_string().into(), t.clone());
        }
        assert!(cache.get("0").is_some());
        cache.insert("new".into(), t);
        assert!(cache.get("0").is_some() && cache.get("1").is_none());
        Ok(())
    }
}
