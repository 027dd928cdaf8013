//! A LLaMA in a Hugging Face folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::{HfConfig, read_json, unsupported};
use crate::checkpoint::audit::Stored;
use crate::checkpoint::language::LanguageWeights;
use crate::checkpoint::tensors::Tensors;
use crate::llama::{LlamaConfig, RopeScaling};
use crate::{Error, Result};
use artgpt_kernels::matrix::Matrix;
use artgpt_kernels::mode::RopeLayout;

/// Name prefixes of a LLaMA's tensors, alone or in a larger model.
const PREFIXES: [&str; 7] = [
    "model.",
    "language_model.model.",
    "model.language_model.",
    "model.language_model.model.",
    "language_model.",
    "llama_model.model.",
    "",
];
/// Full names of the output matrix.
const LM_HEADS: [&str; 3] =
    ["lm_head.weight", "language_model.lm_head.weight", "llama_model.lm_head.weight"];

/// A LLaMA in a Hugging Face folder, alone or inside a larger model.
pub struct HfLanguage {
    dir: PathBuf,
    tensors: Tensors,
    /// The prefix of `embed_tokens.weight`.
    prefix: String,
    /// The full name of the output matrix.
    lm_head: Option<String>,
    config: LlamaConfig,
    tied: bool,
    stated_vocabulary: Option<usize>,
}

impl HfLanguage {
    /// Opens the language model of the folder `dir`. `weights` is the folder itself, or one file in it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model that is no plain LLaMA, [`Error::Corrupt`] for a missing
    /// tensor or sizes that do not fit.
    pub fn open(dir: &Path, weights: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let whole = HfConfig::open(dir)?;
        let section = if whole.text_config.is_some() { "text_config." } else { "" };
        let json: serde_json::Value = match whole.text_config {
            Some(text) => text,
            None => read_json(&path)?.ok_or_else(|| Error::corrupt(&path, "it is gone"))?,
        };
        let kind = json.get("model_type").and_then(|t| t.as_str()).unwrap_or("llama");
        if kind != "llama" {
            let what = format!("a language model of type `{}`", artgpt_base::text::printable(kind));
            return Err(unsupported(&path, what, "use a checkpoint whose language model is llama"));
        }
        if json.get("quantization_config").is_some_and(|q| !q.is_null()) {
            let what = "a checkpoint that was quantised for another program".into();
            return Err(unsupported(&path, what, "use 16-bit weights, or a GGUF file"));
        }
        check_numbers(&path, section, &json)?;
        let llama: HfLlama = serde_json::from_value(json).map_err(|e| Error::corrupt(&path, e))?;
        let tensors = Tensors::open(weights)?;
        let prefix = PREFIXES
            .into_iter()
            .find(|p| tensors.info(&format!("{p}embed_tokens.weight")).is_some())
            .ok_or_else(|| Error::corrupt(dir, "the key model.embed_tokens.weight is missing"))?;
        let lm_head = LM_HEADS.into_iter().find(|name| tensors.info(name).is_some());
        let table = tensors.info(&format!("{prefix}embed_tokens.weight"));
        let vocab_size = table.and_then(|i| i.shape.first().copied()).unwrap_or(0);
        let config = llama.config(&path, section, vocab_size)?;
        let tied = match (llama.tie_word_embeddings, lm_head) {
            (Some(true), _) | (None, None) => true,
            (_, Some(_)) => false,
            (Some(false), None) => {
                return Err(Error::corrupt(dir, "the key lm_head.weight is missing"));
            }
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            tensors,
            prefix: prefix.into(),
            lm_head: lm_head.map(String::from),
            config,
            tied,
            stated_vocabulary: llama.vocab_size,
        })
    }

    /// The folder, which also holds the tokenizer.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Each file with the names of its tensors.
    pub(crate) fn names_by_file(&self) -> Vec<(PathBuf, Vec<String>)> {
        self.tensors.names_by_file()
    }

    fn name(&self, name: &str) -> String {
        match (name, &self.lm_head) {
            ("lm_head.weight", Some(whole)) => whole.clone(),
            _ => format!("{}{name}", self.prefix),
        }
    }
}

impl LanguageWeights for HfLanguage {
    fn path(&self) -> &Path {
        &self.dir
    }

    fn config(&mut self) -> Result<LlamaConfig> {
        Ok(self.config.clone())
    }

    fn ties_output(&self) -> bool {
        self.tied
    }

    fn stated_vocabulary(&self) -> Option<usize> {
        self.stated_vocabulary
    }

    fn stored_name(&self, name: &str) -> String {
        self.name(name)
    }

    fn stored(&self) -> BTreeMap<String, Stored> {
        self.tensors.stored()
    }

    fn matrix(&mut self, parts: &[(&str, usize)], width: usize, device: &Device) -> Result<Matrix> {
        let read = parts
            .iter()
            .map(|(name, out)| self.tensors.read_shaped(&self.name(name), &[*out, width]))
            .collect::<Result<Vec<_>>>()?;
        Ok(Matrix::stacked(&read, device)?)
    }

    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor> {
        let vector = self.tensors.read_shaped(&self.name(name), &[width])?;
        Ok(vector.to_device(device)?.to_dtype(DType::F32)?)
    }
}

/// The fields of a LLaMA's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct HfLlama {
    vocab_size: Option<usize>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f32>,
    rope_scaling: Option<HfRope>,
    /// transformers 5 puts base and scaling together.
    rope_parameters: Option<HfRope>,
    tie_word_embeddings: Option<bool>,
    attention_bias: bool,
    mlp_bias: bool,
    hidden_act: String,
}

impl Default for HfLlama {
    /// `LlamaConfig`: the 7B model.
    fn default() -> Self {
        Self {
            vocab_size: None,
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-6,
            rope_theta: None,
            rope_scaling: None,
            rope_parameters: None,
            tie_word_embeddings: None,
            attention_bias: false,
            mlp_bias: false,
            hidden_act: "silu".into(),
        }
    }
}

/// The rotary embedding, in the spellings of all versions.
#[derive(Debug, Clone, Default, Deserialize)]
struct HfRope {
    rope_type: Option<String>,
    /// The older name of `rope_type`; some files carry both.
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f32>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<f32>,
}

impl HfLlama {
    fn config(&self, path: &Path, section: &str, vocab_size: usize) -> Result<LlamaConfig> {
        if self.attention_bias || self.mlp_bias || self.hidden_act != "silu" {
            let what = "a LLaMA with biases or another activation than silu".into();
            return Err(unsupported(path, what, "use a plain LLaMA or Vicuna"));
        }
        let heads = self.num_attention_heads;
        let head_dim = self.head_dim.unwrap_or(self.hidden_size.checked_div(heads).unwrap_or(0));
        let rope = self.rope_parameters.clone().or(self.rope_scaling.clone()).unwrap_or_default();
        let config = LlamaConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim,
            vocab_size,
            context_length: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: rope.rope_theta.or(self.rope_theta).unwrap_or(10_000.0),
            rope_layout: RopeLayout::Halves,
            rope_scaling: rope.scaling(path, self.max_position_embeddings)?,
        };
        config.check(path, |name| format!("{section}{name}"))?;
        Ok(config)
    }
}

/// Checks that each size is a number that can be one; serde's own message does not name the field.
fn check_numbers(path: &Path, section: &str, json: &serde_json::Value) -> Result<()> {
    const SIZES: [&str; 8] = [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "vocab_size",
    ];
    let wrong = SIZES.iter().find_map(|name| {
        let value = json.get(name).filter(|v| !v.is_null() && v.as_u64().is_none())?;
        Some(format!("{section}{name} is {value}, and that is no size"))
    });
    wrong.map_or(Ok(()), |reason| Err(Error::corrupt(path, reason)))
}

impl HfRope {
    fn scaling(&self, path: &Path, context: usize) -> Result<RopeScaling> {
        let need = |value: Option<f32>, key: &str| {
            value.filter(|v| v.is_finite() && *v > 0.0).ok_or_else(|| {
                Error::corrupt(path, format!("rope scaling lacks a `{key}` above 0"))
            })
        };
        match self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("default") {
            "default" => Ok(RopeScaling::None),
            // It scales only beyond the trained context, where ours ends.
            "dynamic" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear(need(self.factor, "factor")?)),
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: need(self.factor, "factor")?,
                low: need(self.low_freq_factor, "low_freq_factor")?,
                high: need(self.high_freq_factor, "high_freq_factor")?,
                original_context: self.original_max_position_embeddings.unwrap_or(context as f32),
            }),
            other => Err(unsupported(
                path,
                format!("rope scaling `{}`", artgpt_base::text::printable(other)),
                "use a model with linear, dynamic or llama3 scaling, or none",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_rope_are_read_and_unknown_ones_refused() {
        let path = Path::new("config.json");
        let old: HfRope =
            serde_json::from_str(r#"{"type": "linear", "factor": 2.0}"#).expect("parses");
        assert_eq!(old.scaling(path, 64).expect("reads"), RopeScaling::Linear(2.0));
        let new: HfRope = serde_json::from_str(
            r#"{"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64}"#,
        )
        .expect("parses");
        assert!(matches!(new.scaling(path, 9), Ok(RopeScaling::Llama3 { .. })));
        let yarn: HfRope = serde_json::from_str(r#"{"rope_type": "yarn"}"#).expect("parses");
        assert!(yarn.scaling(path, 64).is_err());
    }
}
