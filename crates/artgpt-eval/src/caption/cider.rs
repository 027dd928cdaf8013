//! CIDEr-D (Vedantam et al. 2015), which the COCO caption tools call CIDEr.

use std::collections::{BTreeMap, BTreeSet};

use super::Item;
use super::ngrams::{MAX_N, counts};

/// Width of the penalty on a difference in length.
const SIGMA: f64 = 6.0;

/// How rare n-grams are among the references of a set of items. Scores depend on the set, so those of
/// different sets cannot be compared.
#[derive(Debug)]
pub struct Cider<'a> {
    /// The logarithm of the number of items.
    log_items: f64,
    /// Items whose references have the n-gram.
    documents: BTreeMap<&'a [String], u64>,
}

/// The weighted n-grams of one text, by length.
struct Vector<'a> {
    weights: BTreeMap<&'a [String], f64>,
    norms: [f64; MAX_N],
    /// The number of bigrams, which stands for the length.
    length: f64,
}

impl<'a> Cider<'a> {
    /// Learns from the references of `items`.
    pub fn of(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let (mut documents, mut count) = (BTreeMap::new(), 0u64);
        for item in items {
            let ngrams: BTreeSet<&[String]> =
                item.references.iter().flat_map(|r| counts(r).into_keys()).collect();
            ngrams.into_iter().for_each(|ngram| *documents.entry(ngram).or_default() += 1);
            count += 1;
        }
        Self { log_items: (count.max(1) as f64).ln(), documents }
    }

    /// CIDEr-D of one item; that of a set is the mean.
    pub fn score(&self, item: &Item) -> f64 {
        let candidate = self.vector(&item.candidate);
        let all: f64 = item
            .references
            .iter()
            .map(|reference| similarity(&candidate, &self.vector(reference)))
            .sum();
        10.0 * all / item.references.len().max(1) as f64
    }

    fn vector<'b>(&self, words: &'b [String]) -> Vector<'b> {
        let (mut squares, mut length) = ([0.0; MAX_N], 0.0);
        let weigh = |(ngram, count): (&'b [String], u64)| {
            let documents = self.documents.get(ngram).copied().unwrap_or(0).max(1) as f64;
            let weight = count as f64 * (self.log_items - documents.ln());
            squares[ngram.len() - 1] += weight * weight;
            if ngram.len() == 2 {
                length += count as f64;
            }
            (ngram, weight)
        };
        let weights = counts(words).into_iter().map(weigh).collect();
        Vector { weights, norms: squares.map(f64::sqrt), length }
    }
}

/// The mean over the lengths of n-grams of the clipped cosine.
fn similarity(candidate: &Vector, reference: &Vector) -> f64 {
    let mut products = [0.0; MAX_N];
    for (ngram, weight) in &candidate.weights {
        let other = reference.weights.get(ngram).copied().unwrap_or(0.0);
        products[ngram.len() - 1] += weight.min(other) * other;
    }
    let difference = candidate.length - reference.length;
    let penalty = (-(difference * difference) / (2.0 * SIGMA * SIGMA)).exp();
    let cosines = products.iter().zip(candidate.norms.iter().zip(&reference.norms));
    let sum: f64 = cosines
        .map(|(product, (a, b))| if *a != 0.0 && *b != 0.0 { product / (a * b) } else { *product })
        .sum();
    penalty * sum / MAX_N as f64
}
