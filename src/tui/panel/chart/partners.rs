//! Finds metrics that measure the same on training data and on held-out data.

use std::collections::HashMap;

/// Words for training data and for held-out data.
const TRAIN: &[&str] = &["train", "training"];
const HELD_OUT: &[&str] =
    &["held_out", "val", "valid", "validation", "eval", "evaluation", "test", "dev"];

/// The name without the word for its data split, and whether that split is held out.
fn split_name(name: &str) -> (String, Option<bool>) {
    let parts: Vec<&str> = name.split('/').collect();
    for (i, part) in parts.iter().enumerate() {
        let known = kind(part).map(|held_out| (String::new(), held_out));
        // `val_loss`, `loss_val`.
        let begins = part.split_once('_').and_then(|(word, rest)| Some((rest.into(), kind(word)?)));
        let ends = part.rsplit_once('_').and_then(|(rest, word)| Some((rest.into(), kind(word)?)));
        let Some((rest, held_out)) = known.or(begins).or(ends) else { continue };
        let mut parts: Vec<&str> = parts.clone();
        parts[i] = &rest;
        parts.retain(|part| !part.is_empty());
        return (parts.join("/"), Some(held_out));
    }
    (name.to_string(), None)
}

fn kind(word: &str) -> Option<bool> {
    let word = word.to_lowercase();
    match () {
        () if TRAIN.contains(&word.as_str()) => Some(false),
        () if HELD_OUT.contains(&word.as_str()) => Some(true),
        () => None,
    }
}

/// The held-out metrics that are drawn in another metric's chart, each with that metric.
pub(crate) fn partners(names: &[String]) -> Vec<(String, String)> {
    let split: Vec<(String, Option<bool>)> = names.iter().map(|name| split_name(name)).collect();
    let held_out = names.iter().zip(&split).filter(|(_, (_, held_out))| *held_out == Some(true));
    // The first of a kind under each plain name.
    let mut charts: HashMap<(&str, Option<bool>), &String> = HashMap::new();
    for (name, (base, kind)) in names.iter().zip(&split) {
        charts.entry((base, *kind)).or_insert(name);
    }
    held_out
        .filter_map(|(name, (base, _))| {
            // A plain name means training data.
            let with = charts.get(&(base, Some(false))).or_else(|| charts.get(&(base, None)))?;
            Some((name.clone(), (*with).clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_metrics_find_their_chart() {
        let names = [
            "loss/train",
            "loss/held_out",
            "train/acc",
            "eval/acc",
            "f1",
            "val_f1",
            "test/bleu",
            "train_ppl",
            "val_ppl",
            "lr",
            "evaluation",
        ];
        let all: Vec<String> = names.map(String::from).to_vec();
        let told: Vec<String> =
            partners(&all).into_iter().map(|(a, b)| format!("{a} in {b}")).collect();
        assert_eq!(
            told,
            [
                "loss/held_out in loss/train",
                "eval/acc in train/acc",
                "val_f1 in f1",
                "val_ppl in train_ppl",
            ]
        );
    }
}
