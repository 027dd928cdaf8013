//! Secrets that must not reach the log: keys, Authorization headers, passwords in URLs.

use std::borrow::Cow;

use regex::{Captures, Regex};

const MASKED: &str = "***";
/// Environment variables whose values are secrets.
const VARIABLES: [&str; 3] = ["OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
/// Shorter values would mask ordinary words.
const MIN_SECRET: usize = 6;

/// In each pattern the group `keep` stays and the rest is masked.
const PATTERNS: [&str; 5] = [
    // user:password@ of a URL
    r"(?P<keep>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s]+@",
    // Authorization: Bearer …
    r#"(?i)(?P<keep>\bauthorization["']?\s*[:=]\s*["']?)(?:(?:bearer|basic|token)\s+)?[^\s"',;]+"#,
    r"(?i)(?P<keep>\bbearer\s+)[a-z0-9._~+/-]{6,}=*",
    // api_key=…, "password": "…", ?token=…
    r#"(?i)(?P<keep>(?:\b|_)(?:api[_-]?key|access[_-]?key|token|passwd|password|secret|signature)["']?\s*[:=]\s*["']?)[^\s"',;&]+"#,
    // keys by their form: sk-…, hf_…, ghp_…
    r"(?P<keep>\b(?:sk-|hf_|gh[pousr]_))[A-Za-z0-9_-]{8,}",
];

/// Masks secrets in text.
pub(super) struct Mask {
    patterns: Vec<Regex>,
    /// Secrets of this process.
    values: Vec<String>,
}

impl Mask {
    /// Also masks the values of the environment variables that hold keys.
    pub(super) fn from_environment() -> Self {
        Self::with_values(VARIABLES.iter().filter_map(|name| std::env::var(name).ok()).collect())
    }

    pub(super) fn with_values(mut values: Vec<String>) -> Self {
        values.retain(|value| value.len() >= MIN_SECRET);
        let patterns = PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        Self { patterns, values }
    }

    pub(super) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for value in &self.values {
            if masked.contains(value.as_str()) {
                masked = Cow::Owned(masked.replace(value.as_str(), MASKED));
            }
        }
        for pattern in &self.patterns {
            let keep = |found: &Captures| {
                let end = if found[0].ends_with('@') { "@" } else { "" };
                format!("{}{MASKED}{end}", &found["keep"])
            };
            if pattern.is_match(&masked) {
                masked = Cow::Owned(pattern.replace_all(&masked, keep).into_owned());
            }
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_a_regular_expression() {
        assert_eq!(Mask::with_values(Vec::new()).patterns.len(), PATTERNS.len());
    }

    #[test]
    fn secrets_are_masked_and_the_rest_is_not() {
        let mask = Mask::with_values(vec!["open-sesame".into(), "ab".into()]);
        for (text, masked) in [
            ("https://me:pa@ss@box:80/v1", "https://***@box:80/v1"),
            ("Authorization: Bearer abc.def-123", "Authorization: ***"),
            ("\"authorization\": \"Basic Zm9v\"", "\"authorization\": \"***\""),
            ("sent Bearer abcdef123", "sent Bearer ***"),
            ("api_key=12345&n=1", "api_key=***&n=1"),
            ("OPENAI_API_KEY=12345", "OPENAI_API_KEY=***"),
            ("{\"password\": \"a b\"}", "{\"password\": \"*** b\"}"),
            ("key sk-abcdefgh1234 is wrong", "key sk-*** is wrong"),
            ("said open-sesame, ab", "said ***, ab"),
        ] {
            assert_eq!(mask.apply(text), masked);
        }
        for plain in ["prompt_tokens=31", "a token of love", "https://box/v1", "step 3: loss 0.5"] {
            assert_eq!(mask.apply(plain), plain);
        }
    }
}
