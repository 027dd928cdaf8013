//! What readers left out of a run's files, by reason.

use std::borrow::Cow;
use std::fmt;

/// Everything that was left out, by reason, in the order in which the reasons came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    parts: Vec<SkippedPart>,
}

/// What was left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedPart {
    /// The file, where a run has several.
    pub file: Option<String>,
    /// What was left out and why, in the plural: `records with a wrong checksum`.
    pub reason: Cow<'static, str>,
    /// How often.
    pub count: usize,
    /// How many bytes, where a reader knows it.
    pub bytes: u64,
    /// The first one, where a reader tells it: `line 4, "last"`.
    pub first: Option<String>,
}

/// Limit on the reasons of a run; more are counted together.
const MAX_REASONS: usize = 40;
/// What is counted together then.
const OTHERS: &str = "for other reasons";
/// Limit on the characters of an example.
const MAX_EXAMPLE_CHARS: usize = 80;

impl Skipped {
    /// Counts `count` lines, records or cells for a reason.
    pub fn add(&mut self, reason: impl Into<Cow<'static, str>>, count: usize) {
        self.part(None, reason.into()).count += count;
    }

    /// Like [`Self::add`], with the bytes that they take.
    pub fn add_bytes(&mut self, reason: impl Into<Cow<'static, str>>, count: usize, bytes: u64) {
        let part = self.part(None, reason.into());
        part.count += count;
        part.bytes = part.bytes.saturating_add(bytes);
    }

    /// Like [`Self::add`]; `example` describes the first of them.
    pub fn add_first(
        &mut self,
        reason: impl Into<Cow<'static, str>>,
        count: usize,
        example: impl FnOnce() -> String,
    ) {
        let part = self.part(None, reason.into());
        part.count += count;
        if part.first.is_none() {
            part.first = Some(example().chars().take(MAX_EXAMPLE_CHARS).collect());
        }
    }

    /// Adds what was left out of a file of the run; an empty name stands for the only one.
    pub fn absorb(&mut self, file: &str, other: &Self) {
        for new in &other.parts {
            let file = new.file.clone().or_else(|| (!file.is_empty()).then(|| file.to_string()));
            let part = self.part(file, new.reason.clone());
            part.count += new.count;
            part.bytes = part.bytes.saturating_add(new.bytes);
            if part.first.is_none() {
                part.first.clone_from(&new.first);
            }
        }
    }

    /// How much was left out for all reasons together.
    pub fn total(&self) -> usize {
        self.parts.iter().map(|part| part.count).sum()
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What was left out for each reason.
    pub fn iter(&self) -> impl Iterator<Item = &SkippedPart> {
        self.parts.iter()
    }

    fn part(&mut self, file: Option<String>, reason: Cow<'static, str>) -> &mut SkippedPart {
        let known = |part: &SkippedPart| part.reason == reason && part.file == file;
        let at = match self.parts.iter().position(known) {
            Some(at) => at,
            None if self.parts.len() > MAX_REASONS => self.parts.len() - 1,
            None => {
                let (file, reason) = match self.parts.len() {
                    MAX_REASONS => (None, OTHERS.into()),
                    _ => (file, reason),
                };
                self.parts.push(SkippedPart { file, reason, count: 0, bytes: 0, first: None });
                self.parts.len() - 1
            }
        };
        &mut self.parts[at]
    }
}

impl fmt::Display for SkippedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        write!(f, "{}: {}", self.reason, self.count)?;
        let bytes = (self.bytes > 0).then(|| format!("{} bytes", self.bytes));
        let first = self.first.as_ref().map(|first| format!("first: {first}"));
        match bytes.into_iter().chain(first).collect::<Vec<_>>() {
            more if more.is_empty() => Ok(()),
            more => write!(f, " ({})", more.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_with_bytes_and_their_first_example() {
        let mut file = Skipped::default();
        file.add("lines that are no JSON object", 1);
        file.add("lines that are no JSON object", 2);
        file.add_bytes("damaged parts", 1, 512);
        file.add_bytes("damaged parts", 0, 8);
        for step in ["last", "none"] {
            file.add_first("rows with an unreadable step", 1, || format!("\"{step}\""));
        }
        let mut run = Skipped::default();
        run.absorb("", &file);
        run.absorb("b.csv", &file);
        let told: Vec<String> = run.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "lines that are no JSON object: 3",
                "damaged parts: 1 (520 bytes)",
                "rows with an unreadable step: 2 (first: \"last\")",
                "b.csv: lines that are no JSON object: 3",
                "b.csv: damaged parts: 1 (520 bytes)",
                "b.csv: rows with an unreadable step: 2 (first: \"last\")",
            ]
        );
        assert_eq!((file.total(), run.total()), (6, 12));
    }

    #[test]
    fn many_reasons_are_counted_together() {
        let mut skipped = Skipped::default();
        (0..100).for_each(|i| skipped.add(format!("reason {i}"), 1));
        assert_eq!((skipped.iter().count(), skipped.total()), (MAX_REASONS + 1, 100));
        assert_eq!(skipped.iter().last().map(|p| (&*p.reason, p.count)), Some((OTHERS, 60)));
    }
}
