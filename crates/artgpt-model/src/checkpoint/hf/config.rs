//! `config.json` of a vision-language model, and its image processor.

use std::path::Path;

use serde::Deserialize;

use super::{
    MAX_GRID, MAX_INNER, MAX_LAYERS, MAX_WIDTH, check_qformer, check_sizes, read_json, unsupported,
};
use crate::qformer::{QFormerConfig, QFormerTextConfig};
use crate::vision::vit::{self, VitConfig};
use crate::{Error, Result};

/// The fields of a folder's `config.json` that the network needs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HfConfig {
    #[serde(default)]
    pub(crate) model_type: String,
    pub(crate) vision_config: Option<HfVision>,
    pub(crate) qformer_config: Option<HfQFormer>,
    pub(crate) text_config: Option<serde_json::Value>,
    pub(crate) num_query_tokens: Option<usize>,
}

/// The vision encoder. transformers 4.45 to 4.5x omit fields that equal the default of their class, so
/// the defaults here are those of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct HfVision {
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

/// The Q-Former.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct HfQFormer {
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

impl HfConfig {
    /// Reads the folder's `config.json`.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        read_json(&path)?.ok_or_else(|| {
            unsupported(
                dir,
                "a folder without config.json".into(),
                "name a folder as Hugging Face writes it, or one with a manifest.toml",
            )
        })
    }

    /// The configuration of the Q-Former, if there is one; InstructBLIP's reads the instruction.
    pub(crate) fn qformer(&self, path: &Path) -> Result<Option<QFormerConfig>> {
        let Some(q) = &self.qformer_config else { return Ok(None) };
        if q.hidden_act != "gelu" {
            let what = format!("the Q-Former's activation `{}`", q.hidden_act);
            return Err(unsupported(path, what, "use a checkpoint with gelu"));
        }
        let text = self.model_type.contains("instructblip").then_some(QFormerTextConfig {
            vocab_size: q.vocab_size,
            max_position_embeddings: q.max_position_embeddings,
        });
        let config = QFormerConfig {
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
        };
        check_qformer(&path.join("config.json"), "qformer_config", &config)?;
        Ok(Some(config))
    }

    /// The configuration of the vision encoder, if there is one. Where the processor's size differs,
    /// the position embeddings are resized.
    pub(crate) fn vit(&self, dir: &Path) -> Result<Option<VitConfig>> {
        let Some(v) = &self.vision_config else { return Ok(None) };
        if v.hidden_act != "gelu" {
            let what = format!("the vision encoder's activation `{}`", v.hidden_act);
            return Err(unsupported(dir, what, "use a checkpoint with gelu"));
        }
        let sizes = [
            ("hidden_size", v.hidden_size, MAX_WIDTH),
            ("num_hidden_layers", v.num_hidden_layers, MAX_LAYERS),
            ("num_attention_heads", v.num_attention_heads, MAX_WIDTH),
            ("intermediate_size", v.intermediate_size, MAX_INNER),
            ("image_size", v.image_size, MAX_WIDTH),
            ("patch_size", v.patch_size, MAX_WIDTH),
        ];
        check_sizes(&dir.join("config.json"), "vision_config", &sizes)?;
        let processor = Processor::open(dir)?;
        let side = processor.side.unwrap_or(v.image_size);
        if !v.hidden_size.is_multiple_of(v.num_attention_heads)
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

/// Size and normalisation of pixels, from the image processor's configuration.
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
            // transformers 5 nests it in the processor's configuration.
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
    /// Fills fields that are still empty.
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
