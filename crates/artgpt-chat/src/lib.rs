//! From conversations to tokens and back: sessions and turns, prompt templates, tokenizers, the
//! incremental detokenizer, the context budget.

mod answer;
mod budget;
mod conversation;
mod detokenizer;
mod gguf_tokenizer;
mod hf_tokenizer;
mod prompt;
mod sentencepiece;
mod stop;
mod tokenizer;
mod turns;

pub use answer::{Answer, FinishReason, Timings, Usage};
pub use budget::{Budget, fit};
pub use conversation::{ArtworkRef, Conversation, Session, TurnRecord};
pub use detokenizer::Detokenizer;
pub use hf_tokenizer::InstructionTokenizer;
pub use prompt::{IMAGE_MARKER, Piece, Role, Template, Turn, count_markers, raw_prompt};
pub use stop::StopFilter;
pub use tokenizer::Tokenizer;
pub use turns::Turns;

use std::path::Path;

/// Why text cannot become tokens.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The tokenizer's files.
    #[error("cannot use the tokenizer {path}: {reason}")]
    Tokenizer {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// A manifest names a template that does not exist.
    #[error("unknown prompt template `{0}`")]
    Template(String),
    /// The tokenizer refused a text, or lacks a token.
    #[error("cannot tokenise the text: {0}")]
    Encode(String),
    /// The markers of a raw prompt do not match its images.
    #[error("the prompt has {markers} `<image>` marker(s) for {images} picture(s)")]
    Markers {
        /// Markers in the text.
        markers: usize,
        /// Images of the request.
        images: usize,
    },
    /// The prompt does not fit into the context window.
    #[error("the prompt is {tokens} tokens long, and there is room for {context}")]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that the context window has for it.
        context: usize,
    },
}

/// The usual advice about a tokenizer's file.
const COPY_TOKENIZER: &str = "copy it again from where the weights come from";

impl ChatError {
    /// A tokenizer's file that is damaged or missing.
    pub(crate) fn tokenizer(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::tokenizer_with_hint(path, reason, COPY_TOKENIZER)
    }

    /// As [`ChatError::tokenizer`], with advice of its own.
    pub(crate) fn tokenizer_with_hint(
        path: &Path,
        reason: impl std::fmt::Display,
        hint: &'static str,
    ) -> Self {
        Self::Tokenizer { path: path.display().to_string(), reason: reason.to_string(), hint }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Tokenizer { hint, .. } => hint,
            Self::Template(_) => "use chatml, minigpt4 or vicuna",
            Self::Encode(_) => return None,
            Self::Markers { .. } => "write one `<image>` where each picture belongs",
            Self::TooLong { .. } => "shorten it",
        };
        Some(hint.into())
    }
}
