//! The sizes of a Q-Former, under the names of Hugging Face's BLIP-2 configuration.

use serde::{Deserialize, Serialize};

/// The sizes in `[qformer]` of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerConfig {
    /// Learned query tokens; an image becomes as many tokens.
    pub num_query_tokens: usize,
    /// Width of a query token.
    pub hidden_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Attention heads of a block; they divide `hidden_size`.
    pub num_attention_heads: usize,
    /// Inner width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Blocks 0, n, 2n … have cross-attention to the image.
    pub cross_attention_freq: usize,
    /// Width of the image tokens.
    pub encoder_width: usize,
    /// Epsilon of the LayerNorms.
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Side of the square grid of image tokens to which the bridge adds sinusoidal position
    /// embeddings. 0 adds none: the tokens of a ViT carry positions, those of a convolutional
    /// encoder do not.
    #[serde(default)]
    pub image_grid: usize,
    /// Number of leading channels whose symmetry and balance features the bridge adds to the query
    /// tokens (`relations.rs` of `artgpt-model`); 0 adds none. Needs `image_grid`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub relation_channels: usize,
    /// Standardise each channel of the image tokens by measured means and standard deviations
    /// (`vision_norm`), for encoders without a final norm.
    #[serde(default = "yes")]
    pub standardise: bool,
    /// The text branch, which reads the instruction (InstructBLIP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<QFormerTextConfig>,
}

/// Sizes of the text branch's embedding tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerTextConfig {
    /// Tokens of its vocabulary.
    pub vocab_size: usize,
    /// Longest instruction, in tokens.
    pub max_position_embeddings: usize,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn yes() -> bool {
    true
}

fn layer_norm_eps() -> f64 {
    1e-12
}
