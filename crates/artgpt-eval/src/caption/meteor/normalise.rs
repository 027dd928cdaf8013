//! METEOR's normalisation (`-norm`) of a line of PTB tokens: words with a hyphen are split, apostrophes are
//! separated, and dots are dropped from acronyms.

/// The words of a line, in lower case.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut line: Vec<char> = format!(" {line} ").chars().collect();
    line = line.into_iter().flat_map(separated).collect();
    line = replace(&line, |a, b| !digit(a) && !digit(b), ',', " , ");
    line = replace(&line, |a, b| digit(a) && !digit(b), ',', " , ");
    line = replace(&line, |a, b| !digit(a) && digit(b), ',', " , ");
    for c in &mut line {
        match *c {
            '`' | '‘' | '’' => *c = '\'',
            '–' => *c = '-',
            _ => {}
        }
    }
    let text: String = line.iter().collect();
    let text = text.replace("''", " \" ").replace("--", "-");
    line = text.chars().collect();
    line = replace(&line, |a, b| (alphanumeric(a) || a == '.') && alphanumeric(b), '-', " ");
    line = replace(&line, |a, b| !letter(a) && !letter(b), '\'', " ' ");
    line = replace(&line, |a, b| !letter(a) && !digit(a) && letter(b), '\'', " ' ");
    line = replace(&line, |a, b| letter(a) && !letter(b), '\'', " ' ");
    line = replace(&line, |a, b| letter(a) && letter(b), '\'', " '");
    line = replace(&line, |a, b| digit(a) && b == 's', '\'', " '");
    let text: String = line.iter().collect();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let mut out = Vec::new();
    for (i, word) in words.iter().enumerate() {
        dots(word, words.get(i + 1).copied().unwrap_or(""), &mut out);
    }
    out
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Latin and Cyrillic letters.
fn letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ž' | 'Ѐ'..='ԧ' | 'Ꙁ'..='ꙮ' | '꙾'..='ꚗ' | 'ᴀ'..='ᵿ')
}

fn alphanumeric(c: char) -> bool {
    letter(c) || digit(c)
}

/// A character, with spaces around it unless it is part of words.
fn separated(c: char) -> Vec<char> {
    let space = matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    match alphanumeric(c) || space || matches!(c, '.' | '\'' | '`' | ',' | '-' | '‘' | '’') {
        true => vec![c],
        false => vec![' ', c, ' '],
    }
}

/// Writes `instead` for each `middle` whose neighbours `fits` takes. As a regular expression does, it looks
/// for the next place behind the right neighbour of the last one.
fn replace(
    line: &[char],
    fits: impl Fn(char, char) -> bool,
    middle: char,
    instead: &str,
) -> Vec<char> {
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        match line[at..] {
            [before, c, after, ..] if c == middle && fits(before, after) => {
                out.push(before);
                out.extend(instead.chars());
                out.push(after);
                at += 3;
            }
            _ => {
                out.push(line[at]);
                at += 1;
            }
        }
    }
    out
}

/// Decides on the dot at the end of a word.
fn dots(word: &str, next: &str, out: &mut Vec<String>) {
    let Some(stem) = word.strip_suffix('.').filter(|stem| !stem.is_empty()) else {
        return out.push(word.to_lowercase());
    };
    if stem.contains('.') && stem.contains(letter) {
        return out.push(word.replace('.', "").to_lowercase());
    }
    let abbreviation = matches!(stem, "v" | "vs" | "rev")
        || next.starts_with(|c: char| c.is_ascii_lowercase())
        || (stem == "pp" && next.starts_with(digit));
    if abbreviation {
        out.push(word.to_lowercase());
    } else {
        out.extend([stem.to_lowercase(), ".".into()]);
    }
}
