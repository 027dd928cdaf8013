//! Hugging Face folders: `config.json`, and a LLaMA under any of the prefixes that it is saved with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::audit::Stored;
use super::language::LanguageWeights;
use super::tensors::Tensors;
use crate::llama::{LlamaConfig, RopeScaling};
use crate::qformer::{QFormerConfig, QFormerTextConfig};
use crate::vision::vit::{self, VitConfig};
use crate::{Error, Result};
use artgpt_kernels::matrix::Matrix;
use artgpt_kernels::mode::RopeLayout;

/// No model has more blocks, or wider heads, and no encoder that attends to all patches of a picture
/// takes more of them (SigLIP at 896 pixels).
const MAX_LAYERS: usize = 1000;
const MAX_HEAD: usize = 1024;
const MAX_GRID: usize = 64;

/// A folder's `config.json`, as far as the network needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct HfConfig {
    #[serde(default)]
    pub model_type: String,
    pub vision_config: Option<HfVision>,
    pub qformer_config: Option<HfQFormer>,
    pub text_config: Option<serde_json::Value>,
    pub num_query_tokens: Option<usize>,
}

/// A folder may leave out what is the default of its class (transformers 4.45 to 4.5x do), so the
/// defaults here are those of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct HfVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    image_size: usize,
    patch_size: usize,
    layer_norm_eps: f64,
    hidden_act: String,
}

impl Default for HfVision {
    /// `Blip2VisionConfig`: EVA-CLIP ViT-g/14.
    fn default() -> Self {
        Self {
            hidden_size: 1408,
            num_hidden_layers: 39,
            num_attention_heads: 16,
            intermediate_size: 6144,
            image_size: 224,
            patch_size: 14,
            layer_norm_eps: 1e-6,
            hidden_act: "gelu".into(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct HfQFormer {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    encoder_hidden_size: usize,
    cross_attention_frequency: usize,
    layer_norm_eps: f64,
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_act: String,
}

impl Default for HfQFormer {
    /// `Blip2QFormerConfig`: BERT-base.
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            encoder_hidden_size: 1408,
            cross_attention_frequency: 2,
            layer_norm_eps: 1e-12,
            vocab_size: 30522,
            max_position_embeddings: 512,
            hidden_act: "gelu".into(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct HfLlama {
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

#[derive(Debug, Clone, Default, Deserialize)]
struct HfRope {
    rope_type: Option<String>,
    /// Its older name; some files carry both.
    #[serde(rename = "type")]
    kind: Option<String>,
    rope_theta: Option<f32>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<f32>,
}

/// Reads a JSON file that a folder may lack.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| Error::corrupt(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.display().to_string(), source }),
    }
}

fn unsupported(path: &Path, what: String, hint: &str) -> Error {
    Error::Unsupported { path: path.display().to_string(), what, hint: hint.into() }
}

impl HfConfig {
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        read_json(&path)?.ok_or_else(|| {
            unsupported(
                dir,
                "a folder without config.json".into(),
                "name a folder as Hugging Face writes it, or one with a manifest.toml",
            )
        })
    }

    /// What a Q-Former needs to know; InstructBLIP's reads the instruction.
    pub fn qformer(&self, path: &Path) -> Result<Option<QFormerConfig>> {
        let Some(q) = &self.qformer_config else { return Ok(None) };
        if q.hidden_act != "gelu" {
            let what = format!("the Q-Former's activation `{}`", q.hidden_act);
            return Err(unsupported(path, what, "use a checkpoint with gelu"));
        }
        if q.num_attention_heads == 0
            || !q.hidden_size.is_multiple_of(q.num_attention_heads)
            || q.num_hidden_layers > MAX_LAYERS
        {
            let reason = "heads or layers in qformer_config do not fit";
            return Err(Error::corrupt(&path.join("config.json"), reason));
        }
        let text = self.model_type.contains("instructblip").then_some(QFormerTextConfig {
            vocab_size: q.vocab_size,
            max_position_embeddings: q.max_position_embeddings,
        });
        Ok(Some(QFormerConfig {
            num_query_tokens: self.num_query_tokens.unwrap_or(32),
            hidden_size: q.hidden_size,
            num_hidden_layers: q.num_hidden_layers,
            num_attention_heads: q.num_attention_heads,
            intermediate_size: q.intermediate_size,
            cross_attention_freq: q.cross_attention_frequency,
            encoder_width: q.encoder_hidden_size,
            layer_norm_eps: q.layer_norm_eps,
            image_grid: 0,
            relation_channels: 0,
            standardise: false,
            text,
        }))
    }

    /// The vision encoder; the processor's size, where it differs, resizes the positions.
    pub fn vit(&self, dir: &Path) -> Result<Option<VitConfig>> {
        let Some(v) = &self.vision_config else { return Ok(None) };
        if v.hidden_act != "gelu" {
            let what = format!("the vision encoder's activation `{}`", v.hidden_act);
            return Err(unsupported(dir, what, "use a checkpoint with gelu"));
        }
        let processor = Processor::open(dir)?;
        let side = processor.side.unwrap_or(v.image_size);
        if v.patch_size == 0
            || v.num_attention_heads == 0
            || !v.hidden_size.is_multiple_of(v.num_attention_heads)
            || v.num_hidden_layers > MAX_LAYERS
            || [v.image_size, side].iter().any(|s| !(1..=MAX_GRID).contains(&(s / v.patch_size)))
        {
            let reason = "sizes or heads in vision_config, or the processor's size, do not fit";
            return Err(Error::corrupt(&dir.join("config.json"), reason));
        }
        Ok(Some(VitConfig {
            image_size: side,
            patch_size: v.patch_size,
            hidden_size: v.hidden_size,
            num_hidden_layers: v.num_hidden_layers,
            num_attention_heads: v.num_attention_heads,
            intermediate_size: v.intermediate_size,
            layer_norm_eps: v.layer_norm_eps,
            final_norm_eps: v.layer_norm_eps,
            trained_grid: v.image_size / v.patch_size,
            joined_bias: true,
            mean: processor.mean,
            std: processor.std,
        }))
    }
}

/// What an image processor's configuration says of pixels.
struct Processor {
    side: Option<usize>,
    mean: [f32; 3],
    std: [f32; 3],
}

#[derive(Deserialize, Default)]
struct HfProcessor {
    image_processor: Option<Box<HfProcessor>>,
    size: Option<serde_json::Value>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

impl Processor {
    fn open(dir: &Path) -> Result<Self> {
        let mut found = HfProcessor::default();
        for name in ["preprocessor_config.json", "processor_config.json"] {
            let file: Option<HfProcessor> = read_json(&dir.join(name))?;
            let Some(file) = file else { continue };
            // transformers 5 keeps it inside the processor's.
            if let Some(inner) = file.image_processor {
                found = found.or(inner.size, inner.image_mean, inner.image_std);
            }
            found = found.or(file.size, file.image_mean, file.image_std);
        }
        let side = found.size.and_then(|s| {
            s.as_u64()
                .or_else(|| s.get("height")?.as_u64())
                .or_else(|| s.get("shortest_edge")?.as_u64())
        });
        Ok(Self {
            side: side.map(|s| s as usize),
            mean: found.image_mean.unwrap_or(vit::CLIP_MEAN),
            std: found.image_std.unwrap_or(vit::CLIP_STD),
        })
    }
}

impl HfProcessor {
    fn or(
        self,
        size: Option<serde_json::Value>,
        mean: Option<[f32; 3]>,
        std: Option<[f32; 3]>,
    ) -> Self {
        Self {
            image_processor: None,
            size: self.size.or(size),
            image_mean: self.image_mean.or(mean),
            image_std: self.image_std.or(std),
        }
    }
}

/// A LLaMA in a Hugging Face folder, alone or inside a larger model.
pub struct HfLanguage {
    dir: PathBuf,
    tensors: Tensors,
    /// What stands before `embed_tokens.weight`, and the output matrix's whole name.
    prefix: String,
    lm_head: Option<String>,
    config: LlamaConfig,
    tied: bool,
}

impl HfLanguage {
    /// `weights` is the folder itself, or one file in it.
    pub fn open(dir: &Path, weights: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let whole = HfConfig::open(dir)?;
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
        let llama: HfLlama = serde_json::from_value(json).map_err(|e| Error::corrupt(&path, e))?;
        let tensors = Tensors::open(weights)?;
        let prefix = [
            "model.",
            "language_model.model.",
            "model.language_model.",
            "model.language_model.model.",
            "language_model.",
            "llama_model.model.",
            "",
        ]
        .into_iter()
        .find(|p| tensors.info(&format!("{p}embed_tokens.weight")).is_some())
        .ok_or_else(|| Error::corrupt(dir, "the key model.embed_tokens.weight is missing"))?;
        let lm_head =
            ["lm_head.weight", "language_model.lm_head.weight", "llama_model.lm_head.weight"]
                .into_iter()
                .find(|name| tensors.info(name).is_some());
        let table = tensors.info(&format!("{prefix}embed_tokens.weight"));
        let vocab_size = table.and_then(|i| i.shape.first().copied()).unwrap_or(0);
        let config = llama.config(&path, vocab_size)?;
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
        })
    }

    /// The folder, where the tokenizer is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names that each file holds.
    pub fn names_by_file(&self) -> Vec<(PathBuf, Vec<String>)> {
        self.tensors.names_by_file()
    }

    fn name(&self, name: &str) -> String {
        match (name, &self.lm_head) {
            ("lm_head.weight", Some(whole)) => whole.clone(),
            _ => format!("{}{name}", self.prefix),
        }
    }
}

impl HfLlama {
    fn config(&self, path: &Path, vocab_size: usize) -> Result<LlamaConfig> {
        if self.attention_bias || self.mlp_bias || self.hidden_act != "silu" {
            let what = "a LLaMA with biases or another activation than silu".into();
            return Err(unsupported(path, what, "use a plain LLaMA or Vicuna"));
        }
        let heads = self.num_attention_heads;
        let num_key_value_heads = self.num_key_value_heads.unwrap_or(heads);
        let head_dim = self.head_dim.unwrap_or(self.hidden_size.checked_div(heads).unwrap_or(0));
        if head_dim == 0
            || !head_dim.is_multiple_of(2)
            || num_key_value_heads == 0
            || !heads.is_multiple_of(num_key_value_heads)
        {
            return Err(Error::corrupt(path, "its attention head counts do not fit together"));
        }
        check_size(path, self.num_hidden_layers, self.max_position_embeddings, head_dim)?;
        let rope = self.rope_parameters.clone().or(self.rope_scaling.clone()).unwrap_or_default();
        Ok(LlamaConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads,
            head_dim,
            vocab_size,
            context_length: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: rope.rope_theta.or(self.rope_theta).unwrap_or(10_000.0),
            rope_layout: RopeLayout::Halves,
            rope_scaling: rope.scaling(path, self.max_position_embeddings)?,
        })
    }
}

/// Numbers from a file that memory is taken by.
pub fn check_size(path: &Path, layers: usize, context: usize, head: usize) -> Result<()> {
    const MAX_CONTEXT: usize = 1 << 20;
    let fits = (1..=MAX_LAYERS).contains(&layers) && (16..=MAX_CONTEXT).contains(&context);
    if !fits || head > MAX_HEAD {
        let reason = format!(
            "{layers} layers, a context of {context} tokens or heads {head} wide cannot be true"
        );
        return Err(Error::corrupt(path, reason));
    }
    Ok(())
}

impl HfRope {
    fn scaling(&self, path: &Path, context: usize) -> Result<RopeScaling> {
        let need = |value: Option<f32>, key: &str| {
            value.filter(|v| v.is_finite() && *v > 0.0).ok_or_else(|| {
                Error::corrupt(path, format!("rope scaling lacks a `{key}` above 0"))
            })
        };
        match self.rope_type.as_deref().or(self.kind.as_deref()).unwrap_or("default") {
            "default" => Ok(RopeScaling::None),
            // It stretches only beyond the trained context, which is where ours ends.
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

/// The name in a Hugging Face folder of what the bridge calls `name` (as in the originals).
pub fn bridge_name(name: &str, text: bool) -> String {
    if let Some(rest) = name.strip_prefix("llama_proj.") {
        return format!("language_projection.{rest}");
    }
    let Some(rest) = name.strip_prefix("Qformer.bert.") else { return name.to_string() };
    if let Some(rest) = rest.strip_prefix("embeddings.LayerNorm") {
        let norm = if text { "qformer.embeddings.layernorm" } else { "qformer.layernorm" };
        return format!("{norm}{rest}");
    }
    format!("qformer.{}", rest.replace(".self.", ".attention."))
}

/// The same for the vision encoder.
pub fn vision_name(name: &str) -> String {
    let root = "vision_model";
    match name {
        "cls_token" => return format!("{root}.embeddings.class_embedding"),
        "pos_embed" => return format!("{root}.embeddings.position_embedding"),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("patch_embed.proj.") {
        return format!("{root}.embeddings.patch_embedding.{rest}");
    }
    if let Some(rest) = name.strip_prefix("ln_vision.") {
        return format!("{root}.post_layernorm.{rest}");
    }
    let Some(rest) = name.strip_prefix("blocks.") else { return name.to_string() };
    let rest = rest
        .replace(".norm1.", ".layer_norm1.")
        .replace(".norm2.", ".layer_norm2.")
        .replace(".attn.proj.", ".self_attn.projection.")
        .replace(".attn.", ".self_attn.");
    format!("{root}.encoder.layers.{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_transformers_writes() {
        for (ours, theirs) in [
            (
                "Qformer.bert.encoder.layer.2.crossattention.self.key.weight",
                "qformer.encoder.layer.2.crossattention.attention.key.weight",
            ),
            (
                "Qformer.bert.encoder.layer.0.attention.output.LayerNorm.bias",
                "qformer.encoder.layer.0.attention.output.LayerNorm.bias",
            ),
            ("Qformer.bert.embeddings.LayerNorm.weight", "qformer.embeddings.layernorm.weight"),
            (
                "Qformer.bert.embeddings.word_embeddings.weight",
                "qformer.embeddings.word_embeddings.weight",
            ),
            ("llama_proj.bias", "language_projection.bias"),
            ("query_tokens", "query_tokens"),
        ] {
            assert_eq!(bridge_name(ours, true), theirs);
        }
        assert_eq!(
            bridge_name("Qformer.bert.embeddings.LayerNorm.bias", false),
            "qformer.layernorm.bias"
        );
        assert_eq!(
            vision_name("blocks.3.attn.proj.weight"),
            "vision_model.encoder.layers.3.self_attn.projection.weight"
        );
        assert_eq!(
            vision_name("blocks.0.mlp.fc1.bias"),
            "vision_model.encoder.layers.0.mlp.fc1.bias"
        );
        assert_eq!(
            vision_name("blocks.0.attn.qkv.bias"),
            "vision_model.encoder.layers.0.self_attn.qkv.bias"
        );
    }

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
