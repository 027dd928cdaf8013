//! The report as text.

use std::fmt::Write;

use super::report::Report;
use super::statistics::{DISTINCT_2, METRICS};
use super::{Condition, Given};
use crate::Interval;

impl Report {
    /// Markdown tables: one for what is given, with the conditions side by side; differences; lengths.
    pub fn to_markdown(&self) -> String {
        let mut out = format!(
            "{}: {} paintings, {} questions each time, of which {} are compared with references. \
             In brackets: 95 % intervals over paintings.\n",
            self.model, self.paintings, self.questions, self.single_questions
        );
        for given in Given::ALL {
            self.metrics(given, &mut out);
        }
        self.differences(&mut out);
        self.lengths(&mut out);
        out
    }

    fn metrics(&self, given: Given, out: &mut String) {
        let of = |condition: Condition| self.conditions.get(condition.name())?.get(given.name());
        let cells = Condition::ALL.map(of);
        if cells.iter().all(Option::is_none) {
            return;
        }
        let _ = writeln!(
            out,
            "\n| {} | right picture | wrong picture | no picture |\n|---|---|---|---|",
            given.name()
        );
        for metric in METRICS.into_iter().chain([DISTINCT_2]) {
            let values = cells.map(|cell| cell.and_then(|metrics| metrics.get(metric)));
            if values.iter().any(Option::is_some) {
                let [right, wrong, none] = values.map(|value| text(metric, value));
                let _ = writeln!(out, "| {metric} | {right} | {wrong} | {none} |");
            }
        }
    }

    fn differences(&self, out: &mut String) {
        if self.differences.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n| right minus wrong | logprob | content-words |\n|---|---|---|");
        for given in Given::ALL {
            if let Some(metrics) = self.differences.get(given.name()) {
                let of = |metric| signed(metric, metrics.get(metric));
                let (logprob, content) = (of("logprob"), of("content-words"));
                let _ = writeln!(out, "| {} | {logprob} | {content} |", given.name());
            }
        }
    }

    /// The lengths of answers with the right picture.
    fn lengths(&self, out: &mut String) {
        let Some(right) = self.lengths.get(Condition::Right.name()) else { return };
        let _ = writeln!(
            out,
            "\n| words an answer (right picture) | pixels | text | both | reference |\n|---|---|---|---|---|"
        );
        for (kind, reference) in &self.reference_lengths {
            let mean = |given: Given| {
                let length = right.get(given.name()).and_then(|kinds| kinds.get(kind));
                length.map_or("-".into(), |length| format!("{length:.0}"))
            };
            let [pixels, words, both] = Given::ALL.map(mean);
            let _ = writeln!(out, "| {kind} | {pixels} | {words} | {both} | {reference:.0} |");
        }
    }
}

/// Metrics that are shares of something, shown in percent.
fn is_share(metric: &str) -> bool {
    matches!(metric, "content-words" | "label-facts" | "contradictions" | "repeats")
}

fn text(metric: &str, interval: Option<&Interval>) -> String {
    let Some(Interval { value, low, high }) = interval else { return "-".into() };
    match metric {
        _ if is_share(metric) => {
            let [value, low, high] = [value, low, high].map(|share| 100.0 * share);
            format!("{value:.0} % ({low:.0} to {high:.0})")
        }
        _ => format!("{value:.3} ({low:.3} to {high:.3})"),
    }
}

fn signed(metric: &str, interval: Option<&Interval>) -> String {
    let Some(Interval { value, low, high }) = interval else { return "-".into() };
    match is_share(metric) {
        true => {
            let [value, low, high] = [value, low, high].map(|share| 100.0 * share);
            format!("{value:+.1} % ({low:+.1} to {high:+.1})")
        }
        false => format!("{value:+.3} ({low:+.3} to {high:+.3})"),
    }
}
