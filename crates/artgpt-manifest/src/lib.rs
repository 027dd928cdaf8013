//! What a model is, as data: its manifest, the sizes of its parts, fine-tuning methods, and sampling
//! settings.
//!
//! This crate reads no file and knows no tensors, so that whoever only describes models (settings,
//! run folders, jobs) need not be built with them.

mod manifest;
mod method;
mod qformer;
mod sampling;
mod target;
mod tokenizer;

pub use manifest::{
    AdaptersPart, LanguageKind, LanguagePart, Manifest, PathPart, PeftMethod, PromptPart,
    QFormerPart, Requantise, Source, VisionKind, VisionPart, requantised,
};
pub use method::Method;
pub use qformer::{QFormerConfig, QFormerTextConfig};
pub use sampling::{MAX_BEAMS, SamplingConfig};
pub use target::Target;
pub use tokenizer::{GgufVocabulary, TokenizerData, TokenizerSource};
