//! An answer of a server as far as it has come.

use std::time::Instant;

use super::stream::Chunk;
use crate::{Cancel, GenerateEvent, ms};
use artgpt_chat::{Answer, FinishReason, Timings, Usage};

/// The answer up to now.
#[derive(Default)]
pub(super) struct PartialAnswer {
    pub(super) text: String,
    /// Chunks with text; servers send about one a token.
    pieces: usize,
    usage: Usage,
    /// When the first text came.
    first_ms: Option<f64>,
    pub(super) finish: Option<FinishReason>,
}

impl PartialAnswer {
    pub(super) fn add(
        &mut self,
        chunk: Chunk,
        started: Instant,
        on_event: &mut impl FnMut(GenerateEvent),
    ) {
        if let Some(usage) = chunk.usage {
            self.usage.prompt_tokens = usage.prompt_tokens;
            self.usage.answer_tokens = usage.completion_tokens;
            let details = usage.prompt_tokens_details.and_then(|d| d.cached_tokens);
            self.usage.cached_tokens = details.unwrap_or(0);
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return };
        if let Some(reason) = choice.finish_reason {
            self.finish = Some(match reason.as_str() {
                "length" => FinishReason::Length,
                _ => FinishReason::Stop,
            });
        }
        let content = choice.delta.or(choice.message).and_then(|d| d.content);
        let text = content.or(choice.text).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        if self.first_ms.is_none() {
            self.first_ms = Some(ms(started));
            on_event(GenerateEvent::Prefilled(self.usage));
        }
        self.pieces += 1;
        self.text.push_str(&text);
        on_event(GenerateEvent::Text(&text, self.pieces));
    }

    pub(super) fn answer(mut self, cancel: &Cancel, started: Instant) -> Answer {
        if self.usage.answer_tokens == 0 {
            self.usage.answer_tokens = self.pieces;
        }
        let total = ms(started);
        let prefill_ms = self.first_ms.unwrap_or(total);
        let decode_ms = total - prefill_ms;
        let finished = self.finish.unwrap_or(FinishReason::Stop);
        Answer {
            text: self.text,
            token_ids: Vec::new(),
            finish_reason: if cancel.is_cancelled() { FinishReason::Cancelled } else { finished },
            usage: self.usage,
            timings: Timings {
                prefill_ms,
                decode_ms,
                tokens_per_second: Timings::rate(self.usage.answer_tokens, decode_ms),
                ..Timings::default()
            },
            dropped_turns: 0,
        }
    }
}
