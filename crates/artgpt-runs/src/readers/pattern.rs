//! Plain logs, parsed with the user's pattern: a regular expression whose named groups are metrics.

use regex::Regex;

use super::number::Notation;
use super::role::Role;
use super::row::{Placing, Row};
use super::words::{Texts, Words, quoted};
use super::{Curves, Format, Tailed};
use crate::skipped::Skipped;
use crate::tail::Tail;

/// A pattern such as `step (?<step>\d+).*loss (?<loss>\S+)`. The groups `step`, `time` and `elapsed` position
/// the point; all others are metrics.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error(transparent)]
    Syntax(#[from] regex::Error),
    /// None of its groups has the name of a metric.
    #[error("it names no metric")]
    NoMetric,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let regex = Regex::new(text)?;
        let is_metric = |name: &&str| matches!(Role::of(name), Role::Metric | Role::Epoch);
        match regex.capture_names().flatten().filter(is_metric).count() {
            0 => Err(PatternError::NoMetric),
            _ => Ok(Self(regex)),
        }
    }
}

/// Follows a plain log.
pub type PatternLog = Tailed<Matches>;

/// State of the pattern parser. A line that does not match is no error, unless none does.
#[derive(Debug)]
pub struct Matches {
    pattern: Pattern,
    notation: Notation,
    places: Placing,
    words: Words,
    has_match: bool,
    skipped: Skipped,
}

impl Matches {
    /// A parser with this pattern.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            notation: Notation::default(),
            places: Placing::default(),
            words: Words::default(),
            has_match: false,
            skipped: Skipped::default(),
        }
    }

    /// Adds what the pattern finds in a line.
    fn line(&mut self, text: &str, number: u64, into: &mut Curves) {
        let Pattern(regex) = &self.pattern;
        let Some(captures) = regex.captures(text) else {
            if !self.has_match && !text.trim().is_empty() {
                self.skipped.add_first(NO_MATCH, 1, || format!("line {number}: {}", quoted(text)));
            }
            return;
        };
        if !self.has_match {
            (self.has_match, self.skipped) = (true, Skipped::default());
        }
        let groups = || {
            let named = regex.capture_names().flatten();
            named.filter_map(|name| Some((name, bare(captures.name(name)?.as_str()))))
        };
        groups().for_each(|(_, text)| self.notation.learn(text));
        let mut row = Row::default();
        let mut found = Vec::new();
        for (name, text) in groups() {
            if !row.text(Role::of(name), name, text, self.notation) {
                found.push((name.into(), text));
            }
        }
        let at = || format!("line {number}");
        let texts = Texts { words: &mut self.words, found };
        row.push_into(&mut self.places, into, texts, &mut self.skipped, &at);
    }
}

/// Why nothing of a log is used.
const NO_MATCH: &str = "the pattern matches no line; lines read";

impl Format for Matches {
    const IS_TEXT: bool = true;

    fn reset(&self) -> Self {
        Self::new(self.pattern.clone())
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        // Carriage returns end lines too: progress bars overwrite their line.
        let dropped = tail.text_lines(|text, number| self.line(text, number, into));
        if dropped > 0 {
            self.skipped.add_first("lines that are too long", 1, || format!("{dropped} bytes"));
        }
        self.words.settle(into, &mut self.skipped);
    }

    fn finish(&mut self, tail: &mut Tail) {
        tail.finish();
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// A group without the punctuation that follows a number in a sentence.
fn bare(text: &str) -> &str {
    let text = text.trim().trim_end_matches([',', ';', ':', '|', '}']);
    // The end of a sentence.
    let text = match text.strip_suffix('.') {
        Some(inner) if inner.ends_with(|c: char| c.is_ascii_digit()) => inner,
        _ => text,
    };
    let open = |sign| text.contains(sign);
    match text.strip_suffix([')', ']']) {
        Some(inner) if !open('(') && !open('[') => inner,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::read_all;

    #[test]
    fn named_groups_become_metrics() {
        let pattern = Pattern::new(r"step\s+(?<step>[\d,]+).*loss (?<loss>\S+)( lr (?<lr>\S+))?");
        let pattern = pattern.expect("is one");
        let log = "starting\nstep 1,000 loss 2.5 lr 1e-3\n 10%\r 20% step 1,010 loss 2.25,\rdone\n";
        let (curves, _) =
            read_all(log, |path| Box::new(PatternLog::of(path, Matches::new(pattern.clone()))));
        let loss: Vec<_> =
            curves.get("loss").expect("is").points().map(|p| (p.step, p.value)).collect();
        assert_eq!(loss, [(1000.0, 2.5), (1010.0, 2.25)]);
        assert_eq!(curves.get("lr").map(|s| s.len()), Some(1));
        // A sentence's end and a date show no notation.
        for log in ["1.12.2024 loss 2.5.\n1.12.2024 loss 1.125.\n", "x loss 2.5.\nx loss 1.125\n"] {
            let pattern = Pattern::new(r"(?<date>\S+) loss (?<loss>\S+)").expect("is one");
            let (curves, _) =
                read_all(log, |path| Box::new(PatternLog::of(path, Matches::new(pattern.clone()))));
            let loss: Vec<_> = curves.get("loss").expect("is").points().map(|p| p.value).collect();
            assert_eq!(loss, [2.5, 1.125], "{log}");
        }
        assert!(Pattern::new("loss (?<loss>").is_err());
        assert!(matches!(Pattern::new(r"loss (\S+)"), Err(PatternError::NoMetric)));
    }
}
