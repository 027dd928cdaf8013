//! Answers that go round in circles.

use std::collections::{HashMap, VecDeque};

/// Words of a sequence that counts.
const WORDS: usize = 6;
/// How often a sequence may come; the next one ends the answer.
const ALLOWED: u8 = 2;

/// Finds in a stream of text a sequence of six words that comes for the third time, without regard to
/// case and punctuation. Small models fall into such loops, above all with greedy decoding.
#[derive(Debug, Default)]
pub struct RepetitionGuard {
    /// The word that the next text may continue.
    word: String,
    /// The last words, oldest first.
    last: VecDeque<String>,
    seen: HashMap<String, u8>,
}

impl RepetitionGuard {
    /// Adds text; whether a sequence came once too often.
    pub fn push(&mut self, text: &str) -> bool {
        for c in text.chars() {
            if c.is_alphanumeric() || matches!(c, '\'' | '’') {
                self.word.extend(c.to_lowercase());
            } else if !self.word.is_empty() && self.end_of_word() {
                return true;
            }
        }
        false
    }

    fn end_of_word(&mut self) -> bool {
        if self.last.len() == WORDS {
            self.last.pop_front();
        }
        self.last.push_back(std::mem::take(&mut self.word));
        if self.last.len() < WORDS {
            return false;
        }
        let sequence = self.last.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let count = self.seen.entry(sequence).or_default();
        *count = count.saturating_add(1);
        *count > ALLOWED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many words of `text` come before its end, in pieces of `size` characters.
    fn ends_after(text: &str, size: usize) -> Option<usize> {
        let mut guard = RepetitionGuard::default();
        let chars: Vec<char> = text.chars().collect();
        let mut read = String::new();
        for piece in chars.chunks(size) {
            let piece: String = piece.iter().collect();
            read.push_str(&piece);
            if guard.push(&piece) {
                return Some(read.split_whitespace().count());
            }
        }
        None
    }

    #[test]
    fn the_third_time_ends_it_however_the_text_is_cut() {
        let line = "The sky is blue and wide, ";
        for size in [1, 3, 7] {
            assert_eq!(ends_after(&line.repeat(2), size), None);
            let end = ends_after(&line.repeat(9), size).expect("ends");
            assert!((18..=20).contains(&end), "{end}");
        }
        // Case and punctuation are no difference.
        let text = "a b c d e f. A B c d e F! a-b c d, e (f) and on";
        assert!(ends_after(text, 4).is_some());
        assert!(ends_after(&"no ".repeat(9), 2).is_some());
    }

    #[test]
    fn fewer_words_may_come_again() {
        let text = "the red cloak is warm, the red cloak is heavy, the red cloak is old, \
                    the red cloak is torn, the red cloak is there";
        assert_eq!(ends_after(text, 5), None);
        assert_eq!(ends_after("", 1), None);
    }
}
