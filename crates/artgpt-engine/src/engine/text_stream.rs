//! The text of an answer, token by token: whole characters only, nothing after a stop string.

use artgpt_chat::{Detokenizer, StopFilter, Tokenizer};

/// Joins the detokenizer and the stop strings.
pub(super) struct TextStream {
    detokenizer: Detokenizer,
    stops: StopFilter,
    text: String,
    stopped: bool,
}

impl TextStream {
    pub(super) fn new(stop_strings: Vec<String>) -> Self {
        let stops = StopFilter::new(stop_strings);
        Self { detokenizer: Detokenizer::new(), stops, text: String::new(), stopped: false }
    }

    /// Adds a token; returns the text that can be shown now, often none.
    pub(super) fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> String {
        let (new, stopped) = self.stops.push(&self.detokenizer.push(id, tokenizer));
        self.stopped |= stopped;
        self.text.push_str(&new);
        new
    }

    /// Whether a stop string has ended the text.
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
