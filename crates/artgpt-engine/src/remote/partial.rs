//! An answer of a server as far as it has come.

use std::time::{Duration, Instant};

use super::RemoteError;
use super::chunk::{Chunk, RemoteUsage};
use crate::{Cancel, GenerateEvent, ms};
use artgpt_chat::{Answer, FinishReason, Timings, Usage};

/// Bytes of the longest answer.
const MAX_ANSWER: usize = 1 << 20;
/// How often new text is passed on while chunks wait: a fast server must not fill the caller's queue.
const PASS_ON_EVERY: Duration = Duration::from_millis(30);
/// Text that arrives within this time arrived together: there is no rate to measure.
const TOGETHER: Duration = Duration::from_millis(50);

/// The answer up to now.
#[derive(Default)]
pub(super) struct PartialAnswer {
    pub(super) text: String,
    /// Bytes of `text` that were passed on.
    passed_on: usize,
    last_passed_on: Option<Instant>,
    usage: RemoteUsage,
    /// When the first text arrived.
    first: Option<Instant>,
    /// Bytes of the text that arrived together with the first.
    at_first: usize,
    /// When the last text arrived.
    last: Option<Instant>,
    pub(super) finish: Option<FinishReason>,
}

impl PartialAnswer {
    /// Takes a chunk that arrived at `at`.
    pub(super) fn add(&mut self, chunk: Chunk, at: Instant) -> Result<(), RemoteError> {
        if let Some(usage) = chunk.usage {
            let counts = &mut self.usage;
            counts.prompt_tokens = usage.prompt_tokens.or(counts.prompt_tokens);
            counts.completion_tokens = usage.completion_tokens.or(counts.completion_tokens);
            counts.cached_tokens = usage.cached_tokens.or(counts.cached_tokens);
        }
        self.finish = chunk.finish.or(self.finish);
        if chunk.text.is_empty() {
            return Ok(());
        }
        if self.text.len() + chunk.text.len() > MAX_ANSWER {
            return Err(RemoteError::LongAnswer(MAX_ANSWER));
        }
        self.text.push_str(&chunk.text);
        let first = *self.first.get_or_insert(at);
        if at.saturating_duration_since(first) < TOGETHER {
            self.at_first = self.text.len();
        }
        self.last = Some(at);
        Ok(())
    }

    /// Passes new text on: at once if nothing else is `waiting`, else after a while.
    pub(super) fn pass_on(&mut self, waiting: bool, on_event: &mut impl FnMut(GenerateEvent)) {
        let soon = self.last_passed_on.is_some_and(|last| last.elapsed() < PASS_ON_EVERY);
        if self.passed_on == self.text.len() || (waiting && soon) {
            return;
        }
        if self.last_passed_on.is_none() {
            on_event(GenerateEvent::Prefilled(self.usage()));
        }
        on_event(GenerateEvent::Text(&self.text[self.passed_on..], None));
        self.passed_on = self.text.len();
        self.last_passed_on = Some(Instant::now());
    }

    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.usage.prompt_tokens,
            cached_tokens: self.usage.cached_tokens,
            image_tokens: None,
            answer_tokens: self.usage.completion_tokens,
        }
    }

    /// Tokens per second, if the server tells the number of tokens and sends them one after another.
    fn rate(&self) -> Option<f64> {
        let span = self.last?.saturating_duration_since(self.first?);
        // Those that arrived together with the first took their time before it.
        let share = 1.0 - self.at_first as f64 / self.text.len().max(1) as f64;
        let tokens = self.usage.completion_tokens? as f64 * share;
        (span >= TOGETHER).then(|| tokens / span.as_secs_f64())
    }

    pub(super) fn answer(self, cancel: &Cancel, started: Instant) -> Answer {
        let since = |at: Instant| at.saturating_duration_since(started).as_secs_f64() * 1000.0;
        let prefill_ms = self.first.map_or_else(|| ms(started), since);
        let finished = self.finish.unwrap_or(FinishReason::Stop);
        Answer {
            token_ids: Vec::new(),
            finish_reason: if cancel.is_cancelled() { FinishReason::Cancelled } else { finished },
            usage: self.usage(),
            timings: Timings {
                load_ms: None,
                encode_ms: None,
                prefill_ms: Some(prefill_ms),
                decode_ms: Some((self.last.map_or(prefill_ms, since) - prefill_ms).max(0.0)),
                tokens_per_second: self.rate(),
            },
            text: self.text,
            dropped_turns: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str) -> Chunk {
        Chunk { text: text.into(), ..Chunk::default() }
    }

    fn tokens(count: usize) -> Chunk {
        let completion_tokens = Some(count);
        let usage = Some(RemoteUsage { completion_tokens, ..RemoteUsage::default() });
        Chunk { usage, ..Chunk::default() }
    }

    #[test]
    fn a_rate_needs_a_count_and_text_that_arrives_over_time() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let rate = |chunks: Vec<(Chunk, u64)>| {
            let mut partial = PartialAnswer::default();
            for (chunk, ms) in chunks {
                partial.add(chunk, at(ms)).expect("fits");
            }
            partial.answer(&Cancel::default(), start).timings.tokens_per_second
        };
        let together = vec![(chunk("a"), 9), (chunk("b"), 10), (tokens(2), 500)];
        assert_eq!(rate(together), None);
        let uncounted = vec![(chunk("a"), 0), (chunk("b"), 1000)];
        assert_eq!(rate(uncounted), None);
        // Of four tokens three came in one second after the first.
        let counted = vec![(chunk("a"), 100), (chunk("bcd"), 1100), (tokens(4), 1100)];
        let rate = rate(counted).expect("is known");
        assert!((rate - 3.0).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn an_answer_without_end_is_cut_off() {
        let mut partial = PartialAnswer::default();
        let part = "a".repeat(MAX_ANSWER / 2);
        partial.add(chunk(&part), Instant::now()).expect("fits");
        partial.add(chunk(&part), Instant::now()).expect("fits");
        let e = partial.add(chunk("a"), Instant::now()).expect_err("is too long");
        assert!(matches!(e, RemoteError::LongAnswer(MAX_ANSWER)));
        assert_eq!(partial.text.len(), MAX_ANSWER);
    }

    #[test]
    fn text_is_passed_on_at_once_unless_more_is_waiting() {
        let mut partial = PartialAnswer::default();
        let mut seen = Vec::new();
        let mut pass_on = |partial: &mut PartialAnswer, waiting| {
            partial.pass_on(waiting, &mut |event| {
                if let GenerateEvent::Text(text, _) = event {
                    seen.push(text.to_string());
                }
            });
        };
        for text in ["a", "b", "c"] {
            partial.add(chunk(text), Instant::now()).expect("fits");
            pass_on(&mut partial, true);
        }
        pass_on(&mut partial, false);
        pass_on(&mut partial, false);
        assert_eq!(seen.first().map(String::as_str), Some("a"));
        assert_eq!(seen.concat(), "abc");
        assert!(seen.len() <= 3);
    }
}
