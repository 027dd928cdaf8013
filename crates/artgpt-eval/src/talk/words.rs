//! Words of texts: plain words, and the stems of content words.

use rust_stemmers::{Algorithm, Stemmer};

/// English words that carry no content of their own: articles, pronouns, prepositions, auxiliaries.
const STOP_WORDS: &str = " a about above across after again against all almost along already also although always am among an \
    and another any anyone anything are aren't around as at away back be because been before behind being below \
    beside besides between beyond both but by came can can't cannot come could couldn't did didn't do does doesn't \
    doing don't done down during each either else enough even ever every everyone everything few first for from \
    further get gets give given gives go goes going had hadn't has hasn't have haven't having he he's her here hers \
    herself him himself his how however i i'm i've if in indeed inside instead into is isn't it it's its itself just \
    keep keeps kind last least less let let's like look looks lot made make makes many may maybe me might mine more \
    most much must my myself near nearly neither never next no nobody none nor not nothing now of off often on once \
    one only onto or other others our ours out outside over own part perhaps put quite rather really same say says \
    see seem seems seen several shall she she's should show shows since so some someone something somewhere still \
    such take taken takes tell than that that's the their theirs them themselves then there there's these they \
    they're thing things this those though three through thus to together too toward towards two under until up \
    upon us very was wasn't way we well were weren't what what's when where whether which while who who's whole whom \
    whose why will with within without won't would wouldn't yes yet you you're your yours yourself ";

/// The words of a text in lower case; an apostrophe or a hyphen inside a word belongs to it.
pub(super) fn words(text: &str) -> Vec<String> {
    spelt(&text.to_lowercase())
}

/// The same words as they are spelt.
pub(super) fn spelt(text: &str) -> Vec<String> {
    let inner = |c: char| matches!(c, '\'' | '-');
    let text = text.replace('’', "'");
    text.split(|c: char| !c.is_alphanumeric() && !inner(c))
        .map(|word| word.trim_matches(inner))
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}

/// Stems English words.
pub(super) struct ContentWords(Stemmer);

impl Default for ContentWords {
    fn default() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }
}

impl ContentWords {
    /// The distinct stems of the content words of a text, sorted. The parts of a compound count by
    /// themselves.
    pub(super) fn stems(&self, text: &str) -> Vec<String> {
        let all = words(text);
        let parts = all.iter().flat_map(|word| word.split('-'));
        let content = parts.filter(|w| w.len() > 1 && !STOP_WORDS.contains(&format!(" {w} ")));
        let mut stems: Vec<String> = content
            .map(|word| self.0.stem(word.strip_suffix("'s").unwrap_or(word)).into_owned())
            .collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_words_are_stemmed_and_stop_words_left_out() {
        let stems = ContentWords::default().stems(
            "The blue-grey clouds are rolling, and there isn't a man's shadow; clouds, CLOUD.",
        );
        assert_eq!(stems, ["blue", "cloud", "grey", "man", "roll", "shadow"]);
        assert!(ContentWords::default().stems("It is what it is.").is_empty());
        assert_eq!(words("Well-known: it’s 'so' — 1660."), ["well-known", "it's", "so", "1660"]);
    }
}
