//! How many parameters each method trains in a LLaMA.

use crate::model::llama::LlamaConfig;

/// A way to train few parameters of a frozen language model, with the sizes that its own
/// publication or the `peft` package takes by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The paper's image adapters (section 3.2).
    Adapter,
    /// Two factors of this rank beside `q_proj` and `v_proj` (arXiv 2106.09685).
    Lora { rank: u64 },
    /// A bias on every Linear (arXiv 2106.10199); LLaMA has none, so they start at zero.
    BitFit,
    /// Keys and values of this many tokens before every block's own (arXiv 2101.00190).
    Prefix { tokens: u64 },
    /// The norms that the reference opens: each block's post-attention norm and the input norm of
    /// even blocks.
    Norms,
}

impl Method {
    pub const ALL: [Self; 5] = [
        Self::Adapter,
        Self::Lora { rank: 8 },
        Self::BitFit,
        Self::Prefix { tokens: 20 },
        Self::Norms,
    ];

    pub fn name(self) -> String {
        match self {
            Self::Adapter => "adapter".into(),
            Self::Lora { rank } => format!("lora (rank {rank} on q_proj and v_proj)"),
            Self::BitFit => "bitfit".into(),
            Self::Prefix { tokens } => format!("prefix ({tokens} tokens)"),
            Self::Norms => "norms".into(),
        }
    }

    /// Parameters in the language model.
    pub fn parameters(self, config: &LlamaConfig) -> u64 {
        let blocks = config.num_hidden_layers as u64;
        let (hidden, inner) = (config.hidden_size as u64, config.intermediate_size as u64);
        let query = (config.num_attention_heads * config.head_dim) as u64;
        let key = (config.num_key_value_heads * config.head_dim) as u64;
        match self {
            Self::Adapter => {
                let down = hidden / 4;
                blocks * (2 * hidden * down + down + hidden)
            }
            Self::Lora { rank } => blocks * rank * (hidden + query + hidden + key),
            Self::BitFit => blocks * (query + 2 * key + hidden + 2 * inner + hidden),
            Self::Prefix { tokens } => blocks * tokens * 2 * key,
            Self::Norms => (blocks + blocks.div_ceil(2)) * hidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::llama::RopeScaling;
    use crate::model::mode::RopeLayout;

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
        // What `print_trainable_parameters` of the package peft 0.21 says for LLaMA 7B.
        assert_eq!(Method::Lora { rank: 8 }.parameters(&config), 4_194_304);
        assert_eq!(Method::Prefix { tokens: 20 }.parameters(&config), 5_242_880);
        assert_eq!(Method::Adapter.parameters(&config), 32 * (2 * 4096 * 1024 + 1024 + 4096));
        assert_eq!(Method::Norms.parameters(&config), 48 * 4096);
        assert_eq!(Method::BitFit.parameters(&config), 32 * (3 * 4096 + 4096 + 2 * 11_008 + 4096));
    }
}
