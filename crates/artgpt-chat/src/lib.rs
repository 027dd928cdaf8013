//! From conversations to tokens and back: sessions and turns, prompt templates, tokenizers, the
//! incremental detokenizer, the context budget.

mod answer;
mod budget;
mod conversation;
mod detokenizer;
mod gguf_tokenizer;
mod hf_tokenizer;
mod pre_tokenizer;
mod prompt;
mod repetition;
mod sentencepiece;
mod stop;
mod tokenizer;
mod turns;

pub use answer::{Answer, FinishReason, Timings, Usage};
pub use budget::{Budget, fit};
pub use conversation::{ArtworkRef, Conversation, Session, TurnRecord};
pub use detokenizer::Detokenizer;
pub use hf_tokenizer::InstructionTokenizer;
pub use prompt::{
    Caption, IMAGE_MARKER, Piece, PromptStyle, Role, Template, Turn, count_markers, raw_prompt,
};
pub use repetition::RepetitionGuard;
pub use stop::StopFilter;
pub use tokenizer::Tokenizer;
pub use turns::Turns;

use std::io::Read;
use std::path::Path;

use artgpt_base::foreign::{self, Foreign};
use artgpt_base::text::{first_line, printable};

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
    /// The file is of another kind than a tokenizer's: a pointer of Git LFS, a web page.
    #[error("{path} is {found}")]
    Foreign {
        /// The file.
        path: String,
        /// What it is.
        found: Foreign,
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
const SAVE_TOKENIZER: &str =
    "compare it with the model's own, or save it again with `save_pretrained` of transformers";

impl ChatError {
    /// A tokenizer's file that is damaged or missing.
    pub(crate) fn tokenizer(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::tokenizer_with_hint(path, reason, SAVE_TOKENIZER)
    }

    /// As [`ChatError::tokenizer`], with advice of its own.
    pub(crate) fn tokenizer_with_hint(
        path: &Path,
        reason: impl std::fmt::Display,
        hint: &'static str,
    ) -> Self {
        let reason = printable(&first_line(&reason));
        Self::Tokenizer { path: path.display().to_string(), reason, hint }
    }

    /// A tokenizer of a kind that this program does not build.
    pub(crate) fn unsupported(path: &Path, what: String, hint: &'static str) -> Self {
        Self::tokenizer_with_hint(path, format!("{what} is not supported"), hint)
    }

    /// A tokenizer's file that cannot be parsed: what it is, if it is of another kind.
    pub(crate) fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Self {
        let mut head = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(foreign::HEAD as u64).read_to_end(&mut head));
        match foreign::recognise(&head).filter(|_| read.is_ok()) {
            None | Some(Foreign::Json | Foreign::Text) => Self::tokenizer(path, reason),
            Some(found) => Self::Foreign { path: path.display().to_string(), found },
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Tokenizer { hint, .. } => hint,
            Self::Foreign { found, .. } => found.hint(),
            Self::Template(_) => "use chatml, minigpt4 or vicuna",
            Self::Encode(_) => return None,
            Self::Markers { .. } => "write one `<image>` where each picture belongs",
            Self::TooLong { .. } => "shorten it",
        };
        Some(hint.into())
    }
}
