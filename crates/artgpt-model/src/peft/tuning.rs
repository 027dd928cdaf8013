//! The tensors that fine-tuning adds to one block.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::Bottleneck;
use super::linear::Additions;
use super::prefix::Prefix;
use crate::llama::LlamaConfig;
use artgpt_manifest::Method;
use artgpt_manifest::Target;

/// All tensors that a method may add to a block. None is a copy of the base model, so one base serves
/// many adapter sets.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// A trained norm that replaces the base model's, (hidden).
    pub input_layernorm: Option<Tensor>,
    /// As above.
    pub post_attention_layernorm: Option<Tensor>,
    /// The paper's image adapter.
    pub adapter: Option<Bottleneck>,
    /// Additions to the q, k and v matrices.
    pub qkv: Additions,
    /// Additions to the output matrix of attention.
    pub o: Additions,
    /// Additions to the gate and up matrices.
    pub gate_up: Additions,
    /// Additions to the output matrix of the MLP.
    pub down: Additions,
    /// The prefix of prefix tuning.
    pub prefix: Option<Prefix>,
}

impl Tuning {
    /// Loads the tensors of `method` for a block from keys below `llama_model.model.layers.{i}`, and
    /// norms if there are any.
    ///
    /// # Errors
    /// A tensor is missing or misshaped.
    pub fn load(method: &Method, config: &LlamaConfig, block: &VarBuilder) -> Result<Self> {
        use Target::*;
        let additions = |targets: &[Target]| Additions::load(method, targets, config, block);
        let norm = |name: &str| -> Result<Option<Tensor>> {
            match block.contains_tensor(name) {
                true => block.get(config.hidden_size, name).map(Some),
                false => Ok(None),
            }
        };
        Ok(Self {
            input_layernorm: norm("input_layernorm.weight")?,
            post_attention_layernorm: norm("post_attention_layernorm.weight")?,
            adapter: match method {
                Method::Adapter { zero_up } => {
                    let vb = block.pp("self_attn.1");
                    Some(Bottleneck::load(config.hidden_size, *zero_up, vb)?)
                }
                _ => None,
            },
            qkv: additions(&[QProj, KProj, VProj])?,
            o: additions(&[OProj])?,
            gate_up: additions(&[GateProj, UpProj])?,
            down: additions(&[DownProj])?,
            prefix: match method {
                Method::Prefix { tokens } => Some(Prefix::load(*tokens, config, block)?),
                _ => None,
            },
        })
    }
}
