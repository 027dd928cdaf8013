//! All metrics against values of pycocoevalcap.

use serde::Deserialize;

use super::*;

const REFERENCE: &str = include_str!("../../../../tests/reference/captions.json");

#[derive(Deserialize)]
struct Reference {
    tokens: Vec<Tokenized>,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Tokenized {
    text: String,
    tokens: Vec<String>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    items: Vec<Raw>,
    bleu: [f64; 4],
    bleu_items: [Vec<f64>; 4],
    rouge_l: f64,
    rouge_l_items: Vec<f64>,
    cider_d: f64,
    cider_d_items: Vec<f64>,
    meteor_es: f64,
    meteor_es_items: Vec<f64>,
}

#[derive(Deserialize)]
struct Raw {
    candidate: String,
    references: Vec<String>,
}

fn reference() -> Reference {
    serde_json::from_str(REFERENCE).expect("is valid")
}

/// The sets with their items.
fn sets() -> Vec<(Set, Vec<Item>)> {
    let of = |set: Set| {
        let items = set.items.iter().map(|raw| Item::new(&raw.candidate, &raw.references));
        let items = items.collect();
        (set, items)
    };
    reference().sets.into_iter().map(of).collect()
}

#[track_caller]
fn close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{what}: {found} instead of {expected}");
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn texts_are_split_as_by_stanfords_tokenizer() {
    let all = reference().tokens;
    assert!(all.len() > 20);
    let wrong: Vec<String> = all
        .iter()
        .filter(|t| tokens(&t.text) != t.tokens)
        .map(|t| format!("{:?}\n  {}\n  {}", t.text, tokens(&t.text).join(" "), t.tokens.join(" ")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bleu_is_that_of_the_coco_tools() {
    for (set, items) in sets() {
        let mut all = BleuCounts::default();
        for (i, item) in items.iter().enumerate() {
            let counts = BleuCounts::of(item);
            all.add(&counts);
            for (n, score) in counts.scores().into_iter().enumerate() {
                close(&format!("{} {i} BLEU-{}", set.name, n + 1), score, set.bleu_items[n][i]);
            }
        }
        for (n, score) in all.scores().into_iter().enumerate() {
            close(&format!("{} BLEU-{}", set.name, n + 1), score, set.bleu[n]);
        }
    }
}

#[test]
fn rouge_and_cider_are_those_of_the_coco_tools() {
    for (set, items) in sets() {
        let rouge: Vec<f64> = items.iter().map(rouge_l).collect();
        let cider = Cider::of(&items);
        let cider: Vec<f64> = items.iter().map(|item| cider.score(item)).collect();
        for i in 0..items.len() {
            close(&format!("{} {i} ROUGE-L", set.name), rouge[i], set.rouge_l_items[i]);
            close(&format!("{} {i} CIDEr-D", set.name), cider[i], set.cider_d_items[i]);
        }
        close(&format!("{} ROUGE-L", set.name), mean(&rouge), set.rouge_l);
        close(&format!("{} CIDEr-D", set.name), mean(&cider), set.cider_d);
    }
}

#[test]
fn meteor_is_that_of_the_java_program() {
    let meteor = Meteor::default();
    for (set, items) in sets() {
        let mut all = MeteorCounts::default();
        for (i, item) in items.iter().enumerate() {
            let counts = meteor.counts(item);
            all.add(&counts);
            close(&format!("{} {i} METEOR", set.name), counts.score(), set.meteor_es_items[i]);
        }
        close(&format!("{} METEOR", set.name), all.score(), set.meteor_es);
    }
}
