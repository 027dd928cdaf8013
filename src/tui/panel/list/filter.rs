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

/// Why a filter can match no run, however the runs go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    /// A comparison without a key.
    #[error("{word}: the key before the sign is missing")]
    NoKey { word: String },
    /// A comparison without a value.
    #[error("{word}: the value after the sign is missing")]
    NoValue { word: String },
    /// An order is one of numbers.
    #[error("{word}: \"{value}\" is not a number")]
    NotANumber { word: String, value: String },
    /// No run has a setting or a metric with this name.
    #[error("{word}: no run has the key \"{key}\"{}", suggestion.as_ref().map(|s| format!("; did you mean \"{s}\"?")).unwrap_or_default())]
    UnknownKey { word: String, key: String, suggestion: Option<String> },
}

/// Checks a filter that is to stay against the runs that there are.
pub(crate) fn check<'a>(
    filter: &str,
    runs: impl Iterator<Item = &'a Run> + Clone,
) -> Result<(), FilterError> {
    for word in filter.split_whitespace() {
        let Some((key, sign, wanted)) = parts(word) else { continue };
        let word = word.to_string();
        if key.is_empty() {
            return Err(FilterError::NoKey { word });
        }
        if wanted.is_empty() {
            return Err(FilterError::NoValue { word });
        }
        if sign.is_order() && !wanted.parse::<f64>().is_ok_and(|value| !value.is_nan()) {
            return Err(FilterError::NotANumber { word, value: wanted.to_string() });
        }
        // Where nothing has been read yet, every key may come.
        if runs.clone().next().is_some() && !runs.clone().any(|run| has_key(run, key)) {
            let suggestion = nearest(key, runs);
            return Err(FilterError::UnknownKey { word, key: key.to_string(), suggestion });
        }
    }
    Ok(())
}

fn has_key(run: &Run, key: &str) -> bool {
    key == STATE || run.config.keys().any(|name| ends(name, key)) || run.curves.get(key).is_some()
}

/// Names that are compared for a suggestion; there may be many more.
const MOST_NAMES: usize = 10_000;

/// The known key that differs least from an unknown one, if it is near.
fn nearest<'a>(key: &str, runs: impl Iterator<Item = &'a Run>) -> Option<String> {
    let of = |run: &'a Run| {
        let last = |name: &'a String| name.rsplit(['.', '/']).next().unwrap_or(name);
        run.config.keys().map(last).chain(run.curves.iter().map(|(name, _)| name))
    };
    let names = std::iter::once(STATE).chain(runs.flat_map(of)).take(MOST_NAMES);
    let rated = names.map(|name| (strsim::damerau_levenshtein(key, name), name));
    let (distance, name) = rated.min()?;
    (distance <= key.chars().count().div_ceil(3)).then(|| name.to_string())
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
    /// Whether it compares numbers only.
    fn is_order(self) -> bool {
        !matches!(self, Self::Is | Self::IsNot)
    }

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
    parts(word).filter(|(key, _, wanted)| !key.is_empty() && !wanted.is_empty())
}

/// Key, sign and value of a comparison; `None` for a plain word.
fn parts(word: &str) -> Option<(&str, Sign, &str)> {
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
    Some((&word[..at], kind, &word[at + sign.len()..]))
}

/// Runs have states besides their settings and metrics.
const STATE: &str = "state";

/// Whether the last parts of a setting's name are this key.
fn ends(name: &str, key: &str) -> bool {
    let rest = name.strip_suffix(key);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
}

/// The values of a key: the state, configuration keys that end with it, the last value of a metric.
fn values<'a>(run: &'a Run, key: &'a str, now: SystemTime) -> impl Iterator<Item = String> + 'a {
    let state = (key == STATE).then(|| run.standing(now).word().to_string());
    let settings = run.config.iter().filter(move |(name, _)| ends(name, key));
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

    #[test]
    fn what_can_never_match_is_an_error() {
        let mut run = Run { path: "/runs/a".into(), ..Run::default() };
        run.config.insert("stage.0.lr".into(), "0.001".into());
        run.config.insert("method.kind".into(), "lora".into());
        run.curves.push("loss/train", Point { step: 1.0, wall: 0.0, value: 0.25 });
        let said = |filter: &str| check(filter, [&run].into_iter()).err().map(|e| e.to_string());
        for (filter, error) in [
            ("", None),
            ("plain words wow! #tag", None),
            ("lr>1e-4 stage.0.lr=0.001 loss/train<=inf state=failed kind!=lora", None),
            ("lr=abc", None),
            ("lr>abc", Some("lr>abc: \"abc\" is not a number")),
            ("a lr<=1e", Some("lr<=1e: \"1e\" is not a number")),
            ("lr<nan", Some("lr<nan: \"nan\" is not a number")),
            ("lr>", Some("lr>: the value after the sign is missing")),
            (">3", Some(">3: the key before the sign is missing")),
            (
                "loss/trian<1",
                Some(
                    "loss/trian<1: no run has the key \"loss/trian\"; did you mean \"loss/train\"?",
                ),
            ),
            ("knd=lora", Some("knd=lora: no run has the key \"knd\"; did you mean \"kind\"?")),
            ("epochs>3", Some("epochs>3: no run has the key \"epochs\"")),
        ] {
            assert_eq!(said(filter).as_deref(), error, "{filter}");
        }
        // Nothing has been read yet.
        assert_eq!(check("lr>1", [].into_iter()), Ok(()));
    }
}
