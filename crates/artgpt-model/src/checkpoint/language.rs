//! Loads a LLaMA from any checkpoint layout.

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

/// The weights of a language model, under Hugging Face's names without prefix (`embed_tokens.weight`).
/// Readers check shapes, so a wrong configuration fails at the first tensor that does not fit.
pub trait LanguageWeights {
    /// The file or folder, for messages.
    fn path(&self) -> &Path;

    /// The sizes of the model.
    fn config(&mut self) -> Result<LlamaConfig>;

    /// Whether the output matrix is the embedding table (tied weights).
    fn ties_output(&self) -> bool;

    /// The size of the vocabulary that the configuration states, which may differ from the table's rows.
    fn stated_vocabulary(&self) -> Option<usize> {
        None
    }

    /// The name of a tensor in the file.
    fn stored_name(&self, name: &str) -> String;

    /// All tensors of the file, by name.
    fn stored(&self) -> BTreeMap<String, Stored>;

    /// A matrix of the named tensors, (out, width) each, stacked along the output.
    fn matrix(&mut self, parts: &[(&str, usize)], width: usize, device: &Device) -> Result<Matrix>;

    /// Like [`Self::matrix`], in the form with the fastest products, which may have no row lookup.
    fn product(
        &mut self,
        parts: &[(&str, usize)],
        width: usize,
        device: &Device,
    ) -> Result<Matrix> {
        self.matrix(parts, width, device)
    }

    /// A norm's weights, (width), f32.
    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor>;
}

/// The parts of a LLaMA that are not in its base checkpoint.
pub(crate) struct Extras<'a> {
    /// Trained or trainable tensors; keys as in `ArtGPT-4.pth`.
    pub(crate) weights: Option<VarBuilder<'a>>,
    pub(crate) method: Method,
    /// Load the matrices in a form for training, with this precision.
    pub(crate) train: Option<TrainPrecision>,
}

impl Extras<'_> {
    /// Whether this is full fine-tuning.
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

/// Passes the base model's values of the tensors that `method` trains to `set`, under their names in
/// `ArtGPT-4.pth`; full fine-tuning uses Hugging Face's names and order of rows.
///
/// `norms`: also pass the norms that the reference trains, which are every block's post-attention norm
/// and the input norm of even blocks.
///
/// # Errors
/// The source cannot be read or is damaged, or `set` fails.
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

/// The name prefix of the language model in a file of trained tensors.
const TRAINED: &str = "llama_model.model.";
/// The name prefix of its blocks.
pub(crate) const BLOCKS: &str = "llama_model.model.layers";

/// Whether this trained tensor replaces one of the base: a matrix of a block, a table, or the last norm.
/// Tensors beside the base and a block's norms do not.
pub(crate) fn replaces_base(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(TRAINED) else { return false };
    let whole = ["embed_tokens.weight", "lm_head.weight", "norm.weight"];
    let plain = rest.replace("self_attn.0.", "self_attn.");
    whole.contains(&rest)
        || Target::ALL.iter().any(|t| plain.ends_with(&format!(".{}.weight", t.path())))
}

/// Loads the model. `progress` gets the fraction done.
pub(crate) fn read_llama<M: Mode>(
    source: &mut dyn LanguageWeights,
    extras: &Extras,
    device: &Device,
    mut progress: impl FnMut(LoadStage, f32),
) -> Result<Llama<M>> {
    let mut config = source.config()?;
    if extras.train_all() {
        // Trainable matrices have Hugging Face's order of rows.
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

/// Rows of q or k from GGUF's order to Hugging Face's; the inverse of [`interleave`].
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
    // Matrices of full fine-tuning replace those of the file, and so do attention matrices, which some
    // of the originals' checkpoints contain.
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
