//! An answer with its token counts and timings, as `ask --json` prints them.

use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model generated an end token or a stop string, or went round in circles
    /// ([`crate::RepetitionGuard`]).
    Stop,
    /// It reached the token limit or the end of the context window.
    Length,
    /// The user stopped it.
    Cancelled,
}

/// Duration of each phase; `None` for what a server does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Loading the model.
    pub load_ms: Option<f64>,
    /// Vision encoder, Q-Former and projection; 0 if the image tokens were cached.
    pub encode_ms: Option<f64>,
    /// Computing the prompt.
    pub prefill_ms: Option<f64>,
    /// Generating the answer.
    pub decode_ms: Option<f64>,
    /// Answer tokens over `decode_ms`.
    pub tokens_per_second: Option<f64>,
}

impl Timings {
    /// Tokens per second; `None` if no time has passed.
    pub fn rate(tokens: usize, milliseconds: f64) -> Option<f64> {
        (milliseconds > 0.0).then(|| tokens as f64 * 1000.0 / milliseconds)
    }
}

/// Token counts of one answer; `None` for what a server does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the whole prompt, image tokens included.
    pub prompt_tokens: Option<usize>,
    /// Of these, the tokens that the KV cache held already.
    pub cached_tokens: Option<usize>,
    /// Of the prompt, the image tokens.
    pub image_tokens: Option<usize>,
    /// Tokens of the answer.
    pub answer_tokens: Option<usize>,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text, without the stop string.
    pub text: String,
    /// The tokens, without the end token; empty from a server.
    pub token_ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Token counts.
    pub usage: Usage,
    /// Duration of each phase.
    pub timings: Timings,
    /// Number of old turns that did not fit into the context window.
    pub dropped_turns: usize,
}
