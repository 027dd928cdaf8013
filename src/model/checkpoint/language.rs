//! A LLaMA from any layout on disk.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;

use super::audit::Stored;
use crate::model::llama::{Block, Llama, LlamaConfig};
use crate::model::matrix::{Matrix, TrainPrecision};
use crate::model::mode::{Mode, RopeLayout};
use crate::model::peft::Bottleneck;
use crate::model::{Error, LoadStage, Result};

/// The weights of a language model. Names are Hugging Face's, from `embed_tokens` on; shapes are
/// checked, so that a configuration that lies is told from the first tensor that it does not fit.
pub trait LanguageWeights {
    /// The file or folder, for messages.
    fn path(&self) -> &Path;

    fn config(&mut self) -> Result<LlamaConfig>;

    /// The output matrix is the embedding table.
    fn ties_output(&self) -> bool;

    /// What the file calls a tensor.
    fn stored_name(&self, name: &str) -> String;

    /// All that the file holds.
    fn stored(&self) -> BTreeMap<String, Stored>;

    /// Tensors of (out, width) each, stacked along the output.
    fn matrix(&mut self, parts: &[(&str, usize)], width: usize, device: &Device) -> Result<Matrix>;

    /// The same for products alone, in whatever form they run fastest; rows of it cannot be
    /// looked up.
    fn product(
        &mut self,
        parts: &[(&str, usize)],
        width: usize,
        device: &Device,
    ) -> Result<Matrix> {
        self.matrix(parts, width, device)
    }

    /// A norm, f32.
    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor>;
}

/// What goes into a LLaMA besides the file's own weights.
pub struct Extras<'a> {
    /// Adapters, and norms where they were trained; keys as in `ArtGPT-4.pth`.
    pub weights: Option<VarBuilder<'a>>,
    pub adapters: bool,
    pub zero_up: bool,
    /// Matrices that gradients can pass, in place of those of the file.
    pub train: Option<TrainPrecision>,
}

impl Extras<'_> {
    fn product(
        &self,
        source: &mut dyn LanguageWeights,
        parts: &[(&str, usize)],
        width: usize,
        device: &Device,
    ) -> Result<Matrix> {
        match self.train {
            Some(_) => self.prepare(source.matrix(parts, width, device)?, device),
            None => source.product(parts, width, device),
        }
    }

    fn prepare(&self, matrix: Matrix, device: &Device) -> Result<Matrix> {
        match self.train {
            Some(precision) => Ok(matrix.to_train(precision, device)?),
            None => Ok(matrix),
        }
    }
}

/// Copies the norms that the reference trains (every block's post-attention norm, and the input
/// norm of even blocks), under the names they have in `ArtGPT-4.pth`.
pub fn copy_norms(
    source: &mut dyn LanguageWeights,
    mut set: impl FnMut(&str, &Tensor) -> candle_core::Result<()>,
    device: &Device,
) -> Result<()> {
    let config = source.config()?;
    for i in 0..config.num_hidden_layers {
        for (norm, trains) in
            [("post_attention_layernorm", true), ("input_layernorm", i.is_multiple_of(2))]
        {
            if trains {
                let name = format!("layers.{i}.{norm}.weight");
                let value = source.vector(&name, config.hidden_size, device)?;
                set(&format!("llama_model.model.{name}"), &value)?;
            }
        }
    }
    Ok(())
}

/// Reads the model. `progress` gets the fraction done.
pub fn read_llama<M: Mode>(
    source: &mut dyn LanguageWeights,
    extras: &Extras,
    device: &Device,
    mut progress: impl FnMut(LoadStage, f32),
) -> Result<Llama<M>> {
    let config = source.config()?;
    let mut layers = Vec::with_capacity(config.num_hidden_layers);
    for i in 0..config.num_hidden_layers {
        progress(LoadStage::Language, i as f32 / config.num_hidden_layers as f32);
        layers.push(block(source, i, &config, extras, device)?);
    }
    let (rows, width) = (config.vocab_size, config.hidden_size);
    let embed_tokens = source.matrix(&[("embed_tokens.weight", rows)], width, device)?;
    let lm_head = match source.ties_output() {
        true => extras.prepare(embed_tokens.clone(), device)?,
        false => extras.product(source, &[("lm_head.weight", rows)], width, device)?,
    };
    let norm = source.vector("norm.weight", config.hidden_size, device)?;
    progress(LoadStage::Language, 1.0);
    Ok(Llama::new(config, embed_tokens, layers, norm, lm_head, device)?)
}

/// Rows of q or k from Hugging Face's order (a head's first half, then its second) to GGUF's
/// (neighbours rotate together).
pub fn interleave(rows: &Tensor, head_dim: usize) -> candle_core::Result<Tensor> {
    let (out, width) = rows.dims2()?;
    rows.reshape((out / head_dim, 2, head_dim / 2, width))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((out, width))
}

fn block(
    source: &mut dyn LanguageWeights,
    i: usize,
    config: &LlamaConfig,
    extras: &Extras,
    device: &Device,
) -> Result<Block> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let query = config.num_attention_heads * config.head_dim;
    let key = config.num_key_value_heads * config.head_dim;
    let trained = extras.weights.as_ref().map(|w| w.pp("llama_model.model.layers").pp(i));
    // A norm that was trained replaces the file's.
    let norm = |source: &mut dyn LanguageWeights, name: &str| -> Result<Tensor> {
        let name = format!("{name}.weight");
        match &trained {
            Some(w) if w.contains_tensor(&name) => Ok(w.get(hidden, &name)?),
            _ => source.vector(&format!("layers.{i}.{name}"), hidden, device),
        }
    };
    // So do attention matrices, which some of the originals' checkpoints carry.
    let matrix = |source: &mut dyn LanguageWeights, parts: &[(&str, usize)], width: usize| {
        let replaced: Vec<Tensor> = parts
            .iter()
            .filter_map(|(name, out)| {
                let part = name.strip_prefix("self_attn.")?;
                let w = trained.as_ref()?;
                let name = format!("self_attn.0.{part}.weight");
                w.contains_tensor(&name).then(|| {
                    let rows = w.get((*out, width), &name)?;
                    match (config.rope_layout, part) {
                        (RopeLayout::Interleaved, "q_proj" | "k_proj") => {
                            interleave(&rows, config.head_dim)
                        }
                        _ => Ok(rows),
                    }
                })
            })
            .collect::<candle_core::Result<_>>()?;
        if !replaced.is_empty() && replaced.len() < parts.len() {
            let reason = format!("block {i} has some of q_proj, k_proj and v_proj, but not all");
            return Err(Error::corrupt(source.path(), reason));
        }
        if replaced.len() == parts.len() {
            extras.prepare(Matrix::stacked(&replaced, device)?, device)
        } else {
            let names: Vec<String> =
                parts.iter().map(|(name, _)| format!("layers.{i}.{name}.weight")).collect();
            let parts: Vec<(&str, usize)> =
                names.iter().map(String::as_str).zip(parts.iter().map(|p| p.1)).collect();
            extras.product(source, &parts, width, device)
        }
    };
    Ok(Block {
        input_layernorm: norm(source, "input_layernorm")?,
        qkv_proj: matrix(
            source,
            &[("self_attn.q_proj", query), ("self_attn.k_proj", key), ("self_attn.v_proj", key)],
            hidden,
        )?,
        o_proj: matrix(source, &[("self_attn.o_proj", hidden)], query)?,
        adapter: match &trained {
            Some(w) if extras.adapters => {
                Some(Bottleneck::load(hidden, extras.zero_up, w.pp("self_attn.1"))?)
            }
            _ => None,
        },
        post_attention_layernorm: norm(source, "post_attention_layernorm")?,
        gate_up_proj: matrix(source, &[("mlp.gate_proj", inner), ("mlp.up_proj", inner)], hidden)?,
        down_proj: matrix(source, &[("mlp.down_proj", hidden)], inner)?,
    })
}
