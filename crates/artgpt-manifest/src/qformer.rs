//! The sizes of a Q-Former, under the names of Hugging Face's BLIP-2 configuration.

use serde::{Deserialize, Serialize};

/// `[qformer]` of a manifest, less its path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerConfig {
    pub num_query_tokens: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub cross_attention_freq: usize,
    /// Width of the image tokens.
    pub encoder_width: usize,
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Side of the square grid of image tokens whose places are marked with sines and cosines.
    /// A ViT's tokens know their places, so 0 (no marks) is its value; those of a convolutional
    /// encoder do not.
    #[serde(default)]
    pub image_grid: usize,
    /// Channels, from the first, of which the query tokens are told how the halves of the grid
    /// relate (`relations.rs`); 0 tells nothing. Needs `image_grid`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub relation_channels: usize,
    /// Standardise each channel of the image tokens by measured means and deviations
    /// (`vision_norm`): for encoders that end in no norm.
    #[serde(default = "yes")]
    pub standardise: bool,
    /// Reads the instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<QFormerTextConfig>,
}

/// The text branch's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerTextConfig {
    pub vocab_size: usize,
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
