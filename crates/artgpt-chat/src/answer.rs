//! What is known of one answer, in the words of the JSON contract (DESIGN section 2).

use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model said that it was done, or a stop string came.
    Stop,
    /// The token limit or the end of the context window.
    Length,
    Cancelled,
}

/// Milliseconds of each phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    pub load_ms: f64,
    /// Vision encoder, Q-Former and projection; 0 for an image that was seen before.
    pub encode_ms: f64,
    pub prefill_ms: f64,
    pub decode_ms: f64,
    /// Of decoding.
    pub tokens_per_second: f64,
}

/// Token counts of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All that the model was to read, images included.
    pub prompt_tokens: usize,
    /// Of these, what the KV cache still held.
    pub cached_tokens: usize,
    pub image_tokens: usize,
    pub answer_tokens: usize,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    /// Without the token that ended it.
    pub token_ids: Vec<u32>,
    pub finish_reason: FinishReason,
    pub usage: Usage,
    pub timings: Timings,
    /// Turns that no longer fitted the context window.
    pub dropped_turns: usize,
}
