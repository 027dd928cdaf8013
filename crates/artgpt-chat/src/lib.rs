//! Conversations as text: tokenizer, prompt templates, incremental detokenizer, context budget.

mod answer;
mod budget;
mod conversation;
mod detokenizer;
mod hf_tokenizer;
mod prompt;
mod sentencepiece;
mod stop;
mod tokenizer;

pub use answer::{Answer, FinishReason, Timings, Usage};
pub use budget::{Budget, fit};
pub use conversation::{ArtworkRef, Conversation, Session, TurnRecord};
pub use detokenizer::Detokenizer;
pub use hf_tokenizer::InstructionTokenizer;
pub use prompt::{IMAGE_MARKER, Piece, Role, Template, Turn, count_markers, raw_prompt};
pub use stop::StopFilter;
pub use tokenizer::Tokenizer;

/// What can go wrong between text and tokens.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error(
        "the tokenizer {path} cannot be used ({reason}); take it again from where the weights come from"
    )]
    Tokenizer { path: String, reason: String },
    #[error("the prompt template `{0}` is not known; use chatml, minigpt4 or vicuna")]
    Template(String),
    #[error("the text cannot be tokenised: {0}")]
    Encode(String),
    #[error(
        "the prompt has {markers} `<image>` marker(s) for {images} picture(s); write one where each picture belongs"
    )]
    Markers { markers: usize, images: usize },
    #[error("the prompt is {tokens} tokens long and the model reads {context}; shorten it")]
    TooLong { tokens: usize, context: usize },
}
