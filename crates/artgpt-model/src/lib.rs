//! The network of the paper: vision encoder, Q-Former, projection, LLaMA with adapters; and its
//! files: checkpoints, PEFT, conversion.
//!
//! This crate knows no prompts, no threads and no files of the user.

pub mod artgpt;
pub mod bridge;
pub mod checkpoint;
pub mod convert;
pub mod detector;
pub mod device;
mod error;
mod fingerprint;
pub mod inspect;
pub mod kv_cache;
pub mod llama;
mod llama_config;
pub mod manifest;
pub mod peft;
mod projection;
pub mod qformer;
mod relations;
mod rows;
pub mod sampling;
pub mod source;
mod unused;
pub mod verify;
pub mod vision;

pub use error::{Error, Result, installed};

/// The part that is being loaded, for progress displays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStage {
    /// The language model.
    Language,
    /// The vision encoder.
    Vision,
    /// Q-Former and projection.
    Bridge,
}

impl LoadStage {
    /// The part's name in progress messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language model",
            Self::Vision => "vision encoder",
            Self::Bridge => "bridge",
        }
    }
}
