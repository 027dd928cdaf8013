//! Texts where numbers are expected.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::curves::Curves;
use crate::skipped::Skipped;

/// Text that is no number is quoted in a reason up to here.
const MAX_QUOTED: usize = 40;

/// Texts of one row that are no numbers, under names of metrics, and where they are counted.
#[derive(Debug)]
pub(crate) struct Texts<'w, 't> {
    pub(crate) words: &'w mut Words,
    pub(crate) found: Vec<(Cow<'t, str>, &'t str)>,
}

/// Most names whose texts are counted.
const MAX_NAMES: usize = 1_000;

/// Texts under names of metrics. They are lost where the name has numbers, too; a column of words is not
/// a metric.
#[derive(Debug, Default)]
pub(super) struct Words {
    held: BTreeMap<String, (usize, String)>,
}

impl Words {
    /// Counts a text.
    pub(crate) fn add(&mut self, name: &str, example: impl FnOnce() -> String) {
        if let Some((count, _)) = self.held.get_mut(name) {
            *count += 1;
        } else if self.held.len() < MAX_NAMES {
            self.held.insert(name.into(), (1, example()));
        }
    }

    /// Counts as skipped the texts under names that have a curve.
    pub(crate) fn settle(&mut self, curves: &mut Curves, skipped: &mut Skipped) {
        self.held.retain(|name, (count, example)| {
            // Where there is no metric at all, nothing else tells why.
            let is_metric = curves.is_empty() || curves.last(name).is_some();
            if is_metric {
                let reason = format!("values of {name} that are not numbers");
                skipped.add_first(reason, *count, || std::mem::take(example));
            }
            !is_metric
        });
    }
}

/// A text for a reason, cut.
pub(super) fn quoted(text: &str) -> String {
    let text = text.trim();
    let cut: String = text.chars().take(MAX_QUOTED).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{cut}{dots}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Point;

    #[test]
    fn texts_are_lost_where_their_name_has_numbers() {
        let (mut words, mut skipped) = (Words::default(), Skipped::default());
        let mut curves = Curves::default();
        curves.push("loss", Point { step: 1.0, wall: f64::NAN, value: 0.5 });
        for (name, text) in [("note", "a"), ("loss", "n/a"), ("loss", "-")] {
            words.add(name, || quoted(text));
        }
        words.settle(&mut curves, &mut skipped);
        let told: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["values of loss that are not numbers: 2 (first: \"n/a\")"]);
        // A note may become a metric later.
        curves.push("note", Point { step: 2.0, wall: f64::NAN, value: 0.5 });
        words.settle(&mut curves, &mut skipped);
        assert_eq!(skipped.total(), 3);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(quoted(&"x".repeat(50)).chars().count(), MAX_QUOTED + 3);
    }
}
