//! GGUF language models (the format's specification is `ggml/docs/gguf.md`).

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use rayon::prelude::*;

use crate::model::llama::{Block, Llama, LlamaConfig};
use crate::model::matrix::{Matrix, stack};
use crate::model::mode::{Mode, RopeLayout};
use crate::model::peft::Bottleneck;
use crate::model::{Error, LoadStage, Result};

/// An open GGUF file: its metadata, and tensors read on demand.
pub struct GgufFile {
    path: PathBuf,
    content: Content,
    reader: BufReader<File>,
}

/// What goes into a LLaMA besides the file's own weights.
pub struct Extras<'a> {
    /// Adapters, and norms where they were trained; keys as in `ArtGPT-4.pth`.
    pub weights: Option<VarBuilder<'a>>,
    pub adapters: bool,
    pub zero_up: bool,
    /// Dense f32 matrices that gradients can pass, in place of quantised ones.
    pub dense: bool,
}

impl GgufFile {
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let content = Content::read(&mut reader).map_err(|e| Error::corrupt(path, e))?;
        // A cut file is told here, not by a read error in the middle of loading.
        for (name, info) in &content.tensor_infos {
            let blocks = info.shape.elem_count() / info.ggml_dtype.block_size();
            let end = content
                .tensor_data_offset
                .saturating_add(info.offset)
                .saturating_add((blocks * info.ggml_dtype.type_size()) as u64);
            if end > bytes {
                return Err(Error::corrupt(
                    path,
                    format!("{name} lies beyond the end of the file"),
                ));
            }
        }
        Ok(Self { path: path.to_path_buf(), content, reader })
    }

    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    pub fn llama_config(&self) -> Result<LlamaConfig> {
        let architecture = self.string("general.architecture")?;
        if architecture != "llama" {
            return Err(Error::Unsupported {
                path: self.path.display().to_string(),
                what: format!("architecture `{architecture}`"),
                hint: "use a GGUF file of a LLaMA model".into(),
            });
        }
        let number = |key: &str| self.number(&format!("llama.{key}"));
        let hidden_size = number("embedding_length")?;
        let num_attention_heads = number("attention.head_count")?;
        let num_key_value_heads = number("attention.head_count_kv").unwrap_or(num_attention_heads);
        let head_dim = number("attention.key_length")
            .unwrap_or(hidden_size.checked_div(num_attention_heads).unwrap_or(0));
        if head_dim == 0
            || num_key_value_heads == 0
            || !num_attention_heads.is_multiple_of(num_key_value_heads)
            || !head_dim.is_multiple_of(2)
        {
            return Err(Error::corrupt(
                &self.path,
                "its attention head counts do not fit together",
            ));
        }
        let vocab_size = self
            .content
            .tensor_infos
            .get("token_embd.weight")
            .and_then(|t| t.shape.dims().first().copied())
            .ok_or_else(|| Error::corrupt(&self.path, "token_embd.weight is missing"))?;
        Ok(LlamaConfig {
            hidden_size,
            num_hidden_layers: number("block_count")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size,
            context_length: number("context_length")?,
            rms_norm_eps: f64::from(self.float("llama.attention.layer_norm_rms_epsilon")?),
            rope_theta: self.float("llama.rope.freq_base").unwrap_or(10_000.0),
            rope_layout: RopeLayout::Interleaved,
        })
    }

    /// Copies the norms that the reference trains (every block's post-attention norm, and the
    /// input norm of even blocks), under the names they have in `ArtGPT-4.pth`.
    pub fn copy_norms(
        &mut self,
        mut set: impl FnMut(&str, &Tensor) -> candle_core::Result<()>,
        device: &Device,
    ) -> Result<()> {
        for i in 0..self.llama_config()?.num_hidden_layers {
            let prefix = format!("llama_model.model.layers.{i}");
            let norm = self.vector(&format!("blk.{i}.ffn_norm.weight"), device)?;
            set(&format!("{prefix}.post_attention_layernorm.weight"), &norm)?;
            if i.is_multiple_of(2) {
                let norm = self.vector(&format!("blk.{i}.attn_norm.weight"), device)?;
                set(&format!("{prefix}.input_layernorm.weight"), &norm)?;
            }
        }
        Ok(())
    }

    /// Reads the model. `progress` gets the fraction done.
    pub fn llama<M: Mode>(
        &mut self,
        extras: &Extras,
        device: &Device,
        mut progress: impl FnMut(LoadStage, f32),
    ) -> Result<Llama<M>> {
        let config = self.llama_config()?;
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for i in 0..config.num_hidden_layers {
            progress(LoadStage::Language, i as f32 / config.num_hidden_layers as f32);
            layers.push(self.block(i, &config, extras, device)?);
        }
        let embed_tokens = self.matrix(&["token_embd.weight"], extras.dense, device)?;
        let lm_head = if self.content.tensor_infos.contains_key("output.weight") {
            self.matrix(&["output.weight"], extras.dense, device)?
        } else {
            embed_tokens.clone() // tied, as in SmolLM2
        };
        let norm = self.vector("output_norm.weight", device)?;
        progress(LoadStage::Language, 1.0);
        Ok(Llama::new(config, embed_tokens, layers, norm, lm_head, device)?)
    }

    fn block(
        &mut self,
        i: usize,
        config: &LlamaConfig,
        extras: &Extras,
        device: &Device,
    ) -> Result<Block> {
        let key = |name: &str| format!("blk.{i}.{name}.weight");
        let trained = extras.weights.as_ref().map(|w| w.pp("llama_model.model.layers").pp(i));
        // A norm that was trained replaces the file's.
        let norm = |this: &mut Self, name: &str, trained_name: &str| -> Result<Tensor> {
            match &trained {
                Some(w) if w.contains_tensor(&format!("{trained_name}.weight")) => {
                    Ok(w.get(config.hidden_size, &format!("{trained_name}.weight"))?)
                }
                _ => this.vector(&key(name), device),
            }
        };
        let input_layernorm = norm(self, "attn_norm", "input_layernorm")?;
        let post_attention_layernorm = norm(self, "ffn_norm", "post_attention_layernorm")?;
        let adapter = match &trained {
            Some(w) if extras.adapters => {
                Some(Bottleneck::load(config.hidden_size, extras.zero_up, w.pp("self_attn.1"))?)
            }
            _ => None,
        };
        let dense = extras.dense;
        let qkv = [key("attn_q"), key("attn_k"), key("attn_v")];
        let gate_up = [key("ffn_gate"), key("ffn_up")];
        Ok(Block {
            input_layernorm,
            qkv_proj: self.matrix(&qkv.each_ref().map(String::as_str), dense, device)?,
            o_proj: self.matrix(&[&key("attn_output")], dense, device)?,
            adapter,
            post_attention_layernorm,
            gate_up_proj: self.matrix(&gate_up.each_ref().map(String::as_str), dense, device)?,
            down_proj: self.matrix(&[&key("ffn_down")], dense, device)?,
        })
    }

    /// One matrix from one or more tensors, stacked along the output.
    fn matrix(&mut self, names: &[&str], dense: bool, device: &Device) -> Result<Matrix> {
        let mut parts =
            names.iter().map(|name| self.tensor(name, device)).collect::<Result<Vec<_>>>()?;
        let quantised = match parts.len() {
            1 => parts.pop(),
            _ => stack(&parts, device)?,
        };
        let matrix = match quantised {
            Some(q) => Matrix::Quantised(Arc::new(q)),
            // Mixed types (Q4_K_M files have them) meet in f32.
            None => {
                let dense: Vec<_> = parts
                    .iter()
                    .map(|p| p.dequantize(device))
                    .collect::<candle_core::Result<_>>()?;
                let joined = Tensor::cat(&dense, 0)?;
                Matrix::Quantised(Arc::new(QTensor::quantize(&joined, GgmlDType::Q8_0)?))
            }
        };
        Ok(if dense { matrix.dense(device)? } else { matrix })
    }

    fn vector(&mut self, name: &str, device: &Device) -> Result<Tensor> {
        Ok(self.tensor(name, device)?.dequantize(device)?)
    }

    fn tensor(&mut self, name: &str, device: &Device) -> Result<QTensor> {
        self.content
            .tensor(&mut self.reader, name, device)
            .map_err(|e| Error::corrupt(&self.path, format!("{name}: {e}")))
    }

    fn string(&self, key: &str) -> Result<&str> {
        self.metadata(key)
            .and_then(|v| v.to_string().ok())
            .map(String::as_str)
            .ok_or_else(|| self.missing(key))
    }

    fn number(&self, key: &str) -> Result<usize> {
        let value = self.metadata(key).ok_or_else(|| self.missing(key))?;
        value
            .to_u64()
            .or_else(|_| value.to_u32().map(u64::from))
            .map(|v| v as usize)
            .map_err(|_| self.missing(key))
    }

    fn float(&self, key: &str) -> Result<f32> {
        self.metadata(key).and_then(|v| v.to_f32().ok()).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> Error {
        Error::corrupt(&self.path, format!("metadata `{key}` is missing or of the wrong type"))
    }
}

/// Rewrites the Q4_1 tensors of a GGUF file as Q8_0, for which candle has fast CPU kernels.
///
/// Every Q4_1 value is one of 16 in its block, so 8 bits lose little (the largest error is half
/// of 1/127 of the block's largest value).
pub fn requantise(source: &Path, target: &Path, mut progress: impl FnMut(f32)) -> Result<()> {
    let mut file = GgufFile::open(source)?;
    let mut names: Vec<_> = file.content.tensor_infos.keys().cloned().collect();
    names.sort_by_key(|n| file.content.tensor_infos[n].offset);
    let raw =
        names.iter().map(|name| file.tensor(name, &Device::Cpu)).collect::<Result<Vec<_>>>()?;
    let done = std::sync::atomic::AtomicUsize::new(0);
    // The caller's progress is not Sync; chunks keep it moving.
    let mut tensors = Vec::with_capacity(raw.len());
    for chunk in raw.chunks(16) {
        let part = chunk
            .par_iter()
            .map(|q| {
                done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                match q.dtype() {
                    GgmlDType::Q4_1 => {
                        QTensor::quantize(&q.dequantize(&Device::Cpu)?, GgmlDType::Q8_0).map(Some)
                    }
                    _ => Ok(None),
                }
            })
            .collect::<candle_core::Result<Vec<_>>>()?;
        tensors.extend(part);
        progress(done.load(std::sync::atomic::Ordering::Relaxed) as f32 / raw.len() as f32);
    }
    let metadata: Vec<_> = file.content.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let named: Vec<_> = names
        .iter()
        .zip(&raw)
        .zip(&tensors)
        .map(|((name, old), new)| (name.as_str(), new.as_ref().unwrap_or(old)))
        .collect();
    let io = |source| Error::Io { path: target.display().to_string(), source };
    let mut out = BufWriter::new(File::create(target).map_err(io)?);
    candle_core::quantized::gguf_file::write(&mut out, &metadata, &named)?;
    out.flush().map_err(io)?;
    out.get_ref().sync_all().map_err(io)
}
