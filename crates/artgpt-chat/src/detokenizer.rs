//! Token ids to text as they come, in whole characters.

use unicode_segmentation::UnicodeSegmentation;

use super::Tokenizer;

/// Turns a stream of token ids into text.
///
/// A byte-level token can end inside a UTF-8 character, and an emoji can be several characters
/// (a family is seven). Text is held back until what follows cannot change how it looks.
#[derive(Debug, Default)]
pub struct Detokenizer {
    ids: Vec<u32>,
    /// Ids before this index are in the text already.
    start: usize,
    /// Text of `ids[start..]` that is complete UTF-8 but not shown.
    held: String,
    /// Ids up to here are in `held` or shown.
    read: usize,
}

impl Detokenizer {
    /// A detokenizer at the beginning of an answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an id; returns the text that can now be shown (often empty).
    pub fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> String {
        self.ids.push(id);
        let before = tokenizer.decode(&self.ids[self.start..self.read]);
        let now = tokenizer.decode(&self.ids[self.start..]);
        if now.ends_with('\u{fffd}') {
            return String::new(); // a character is cut
        }
        self.held.push_str(now.get(before.len()..).unwrap_or_default());
        self.start = self.read;
        self.read = self.ids.len();
        let keep = open_tail(&self.held);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// Returns what was held back, at the end of the answer.
    pub fn finish(mut self, tokenizer: &Tokenizer) -> String {
        let before = tokenizer.decode(&self.ids[self.start..self.read]);
        let now = tokenizer.decode(&self.ids[self.start..]);
        self.held.push_str(now.get(before.len()..).unwrap_or_default());
        self.held
    }
}

/// Bytes at the end that a later character might join: the last grapheme, unless it is ASCII.
fn open_tail(text: &str) -> usize {
    let Some(last) = text.graphemes(true).next_back() else { return 0 };
    if last.is_ascii() {
        return 0;
    }
    // Two regional indicators make a flag, but the second may open the next one.
    last.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_goes_at_once_and_an_emoji_waits() {
        assert_eq!(open_tail("oil on canvas"), 0);
        assert_eq!(open_tail("a \u{1f469}\u{200d}"), "\u{1f469}\u{200d}".len());
        assert_eq!(open_tail("é"), 2);
    }
}
