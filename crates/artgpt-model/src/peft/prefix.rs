//! Prefix tuning (arXiv 2101.00190): trained keys and values to which every token attends.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::llama::LlamaConfig;
use crate::rows::interleave;
use artgpt_kernels::mode::RopeLayout;

/// The prefix of one block: keys and values, (tokens, kv heads, head width) each. They have no position,
/// so keys are not rotated.
#[derive(Debug, Clone)]
pub struct Prefix {
    keys: Tensor,
    values: Tensor,
    /// The model stores a head's values in another order than Hugging Face's.
    reordered: bool,
}

impl Prefix {
    /// Loads the prefix. A new one is small, so that it hardly changes the model's output at step 0.
    pub(crate) fn load(tokens: usize, config: &LlamaConfig, block: &VarBuilder) -> Result<Self> {
        let shape = (tokens, config.num_key_value_heads, config.head_dim);
        let start = Init::Randn { mean: 0.0, stdev: 0.02 };
        let vb = block.pp("self_attn.prefix");
        Ok(Self {
            keys: vb.get_with_hints(shape, "keys", start)?,
            values: vb.get_with_hints(shape, "values", start)?,
            reordered: config.rope_layout == RopeLayout::Interleaved,
        })
    }

    /// Prepends the prefix to `k` and `v`, (batch, kv heads, tokens, head width).
    pub(crate) fn before(&self, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, heads, _, width) = k.dims4()?;
        let first = |t: &Tensor| -> Result<Tensor> {
            let (tokens, ..) = t.dims3()?;
            t.transpose(0, 1)?.unsqueeze(0)?.broadcast_as((batch, heads, tokens, width))
        };
        let keys = match self.reordered {
            true => {
                // A head's values are as rows of one column.
                interleave(&self.keys.reshape(((), 1))?, width)?.reshape(self.keys.shape())?
            }
            false => self.keys.clone(),
        };
        Ok((
            Tensor::cat(&[first(&keys)?, k.contiguous()?], 2)?,
            Tensor::cat(&[first(&self.values)?, v.contiguous()?], 2)?,
        ))
    }
}
