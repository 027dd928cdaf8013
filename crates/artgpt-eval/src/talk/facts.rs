//! Facts of the label that a reference states: does the answer state them too?

use artgpt_art::Label;

use super::words::{ContentWords, spelt, words};

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
    if let Some(artist) = label.artist.as_deref() {
        count(names(reference, artist), names(answer, artist));
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

/// Surnames of painters that are English words too, in lower case.
const WORDS: &str = " bacon banks bell bird bishop black brown burns church close cole constable cook cross day \
    dove earl field fish fox frost glass gold gray green grey hand hill hood hope hunt hunter king knight lake \
    lamb lane law lion little long love march marsh mason may miller moon mount north page palmer park peach \
    pine poor pope potter reed rivers rose rush sharp shore short singer smith snow stone summer tanner tower \
    turner wall waters way west white wood woods young ";

/// Whether a text names the artist: by the surname, which needs a sign that it is a name where it is an English
/// word too. The sign is "by" or the first name before it, or a capital that no beginning of a sentence explains.
fn names(text: &str, artist: &str) -> bool {
    let Some(surname) = surname(artist) else { return false };
    let is_word = WORDS.contains(&format!(" {surname} "));
    let first = words(artist).into_iter().next().filter(|first| *first != surname);
    sentences(text).iter().any(|sentence| {
        let (spelt, lower) = (spelt(sentence), words(sentence));
        lower.iter().enumerate().any(|(i, word)| {
            let before = i.checked_sub(1).map(|i| lower[i].as_str());
            let capital = spelt.get(i).is_some_and(|w| w.starts_with(char::is_uppercase));
            let a_name = (capital && before.is_some())
                || before.is_some_and(|before| before == "by" || first.as_deref() == Some(before));
            word.strip_suffix("'s").unwrap_or(word) == surname && (!is_word || a_name)
        })
    })
}

/// The sentences of a text; the dot behind an initial ends none.
fn sentences(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for part in text.split_inclusive(['.', '!', '?', ':', '\n']) {
        let is_initial = |text: &String| words(text).last().is_some_and(|word| word.len() == 1);
        match out.last_mut().filter(|before| is_initial(before)) {
            Some(before) => before.push_str(part),
            None => out.push(part.into()),
        }
    }
    out
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
    fn a_surname_that_is_a_word_needs_a_sign_that_it_is_a_name() {
        for (artist, text, expected) in [
            ("Frederic Edwin Church", "A church on the left.", false),
            ("Frederic Edwin Church", "Church towers rise behind it.", false),
            ("Frederic Edwin Church", "It is a work by church.", true),
            ("Frederic Edwin Church", "Frederic Church painted it.", true),
            ("Frederic Edwin Church", "This is Church’s view.", true),
            ("Benjamin West", "The sun sets in the west.", false),
            ("Thomas Cole", "Painted by Cole.", true),
            ("Joseph Mallord William Turner", "J. M. W. Turner did.", true),
            ("Claude Monet", "monet painted it.", true),
            ("Claude Monet", "A man did.", false),
            ("Titian (Tiziano Vecellio)", "Titian did.", true),
        ] {
            assert_eq!(names(text, artist), expected, "{artist}: {text}");
        }
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
