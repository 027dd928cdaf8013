//! The sizes of a LLaMA, and numbers derived from them.

use std::ops::RangeInclusive;
use std::path::Path;

use crate::{Error, Result};
use artgpt_kernels::mode::RopeLayout;
use artgpt_manifest::{Method, Target};

/// Sizes and constants of a LLaMA, under the names of Hugging Face's `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Transformer blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; they divide the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Inner width of the MLP.
    pub intermediate_size: usize,
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Maximum number of tokens.
    pub context_length: usize,
    /// Epsilon of the RMSNorms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// The pairs that rotate together.
    pub rope_layout: RopeLayout,
    /// The scaling of the rotary frequencies.
    pub rope_scaling: RopeScaling,
}

/// The scaling of rotary frequencies for a longer context.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Unscaled.
    None,
    /// Divides all frequencies by the factor.
    Linear(f32),
    /// Llama 3.1's scaling: divides low frequencies by `factor`, keeps high ones, and interpolates
    /// between them (`modeling_rope_utils.py` in transformers).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f32,
        /// Frequencies are low up to this many turns within the original context.
        low: f32,
        /// Frequencies are high from this many turns on.
        high: f32,
        /// Tokens of the context before scaling.
        original_context: f32,
    },
    /// Divides each frequency by its own divisor (`rope_freqs.weight` in GGUF).
    Divisors(Vec<f32>),
}

impl RopeScaling {
    /// The divisor of each frequency, as in GGUF.
    pub(crate) fn divisors(&self, config: &LlamaConfig) -> Vec<f32> {
        (0..config.head_dim / 2)
            .map(|i| {
                let plain = plain_frequency(config, i);
                plain / self.apply(i, plain)
            })
            .collect()
    }

    /// The scaled frequency `i`.
    pub(crate) fn apply(&self, i: usize, frequency: f32) -> f32 {
        match self {
            Self::None => frequency,
            Self::Linear(factor) => frequency / factor,
            Self::Divisors(divisors) => frequency / divisors.get(i).copied().unwrap_or(1.0),
            Self::Llama3 { factor, low, high, original_context } => {
                // Turns that a frequency makes in the context it was trained on.
                let turns = original_context * frequency / std::f32::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
        }
    }
}

impl LlamaConfig {
    /// Checks the sizes that `path` states against what real models have, before anything is computed or
    /// allocated with them. `key` gives the name in that file of a size that Hugging Face calls so.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the size and its value.
    pub(crate) fn check(&self, path: &Path, key: impl Fn(&str) -> String) -> Result<()> {
        let bounds: [(&str, usize, RangeInclusive<usize>); 8] = [
            ("num_hidden_layers", self.num_hidden_layers, 1..=1000),
            ("hidden_size", self.hidden_size, 1..=1 << 17),
            ("num_attention_heads", self.num_attention_heads, 1..=4096),
            ("num_key_value_heads", self.num_key_value_heads, 1..=4096),
            ("head_dim", self.head_dim, 2..=1024),
            ("intermediate_size", self.intermediate_size, 1..=1 << 20),
            ("max_position_embeddings", self.context_length, 16..=1 << 24),
            ("vocab_size", self.vocab_size, 1..=1 << 24),
        ];
        for (name, value, range) in bounds {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                let reason =
                    format!("{} is {value}, and {least} to {most} are possible", key(name));
                return Err(Error::corrupt(path, reason));
            }
        }
        let (heads, shared) = (self.num_attention_heads, self.num_key_value_heads);
        if !heads.is_multiple_of(shared) || !self.head_dim.is_multiple_of(2) {
            let reason = format!(
                "its attention head counts do not fit together: {heads} heads {} wide, {shared} for keys",
                self.head_dim
            );
            return Err(Error::corrupt(path, reason));
        }
        let finite = [self.rms_norm_eps, f64::from(self.rope_theta)];
        if finite.iter().any(|v| !v.is_finite() || *v <= 0.0) {
            return Err(Error::corrupt(
                path,
                "the norms' epsilon or the rope's base is not above 0",
            ));
        }
        Ok(())
    }

    /// Shape of a target's matrix, (out, in).
    pub fn dims(&self, target: Target) -> (usize, usize) {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let query = self.num_attention_heads * self.head_dim;
        let key = self.num_key_value_heads * self.head_dim;
        match target {
            Target::QProj => (query, hidden),
            Target::KProj | Target::VProj => (key, hidden),
            Target::OProj => (hidden, query),
            Target::GateProj | Target::UpProj => (inner, hidden),
            Target::DownProj => (hidden, inner),
        }
    }

    /// The head width of a target whose rows this model stores in another order than Hugging Face's
    /// (GGUF's q and k); `None` if the order is the same. Files of fine-tuned tensors have Hugging
    /// Face's order.
    pub(crate) fn reordered(&self, target: Target) -> Option<usize> {
        let rotates = matches!(target, Target::QProj | Target::KProj);
        (rotates && self.rope_layout == RopeLayout::Interleaved).then_some(self.head_dim)
    }

    /// Number of parameters that `method` trains in the language model. It includes the norms of the
    /// reference only for the method `norms`.
    pub fn trainable_parameters(&self, method: &Method) -> u64 {
        let blocks = self.num_hidden_layers as u64;
        let hidden = self.hidden_size as u64;
        let key = (self.num_key_value_heads * self.head_dim) as u64;
        let sizes = |t: &Target| self.dims(*t);
        match method {
            Method::Adapter { .. } => {
                let down = hidden / 4;
                blocks * (2 * hidden * down + down + hidden)
            }
            Method::Lora { rank, targets, .. } => {
                let sides = targets.iter().map(sizes).map(|(out, width)| (out + width) as u64);
                blocks * *rank as u64 * sides.sum::<u64>()
            }
            Method::Bitfit {} => {
                blocks * Target::ALL.iter().map(|t| sizes(t).0 as u64).sum::<u64>()
            }
            Method::Prefix { tokens } => blocks * *tokens as u64 * 2 * key,
            Method::Norms {} => (blocks + blocks.div_ceil(2)) * hidden,
            Method::Projection {} => 0,
            Method::Full {} => {
                let linear = Target::ALL.iter().map(sizes).map(|(o, w)| (o * w) as u64);
                let block = linear.sum::<u64>() + 2 * hidden;
                blocks * block + hidden * (self.vocab_size as u64 + 1)
            }
        }
    }
}

pub(crate) fn plain_frequency(config: &LlamaConfig, i: usize) -> f32 {
    1.0 / config.rope_theta.powf(2.0 * i as f32 / config.head_dim as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_vicuna_7b_are_the_known_ones() {
        let config = LlamaConfig {
            hidden_size: 4096,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            head_dim: 128,
            intermediate_size: 11_008,
            vocab_size: 32_000,
            context_length: 2048,
            rms_norm_eps: 1e-6,
            rope_theta: 1e4,
            rope_layout: RopeLayout::Halves,
            rope_scaling: RopeScaling::None,
        };
        let [adapter, lora, bitfit, prefix, norms, projection, full] =
            Method::all().map(|m| config.trainable_parameters(&m));
        // What `print_trainable_parameters` of the package peft 0.21 says for LLaMA 7B.
        assert_eq!((lora, prefix), (4_194_304, 5_242_880));
        assert_eq!(adapter, 32 * (2 * 4096 * 1024 + 1024 + 4096));
        assert_eq!(norms, 48 * 4096);
        assert_eq!(bitfit, 32 * (3 * 4096 + 4096 + 2 * 11_008 + 4096));
        // 6,738,415,616 in all, of which the output matrix is counted once here.
        assert_eq!((projection, full), (0, 6_738_415_616 - 32_000 * 4096));
    }
}
