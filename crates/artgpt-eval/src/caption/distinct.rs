//! How varied a set of texts is.

use std::collections::BTreeSet;

/// Distinct bigrams over all bigrams of the texts (Li et al. 2016); 0 where there are none.
pub fn distinct_2<'a>(texts: impl IntoIterator<Item = &'a [String]>) -> f64 {
    let (mut distinct, mut all) = (BTreeSet::new(), 0usize);
    for text in texts {
        for bigram in text.windows(2) {
            distinct.insert(bigram);
            all += 1;
        }
    }
    distinct.len() as f64 / all.max(1) as f64
}
