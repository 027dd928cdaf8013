//! BLEU-1 to BLEU-4 as the COCO caption tools compute it (Papineni et al. 2002).

use std::collections::BTreeMap;

use super::Item;
use super::ngrams::{MAX_N, counts};

/// What BLEU counts; the counts of several items are added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// N-grams of the candidate that a reference has, by length.
    correct: [u64; MAX_N],
    /// N-grams of the candidate.
    guessed: [u64; MAX_N],
    /// Words of the candidate.
    candidate: u64,
    /// Words of the reference whose length is closest.
    reference: u64,
}

impl BleuCounts {
    /// Counts one item.
    pub fn of(item: &Item) -> Self {
        let mut most: BTreeMap<&[String], u64> = BTreeMap::new();
        for reference in &item.references {
            for (ngram, count) in counts(reference) {
                let most = most.entry(ngram).or_default();
                *most = count.max(*most);
            }
        }
        let length = item.candidate.len() as u64;
        let lengths = item.references.iter().map(|r| r.len() as u64);
        let mut out = Self {
            candidate: length,
            reference: lengths.min_by_key(|l| (l.abs_diff(length), *l)).unwrap_or(0),
            ..Self::default()
        };
        for (ngram, count) in counts(&item.candidate) {
            out.guessed[ngram.len() - 1] += count;
            out.correct[ngram.len() - 1] += count.min(most.get(ngram).copied().unwrap_or(0));
        }
        out
    }

    /// Adds the counts of other items.
    pub fn add(&mut self, other: &Self) {
        for n in 0..MAX_N {
            self.correct[n] += other.correct[n];
            self.guessed[n] += other.guessed[n];
        }
        self.candidate += other.candidate;
        self.reference += other.reference;
    }

    /// BLEU-1 to BLEU-4.
    pub fn scores(&self) -> [f64; MAX_N] {
        const SMALL: f64 = 1e-9;
        const TINY: f64 = 1e-15;
        let ratio = (self.candidate as f64 + TINY) / (self.reference as f64 + SMALL);
        let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
        let mut product = 1.0;
        std::array::from_fn(|n| {
            product *= (self.correct[n] as f64 + TINY) / (self.guessed[n] as f64 + SMALL);
            product.powf(1.0 / (n + 1) as f64) * brevity
        })
    }
}
