//! The filter of the list: words, and comparisons with configuration, state and metrics.

use std::time::SystemTime;

use artgpt_runs::Run;

/// Whether a run matches every word: `lora`, `#hot`, `state=failed`, `lr>1e-4`, `loss<0.5`.
pub(crate) fn matches(filter: &str, run: &Run, note: &str, now: SystemTime) -> bool {
    filter.split_whitespace().all(|word| match comparison(word) {
        Some((key, sign, wanted)) => {
            values(run, key, now).any(|value| sign.compare(&value, wanted))
        }
        None => contains(run, note, &word.to_lowercase()),
    })
}

fn contains(run: &Run, note: &str, word: &str) -> bool {
    let path = run.path.display().to_string();
    let texts = [&path, run.title().unwrap_or_default(), note];
    texts.iter().any(|text| text.to_lowercase().contains(word))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Less,
    More,
    AtMost,
    AtLeast,
    Is,
    IsNot,
}

impl Sign {
    fn compare(self, value: &str, wanted: &str) -> bool {
        let same = || value.eq_ignore_ascii_case(wanted);
        let numbers = value.parse::<f64>().ok().zip(wanted.parse::<f64>().ok());
        match (self, numbers) {
            (Self::Is, Some((a, b))) => a == b,
            (Self::IsNot, Some((a, b))) => a != b,
            (Self::Is, None) => same(),
            (Self::IsNot, None) => !same(),
            (Self::Less, Some((a, b))) => a < b,
            (Self::More, Some((a, b))) => a > b,
            (Self::AtMost, Some((a, b))) => a <= b,
            (Self::AtLeast, Some((a, b))) => a >= b,
            _ => false,
        }
    }
}

/// `None` for a plain word, and for a comparison that is not complete yet.
fn comparison(word: &str) -> Option<(&str, Sign, &str)> {
    // Longer signs first.
    let signs = [
        ("<=", Sign::AtMost),
        (">=", Sign::AtLeast),
        ("!=", Sign::IsNot),
        ("<", Sign::Less),
        (">", Sign::More),
        ("=", Sign::Is),
    ];
    let at = word.find(['<', '>', '=', '!'])?;
    let (sign, kind) = signs.into_iter().find(|(sign, _)| word[at..].starts_with(sign))?;
    let (key, wanted) = (&word[..at], &word[at + sign.len()..]);
    (!key.is_empty() && !wanted.is_empty()).then_some((key, kind, wanted))
}

/// The values of a key: the state, configuration keys that end with it, the last value of a metric.
fn values<'a>(run: &'a Run, key: &'a str, now: SystemTime) -> impl Iterator<Item = String> + 'a {
    let ends = move |name: &str| {
        let rest = name.strip_suffix(key);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
    };
    let state = (key == "state").then(|| run.standing(now).word().to_string());
    let settings = run.config.iter().filter(move |(name, _)| ends(name));
    let metric = run.curves.get(key).and_then(|series| series.last());
    state
        .into_iter()
        .chain(settings.map(|(_, value)| value.clone()))
        .chain(metric.map(|point| point.value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_runs::Point;

    #[test]
    fn words_and_comparisons_must_all_hold() {
        let mut run = Run { path: "/runs/a".into(), ..Run::default() };
        run.config.insert("stage.0.lr".into(), "0.001".into());
        run.config.insert("method.kind".into(), "lora".into());
        run.curves.push("loss/train", Point { step: 1.0, wall: 0.0, value: 0.25 });
        for (filter, expected) in [
            ("", true),
            ("runs hot", true),
            ("cold", false),
            ("lr=1e-3", true),
            ("lr>1e-3", false),
            ("lr>=1e-3 kind=LoRA", true),
            ("kind!=lora", false),
            ("r=0.001", false),
            ("loss/train<0.5", true),
            ("loss/train<0.5 #cold", false),
            ("state=quiet", true),
            ("none=1", false),
            // Incomplete.
            ("lr>", false),
        ] {
            assert_eq!(
                matches(filter, &run, "too hot #lr", SystemTime::UNIX_EPOCH),
                expected,
                "{filter}"
            );
        }
    }
}
