//! The text of an answer, token by token: whole characters only, nothing after a stop string, and no loops.

use artgpt_chat::{Detokenizer, RepetitionGuard, StopFilter, Tokenizer};

/// Joins the detokenizer, the stop strings and the guard against loops.
pub(super) struct TextStream {
    detokenizer: Detokenizer,
    stops: StopFilter,
    repetition: Option<RepetitionGuard>,
    text: String,
    stopped: bool,
}

impl TextStream {
    pub(super) fn new(stop_strings: Vec<String>, stop_loops: bool) -> Self {
        Self {
            detokenizer: Detokenizer::new(),
            stops: StopFilter::new(stop_strings),
            repetition: stop_loops.then(RepetitionGuard::default),
            text: String::new(),
            stopped: false,
        }
    }

    /// Adds a token; returns the text that can be shown now, often none.
    pub(super) fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> String {
        let (new, stopped) = self.stops.push(&self.detokenizer.push(id, tokenizer));
        self.stopped |= stopped;
        self.stopped |= self.repetition.as_mut().is_some_and(|guard| guard.push(&new));
        self.text.push_str(&new);
        new
    }

    /// Whether a stop string or a loop has ended the text.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the whole text, and the part of it that `push` held back.
    pub(super) fn finish(mut self, tokenizer: &Tokenizer) -> (String, String) {
        // What the detokenizer holds comes after the stop string.
        if self.stopped {
            return (self.text, String::new());
        }
        let (mut rest, stopped) = self.stops.push(&self.detokenizer.finish(tokenizer));
        if !stopped {
            rest.push_str(&self.stops.finish());
        }
        self.text.push_str(&rest);
        (self.text, rest)
    }
}
