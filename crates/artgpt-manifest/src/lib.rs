//! Descriptions of models as data: manifests, sizes of parts, fine-tuning methods, sampling settings.
//!
//! This crate reads no file and knows no tensors, so that crates that only describe models
//! (settings, run folders, jobs) compile without them.

mod manifest;
mod method;
mod qformer;
mod sampling;
mod target;
mod tokenizer;

pub use manifest::{
    AdaptersPart, DetectorKind, DetectorPart, LanguageKind, LanguagePart, Manifest, PathPart,
    PeftMethod, PromptPart, QFormerPart, Requantise, Source, VisionKind, VisionPart, requantised,
};
pub use method::Method;
pub use qformer::{QFormerConfig, QFormerTextConfig};
pub use sampling::{MAX_BEAMS, SamplingConfig};
pub use target::Target;
pub use tokenizer::{GgufVocabulary, TokenizerData, TokenizerSource};
