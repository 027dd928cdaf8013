//! Plain logs, parsed with the user's pattern: a regular expression whose named groups are metrics.

use regex::Regex;

use super::{Curves, Format, Line, Skipped, Tailed};
use crate::tail::Tail;

/// A pattern such as `step (?<step>\d+).*loss (?<loss>\S+)`. The groups `step`, `time` and `elapsed` position
/// the point; all others are metrics.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// A message that says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|e| e.to_string())?;
        let metrics = regex.capture_names().flatten().filter(|n| !super::STEP_NAMES.contains(n));
        match metrics.count() {
            0 => Err("it names no metric; write one as (?<loss>[-+.eE\\d]+)".into()),
            _ => Ok(Self(regex)),
        }
    }
}

/// Follows a plain log.
pub type PatternLog = Tailed<Matches>;

/// State of the pattern parser. A line that does not match is no error.
#[derive(Debug)]
pub struct Matches {
    pattern: Pattern,
    matched: u64,
    skipped: Skipped,
}

impl Matches {
    /// A parser with this pattern.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, matched: 0, skipped: Skipped::default() }
    }
}

impl Format for Matches {
    fn reset(&self) -> Self {
        Self::new(self.pattern.clone())
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        let Self { pattern: Pattern(regex), matched, .. } = self;
        // Carriage returns end lines too: progress bars overwrite their line.
        tail.lines(b'\r', |text| {
            let text = String::from_utf8_lossy(text);
            let Some(found) = regex.captures(&text) else { return };
            let mut line = Line::default();
            for name in regex.capture_names().flatten() {
                if let Some(value) = found.name(name).and_then(|m| number(m.as_str())) {
                    line.put(name.to_string(), value);
                }
            }
            line.push_into(into, *matched);
            *matched += 1;
        });
    }

    fn finish(&mut self, tail: &mut Tail) {
        tail.finish();
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// Parses a number in a usual notation of logs: `1,234`, `12.5%`, `3.4k`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches(['%', ',', ';']);
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1e3),
        b'M' => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    digits.replace([',', '_'], "").parse::<f64>().ok().map(|n| n * factor)
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
        assert!(Pattern::new("loss (?<loss>").is_err());
        assert!(Pattern::new(r"loss (\S+)").is_err_and(|e| e.contains("(?<loss>")));
        assert_eq!(
            ["12.5%", "3.4k", "x", "-1e-3"].map(number),
            [Some(12.5), Some(3400.0), None, Some(-1e-3)]
        );
    }
}
