//! Where each sentence of an answer comes from: the label, what is measured in the picture, or the model alone.
//!
//! The reader compares words. It cannot know what the model did; it says what a sentence agrees with.

use artgpt_art::{FormalFeatures, Label};

use super::claims::{agrees, contradicts};
use super::facts::{surname, years};
use super::words::{ContentWords, words};

/// What a sentence agrees with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It says what this field of the label says.
    Label(&'static str),
    /// It states this feature of the whole picture as it is measured.
    Measured(&'static str),
    /// It contradicts a measured feature.
    Contradicted,
    /// Only the model says so: from the picture as it sees it, or from its training.
    Model,
}

/// The sentences of an answer to `question`, each with its source. Without `features` nothing counts as
/// measured.
pub fn sources(
    question: &str,
    answer: &str,
    label: Option<&Label>,
    features: Option<&FormalFeatures>,
) -> Vec<(String, Source)> {
    let content = ContentWords::default();
    // A comparison speaks of another work, too.
    let compares = ["compar", "beside", "next to", "other work", "other painting"];
    let lower = question.to_lowercase();
    let features = features.filter(|_| !compares.iter().any(|word| lower.contains(word)));
    let of = |(i, sentence): (usize, &str)| {
        // A bare word answers the question at the beginning only.
        let question = if i == 0 { question } else { "" };
        if features.is_some_and(|features| contradicts(features, question, sentence)) {
            return Source::Contradicted;
        }
        if let Some(field) = label.and_then(|label| of_label(label, sentence, &content)) {
            return Source::Label(field);
        }
        match features.and_then(|features| agrees(features, question, sentence)) {
            Some(feature) => Source::Measured(feature),
            None => Source::Model,
        }
    };
    let all = sentences(answer).enumerate();
    all.map(|(i, sentence)| (sentence.to_string(), of((i, sentence)))).collect()
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
    fn a_remark_about_a_part_is_not_measured() {
        let remarks = "Light falls from the left. A dark horse waits. A cold stare meets us.";
        assert_eq!(of(remarks), [Source::Model; 3]);
        // Neither warm nor cool: both are more than the measurement says.
        let neutral = RgbImage::from_pixel(9, 9, Rgb([120, 110, 100]));
        let neutral = FormalFeatures::measure(&View::whole(&neutral));
        let found = sources("What?", "The colours are warm.", None, Some(&neutral));
        assert_eq!(found[0].1, Source::Model);
    }

    #[test]
    fn a_contradiction_is_named_before_anything_else() {
        assert_eq!(of("The colours are cool."), [Source::Contradicted]);
        let unknown = sources("What?", "The colours are cool.", None, None);
        assert_eq!(unknown, [("The colours are cool.".to_string(), Source::Model)]);
        // It may be the other work that is cool.
        let asked = "What would you compare it with?";
        let compared = sources(asked, "The colours are cool.", None, Some(&features()));
        assert_eq!(compared[0].1, Source::Model);
        // A bare word answers the question only where it opens the answer.
        let bare = sources("Is the picture warm?", "Cool. Cool.", None, Some(&features()));
        assert_eq!([bare[0].1, bare[1].1], [Source::Contradicted, Source::Model]);
    }

    #[test]
    fn sentences_are_cut_at_their_ends_only() {
        let cut: Vec<&str> = sentences(" It is 1.5 m wide. So?! Yes\nand no").collect();
        assert_eq!(cut, ["It is 1.5 m wide.", "So?!", "Yes\nand no"]);
        assert_eq!(sentences("  ").count(), 0);
    }
}
