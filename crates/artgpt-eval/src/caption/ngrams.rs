//! Sequences of words.

use std::collections::BTreeMap;

/// The longest n-gram of BLEU and CIDEr.
pub(super) const MAX_N: usize = 4;

/// How often each n-gram of length 1 to [`MAX_N`] occurs. The order is fixed, so that sums are too.
pub(super) fn counts(words: &[String]) -> BTreeMap<&[String], u64> {
    let mut counts = BTreeMap::new();
    for n in 1..=MAX_N {
        for ngram in words.windows(n) {
            *counts.entry(ngram).or_default() += 1;
        }
    }
    counts
}
