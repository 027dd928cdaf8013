//! Where each sentence of an answer comes from: the label, what is measured in the picture, or the model alone.
//!
//! The reader compares words. It cannot know what the model did; it says what a sentence agrees with.

use artgpt_art::{Colour, FormalFeatures, Label};

use super::claims::contradicts;
use super::facts::{surname, years};
use super::words::{ContentWords, words};

/// What a sentence agrees with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It says what this field of the label says.
    Label(&'static str),
    /// It speaks of this feature, which is measured, and does not contradict it.
    Measured(&'static str),
    /// It contradicts a measured feature.
    Contradicted,
    /// Only the model says so: from the picture as it sees it, or from its training.
    Model,
}

/// Words that speak of a measured feature.
const MEASURED: [(&str, &[&str]); 5] = [
    ("warmth", &["warm", "cool", "cold", "warmth"]),
    ("light", &["dark", "light", "bright", "darkest", "lightest", "brightest", "tones"]),
    ("contrast", &["contrast", "contrasts"]),
    ("saturation", &["muted", "vivid", "saturated", "subdued", "dull"]),
    ("symmetry", &["symmetrical", "asymmetrical", "symmetry", "mirror", "mirrors", "balanced"]),
];

/// The sentences of an answer to `question`, each with its source. Without `features` nothing counts as
/// measured.
pub fn sources(
    question: &str,
    answer: &str,
    label: Option<&Label>,
    features: Option<&FormalFeatures>,
) -> Vec<(String, Source)> {
    let content = ContentWords::default();
    let of = |sentence: &str| {
        if let Some(features) = features
            && contradicts(features, question, sentence)
        {
            return Source::Contradicted;
        }
        if let Some(field) = label.and_then(|label| of_label(label, sentence, &content)) {
            return Source::Label(field);
        }
        match features.and_then(|features| of_features(features, sentence)) {
            Some(feature) => Source::Measured(feature),
            None => Source::Model,
        }
    };
    sentences(answer).map(|sentence| (sentence.to_string(), of(sentence))).collect()
}

/// The field of the label that a sentence repeats.
fn of_label(label: &Label, sentence: &str, content: &ContentWords) -> Option<&'static str> {
    let said = words(sentence);
    let says = |word: &String| said.iter().any(|w| w.strip_suffix("'s").unwrap_or(w) == word);
    if label.artist.as_deref().and_then(surname).is_some_and(|name| says(&name)) {
        return Some("artist");
    }
    if label.date.as_deref().is_some_and(|date| years(date).iter().any(&says)) {
        return Some("date");
    }
    let stems = content.stems(sentence);
    let shares = |field: &Option<String>| {
        let own = field.as_deref().map(|text| content.stems(text)).unwrap_or_default();
        // One common word, such as "portrait", is no quotation.
        let found = own.iter().filter(|word| stems.contains(word)).count();
        found >= 2 || (found == 1 && own.len() == 1)
    };
    [("title", &label.title), ("medium", &label.medium)]
        .into_iter()
        .find_map(|(name, field)| shares(field).then_some(name))
}

/// The measured feature of which a sentence speaks.
fn of_features(features: &FormalFeatures, sentence: &str) -> Option<&'static str> {
    let said = words(sentence);
    let speaks = |of: &[&str]| said.iter().any(|word| of.contains(&word.as_str()));
    let named = MEASURED.iter().find(|(_, of)| speaks(of)).map(|(name, _)| *name);
    named.or_else(|| {
        // A colour that covers a good part of the picture.
        let covers = |colour: &Colour| {
            features.palette.iter().any(|(c, share)| c == colour && *share > 0.08)
        };
        let names = Colour::ALL.iter().filter(|colour| speaks(&[colour.word()]));
        names.clone().any(covers).then_some("colours")
    })
}

/// Sentences: a full stop, question mark or exclamation mark before a space ends one.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = rest.char_indices().zip(rest.chars().skip(1).chain([' ']));
        let end = ends
            .filter(|((_, c), next)| matches!(c, '.' | '!' | '?' | '\n') && next.is_whitespace())
            .map(|((at, c), _)| at + c.len_utf8())
            .next()
            .unwrap_or(rest.len());
        let (sentence, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(sentence.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_art::View;
    use image::{Rgb, RgbImage};

    fn label() -> Label {
        Label {
            title: Some("Wheat Field with Cypresses".into()),
            artist: Some("Vincent van Gogh".into()),
            date: Some("1889".into()),
            medium: Some("Oil on canvas".into()),
            ..Label::default()
        }
    }

    /// Dark and warm.
    fn features() -> FormalFeatures {
        FormalFeatures::measure(&View::whole(&RgbImage::from_pixel(9, 9, Rgb([90, 30, 20]))))
    }

    fn of(answer: &str) -> Vec<Source> {
        let found = sources("What?", answer, Some(&label()), Some(&features()));
        found.into_iter().map(|(_, source)| source).collect()
    }

    #[test]
    fn each_sentence_has_its_source() {
        assert_eq!(
            of("Van Gogh painted it. The colours are warm! Two trees lean to the left."),
            [Source::Label("artist"), Source::Measured("warmth"), Source::Model]
        );
        assert_eq!(of("It was made in 1889."), [Source::Label("date")]);
        assert_eq!(of("A wheat field with two cypresses."), [Source::Label("title")]);
        // One word of a title is said of many pictures.
        assert_eq!(of("A field lies in front."), [Source::Model]);
    }

    #[test]
    fn a_contradiction_is_named_before_anything_else() {
        assert_eq!(of("The colours are cool."), [Source::Contradicted]);
        let unknown = sources("What?", "The colours are cool.", None, None);
        assert_eq!(unknown, [("The colours are cool.".to_string(), Source::Model)]);
    }

    #[test]
    fn sentences_are_cut_at_their_ends_only() {
        let cut: Vec<&str> = sentences(" It is 1.5 m wide. So?! Yes\nand no").collect();
        assert_eq!(cut, ["It is 1.5 m wide.", "So?!", "Yes\nand no"]);
        assert_eq!(sentences("  ").count(), 0);
    }
}
