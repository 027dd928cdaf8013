//! Plain claims about the whole picture that its measured features refute.
//!
//! The reader is conservative: a claim counts if it is the opposite of what is measured (warm for cool, dark for
//! light), is said of the picture as a whole, and is neither negated nor hedged. Remarks about a part, such as
//! "the white collar stands out", are no claims.

mod clauses;
mod colour;

use artgpt_art::{FormalFeatures, Question};

use clauses::{Clause, clauses};

/// Words that make a claim about one feature.
struct Feature {
    question: Question,
    /// Words that mean the first and the last class.
    low: &'static [&'static str],
    high: &'static [&'static str],
    /// What is said to be so.
    nouns: &'static [&'static str],
    /// A question with one of these beginnings of words asks about it, so that a bare word answers it.
    asked_by: &'static [&'static str],
}

const COLOURS: &[&str] =
    &["colours", "colors", "colour", "color", "colouring", "palette", "tones", "hues", "tonality"];

const FEATURES: &[Feature] = &[
    Feature {
        question: Question::Warmth,
        low: &["cool", "cold", "chilly"],
        high: &["warm"],
        nouns: &[
            "colours",
            "colors",
            "colour",
            "color",
            "colouring",
            "palette",
            "tones",
            "hues",
            "tonality",
            "painting",
            "picture",
            "image",
        ],
        asked_by: &["warm", "cool", "cold", "temperature"],
    },
    Feature {
        question: Question::LightKey,
        low: &["dark"],
        high: &["light", "bright"],
        nouns: &["painting", "picture", "image", "canvas", "tones", "tonality", "palette"],
        asked_by: &["dark", "light", "bright", "key"],
    },
    Feature {
        question: Question::Contrast,
        low: &["soft", "weak", "gentle", "low"],
        high: &["strong", "sharp", "stark", "high"],
        nouns: &["contrast", "contrasts"],
        asked_by: &["contrast"],
    },
    Feature {
        question: Question::Saturation,
        low: &["muted", "subdued", "dull"],
        high: &["vivid", "saturated", "intense"],
        nouns: COLOURS,
        asked_by: &["muted", "vivid", "saturat", "intens", "subdued"],
    },
    Feature {
        question: Question::Symmetry,
        low: &["symmetrical", "symmetric"],
        high: &["asymmetrical", "asymmetric"],
        nouns: &["composition", "painting", "picture", "image", "arrangement", "layout", "design"],
        asked_by: &["symmetr", "mirror", "halves"],
    },
];

/// Words before an adjective that leave its meaning as it is.
const ADVERBS: &[&str] = &[
    "mostly",
    "mainly",
    "rather",
    "quite",
    "very",
    "clearly",
    "definitely",
    "overall",
    "all",
    "generally",
    "largely",
    "decidedly",
    "fairly",
    "pretty",
    "certainly",
    "distinctly",
];

/// What may stand behind an adjective or a verb without narrowing the claim.
const TAILS: &[&[&str]] = &[
    &[],
    &["overall"],
    &["throughout"],
    &["here"],
    &["indeed"],
    &["in", "tone"],
    &["in", "colour"],
    &["as", "a", "whole"],
    &["on", "the", "whole"],
    &["the", "picture"],
    &["the", "painting"],
    &["the", "whole"],
    &["the", "whole", "picture"],
    &["the", "image"],
    &["the", "palette"],
];

const DOMINATE: &[&str] =
    &["dominate", "dominates", "lead", "leads", "prevail", "prevails", "rule", "rules"];

const COPULAS: &[&str] = &[
    "is", "are", "stays", "stay", "remains", "remain", "looks", "look", "feels", "feel", "seems",
    "seem",
];

/// Whether `answer` to `question` claims the opposite of a measured feature.
pub(super) fn contradicts(features: &FormalFeatures, question: &str, answer: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace('’', "'");
    let (question, answer) = (plain(question), plain(answer));
    clauses(&answer).iter().any(|clause| {
        FEATURES.iter().any(|feature| {
            let truth = feature.question.truth(features, None).map(|(class, _)| class);
            let claimed = feature.claim(clause, &question);
            matches!((claimed, truth), (Some(0), Some(2)) | (Some(2), Some(0)))
        }) || colour::claim(clause, &question).is_some_and(|c| !colour::is_plausible(c, features))
    })
}

/// The measured feature that `answer` to `question` states as it is.
pub(super) fn agrees(
    features: &FormalFeatures,
    question: &str,
    answer: &str,
) -> Option<&'static str> {
    let (question, answer) = (question.to_lowercase(), answer.to_lowercase());
    clauses(&answer).iter().find_map(|clause| {
        let states = |feature: &&Feature| {
            let truth = feature.question.truth(features, None).map(|(class, _)| class);
            feature.claim(clause, &question).is_some_and(|claimed| Some(claimed) == truth)
        };
        let stated = FEATURES.iter().find(states).map(|feature| feature.question.name());
        let colour =
            || colour::claim(clause, &question).filter(|c| colour::is_plausible(*c, features));
        stated.or_else(|| colour().map(|_| "palette"))
    })
}

fn is_tail(words: &[&str]) -> bool {
    TAILS.contains(&words)
}

/// The words behind adverbs.
fn behind_adverbs<'a, 'b>(mut words: &'a [&'b str]) -> &'a [&'b str] {
    while let [first, rest @ ..] = words
        && ADVERBS.contains(first)
    {
        words = rest;
    }
    words
}

/// What is said of one of `nouns`: the words behind "the palette is".
fn predicate<'a, 'b>(words: &'a [&'b str], nouns: &[&str]) -> Option<&'a [&'b str]> {
    let at = words.iter().position(|word| COPULAS.contains(word))?;
    let (subject, predicate) = (&words[..at], &words[at + 1..]);
    let at_the_front = ["the", "its", "all", "this", "these", "overall", "whole", "entire", "of"];
    let mut subject = subject;
    while let [first, rest @ ..] = subject
        && at_the_front.contains(first)
    {
        subject = rest;
    }
    let [noun, rest @ ..] = subject else { return None };
    let whole = rest.is_empty() || (is_tail(rest) && !rest.starts_with(&["the"]));
    (nouns.contains(noun) && whole).then(|| behind_adverbs(predicate))
}

impl Feature {
    /// The class that a word means: 0 for the first, 2 for the last.
    fn class(&self, word: &str) -> Option<usize> {
        match (self.low.contains(&word), self.high.contains(&word)) {
            (true, _) => Some(0),
            (_, true) => Some(2),
            _ => None,
        }
    }

    /// The class that a clause claims.
    fn claim(&self, clause: &Clause, question: &str) -> Option<usize> {
        let both = |words: &[&str]| clause.sentence.iter().any(|word| words.contains(word));
        if clause.is_negated() || (both(self.low) && both(self.high)) {
            return None;
        }
        let words = &clause.words[..];
        self.of_subject(words)
            .or_else(|| self.of_noun_phrase(clause))
            .or_else(|| self.fixed_phrase(clause))
            .or_else(|| self.bare(clause, question))
    }

    /// "The palette is warm."
    fn of_subject(&self, words: &[&str]) -> Option<usize> {
        let [adjective, tail @ ..] = predicate(words, self.nouns)? else { return None };
        let nouns = match tail {
            [noun, rest @ ..] if self.nouns.contains(noun) => rest,
            tail => tail,
        };
        self.class(adjective).filter(|_| is_tail(nouns))
    }

    /// "Warm colours dominate.", "It is a dark picture."
    fn of_noun_phrase(&self, clause: &Clause) -> Option<usize> {
        let words = &clause.words[..];
        let (rest, stated) = match words {
            ["it" | "this", "is", "a" | "an", rest @ ..] | ["it's", "a" | "an", rest @ ..] => {
                (rest, true)
            }
            ["the", rest @ ..] => (rest, false),
            rest => (rest, clause.first),
        };
        let [adjective, noun, tail @ ..] = behind_adverbs(rest) else { return None };
        let class = self.class(adjective).filter(|_| self.nouns.contains(noun))?;
        let dominates =
            matches!(tail, [verb, tail @ ..] if DOMINATE.contains(verb) && is_tail(tail));
        ((stated && is_tail(tail)) || dominates).then_some(class)
    }

    fn fixed_phrase(&self, clause: &Clause) -> Option<usize> {
        let words = &clause.words[..];
        let has = |phrase: &[&str]| words.windows(phrase.len()).any(|part| part == phrase);
        match self.question {
            Question::LightKey
                if clause.first && behind_adverbs(words).get(1..) == Some(&["in", "tone"][..]) =>
            {
                self.class(behind_adverbs(words).first()?)
            }
            Question::LightKey if words.len() <= 5 => {
                let low = has(&["low", "key"]) || words.contains(&"low-key");
                let high = has(&["high", "key"]) || words.contains(&"high-key");
                low.then_some(0).or(high.then_some(2))
            }
            Question::Symmetry if words.len() <= 8 => {
                let mirrors = has(&["left", "mirrors", "right"])
                    || has(&["halves", "mirror", "each", "other"]);
                mirrors.then_some(0).or(has(&["halves", "differ"]).then_some(2))
            }
            _ => None,
        }
    }

    /// A bare word that answers a question about the feature: "Mostly warm."
    fn bare(&self, clause: &Clause, question: &str) -> Option<usize> {
        let asked = self.asked_by.iter().any(|begin| {
            question.split(|c: char| !c.is_alphabetic()).any(|word| word.starts_with(begin))
        });
        match behind_adverbs(&clause.words) {
            [adjective, tail @ ..] if clause.opens && asked && is_tail(tail) => {
                self.class(adjective).filter(|_| about_the_whole(question))
            }
            _ => None,
        }
    }
}

/// Whether a question is about the picture rather than something in it.
fn about_the_whole(question: &str) -> bool {
    let whole = ["picture", "painting", "image", "colour", "color", "palette", "it", "contrast"];
    question.split(|c: char| !c.is_alphabetic()).any(|word| {
        whole.contains(&word) || word.strip_suffix('s').is_some_and(|one| whole.contains(&one))
    })
}

#[cfg(test)]
mod tests;
