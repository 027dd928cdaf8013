//! GGUF language models (the format's specification is `ggml/docs/gguf.md`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artgpt_kernels::mmap::Mmap;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::audit::Stored;
use super::hf::check_size;
use super::language::LanguageWeights;
use crate::llama::{LlamaConfig, RopeScaling};
use crate::{Error, Result};
use artgpt_kernels::matrix::{Matrix, stack};
use artgpt_kernels::mode::RopeLayout;

/// The metadata key under which `models convert` writes all EOS tokens; GGUF has a key for one.
pub const EOS_IDS: &str = "artgpt.eos_token_ids";

/// An open GGUF file: its metadata, and tensors that it reads on demand.
pub struct GgufFile {
    path: PathBuf,
    content: Content,
    map: Mmap,
}

impl GgufFile {
    /// Maps the file and checks its header.
    ///
    /// # Errors
    /// The file cannot be read, or a tensor lies outside of it.
    pub fn open(path: &Path) -> Result<Self> {
        let map = super::safetensors::map(path)?;
        check_alignment(path, &map)?;
        let bytes = map.len() as u64;
        let content =
            Content::read(&mut Cursor::new(&map[..])).map_err(|e| Error::corrupt(path, e))?;
        // Detects a truncated file here instead of by a read error in the middle of loading.
        for (name, info) in &content.tensor_infos {
            let end = content
                .tensor_data_offset
                .saturating_add(info.offset)
                .saturating_add(size(info) as u64);
            if end > bytes {
                return Err(Error::corrupt(
                    path,
                    format!("{name} lies beyond the end of the file"),
                ));
            }
            // The program reads blocks in place.
            if !content.tensor_data_offset.wrapping_add(info.offset).is_multiple_of(4) {
                return Err(Error::corrupt(
                    path,
                    format!("{name} does not lie at a multiple of 4"),
                ));
            }
        }
        Ok(Self { path: path.to_path_buf(), content, map })
    }

    /// The names of its tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.content.tensor_infos.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// The shape and type of a tensor.
    pub(crate) fn form(&self, name: &str) -> Option<(Vec<usize>, GgmlDType)> {
        let info = self.content.tensor_infos.get(name)?;
        Some((info.shape.dims().to_vec(), info.ggml_dtype))
    }

    /// The values of a tensor in f32, on the CPU.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn values(&self, name: &str) -> Result<Tensor> {
        Ok(self.tensor(name, &Device::Cpu)?.dequantize(&Device::Cpu)?)
    }

    /// The path of the file.
    pub fn file_path(&self) -> &Path {
        &self.path
    }

    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    fn llama_config(&self) -> Result<LlamaConfig> {
        let architecture = self.string("general.architecture")?;
        if architecture != "llama" {
            return Err(Error::Unsupported {
                path: self.path.display().to_string(),
                what: format!("architecture `{architecture}`"),
                hint: "use a GGUF file of a LLaMA model".into(),
            });
        }
        let number = |key: &str| self.number(&format!("llama.{key}"));
        let unsupported = |what: String| Error::Unsupported {
            path: self.path.display().to_string(),
            what,
            hint: "use a GGUF file of a plain LLaMA or Vicuna".into(),
        };
        if number("expert_count").is_ok_and(|n| n > 1) {
            return Err(unsupported("a mixture of experts".into()));
        }
        if let Some(bias) = self.content.tensor_infos.keys().find(|n| n.ends_with(".bias")) {
            return Err(unsupported(format!("the bias {}", artgpt_base::text::printable(bias))));
        }
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
        if number("rope.dimension_count").is_ok_and(|n| n != head_dim) {
            return Err(unsupported("a rotary embedding on a part of each head".into()));
        }
        let vocab_size = self
            .content
            .tensor_infos
            .get("token_embd.weight")
            .and_then(|t| t.shape.dims().first().copied())
            .ok_or_else(|| Error::corrupt(&self.path, "token_embd.weight is missing"))?;
        check_size(&self.path, number("block_count")?, number("context_length")?, head_dim)?;
        Ok(LlamaConfig {
            hidden_size,
            num_hidden_layers: number("block_count")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size: number("feed_forward_length")?,
            vocab_size,
            context_length: number("context_length")?,
            rms_norm_eps: f64::from(self.float("llama.attention.layer_norm_rms_epsilon")?),
            rope_theta: self.float("llama.rope.freq_base").unwrap_or(10_000.0),
            rope_layout: RopeLayout::Interleaved,
            rope_scaling: match self.metadata("llama.rope.scaling.type").map(Value::to_string) {
                Some(Ok(kind)) if kind == "linear" => {
                    RopeScaling::Linear(self.float("llama.rope.scaling.factor")?)
                }
                Some(Ok(kind)) if kind != "none" => {
                    return Err(Error::Unsupported {
                        path: self.path.display().to_string(),
                        what: format!("rope scaling `{}`", artgpt_base::text::printable(kind)),
                        hint: "use a model with linear or llama3 scaling, or none".into(),
                    });
                }
                _ => RopeScaling::None,
            },
        })
    }

    fn tensor(&self, name: &str, device: &Device) -> Result<QTensor> {
        let (info, bytes) = self.bytes(name)?;
        let tensor = QStorage::from_data(Cow::Borrowed(bytes), device, info.ggml_dtype)
            .and_then(|storage| QTensor::new(storage, info.shape.clone()))
            .map_err(|e| Error::corrupt(&self.path, format!("{name}: {e}")));
        artgpt_kernels::mmap::forget(&self.map, bytes);
        tensor
    }

    /// A tensor's entry and its bytes in the file.
    fn bytes(&self, name: &str) -> Result<(&TensorInfo, &[u8])> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(Error::corrupt(&self.path, format!("the key {name} is missing")));
        };
        let start = (self.content.tensor_data_offset + info.offset) as usize;
        // `open` has checked that it lies within the file.
        let bytes = self.map.get(start..start + size(info));
        Ok((info, bytes.unwrap_or_default()))
    }

    /// GGUF's names and entries of tensors, whose shapes it checks.
    fn parts(&self, parts: &[(&str, usize)], width: usize) -> Result<Vec<(String, &TensorInfo)>> {
        let named = parts.iter().map(|(name, out)| {
            let name = gguf_name(name);
            let (info, _) = self.bytes(&name)?;
            let found = info.shape.dims();
            if found != [*out, width] {
                let reason =
                    format!("{name} has the shape {found:?}, [{out}, {width}] was expected");
                return Err(Error::corrupt(&self.path, reason));
            }
            Ok((name, info))
        });
        named.collect()
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

/// Checks the alignment in the metadata, by which candle divides.
fn check_alignment(path: &Path, bytes: &[u8]) -> Result<()> {
    const KEY: &[u8] = b"\x11\0\0\0\0\0\0\0general.alignment"; // its length, then it
    const U32: [u8; 4] = 4u32.to_le_bytes();
    // Metadata come first; no file has more of them.
    const HEAD: usize = 64 << 20;
    for at in memchr::memmem::find_iter(&bytes[..bytes.len().min(HEAD)], KEY) {
        let rest = &bytes[at + KEY.len()..];
        let value = rest.strip_prefix(&U32).and_then(|r| r.first_chunk::<4>());
        if !value.is_some_and(|v| u32::from_le_bytes(*v).is_power_of_two()) {
            return Err(Error::corrupt(path, "general.alignment is no power of two"));
        }
    }
    Ok(())
}

/// The size of a tensor in bytes.
fn size(info: &TensorInfo) -> usize {
    info.shape.elem_count() / info.ggml_dtype.block_size() * info.ggml_dtype.type_size()
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
        if self.content.tensor_infos.contains_key("rope_freqs.weight") {
            let divisors = self.tensor("rope_freqs.weight", &Device::Cpu)?;
            let divisors = divisors.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?;
            config.rope_scaling = RopeScaling::Divisors(divisors);
        }
        Ok(config)
    }

    fn ties_output(&self) -> bool {
        !self.content.tensor_infos.contains_key("output.weight") // as in SmolLM2
    }

    fn stored_name(&self, name: &str) -> String {
        gguf_name(name)
    }

    fn stored(&self) -> BTreeMap<String, Stored> {
        let info = |t: &TensorInfo| Stored {
            shape: t.shape.dims().to_vec(),
            dtype: format!("{:?}", t.ggml_dtype),
            bytes: size(t) as u64,
        };
        self.content.tensor_infos.iter().map(|(name, t)| (name.clone(), info(t))).collect()
    }

    fn matrix(&mut self, parts: &[(&str, usize)], width: usize, device: &Device) -> Result<Matrix> {
        let parts = self.parts(parts, width)?;
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
        let named = self.parts(parts, width)?;
        let dtype = named.first().map(|(_, info)| info.ggml_dtype);
        let alike = named.iter().all(|(_, info)| Some(info.ggml_dtype) == dtype);
        if !alike {
            let each = parts.iter().map(|part| self.product(&[*part], width, device));
            return Ok(Matrix::Parts(each.collect::<Result<_>>()?));
        }
        if let (true, Some(dtype)) = (device.is_cpu(), dtype) {
            let bytes = named.iter().map(|(name, _)| Ok(self.bytes(name)?.1));
            let bytes = bytes.collect::<Result<Vec<_>>>()?;
            if let Some(packed) = Matrix::packed(dtype, &bytes, width) {
                bytes.iter().for_each(|b| artgpt_kernels::mmap::forget(&self.map, b));
                return Ok(packed);
            }
        }
        self.matrix(parts, width, device)
    }

    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor> {
        let vector = self.tensor(&gguf_name(name), device)?.dequantize(device)?;
        if vector.dims() != [width] {
            let reason = format!(
                "{} has the shape {:?}, [{width}] was expected",
                gguf_name(name),
                vector.dims()
            );
            return Err(Error::corrupt(&self.path, reason));
        }
        Ok(vector)
    }
}

/// Rewrites the Q4_1 tensors of a GGUF file as Q8_0, for which candle has fast CPU kernels. `progress`
/// gets the fraction done.
///
/// Every Q4_1 value is one of 16 in its block, so 8 bits lose little (the largest error is half
/// of 1/127 of the block's largest value).
///
/// # Errors
/// The source cannot be read or is damaged, or the target cannot be written.
pub fn requantise(source: &Path, target: &Path, mut progress: impl FnMut(f32)) -> Result<()> {
    let file = GgufFile::open(source)?;
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
