//! Words with rules of their own: contractions and abbreviations.

/// What an apostrophe before a word stands for.
pub(super) enum Apostrophe {
    /// A quotation mark.
    Quote,
    /// The apostrophe and the word are these tokens.
    Tokens(&'static [&'static str]),
    /// The word has an apostrophe behind it too, as in `'n'`.
    Closed(&'static str),
}

/// Reads an apostrophe that stands before `word`; `closed` if another one follows, `straight` if it is the
/// typewriter's.
pub(super) fn after_apostrophe(word: &str, closed: bool, straight: bool) -> Apostrophe {
    const DECADES: &[(&str, &[&str])] = &[
        ("20s", &["'20s"]),
        ("30s", &["'30s"]),
        ("40s", &["'40s"]),
        ("50s", &["'50s"]),
        ("60s", &["'60s"]),
        ("70s", &["'70s"]),
        ("80s", &["'80s"]),
        ("90s", &["'90s"]),
    ];
    Apostrophe::Tokens(match word {
        "n" if closed => return Apostrophe::Closed("'n'"),
        "n" => &["'n"],
        "tis" if straight => &["'t", "is"],
        "twas" if straight => &["'t", "was"],
        "em" => &["'em"],
        "s" => &["'s"],
        "m" => &["'m"],
        "d" => &["'d"],
        "re" => &["'re"],
        "ve" => &["'ve"],
        "ll" => &["'ll"],
        decade => match DECADES.iter().find(|(word, _)| *word == decade) {
            Some((_, tokens)) => tokens,
            None => return Apostrophe::Quote,
        },
    })
}

/// Whether an apostrophe inside a word stays there: `o'clock`, `d'Orsay`, `Hawai'i`.
pub(super) fn inner_apostrophe(before: &[char], after: char) -> bool {
    let vowel = |c: char| "aeiou".contains(c.to_ascii_lowercase());
    let Some((last, rest)) = before.split_last() else { return false };
    let alone = rest.last().is_none_or(|c| !c.is_alphanumeric());
    match alone {
        true => matches!(last, 'd' | 'D' | 'o' | 'O' | 'l' | 'L'),
        false => {
            (vowel(*last) || matches!(last, 'y' | 'Y'))
                && (matches!(after, 'a' | 'e' | 'i' | 'o' | 'u') || after.is_ascii_uppercase())
        }
    }
}

/// The tokens of a word that is split without an apostrophe.
pub(super) fn whole_word(word: &str) -> Option<[&'static str; 2]> {
    Some(match word {
        "cannot" => ["can", "not"],
        "gimme" => ["gim", "me"],
        "gonna" => ["gon", "na"],
        "gotta" => ["got", "ta"],
        "lemme" => ["lem", "me"],
        "wanna" => ["wan", "na"],
        _ => return None,
    })
}

/// Abbreviations in any case.
const ALWAYS: &str = " adm al ala alex apr ariz assn aug ave bhd bldg blvd brig bros calif capt cf cie cmdr co col \
    colo comdr conn corp cos cpl dec dept det dr drs ed.d esq est etc ext feb fla fri ft ga gen \
    gov hon inc ind intl jan jos jr jul jun kan ky lieut lt ltd maj mar md messrs mich minn mlle \
    mme mo mon mr mrs ms mt neb nev nov oct okla ph ph.d plc pres prof profs pty pvt rd rep rev \
    sen sep sept seq sgt sq sr st ste supt sys tel tenn thu thurs tue tues univ va vs vt wed wis \
    wm wyo ";
/// Abbreviations that are words in lower case.
const CAPITALISED: &str = " ark del ill la mass miss ore pa tex wash ";
/// Abbreviations before a number.
const BEFORE_NUMBER: &str = " art ca fig figs no nos op pp prop ";

/// Words that begin a sentence, so that the dot behind a letter before them ends one.
const BEGINS: &str = " A About According Additionally After An As At But He Her Here However If In It Last Many \
    More Now Once One Other Our She Since So Some Such That The Their Then There These They This \
    We What When While Yet You ";

/// Whether `word` keeps the dot behind it, before the word `next`.
pub(super) fn is_abbreviation(word: &str, next: &str) -> bool {
    let letters = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_alphabetic);
    if letters(word) {
        return next.is_empty() || !BEGINS.contains(&format!(" {next} ")); // an initial
    }
    if word.split('.').all(letters) {
        return true; // an acronym
    }
    let number = next.starts_with(|c: char| c.is_ascii_digit());
    let padded = format!(" {} ", word.to_lowercase());
    ALWAYS.contains(&padded)
        || (CAPITALISED.contains(&padded) && word.starts_with(char::is_uppercase))
        || (number && BEFORE_NUMBER.contains(&padded))
}
