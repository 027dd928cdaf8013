//! What fine-tuning adds to one block.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::Bottleneck;
use super::linear::Additions;
use super::prefix::Prefix;
use crate::llama::LlamaConfig;
use artgpt_manifest::Method;
use artgpt_manifest::Target;

/// Everything a method may put into a block; nothing of it is a copy of the base model, so one base
/// serves many.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// Norms that were trained, in place of the base model's: (hidden).
    pub input_layernorm: Option<Tensor>,
    pub post_attention_layernorm: Option<Tensor>,
    pub adapter: Option<Bottleneck>,
    pub qkv: Additions,
    pub o: Additions,
    pub gate_up: Additions,
    pub down: Additions,
    pub prefix: Option<Prefix>,
}

impl Tuning {
    /// Reads what `method` puts into a block from keys below `llama_model.model.layers.{i}`. Norms
    /// are taken where they are there.
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
