//! Fine-tuning methods for a LLaMA.

use serde::{Deserialize, Serialize};

use crate::Target;

/// A fine-tuning method of a language model. Sizes default to those of its publication or of the `peft`
/// package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Method {
    /// The paper's image adapters (section 3.2).
    Adapter {
        /// Start the second Linear at zero (the adapter is the identity at step 0) instead of at
        /// PyTorch's default, which is what the reference does.
        #[serde(default = "yes")]
        zero_up: bool,
    },
    /// Low-rank adaptation: a product of two factors beside each target, scaled by `alpha / rank`
    /// (arXiv 2106.09685).
    Lora {
        /// Rank of the factors.
        #[serde(default = "rank")]
        rank: usize,
        /// Scale of the product, times `rank`.
        #[serde(default = "alpha")]
        alpha: f64,
        /// The Linears of each block that it adapts.
        #[serde(default = "targets")]
        targets: Vec<Target>,
    },
    /// A bias on every Linear (arXiv 2106.10199); LLaMA has none, so they start at zero.
    Bitfit {},
    /// Prefix tuning: trained keys and values before every block's own (arXiv 2101.00190), without
    /// the publication's network that generates them.
    Prefix {
        /// Length of the prefix.
        #[serde(default = "tokens")]
        tokens: usize,
    },
    /// Only the norms that the reference trains: each block's post-attention norm and the input norm
    /// of even blocks.
    Norms {},
    /// Nothing in the language model: MiniGPT-4's recipe.
    Projection {},
    /// Every tensor of the language model.
    Full {},
}

impl Default for Method {
    fn default() -> Self {
        Self::Adapter { zero_up: true }
    }
}

impl Method {
    /// All methods with default sizes.
    pub fn all() -> [Self; 7] {
        [
            Self::default(),
            Self::Lora { rank: rank(), alpha: alpha(), targets: targets() },
            Self::Bitfit {},
            Self::Prefix { tokens: tokens() },
            Self::Norms {},
            Self::Projection {},
            Self::Full {},
        ]
    }

    /// The method's name in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Adapter { .. } => "adapter",
            Self::Lora { .. } => "lora",
            Self::Bitfit {} => "bitfit",
            Self::Prefix { .. } => "prefix",
            Self::Norms {} => "norms",
            Self::Projection {} => "projection",
            Self::Full {} => "full",
        }
    }

    /// The method's name and sizes, for a table.
    pub fn describe(&self) -> String {
        match self {
            Self::Lora { rank, alpha, targets } => {
                let names: Vec<&str> = targets.iter().map(|t| t.name()).collect();
                format!("lora (rank {rank}, alpha {alpha}, on {})", names.join(", "))
            }
            Self::Adapter { zero_up: false } => "adapter (random up)".into(),
            Self::Prefix { tokens } => format!("prefix ({tokens} tokens)"),
            other => other.kind().into(),
        }
    }

    /// Whether it trains the norms of the reference by default.
    pub fn opens_norms(&self) -> bool {
        matches!(self, Self::Adapter { .. } | Self::Norms {} | Self::Full {})
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// A message that names the invalid size.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Lora { rank: 0, .. } => Err("lora: rank must be above 0".into()),
            Self::Lora { targets, .. } if targets.is_empty() => {
                Err("lora: targets must name a Linear".into())
            }
            Self::Lora { alpha, .. } if !(alpha.is_finite() && *alpha > 0.0) => {
                Err("lora: alpha must be above 0".into())
            }
            Self::Prefix { tokens: 0 } => Err("prefix: tokens must be above 0".into()),
            _ => Ok(()),
        }
    }
}

fn yes() -> bool {
    true
}
fn rank() -> usize {
    8
}
fn alpha() -> f64 {
    16.0
}
fn targets() -> Vec<Target> {
    vec![Target::QProj, Target::VProj]
}
fn tokens() -> usize {
    20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_a_method_and_may_leave_out_its_sizes() {
        let parse = |text: &str| toml::from_str::<Method>(text);
        let lora = parse("kind = \"lora\"\nrank = 4\ntargets = [\"down_proj\"]").expect("parses");
        let targets = vec![Target::DownProj];
        assert_eq!(lora, Method::Lora { rank: 4, alpha: 16.0, targets });
        assert_eq!(parse("kind = \"bitfit\"").expect("parses"), Method::Bitfit {});
        assert!(parse("kind = \"lora\"\nrang = 4").is_err());
        assert!(parse("kind = \"ia3\"").is_err());
        assert!(Method::Prefix { tokens: 0 }.check().is_err());
    }
}
