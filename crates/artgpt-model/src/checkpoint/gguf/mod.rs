//! GGUF language models (the format's specification is `ggml/docs/gguf.md`).

mod config;
mod header;
mod rewrite;
mod split;
mod types;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Shape, Tensor};

use super::audit::Stored;
use super::language::LanguageWeights;
pub(crate) use split::{files as split_files, model_name};

pub(crate) use rewrite::join;
pub use rewrite::requantise;

use crate::llama::{LlamaConfig, RopeScaling};
use crate::{Error, Result};
use artgpt_kernels::matrix::{Matrix, stack};

/// The metadata key under which `models convert` writes all EOS tokens; GGUF has a key for one.
pub const EOS_IDS: &str = "artgpt.eos_token_ids";

/// An open GGUF model in one file or several: its metadata, and tensors that it reads on demand.
pub struct GgufFile {
    path: PathBuf,
    parts: Vec<split::Part>,
    /// By name: the number of its part, and its entry there.
    tensors: BTreeMap<String, (usize, header::Entry)>,
}

impl GgufFile {
    /// Maps the file, and all other parts if it is one part of a model, and checks their headers.
    ///
    /// # Errors
    /// A file cannot be read, a part is missing or of another model, or a tensor lies outside of its file.
    pub fn open(path: &Path) -> Result<Self> {
        let parts = split::open(path)?;
        let tensors = parts.iter().enumerate().flat_map(|(i, part)| {
            part.header.tensors.iter().map(move |(name, entry)| (name.clone(), (i, entry.clone())))
        });
        let tensors = tensors.collect();
        Ok(Self { path: path.to_path_buf(), parts, tensors })
    }

    /// The names of its tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Each file with the names of its tensors.
    pub(crate) fn names_by_file(&self) -> Vec<(PathBuf, Vec<String>)> {
        let names = |p: &split::Part| p.header.tensors.keys().cloned().collect();
        self.parts.iter().map(|p| (p.path.clone(), names(p))).collect()
    }

    /// The file that contains a tensor.
    pub(crate) fn file_of(&self, name: &str) -> &Path {
        let part = self.tensors.get(name).and_then(|(part, _)| self.parts.get(*part));
        part.map_or(&self.path, |p| &p.path)
    }

    /// The shape and type of a tensor.
    pub(crate) fn form(&self, name: &str) -> Option<(Vec<usize>, GgmlDType)> {
        let (_, entry) = self.tensors.get(name)?;
        Some((entry.shape.clone(), entry.dtype))
    }

    /// The values of a tensor in f32, on the CPU.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn values(&self, name: &str) -> Result<Tensor> {
        Ok(self.tensor(name, &Device::Cpu)?.dequantize(&Device::Cpu)?)
    }

    /// The path of the file that was opened.
    pub fn file_path(&self) -> &Path {
        &self.path
    }

    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.parts.first()?.header.metadata.get(key)
    }

    fn tensor(&self, name: &str, device: &Device) -> Result<QTensor> {
        let (entry, bytes) = self.bytes(name)?;
        let tensor = QStorage::from_data(Cow::Borrowed(bytes), device, entry.dtype)
            .and_then(|storage| QTensor::new(storage, Shape::from(entry.shape.clone())))
            .map_err(|e| Error::corrupt(self.file_of(name), format!("{name}: {e}")));
        self.forget(name, bytes);
        tensor
    }

    /// Releases the pages of a tensor that has been read.
    fn forget(&self, name: &str, bytes: &[u8]) {
        if let Some(part) = self.tensors.get(name).and_then(|(part, _)| self.parts.get(*part)) {
            artgpt_kernels::mmap::forget(&part.map, bytes);
        }
    }

    /// A tensor's entry and its bytes in the file.
    fn bytes(&self, name: &str) -> Result<(&header::Entry, &[u8])> {
        let Some((part, entry)) = self.tensors.get(name) else {
            return Err(Error::corrupt(&self.path, format!("the key {name} is missing")));
        };
        // The reader of the header has checked that it lies within the file.
        let bytes = self.parts.get(*part).and_then(|p| p.map.get(entry.range.clone()));
        Ok((entry, bytes.unwrap_or_default()))
    }

    /// GGUF's names and entries of tensors, whose shapes it checks.
    fn entries(
        &self,
        parts: &[(&str, usize)],
        width: usize,
    ) -> Result<Vec<(String, &header::Entry)>> {
        let named = parts.iter().map(|(name, out)| {
            let name = gguf_name(name);
            let (entry, _) = self.bytes(&name)?;
            if entry.shape != [*out, width] {
                let reason = format!(
                    "{name} has the shape {:?}, [{out}, {width}] was expected",
                    entry.shape
                );
                return Err(Error::corrupt(self.file_of(&name), reason));
            }
            Ok((name, entry))
        });
        named.collect()
    }
}

/// The size of a tensor in bytes.
fn size(entry: &header::Entry) -> usize {
    entry.range.len()
}

/// GGUF's name of Hugging Face's tensor `name` (`gguf-py/gguf/tensor_mapping.py`).
pub(crate) fn gguf_name(name: &str) -> String {
    let stem = name.strip_suffix(".weight").unwrap_or(name);
    let named = match stem {
        "embed_tokens" => "token_embd".to_string(),
        "norm" => "output_norm".to_string(),
        "lm_head" => "output".to_string(),
        _ => match stem.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => {
                let part = match part {
                    "input_layernorm" => "attn_norm",
                    "post_attention_layernorm" => "ffn_norm",
                    "self_attn.q_proj" => "attn_q",
                    "self_attn.k_proj" => "attn_k",
                    "self_attn.v_proj" => "attn_v",
                    "self_attn.o_proj" => "attn_output",
                    "mlp.gate_proj" => "ffn_gate",
                    "mlp.up_proj" => "ffn_up",
                    "mlp.down_proj" => "ffn_down",
                    other => other,
                };
                format!("blk.{layer}.{part}")
            }
            None => stem.to_string(),
        },
    };
    format!("{named}.weight")
}

impl LanguageWeights for GgufFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn config(&mut self) -> Result<LlamaConfig> {
        let mut config = self.llama_config()?;
        if self.tensors.contains_key("rope_freqs.weight") {
            let divisors = self.tensor("rope_freqs.weight", &Device::Cpu)?;
            let divisors = divisors.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?;
            config.rope_scaling = RopeScaling::Divisors(divisors);
        }
        Ok(config)
    }

    fn ties_output(&self) -> bool {
        !self.tensors.contains_key("output.weight") // as in SmolLM2
    }

    fn stated_vocabulary(&self) -> Option<usize> {
        usize::try_from(self.metadata("llama.vocab_size")?.to_u64().ok()?).ok()
    }

    fn stored_name(&self, name: &str) -> String {
        gguf_name(name)
    }

    fn stored(&self) -> BTreeMap<String, Stored> {
        let info = |t: &header::Entry| Stored {
            shape: t.shape.clone(),
            dtype: format!("{:?}", t.dtype),
            bytes: size(t) as u64,
        };
        self.tensors.iter().map(|(name, (_, t))| (name.clone(), info(t))).collect()
    }

    fn matrix(&mut self, parts: &[(&str, usize)], width: usize, device: &Device) -> Result<Matrix> {
        let parts = self.entries(parts, width)?;
        let mut read =
            parts.iter().map(|(name, _)| self.tensor(name, device)).collect::<Result<Vec<_>>>()?;
        let quantised = match read.len() {
            1 => read.pop(),
            _ => stack(&read, device)?,
        };
        Ok(match quantised {
            Some(q) => Matrix::Quantised(Arc::new(q)),
            // Mixed types, as in Q4_K_M files, stay separate.
            None => {
                Matrix::Parts(read.into_iter().map(|q| Matrix::Quantised(Arc::new(q))).collect())
            }
        })
    }

    fn product(
        &mut self,
        parts: &[(&str, usize)],
        width: usize,
        device: &Device,
    ) -> Result<Matrix> {
        let named = self.entries(parts, width)?;
        let dtype = named.first().map(|(_, info)| info.dtype);
        let alike = named.iter().all(|(_, info)| Some(info.dtype) == dtype);
        if !alike {
            let each = parts.iter().map(|part| self.product(&[*part], width, device));
            return Ok(Matrix::Parts(each.collect::<Result<_>>()?));
        }
        if let (true, Some(dtype)) = (device.is_cpu(), dtype) {
            let bytes = named.iter().map(|(name, _)| Ok(self.bytes(name)?.1));
            let bytes = bytes.collect::<Result<Vec<_>>>()?;
            if let Some(packed) = Matrix::packed(dtype, &bytes, width) {
                named.iter().zip(&bytes).for_each(|((name, _), b)| self.forget(name, b));
                return Ok(packed);
            }
        }
        self.matrix(parts, width, device)
    }

    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor> {
        let vector = self.tensor(&gguf_name(name), device)?.dequantize(device)?;
        if vector.dims() != [width] {
            let name = gguf_name(name);
            let reason =
                format!("{name} has the shape {:?}, [{width}] was expected", vector.dims());
            return Err(Error::corrupt(self.file_of(&name), reason));
        }
        Ok(vector)
    }
}
