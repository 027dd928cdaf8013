//! The KV cache: keys and values of processed tokens, so that the next pass processes only new ones.

use candle_core::{DType, Device, Result, Tensor};

/// Capacity grows in steps of this many tokens.
const STEP: usize = 256;

/// One pair of buffers per block, each (1, kv heads, capacity, head width), f32.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<(Tensor, Tensor)>,
    kv_heads: usize,
    head_width: usize,
    len: usize,
    capacity: usize,
    device: Device,
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Errors
    /// The device has no memory for it; this holds for all functions here.
    pub fn new(blocks: usize, kv_heads: usize, head_width: usize, device: &Device) -> Result<Self> {
        let mut cache = Self {
            layers: Vec::new(),
            kv_heads,
            head_width,
            len: 0,
            capacity: STEP,
            device: device.clone(),
        };
        for _ in 0..blocks {
            let pair = (cache.buffer()?, cache.buffer()?);
            cache.layers.push(pair);
        }
        Ok(cache)
    }

    /// Number of cached tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is cached.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Discards all tokens from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Grows the capacity by `tokens`. Call before a pass through the blocks.
    pub(super) fn reserve(&mut self, tokens: usize) -> Result<()> {
        let needed = self.len + tokens;
        if needed <= self.capacity {
            return Ok(());
        }
        self.capacity = needed.div_ceil(STEP) * STEP;
        for i in 0..self.layers.len() {
            let (k, v) = (self.buffer()?, self.buffer()?);
            if self.len > 0 {
                k.slice_set(&self.layers[i].0.narrow(2, 0, self.len)?.contiguous()?, 2, 0)?;
                v.slice_set(&self.layers[i].1.narrow(2, 0, self.len)?.contiguous()?, 2, 0)?;
            }
            self.layers[i] = (k, v);
        }
        Ok(())
    }

    /// Writes a block's new keys and values; returns all, (1, kv heads, len + new, head width).
    pub(super) fn append(
        &mut self,
        block: usize,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let new = k.dim(2)?;
        let (all_k, all_v) = &self.layers[block];
        all_k.slice_set(&k.contiguous()?, 2, self.len)?;
        all_v.slice_set(&v.contiguous()?, 2, self.len)?;
        Ok((all_k.narrow(2, 0, self.len + new)?, all_v.narrow(2, 0, self.len + new)?))
    }

    /// Counts the new tokens once all blocks have them.
    pub(super) fn commit(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// A copy of keys and values from token `from` on, by block.
    pub fn tail(&self, from: usize) -> Result<Vec<(Tensor, Tensor)>> {
        let count = self.len.saturating_sub(from);
        let copy = |t: &Tensor| t.narrow(2, from, count)?.copy();
        self.layers.iter().map(|(k, v)| Ok((copy(k)?, copy(v)?))).collect()
    }

    /// Replaces everything after the first `from` tokens with `tail`.
    pub fn set_tail(&mut self, from: usize, tail: &[(Tensor, Tensor)]) -> Result<()> {
        self.truncate(from);
        let count = tail.first().map_or(Ok(0), |(k, _)| k.dim(2))?;
        if count == 0 {
            return Ok(());
        }
        self.reserve(count)?;
        for (block, (k, v)) in tail.iter().enumerate() {
            self.append(block, k, v)?;
        }
        self.commit(count);
        Ok(())
    }

    fn buffer(&self) -> Result<Tensor> {
        Tensor::zeros((1, self.kv_heads, self.capacity, self.head_width), DType::F32, &self.device)
    }
}
