//! A LLaMA from any layout on disk.

use crate::rows::interleave;
use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;

use super::audit::Stored;
use crate::llama::{Block, Llama, LlamaConfig};
use crate::peft::Tuning;
use crate::{Error, LoadStage, Result};
use artgpt_kernels::matrix::{Matrix, TrainPrecision};
use artgpt_kernels::mode::{Mode, RopeLayout};
use artgpt_manifest::{Method, Target};

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
    /// What fine-tuning made, or makes; keys as in `ArtGPT-4.pth`.
    pub weights: Option<VarBuilder<'a>>,
    pub method: Method,
    /// Matrices that gradients can pass, in place of those of the file.
    pub train: Option<TrainPrecision>,
}

impl Extras<'_> {
    /// Full fine-tuning is going on.
    fn train_all(&self) -> bool {
        self.train.is_some() && self.method == Method::Full {}
    }

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

/// Copies what `method` trains from the base model's values, under the names that it has in
/// `ArtGPT-4.pth`, or that full fine-tuning gives it: Hugging Face's, and its order of rows.
///
/// `norms` are those that the reference trains: every block's post-attention norm, and the input
/// norm of even blocks.
pub fn copy_trained(
    source: &mut dyn LanguageWeights,
    method: &Method,
    norms: bool,
    mut set: impl FnMut(&str, &Tensor) -> candle_core::Result<()>,
    device: &Device,
) -> Result<()> {
    let config = source.config()?;
    let full = matches!(method, Method::Full {});
    let named = |name: &str| format!("{TRAINED}{name}");
    for i in 0..config.num_hidden_layers {
        for (norm, trains) in
            [("post_attention_layernorm", norms), ("input_layernorm", norms && i.is_multiple_of(2))]
        {
            if trains || full {
                let name = format!("layers.{i}.{norm}.weight");
                set(&named(&name), &source.vector(&name, config.hidden_size, device)?)?;
            }
        }
        for target in Target::ALL.into_iter().filter(|_| full) {
            let name = format!("layers.{i}.{}.weight", target.path());
            let (out, width) = config.dims(target);
            let rows = source.matrix(&[(&name, out)], width, device)?.to_f32(device)?;
            let rows = match config.reordered(target) {
                Some(head_dim) => by_halves(&rows, head_dim)?,
                None => rows,
            };
            set(&named(&name), &rows)?;
        }
    }
    if full {
        let (rows, width) = (config.vocab_size, config.hidden_size);
        let mut whole = vec!["embed_tokens.weight"];
        whole.extend((!source.ties_output()).then_some("lm_head.weight"));
        for name in whole {
            let table = source.matrix(&[(name, rows)], width, device)?.to_f32(device)?;
            set(&named(name), &table)?;
        }
        set(&named("norm.weight"), &source.vector("norm.weight", width, device)?)?;
    }
    Ok(())
}

/// Where tensors of the language model are in a file of trained ones.
const TRAINED: &str = "llama_model.model.";
/// Where those of its blocks are.
pub const BLOCKS: &str = "llama_model.model.layers";

/// Whether training made this tensor in the place of one of the base's: a matrix of a block, a table,
/// or the last norm. What is put beside them, and a block's norms, leaves the base as it is.
pub fn replaces_base(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(TRAINED) else { return false };
    let whole = ["embed_tokens.weight", "lm_head.weight", "norm.weight"];
    let plain = rest.replace("self_attn.0.", "self_attn.");
    whole.contains(&rest)
        || Target::ALL.iter().any(|t| plain.ends_with(&format!(".{}.weight", t.path())))
}

/// Reads the model. `progress` gets the fraction done.
pub fn read_llama<M: Mode>(
    source: &mut dyn LanguageWeights,
    extras: &Extras,
    device: &Device,
    mut progress: impl FnMut(LoadStage, f32),
) -> Result<Llama<M>> {
    let mut config = source.config()?;
    if extras.train_all() {
        // What trains has Hugging Face's order of rows.
        config.rope_layout = RopeLayout::Halves;
    }
    let mut layers = Vec::with_capacity(config.num_hidden_layers);
    for i in 0..config.num_hidden_layers {
        progress(LoadStage::Language, i as f32 / config.num_hidden_layers as f32);
        layers.push(block(source, i, &config, extras, device)?);
    }
    let (rows, width) = (config.vocab_size, config.hidden_size);
    let trained = extras.weights.as_ref().map(|w| w.pp(TRAINED.trim_end_matches('.')));
    let own = |name: &str| trained.as_ref().filter(|w| w.contains_tensor(name));
    let table = |name: &str| -> Result<Option<Matrix>> {
        let Some(w) = own(name) else { return Ok(None) };
        let table = w.get((rows, width), name)?;
        Ok(Some(match extras.train_all() {
            true => Matrix::Trained(vec![table]),
            false => Matrix::stacked(&[table], device)?,
        }))
    };
    let (embed_tokens, replaced) = match table("embed_tokens.weight")? {
        Some(table) => (table, true),
        None => (source.matrix(&[("embed_tokens.weight", rows)], width, device)?, false),
    };
    let lm_head = match (source.ties_output(), table("lm_head.weight")?) {
        (false, Some(table)) => table,
        (true, _) if replaced => embed_tokens.clone(),
        (true, _) => extras.prepare(embed_tokens.clone(), device)?,
        (false, None) => extras.product(source, &[("lm_head.weight", rows)], width, device)?,
    };
    let norm = match own("norm.weight") {
        Some(w) => w.get(width, "norm.weight")?,
        None => source.vector("norm.weight", width, device)?,
    };
    progress(LoadStage::Language, 1.0);
    Ok(Llama::new(config, embed_tokens, layers, norm, lm_head, device)?)
}

/// The way back.
fn by_halves(rows: &Tensor, head_dim: usize) -> candle_core::Result<Tensor> {
    let (out, width) = rows.dims2()?;
    rows.reshape((out / head_dim, head_dim / 2, 2, width))?
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
    use Target::*;
    let trained = extras.weights.as_ref().map(|w| w.pp(BLOCKS).pp(i));
    let norm = |source: &mut dyn LanguageWeights, name: &str| -> Result<Tensor> {
        source.vector(&format!("layers.{i}.{name}.weight"), config.hidden_size, device)
    };
    // What full fine-tuning made takes the place of the file's, and so do attention matrices, which
    // some of the originals' checkpoints carry.
    let matrix = |source: &mut dyn LanguageWeights, parts: &[Target]| {
        let mut replaced = Vec::new();
        for target in parts {
            let Some(w) = &trained else { continue };
            let path = target.path();
            let originals = path.replace("self_attn.", "self_attn.0.");
            let names = [format!("{path}.weight"), format!("{originals}.weight")];
            let Some(name) = names.iter().find(|n| w.contains_tensor(n)) else { continue };
            let rows = w.get(config.dims(*target), name)?;
            replaced.push(match config.reordered(*target) {
                Some(head_dim) => interleave(&rows, head_dim)?,
                None => rows,
            });
        }
        if !replaced.is_empty() && replaced.len() < parts.len() {
            let names: Vec<&str> = parts.iter().map(|t| t.name()).collect();
            let reason = format!("block {i} has some of {}, but not all", names.join(", "));
            return Err(Error::corrupt(source.path(), reason));
        }
        if replaced.len() == parts.len() && extras.train_all() {
            Ok(Matrix::Trained(replaced))
        } else if replaced.len() == parts.len() {
            extras.prepare(Matrix::stacked(&replaced, device)?, device)
        } else {
            let names: Vec<String> =
                parts.iter().map(|t| format!("layers.{i}.{}.weight", t.path())).collect();
            let sizes = parts.iter().map(|t| config.dims(*t));
            let width = parts.first().map_or(0, |t| config.dims(*t).1);
            let parts: Vec<(&str, usize)> =
                names.iter().map(String::as_str).zip(sizes.map(|(out, _)| out)).collect();
            extras.product(source, &parts, width, device)
        }
    };
    Ok(Block {
        input_layernorm: norm(source, "input_layernorm")?,
        qkv_proj: matrix(source, &[QProj, KProj, VProj])?,
        o_proj: matrix(source, &[OProj])?,
        post_attention_layernorm: norm(source, "post_attention_layernorm")?,
        gate_up_proj: matrix(source, &[GateProj, UpProj])?,
        down_proj: matrix(source, &[DownProj])?,
        tuning: match &trained {
            Some(w) => Tuning::load(&extras.method, config, w)?,
            None => Tuning::default(),
        },
    })
}
