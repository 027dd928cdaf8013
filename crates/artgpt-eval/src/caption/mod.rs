//! Metrics that compare a text with reference texts, equal to those of pycocoevalcap.
//!
//! Each metric of one item is a pure function of its tokens. Corpus metrics (BLEU, METEOR) come from counts
//! that are added; CIDEr-D from document frequencies of the whole set.

mod bleu;
mod cider;
mod meteor;
mod ngrams;
mod ptb;
mod rouge;
#[cfg(test)]
mod tests;

pub use bleu::BleuCounts;
pub use cider::Cider;
pub use meteor::{Meteor, MeteorCounts};
pub use ptb::tokens;
pub use rouge::rouge_l;

/// A candidate and its references, as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// The text to judge.
    pub candidate: Vec<String>,
    /// What it is compared with; at least one.
    pub references: Vec<Vec<String>>,
}

impl Item {
    /// Tokenizes the texts of an item.
    pub fn new<S: AsRef<str>>(candidate: &str, references: &[S]) -> Self {
        Self {
            candidate: tokens(candidate),
            references: references.iter().map(|text| tokens(text.as_ref())).collect(),
        }
    }
}
