//! Secrets that must not be shown, logged or stored: keys, Authorization headers, passwords in URLs.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

const MASKED: &str = "***";
/// Environment variables whose values are secrets.
const VARIABLES: [&str; 3] = ["OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
/// Shorter values would mask ordinary words.
const MIN_SECRET: usize = 6;

/// In each pattern the group `keep` stays and the rest is masked. The first two are about URLs.
const PATTERNS: [&str; 6] = [
    // user:password@, to the last @ of the address: a password may hold an @, a / or a # that should have
    // been escaped.
    r#"(?P<keep>[a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s?#"']+@(?:[^/\s]+@)?|[^/\s]+@)"#,
    // ?key=…&sig=…
    r#"(?i)(?P<keep>[?&;][^=&;#\s"']*(?:key|token|secret|passw(?:or)?d|pwd|auth|sig|signature|credential|code)=)[^&;#\s"']+"#,
    // Authorization: Bearer …
    r#"(?i)(?P<keep>\bauthorization["']?\s*[:=]\s*["']?)(?:(?:bearer|basic|token)\s+)?[^\s"',;]+"#,
    r"(?i)(?P<keep>\bbearer\s+)[a-z0-9._~+/-]{6,}=*",
    // api_key=…, "password": "…"
    r#"(?i)(?P<keep>(?:\b|_)(?:api[_-]?key|access[_-]?key|token|passwd|password|secret|signature)["']?\s*[:=]\s*["']?)[^\s"',;&]+"#,
    // keys by their form: sk-…, hf_…, ghp_…
    r"(?P<keep>\b(?:sk-|hf_|gh[pousr]_))[A-Za-z0-9_-]{8,}",
];
/// How many of the patterns are about URLs.
const URL_PATTERNS: usize = 2;

static PROCESS: LazyLock<Mask> = LazyLock::new(Mask::from_environment);

/// Masks the secrets of a text: those that look like one, and the keys in this process's
/// environment.
pub fn mask(text: &str) -> Cow<'_, str> {
    PROCESS.apply(text)
}

/// Masks user name, password and keys of each URL in a text, and nothing else: `openai:` references
/// of models, and addresses of servers. A text that is masked already stays as it is.
pub fn mask_url(text: &str) -> Cow<'_, str> {
    replaced(&PROCESS.patterns[..URL_PATTERNS.min(PROCESS.patterns.len())], Cow::Borrowed(text))
}

/// Masks secrets in text.
#[derive(Debug)]
pub struct Mask {
    patterns: Vec<Regex>,
    /// Secrets that have no form of their own.
    values: Vec<String>,
}

impl Mask {
    /// Also masks the values of the environment variables that hold keys.
    pub fn from_environment() -> Self {
        Self::with_values(VARIABLES.iter().filter_map(|name| std::env::var(name).ok()).collect())
    }

    /// Also masks these values, such as the key that a server may echo.
    pub fn with_values(mut values: Vec<String>) -> Self {
        values.retain(|value| value.len() >= MIN_SECRET);
        // Of two values, one may begin with the other.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let patterns = PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        Self { patterns, values }
    }

    /// The text with `***` in place of each secret.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for value in &self.values {
            if masked.contains(value.as_str()) {
                masked = Cow::Owned(masked.replace(value.as_str(), MASKED));
            }
        }
        replaced(&self.patterns, masked)
    }
}

fn replaced<'a>(patterns: &[Regex], mut text: Cow<'a, str>) -> Cow<'a, str> {
    let keep = |found: &Captures| {
        let end = if found[0].ends_with('@') { "@" } else { "" };
        format!("{}{MASKED}{end}", &found["keep"])
    };
    for pattern in patterns {
        if pattern.is_match(&text) {
            text = Cow::Owned(pattern.replace_all(&text, keep).into_owned());
        }
    }
    text
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
        let mask =
            Mask::with_values(vec!["open-sesame".into(), "open-sesame-2".into(), "ab".into()]);
        for (text, masked) in [
            ("https://me:pa@ss@box:80/v1", "https://***@box:80/v1"),
            ("https://box/v1?key=abc#m", "https://box/v1?key=***#m"),
            ("Authorization: Bearer abc.def-123", "Authorization: ***"),
            ("\"authorization\": \"Basic Zm9v\"", "\"authorization\": \"***\""),
            ("sent Bearer abcdef123", "sent Bearer ***"),
            ("api_key=12345&n=1", "api_key=***&n=1"),
            ("OPENAI_API_KEY=12345", "OPENAI_API_KEY=***"),
            ("{\"password\": \"a b\"}", "{\"password\": \"*** b\"}"),
            ("key sk-abcdefgh1234 is wrong", "key sk-*** is wrong"),
            ("said open-sesame, open-sesame-2, ab", "said ***, ***, ab"),
        ] {
            assert_eq!(mask.apply(text), masked);
            assert_eq!(mask.apply(masked), masked, "masked twice");
        }
        for plain in ["prompt_tokens=31", "a token of love", "https://box/v1", "step 3: loss 0.5"] {
            assert_eq!(mask.apply(plain), plain);
        }
    }

    #[test]
    fn urls_keep_what_identifies_the_server_and_the_model() {
        for (url, masked) in [
            ("openai:http://me:pw@box:8000/v1#art", "openai:http://***@box:8000/v1#art"),
            ("openai:https://token@box#art", "openai:https://***@box#art"),
            ("http://box/v1?api-version=2&api-key=1a2b", "http://box/v1?api-version=2&api-key=***"),
            ("openai:http://box?sig=a%2Fb&code=x#m", "openai:http://box?sig=***&code=***#m"),
            ("HTTP://U:P@[::1]:80", "HTTP://***@[::1]:80"),
            // A password with characters that should have been escaped.
            ("openai:http://u:p#w@box#m", "openai:http://***@box#m"),
            ("openai:http://u:p/w@box/v1#m", "openai:http://***@box/v1#m"),
            ("openai:http://u:p@q/w@box:80/v1?a=b@c#m", "openai:http://***@box:80/v1?a=b@c#m"),
            ("openai:http://u:p@q#w@box#m", "openai:http://***@box#m"),
        ] {
            assert_eq!(mask_url(url), masked);
            assert_eq!(mask_url(masked), masked, "masked twice");
        }
        for plain in [
            "artgpt-smol",
            "openai:http://box:8000/v1?page=2#sk-art",
            "openai:http://box/v1#art@2",
            "\"http://box/v1\", \"me@box\"",
            "/home/me@box/m",
        ] {
            assert!(matches!(mask_url(plain), Cow::Borrowed(same) if same == plain));
        }
    }
}
