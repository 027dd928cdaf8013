//! METEOR 1.5 (Denkowski and Lavie 2014) for English with exact and stemmed matches, as pycocoevalcap calls it
//! (`-l en -norm`), but without synonyms and paraphrases.
//!
//! The function words are data of METEOR 1.5 (`function.words` of English; LGPL-2.1), and so are the parameters of
//! its English task. The code was written for this program to give the same results as METEOR 1.5; `captions.json`
//! in `tests/reference` holds those. That includes the search in `align`, which keeps two of its peculiarities.

mod align;
mod normalise;

use std::collections::BTreeSet;

use rust_stemmers::{Algorithm, Stemmer};

use super::Item;
use align::{Text, align};

/// Weight of recall in the harmonic mean.
const ALPHA: f64 = 0.85;
/// Exponent of the penalty on fragments.
const BETA: f64 = 0.2;
/// Size of that penalty.
const GAMMA: f64 = 0.6;
/// Weight of a content word; a function word weighs the rest.
const DELTA: f64 = 0.75;
/// Weights of an exact and of a stemmed match.
const WEIGHTS: [f64; 2] = [1.0, 0.6];

/// The words that METEOR counts as function words of English: the most frequent tokens of news.
const FUNCTION_WORDS: &str = "the , . to of and a in that for \" is on 's it with was as said at he by be from have has \
    are his but an this not i will ’ they ) -rrb- ( -lrb- who their had we which were been more or s its would about \
    new one after you : also up when there than $ all out her people she year two - can if last first “ over other ” \
    into some what so -- no time years could ? 't — '";

/// Scores texts; holds what that needs.
pub struct Meteor {
    stemmer: Stemmer,
    function_words: BTreeSet<&'static str>,
}

/// What METEOR counts; the counts of several items are added.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeteorCounts {
    candidate: SideCounts,
    reference: SideCounts,
    chunks: f64,
}

/// The counts of one of the two texts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct SideCounts {
    words: f64,
    function_words: f64,
    /// Content words that match exactly, and by their stem.
    content: [f64; 2],
    /// Function words that do.
    function: [f64; 2],
}

impl Default for Meteor {
    fn default() -> Self {
        Self {
            stemmer: Stemmer::create(Algorithm::English),
            function_words: FUNCTION_WORDS.split_whitespace().collect(),
        }
    }
}

impl Meteor {
    /// Counts one item: against the reference with the highest score.
    pub fn counts(&self, item: &Item) -> MeteorCounts {
        let candidate = self.text(&item.candidate);
        let mut best: Option<(f64, MeteorCounts)> = None;
        for reference in &item.references {
            let counts = MeteorCounts::of(&candidate, &self.text(reference));
            let score = counts.score();
            if best.is_none_or(|(known, _)| score > known) {
                best = Some((score, counts));
            }
        }
        best.map(|(_, counts)| counts).unwrap_or_default()
    }

    fn text(&self, tokens: &[String]) -> Text {
        let words = normalise::words(&tokens.join(" "));
        let stems = words.iter().map(|word| self.stemmer.stem(word).into_owned()).collect();
        let function = words.iter().map(|w| self.function_words.contains(w.as_str())).collect();
        Text { words, stems, function }
    }
}

impl MeteorCounts {
    fn of(candidate: &Text, reference: &Text) -> Self {
        let alignment = align(candidate, reference);
        let mut counts = Self {
            candidate: SideCounts::of(candidate),
            reference: SideCounts::of(reference),
            chunks: alignment.chunks as f64,
        };
        for (at, to, kind) in alignment.pairs {
            counts.reference.matched(reference.function[at], kind);
            counts.candidate.matched(candidate.function[to], kind);
        }
        counts
    }

    /// Adds the counts of another item. The chunk of a perfect item is not counted.
    pub fn add(&mut self, other: &Self) {
        self.candidate.add(&other.candidate);
        self.reference.add(&other.reference);
        if !other.is_perfect() {
            self.chunks += other.chunks;
        }
    }

    fn is_perfect(&self) -> bool {
        let whole = |side: &SideCounts| side.matches() == side.words;
        whole(&self.candidate) && whole(&self.reference) && self.chunks == 1.0
    }

    /// The score, from 0 to 1.
    pub fn score(&self) -> f64 {
        let (precision, recall) = (self.candidate.matched_share(), self.reference.matched_share());
        let mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall);
        let matches = (self.candidate.matches() + self.reference.matches()) / 2.0;
        let fragments = if self.is_perfect() { 0.0 } else { self.chunks / matches };
        let score = mean * (1.0 - GAMMA * fragments.powf(BETA));
        // Without a match both factors are undefined.
        if score.is_nan() { 0.0 } else { score.max(0.0) }
    }
}

impl SideCounts {
    fn of(text: &Text) -> Self {
        Self {
            words: text.words.len() as f64,
            function_words: text.function.iter().filter(|f| **f).count() as f64,
            ..Self::default()
        }
    }

    fn matched(&mut self, is_function: bool, kind: usize) {
        let counts = if is_function { &mut self.function } else { &mut self.content };
        counts[kind] += 1.0;
    }

    fn matches(&self) -> f64 {
        self.content.iter().chain(&self.function).sum()
    }

    /// The share of the text, by weight, that matches.
    fn matched_share(&self) -> f64 {
        let weighted = |counts: &[f64; 2]| counts[0] * WEIGHTS[0] + counts[1] * WEIGHTS[1];
        let matched = DELTA * weighted(&self.content) + (1.0 - DELTA) * weighted(&self.function);
        let content_words = self.words - self.function_words;
        matched / (DELTA * content_words + (1.0 - DELTA) * self.function_words)
    }

    fn add(&mut self, other: &Self) {
        self.words += other.words;
        self.function_words += other.function_words;
        for kind in 0..WEIGHTS.len() {
            self.content[kind] += other.content[kind];
            self.function[kind] += other.function[kind];
        }
    }
}
