//! Facts of the label that a reference states: does the answer state them too?

use artgpt_art::Label;

use super::words::{ContentWords, words};

/// The kinds of questions that ask for them.
pub(super) const KINDS: [&str; 2] = ["artist", "subject"];

/// How many facts of the label `reference` states, and how many of these `answer` does: the artist's
/// surname, the year, each content word of the title.
pub(super) fn stated(
    label: &Label,
    reference: &str,
    answer: &str,
    content: &ContentWords,
) -> (usize, usize) {
    let (in_reference, in_answer) = (words(reference), words(answer));
    let mut counts = (0, 0);
    let mut count = |asked: bool, right: bool| {
        counts.0 += usize::from(asked);
        counts.1 += usize::from(asked && right);
    };
    if let Some(surname) = label.artist.as_deref().and_then(surname) {
        let says =
            |words: &[String]| words.iter().any(|w| w.strip_suffix("'s").unwrap_or(w) == surname);
        count(says(&in_reference), says(&in_answer));
    }
    let years: Vec<String> = label.date.as_deref().map(years).unwrap_or_default();
    let asked: Vec<&String> = years.iter().filter(|y| in_reference.contains(y)).collect();
    count(!asked.is_empty(), asked.iter().any(|year| in_answer.contains(year)));
    if let Some(title) = &label.title {
        let (known, said) = (content.stems(reference), content.stems(answer));
        for word in content.stems(title) {
            count(known.binary_search(&word).is_ok(), said.binary_search(&word).is_ok());
        }
    }
    counts
}

/// The last word of the artist's name, before any explanation in brackets.
pub(super) fn surname(artist: &str) -> Option<String> {
    let name = artist.split(['(', ',']).next()?;
    let unknown = ["unidentified", "unknown", "anonymous", "artist"];
    let parts = words(name);
    if parts.iter().any(|part| unknown.contains(&part.as_str())) {
        return None;
    }
    let suffixes = ["jr", "sr", "elder", "younger", "the", "i", "ii", "iii"];
    parts.into_iter().rev().find(|part| !suffixes.contains(&part.as_str()))
}

/// The years of a date.
pub(super) fn years(date: &str) -> Vec<String> {
    let parts = date.split(|c: char| !c.is_ascii_digit());
    parts.filter(|part| matches!(part.len(), 3 | 4)).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            title: Some("The Horse Fair".into()),
            artist: Some("Rosa Bonheur".into()),
            date: Some("1852–55".into()),
            ..Label::default()
        }
    }

    #[test]
    fn only_facts_that_the_reference_states_are_asked_for() {
        let content = ContentWords::default();
        let reference = "Rosa Bonheur painted this fair; the label says 1852.";
        let of = |answer| stated(&label(), reference, answer, &content);
        assert_eq!(of("Bonheur's fair of 1852, with horses."), (3, 3));
        assert_eq!(of("Manet, in 1855."), (3, 0));
        assert_eq!(of("A fair by a woman."), (3, 1));
        assert_eq!(stated(&label(), "Nobody knows.", "Bonheur, 1852.", &content), (0, 0));
    }

    #[test]
    fn names_and_years_are_read_as_museums_write_them() {
        for (name, expected) in [
            ("Rembrandt (Rembrandt van Rijn)", Some("rembrandt")),
            ("Vincent van Gogh", Some("gogh")),
            ("Pieter Bruegel the Elder", Some("bruegel")),
            ("Unidentified artist", None),
            ("", None),
        ] {
            assert_eq!(surname(name).as_deref(), expected, "{name}");
        }
        assert_eq!(years("ca. 1660–1670, 8th century"), ["1660", "1670"]);
    }
}
