//! Closed questions about a painting: wordings, answers, and parsing of free answers. Training uses
//! them, and `eval` scores them.

use serde::{Deserialize, Serialize};

use super::{
    Balance, Colour, Contrast, FormalFeatures, Genre, LightKey, Saturation, Symmetry, Warmth,
};

/// Wordings of the question whether the image shows something; `{}` stands for it.
pub const PRESENCE_WORDINGS: &[&str] =
    &["Do you see {}?", "Is this in the picture: {}?", "Does the painting show {}?"];

/// A question type with a closed set of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The dominant colour.
    Palette,
    /// Low, middle or high key.
    LightKey,
    /// The strength of the contrast.
    Contrast,
    /// Warm or cool colours.
    Warmth,
    /// Muted or vivid colours.
    Saturation,
    /// How far the left half mirrors the right.
    Symmetry,
    /// Where most detail lies.
    Composition,
    /// The genre.
    Kind,
}

impl Question {
    /// All questions.
    pub const ALL: &'static [Self] = &[
        Self::Palette,
        Self::LightKey,
        Self::Contrast,
        Self::Warmth,
        Self::Saturation,
        Self::Symmetry,
        Self::Composition,
        Self::Kind,
    ];

    /// The name in reports, such as `light key`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Palette => "palette",
            Self::LightKey => "light key",
            Self::Contrast => "contrast",
            Self::Warmth => "warmth",
            Self::Saturation => "saturation",
            Self::Symmetry => "symmetry",
            Self::Composition => "composition",
            Self::Kind => "kind",
        }
    }

    /// All wordings. Training never uses the last one, so that the evaluation distinguishes
    /// understanding from a memorised wording.
    pub fn wordings(self) -> &'static [&'static str] {
        match self {
            Self::Palette => &[
                "What is the palette?",
                "Which colour dominates?",
                "What is the main colour of this painting?",
                "Describe the palette.",
                "What colours do you see?",
                "Which colours are there in this picture?",
            ],
            Self::LightKey => &[
                "What is the light key?",
                "Is the picture dark or light?",
                "Is it high key or low key?",
                "How bright is the painting?",
                "Describe the light.",
                "Are the tones of this picture mostly dark or bright?",
            ],
            Self::Contrast => &[
                "How strong is the contrast?",
                "What is the contrast like?",
                "Is the contrast soft or strong?",
                "Describe the contrast.",
                "How much contrast is there in this picture?",
            ],
            Self::Warmth => &[
                "Are the colours warm or cool?",
                "Is it a warm or a cold picture?",
                "What is the colour temperature?",
                "Describe the warmth of the colours.",
                "Would you call these colours warm?",
            ],
            Self::Saturation => &[
                "How saturated are the colours?",
                "Are the colours muted or vivid?",
                "What is the saturation?",
                "Describe the saturation.",
                "How vivid is the colour in this picture?",
            ],
            Self::Symmetry => &[
                "Is the composition symmetrical?",
                "Is there symmetry?",
                "How symmetrical is the painting?",
                "Describe the symmetry.",
                "Does the left side mirror the right side?",
                "Are the two halves of the picture alike?",
                "Do the left and the right half mirror each other?",
            ],
            Self::Composition => &[
                "Where does the weight of the composition lie?",
                "Where is most of the detail?",
                "Which side of the composition is busiest?",
                "Describe the composition.",
                "In which part of the picture is the most detail?",
            ],
            Self::Kind => &[
                "What kind of picture is this?",
                "What is the genre?",
                "Is this a portrait, a landscape or something else?",
                "What type of painting is it?",
                "Which genre does this painting belong to?",
            ],
        }
    }

    /// The wordings for training.
    pub fn training_wordings(self) -> &'static [&'static str] {
        let all = self.wordings();
        &all[..all.len() - 1]
    }

    /// The words that identify the answers, in the order of the answer's enum.
    pub fn answer_words(self) -> Vec<&'static str> {
        fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
            all.iter().map(|a| word(*a)).collect()
        }
        match self {
            Self::Palette => words(Colour::ALL, Colour::word),
            Self::LightKey => words(LightKey::ALL, LightKey::word),
            Self::Contrast => words(Contrast::ALL, Contrast::word),
            Self::Warmth => words(Warmth::ALL, Warmth::word),
            Self::Saturation => words(Saturation::ALL, Saturation::word),
            Self::Symmetry => words(Symmetry::ALL, Symmetry::word),
            Self::Composition => words(Balance::ALL, Balance::word),
            Self::Kind => words(Genre::ALL, Genre::word),
        }
    }

    /// The correct answer as an index into [`Self::answer_words`] and as a sentence; `None` for the genre
    /// if it is unknown.
    pub fn truth(self, f: &FormalFeatures, kind: Option<Genre>) -> Option<(usize, String)> {
        let fixed = |i: usize, s: &str| Some((i, s.to_string()));
        match self {
            Self::Palette => Some((f.dominant() as usize, f.palette_sentence())),
            Self::LightKey => fixed(f.light_key as usize, f.light_key.sentence()),
            Self::Contrast => fixed(f.contrast as usize, f.contrast.sentence()),
            Self::Warmth => fixed(f.warmth as usize, f.warmth.sentence()),
            Self::Saturation => fixed(f.saturation as usize, f.saturation.sentence()),
            Self::Symmetry => fixed(f.symmetry as usize, f.symmetry.sentence()),
            Self::Composition => fixed(f.balance as usize, f.balance.sentence()),
            Self::Kind => kind.and_then(|k| fixed(k as usize, k.sentence())),
        }
    }

    /// Parses a free answer: the index of the answer word that occurs first in it.
    pub fn read_answer(self, text: &str) -> Option<usize> {
        let text = text.to_lowercase();
        self.answer_words()
            .iter()
            .enumerate()
            .filter_map(|(i, word)| find_word(&text, word).map(|at| (at, i)))
            .min()
            .map(|(_, i)| i)
    }
}

/// Byte offset of `word` in `text` as a whole word.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    text.match_indices(word).map(|(at, _)| at).find(|&at| {
        !letter(text[..at].chars().next_back()) && !letter(text[at + word.len()..].chars().next())
    })
}

/// A paragraph that states all features, the answer to "describe" in the training data.
pub fn description(f: &FormalFeatures, kind: Option<Genre>) -> String {
    let opening = match kind {
        Some(Genre::Figures) => "A scene with figures".to_string(),
        Some(k) => k.sentence().trim_end_matches('.').to_string(),
        None => "A painting".to_string(),
    };
    let weight = match f.balance {
        Balance::Even => "detail spread evenly".to_string(),
        Balance::Left | Balance::Right => format!("most detail on the {}", f.balance.word()),
        Balance::Top | Balance::Bottom => format!("most detail at the {}", f.balance.word()),
    };
    let palette = f.palette_sentence();
    format!(
        "{opening}. {palette} The light is {} key, the contrast {}. The colours are {} and {}. The composition is {}, with {weight}.",
        f.light_key.word(),
        f.contrast.word(),
        f.warmth.word(),
        match f.saturation {
            Saturation::Medium => "of medium saturation",
            s => s.word(),
        },
        match f.symmetry {
            Symmetry::Partial => "partly symmetrical",
            s => s.word(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_reads_back_as_itself() {
        fn check<T: Copy>(q: Question, all: &[T], sentence: fn(T) -> &'static str) {
            for (i, a) in all.iter().enumerate() {
                assert_eq!(q.read_answer(sentence(*a)), Some(i), "{}", sentence(*a));
            }
        }
        check(Question::Palette, Colour::ALL, Colour::sentence);
        check(Question::LightKey, LightKey::ALL, LightKey::sentence);
        check(Question::Contrast, Contrast::ALL, Contrast::sentence);
        check(Question::Warmth, Warmth::ALL, Warmth::sentence);
        check(Question::Saturation, Saturation::ALL, Saturation::sentence);
        check(Question::Symmetry, Symmetry::ALL, Symmetry::sentence);
        check(Question::Composition, Balance::ALL, Balance::sentence);
        check(Question::Kind, Genre::ALL, Genre::sentence);
    }

    #[test]
    fn a_word_inside_another_word_is_no_answer() {
        assert_eq!(Question::Symmetry.read_answer("It is asymmetrical."), Some(2));
        assert_eq!(Question::LightKey.read_answer("It glows and flows."), None);
    }
}
