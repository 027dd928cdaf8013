//! The network as the paper draws it: vision encoder, Q-Former, projection, LLaMA with adapters.
//!
//! Nothing here knows of prompts, of the user's files or of threads.

pub mod artgpt;
pub mod bridge;
pub mod checkpoint;
pub mod convert;
pub mod device;
mod fingerprint;
pub mod inspect;
pub mod kv_cache;
pub mod llama;
mod llama_config;
pub mod manifest;
pub mod peft;
pub mod projection;
pub mod qformer;
mod relations;
mod rows;
pub mod sampling;
pub mod source;
pub mod verify;
pub mod vision;

use std::path::Path;

use artgpt_base::text::first_line;

/// What can go wrong with weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read or write {path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the model file {path} is damaged or does not fit ({reason}); `artgpt-tui models show` lists what is expected of it, `models install` fetches an installed model's files again"
    )]
    Corrupt { path: String, reason: String },
    #[error("{path}: {what} is not supported; {hint}")]
    Unsupported { path: String, what: String, hint: String },
    #[error("{0}")]
    Named(String),
    #[error("tensor computation failed: {}", artgpt_base::text::first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn corrupt(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { path: path.display().to_string(), reason: first_line(&reason) }
    }
}

/// How an error of a damaged file begins; candle keeps only the text of an error it wraps.
const DAMAGED: &str = "the model file ";

impl Error {
    /// An error from building a part of `path`: one that names a file already stays as it is.
    pub(crate) fn in_part(path: &Path, e: candle_core::Error) -> Self {
        let text = first_line(&e);
        match text.starts_with(DAMAGED) {
            true => Self::Named(text),
            false => Self::corrupt(path, text),
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// What is being loaded, for progress displays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStage {
    Language,
    Vision,
    Bridge,
}

impl LoadStage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language model",
            Self::Vision => "vision encoder",
            Self::Bridge => "bridge",
        }
    }
}
