//! GGUF files that conversion writes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};

use super::io;
use crate::Result;
use crate::checkpoint::{EOS_IDS, LanguageWeights, Tensors, gguf_name};
use crate::llama::{LlamaConfig, RopeScaling};
use crate::rows::interleave;
use artgpt_kernels::mode::RopeLayout;
use artgpt_manifest::Target;

/// Writes a LLaMA as GGUF: matrices quantised, norms f32, q and k in GGUF's row order.
pub(super) fn write_gguf(
    source: &mut dyn LanguageWeights,
    dtype: GgmlDType,
    (bos, eos): (Option<u32>, &[u32]),
    to: &Path,
) -> Result<()> {
    let config = source.config()?;
    let device = &Device::Cpu;
    let mut tensors: Vec<(String, QTensor)> = Vec::new();
    let hidden = config.hidden_size;
    let mut matrices = vec![("embed_tokens".to_string(), config.vocab_size, hidden)];
    if !source.ties_output() {
        matrices.push(("lm_head".into(), config.vocab_size, hidden));
    }
    let mut norms = vec!["norm".to_string()];
    for i in 0..config.num_hidden_layers {
        for target in Target::ALL {
            let (out, width) = config.dims(target);
            matrices.push((format!("layers.{i}.{}", target.path()), out, width));
        }
        norms.push(format!("layers.{i}.input_layernorm"));
        norms.push(format!("layers.{i}.post_attention_layernorm"));
    }
    for (name, out, width) in matrices {
        let full = format!("{name}.weight");
        let mut rows = source.matrix(&[(full.as_str(), out)], width, device)?.to_f32(device)?;
        let rotates = name.ends_with("q_proj") || name.ends_with("k_proj");
        if rotates && config.rope_layout == RopeLayout::Halves {
            rows = interleave(&rows, config.head_dim)?;
        }
        let fitting = [dtype, GgmlDType::Q8_0, GgmlDType::F16]
            .into_iter()
            .find(|d| width.is_multiple_of(d.block_size()))
            .unwrap_or(GgmlDType::F32);
        tensors.push((gguf_name(&full), QTensor::quantize(&rows, fitting)?));
    }
    for name in norms {
        let full = format!("{name}.weight");
        let norm = source.vector(&full, hidden, device)?;
        tensors.push((gguf_name(&full), QTensor::quantize(&norm, GgmlDType::F32)?));
    }
    let mut metadata = metadata(&config, bos, eos);
    match &config.rope_scaling {
        RopeScaling::None => {}
        RopeScaling::Linear(factor) => {
            metadata.push(("llama.rope.scaling.type", Value::String("linear".into())));
            metadata.push(("llama.rope.scaling.factor", Value::F32(*factor)));
        }
        scaling @ (RopeScaling::Llama3 { .. } | RopeScaling::Divisors(_)) => {
            let divisors = Tensor::new(scaling.divisors(&config), device)?;
            let divisors = QTensor::quantize(&divisors, GgmlDType::F32)?;
            tensors.push(("rope_freqs.weight".into(), divisors));
        }
    }
    write_file(to, &metadata, &tensors)
}

/// The metadata that llama.cpp needs to run the model.
fn metadata(config: &LlamaConfig, bos: Option<u32>, eos: &[u32]) -> Vec<(&'static str, Value)> {
    let number = |n: usize| Value::U32(u32::try_from(n).unwrap_or(u32::MAX));
    let mut all = vec![
        ("general.architecture", Value::String("llama".into())),
        ("llama.embedding_length", number(config.hidden_size)),
        ("llama.block_count", number(config.num_hidden_layers)),
        ("llama.feed_forward_length", number(config.intermediate_size)),
        ("llama.attention.head_count", number(config.num_attention_heads)),
        ("llama.attention.head_count_kv", number(config.num_key_value_heads)),
        ("llama.attention.key_length", number(config.head_dim)),
        ("llama.attention.value_length", number(config.head_dim)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32)),
        ("llama.context_length", number(config.context_length)),
        ("llama.rope.dimension_count", number(config.head_dim)),
        ("llama.rope.freq_base", Value::F32(config.rope_theta)),
        ("llama.vocab_size", number(config.vocab_size)),
    ];
    if let Some(bos) = bos {
        all.push(("tokenizer.ggml.bos_token_id", Value::U32(bos)));
    }
    if let Some(first) = eos.first() {
        all.push(("tokenizer.ggml.eos_token_id", Value::U32(*first)));
        // GGUF has room for one; our tokenizer reads all of them from here.
        all.push((EOS_IDS, Value::Array(eos.iter().map(|id| Value::U32(*id)).collect())));
    }
    all
}

/// Writes tensors as a GGUF file under their own names; `block_type` gives the type of a matrix that
/// becomes quantised.
pub(super) fn write_quantised<'a>(
    tensors: &Tensors,
    names: impl Iterator<Item = &'a str>,
    read: impl Fn(&str) -> Result<Tensor>,
    block_type: impl Fn(&str) -> Option<GgmlDType>,
    to: &Path,
) -> Result<()> {
    let mut all = Vec::new();
    for name in names {
        let Some(found) = tensors.info(name).and_then(|i| i.dtype) else { continue };
        let tensor = read(name)?;
        let fitting = match (tensor.dims(), block_type(name)) {
            ([_, width], Some(dtype)) => {
                [dtype, GgmlDType::Q8_0].into_iter().find(|d| width % d.block_size() == 0)
            }
            _ => None,
        };
        let plain = match found {
            DType::F32 | DType::F64 => GgmlDType::F32,
            DType::BF16 => GgmlDType::BF16,
            _ => GgmlDType::F16,
        };
        let values = tensor.to_dtype(DType::F32)?;
        all.push((name.to_string(), QTensor::quantize(&values, fitting.unwrap_or(plain))?));
    }
    write_file(to, &[], &all)
}

fn write_file(to: &Path, metadata: &[(&str, Value)], tensors: &[(String, QTensor)]) -> Result<()> {
    let mut out = BufWriter::new(File::create(to).map_err(io(to))?);
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (*k, v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, t)| (k.as_str(), t)).collect();
    candle_core::quantized::gguf_file::write(&mut out, &metadata, &tensors)?;
    out.flush().map_err(io(to))?;
    out.get_ref().sync_all().map_err(io(to))
}
