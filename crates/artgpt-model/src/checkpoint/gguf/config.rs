//! The sizes of a LLaMA in the metadata of a GGUF file.

use artgpt_base::text::printable;
use candle_core::quantized::gguf_file::Value;

use super::GgufFile;
use crate::llama::{LlamaConfig, RopeScaling};
use crate::{Error, Result};
use artgpt_kernels::mode::RopeLayout;

impl GgufFile {
    pub(super) fn llama_config(&self) -> Result<LlamaConfig> {
        let architecture = self.string("general.architecture")?;
        if architecture != "llama" {
            return Err(self.unsupported(
                format!("the architecture `{}`", printable(architecture)),
                "use a GGUF file of a LLaMA model",
            ));
        }
        let number = |key: &str| self.number(&format!("llama.{key}"));
        let optional = |key: &str| self.optional(&format!("llama.{key}"));
        if optional("expert_count")?.is_some_and(|n| n > 1) {
            return Err(self.unsupported("a mixture of experts".into(), PLAIN));
        }
        if let Some(bias) = self.tensors.keys().find(|n| n.ends_with(".bias")) {
            return Err(self.unsupported(format!("the bias {}", printable(bias)), PLAIN));
        }
        let hidden_size = number("embedding_length")?;
        let num_attention_heads = number("attention.head_count")?;
        let num_key_value_heads =
            optional("attention.head_count_kv")?.unwrap_or(num_attention_heads);
        let head_dim = optional("attention.key_length")?
            .unwrap_or(hidden_size.checked_div(num_attention_heads).unwrap_or(0));
        if optional("rope.dimension_count")?.is_some_and(|n| n != head_dim) {
            return Err(self.unsupported("a rotary embedding on a part of each head".into(), PLAIN));
        }
        let vocab_size = self
            .tensors
            .get("token_embd.weight")
            .and_then(|(_, t)| t.shape.first().copied())
            .ok_or_else(|| Error::corrupt(&self.path, "token_embd.weight is missing"))?;
        let config = LlamaConfig {
            hidden_size,
            num_hidden_layers: number("block_count")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size: number("feed_forward_length")?,
            vocab_size,
            context_length: number("context_length")?,
            rms_norm_eps: f64::from(self.float("llama.attention.layer_norm_rms_epsilon")?),
            rope_theta: self.optional_float("llama.rope.freq_base")?.unwrap_or(10_000.0),
            rope_layout: RopeLayout::Interleaved,
            rope_scaling: self.rope_scaling()?,
        };
        config.check(&self.path, gguf_key)?;
        Ok(config)
    }

    fn rope_scaling(&self) -> Result<RopeScaling> {
        match self.metadata("llama.rope.scaling.type").map(Value::to_string) {
            Some(Ok(kind)) if kind == "linear" => {
                Ok(RopeScaling::Linear(self.float("llama.rope.scaling.factor")?))
            }
            Some(Ok(kind)) if kind != "none" => Err(self.unsupported(
                format!("rope scaling `{}`", printable(kind)),
                "use a model with linear or llama3 scaling, or none",
            )),
            _ => Ok(RopeScaling::None),
        }
    }

    fn unsupported(&self, what: String, hint: &str) -> Error {
        Error::Unsupported { path: self.path.display().to_string(), what, hint: hint.into() }
    }

    fn string(&self, key: &str) -> Result<&str> {
        let value = self.metadata(key).ok_or_else(|| self.missing(key))?;
        value.to_string().map(String::as_str).map_err(|_| self.mistyped(key))
    }

    fn number(&self, key: &str) -> Result<usize> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    /// `None` if the key is not there.
    fn optional(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.metadata(key) else { return Ok(None) };
        let number = match value {
            Value::I8(n) => u64::try_from(*n).ok(),
            Value::I16(n) => u64::try_from(*n).ok(),
            Value::I32(n) => u64::try_from(*n).ok(),
            Value::I64(n) => u64::try_from(*n).ok(),
            Value::Bool(_) => None,
            other => other.to_u64().ok(),
        };
        let number = number.and_then(|n| usize::try_from(n).ok());
        number.map(Some).ok_or_else(|| self.mistyped(key))
    }

    fn float(&self, key: &str) -> Result<f32> {
        self.optional_float(key)?.ok_or_else(|| self.missing(key))
    }

    fn optional_float(&self, key: &str) -> Result<Option<f32>> {
        let Some(value) = self.metadata(key) else { return Ok(None) };
        match value {
            Value::F32(v) if v.is_finite() => Ok(Some(*v)),
            Value::F64(v) if v.is_finite() => Ok(Some(*v as f32)),
            _ => Err(self.mistyped(key)),
        }
    }

    fn missing(&self, key: &str) -> Error {
        Error::corrupt(&self.path, format!("metadata `{key}` is missing"))
    }

    fn mistyped(&self, key: &str) -> Error {
        Error::corrupt(&self.path, format!("metadata `{key}` has a wrong type or value"))
    }
}

const PLAIN: &str = "use a GGUF file of a plain LLaMA or Vicuna";

/// GGUF's key of a size that Hugging Face calls `name`.
fn gguf_key(name: &str) -> String {
    let key = match name {
        "hidden_size" => "embedding_length",
        "num_hidden_layers" => "block_count",
        "num_attention_heads" => "attention.head_count",
        "num_key_value_heads" => "attention.head_count_kv",
        "head_dim" => "attention.key_length",
        "intermediate_size" => "feed_forward_length",
        "max_position_embeddings" => "context_length",
        other => other,
    };
    format!("llama.{key}")
}
