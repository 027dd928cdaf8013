//! ROUGE-L as the COCO caption tools compute it (Lin 2004).

use super::Item;

/// The weight of recall against precision.
const BETA: f64 = 1.2;

/// ROUGE-L of one item. Precision and recall are each the maximum over the references.
pub fn rouge_l(item: &Item) -> f64 {
    // The reference splits a text at spaces, so that an empty one is one empty word.
    let empty = [String::new()];
    let words = |text: &[String]| -> Vec<String> {
        if text.is_empty() { empty.to_vec() } else { text.to_vec() }
    };
    let candidate = words(&item.candidate);
    let (mut precision, mut recall) = (0f64, 0f64);
    for reference in item.references.iter().map(|r| words(r)) {
        let common = longest_common_subsequence(&candidate, &reference) as f64;
        precision = precision.max(common / candidate.len() as f64);
        recall = recall.max(common / reference.len() as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    (1.0 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision)
}

fn longest_common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}
