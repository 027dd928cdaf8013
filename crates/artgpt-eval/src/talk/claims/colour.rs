//! Claims about the dominant colour.

use artgpt_art::{Colour, FormalFeatures};

use super::clauses::Clause;
use super::{COLOURS, DOMINATE, about_the_whole, behind_adverbs, is_tail, predicate};

/// A claimed colour and its neighbours have at least this share of the pixels, or the claim is false.
const MIN_SHARE: f32 = 0.15;

const WHOLE: &[&str] = &["painting", "picture", "image", "canvas", "palette"];

/// The colour that a clause calls dominant.
pub(super) fn claim(clause: &Clause, question: &str) -> Option<Colour> {
    if clause.is_negated() {
        return None;
    }
    let words = &clause.words[..];
    of_picture(words)
        .or_else(|| dominating(words).filter(|_| clause.first)) // not "grey and brown rule"
        .or_else(|| main_colour(words))
        .or_else(|| opening(clause, question))
}

/// "The picture is mostly brown."
fn of_picture(words: &[&str]) -> Option<Colour> {
    let at = words.iter().position(|word| matches!(*word, "mostly" | "mainly"))?;
    let [name, tail @ ..] = predicate(words, WHOLE)? else { return None };
    colour(name).filter(|_| at > 0 && is_tail(tail))
}

/// "Warm browns lead.", "Brown dominates the picture."
fn dominating(words: &[&str]) -> Option<Colour> {
    let at = words.iter().position(|word| DOMINATE.contains(word))?;
    let words_before = match &words[..at] {
        ["the", rest @ ..] => rest,
        all => all,
    };
    let [name] = words_before.strip_prefix(&["warm"]).unwrap_or(words_before) else {
        return None;
    };
    colour(name).filter(|_| is_tail(&words[at + 1..]))
}

/// "The main colour is brown.", "Brown is the main colour."
fn main_colour(words: &[&str]) -> Option<Colour> {
    let main = |word: &str| matches!(word, "main" | "dominant" | "leading");
    match words {
        ["the", m, noun, "is", name, tail @ ..] if main(m) && COLOURS.contains(noun) => {
            colour(name).filter(|_| is_tail(tail))
        }
        [name, "is", "the", m, noun, tail @ ..] if main(m) && COLOURS.contains(noun) => {
            colour(name).filter(|_| is_tail(tail))
        }
        _ => None,
    }
}

/// "Mostly brown", where the question is about the colours.
fn opening(clause: &Clause, question: &str) -> Option<Colour> {
    let asked = ["colour", "color", "palette"].iter().any(|word| question.contains(word));
    match &clause.words[..] {
        ["mostly" | "mainly", rest @ ..] if clause.opens && asked && about_the_whole(question) => {
            match behind_adverbs(rest) {
                [name, tail @ ..] if is_tail(tail) => colour(name),
                _ => None,
            }
        }
        _ => None,
    }
}

fn colour(word: &str) -> Option<Colour> {
    let one = word.strip_suffix('s').unwrap_or(word);
    let one = if one == "gray" { "grey" } else { one };
    Colour::ALL.iter().copied().find(|c| c.word() == one)
}

/// Whether the claimed colour, or one that people take for it, covers enough of the picture.
pub(super) fn is_plausible(claimed: Colour, features: &FormalFeatures) -> bool {
    use Colour::{Black, Blue, Brown, Green, Grey, Orange, Purple, Red, White, Yellow};
    let near: &[Colour] = match claimed {
        Black => &[Black, Grey],
        White => &[White, Grey],
        Grey => &[Grey, White, Black],
        Brown => &[Brown, Orange, Black],
        Red => &[Red, Orange, Purple],
        Orange => &[Orange, Brown, Red, Yellow],
        Yellow => &[Yellow, Orange],
        Green => &[Green],
        Blue => &[Blue, Purple],
        Purple => &[Purple, Blue, Red],
    };
    let shares = features.palette.iter().filter(|(c, _)| near.contains(c)).map(|(_, share)| share);
    shares.sum::<f32>() >= MIN_SHARE
}
