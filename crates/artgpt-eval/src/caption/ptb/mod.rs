//! The Penn Treebank tokenizer of the COCO caption tools: Stanford's `PTBTokenizer -lowerCase`, without the
//! tokens of punctuation that pycocoevalcap removes.
//!
//! Emoticons, web addresses without a scheme and SGML tags, which Stanford's program keeps as one token,
//! are split here.
//!
//! The scanner was written to give what that program gives; `captions.json` in `tests/reference`, which
//! `make_captions.py` makes with it, holds its tokens of texts with most of these cases. The lists in `words` are
//! English abbreviations behind which the program keeps the dot, and words before which it takes the dot for the end
//! of a sentence. How each entry was found is not recorded; the program itself (Stanford CoreNLP) is under the GPL.

mod words;

use words::{Apostrophe, is_abbreviation, whole_word};

/// The tokens of a text, in lower case, without punctuation. Brackets stay, as `-lrb-` and the like.
pub fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().filter(|c| *c != '\u{ad}').collect();
    let mut scanner = Scanner { text: &text, at: 0, out: Vec::new() };
    while scanner.at < text.len() {
        scanner.step();
    }
    scanner.out
}

struct Scanner<'a> {
    text: &'a [char],
    at: usize,
    out: Vec<String>,
}

/// Part of a word: a letter, a digit, or a mark that combines with the letter before it.
fn in_word(c: char) -> bool {
    (c.is_alphanumeric() && fraction(c).is_none()) || ('\u{300}'..='\u{36f}').contains(&c)
}

fn is_letter(c: char) -> bool {
    in_word(c) && !c.is_ascii_digit()
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// What Stanford's program writes for a fraction.
fn fraction(c: char) -> Option<&'static str> {
    Some(match c {
        '½' => "1/2",
        '¼' => "1/4",
        '¾' => "3/4",
        '⅓' => "1/3",
        '⅔' => "2/3",
        _ => return None,
    })
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.text.get(self.at + ahead).copied().unwrap_or(' ')
    }

    fn before(&self) -> char {
        self.at.checked_sub(1).map_or(' ', |i| self.text[i])
    }

    fn push(&mut self, token: &str) {
        self.out.push(token.to_lowercase());
    }

    /// Reads one token, or one character that is none.
    fn step(&mut self) {
        let c = self.peek(0);
        let signed = matches!(c, '-' | '+' | '.')
            && self.peek(1).is_ascii_digit()
            && !in_word(self.before())
            && self.before() != c;
        if in_word(c) || signed || (c == '@' && in_word(self.peek(1))) {
            self.word();
        } else if is_apostrophe(c) {
            self.quote();
        } else if matches!(c, '?' | '!') {
            self.exclamation();
        } else {
            self.symbol(c);
            self.at += 1;
        }
    }

    /// A run of `?` and `!` is a token; one alone is punctuation.
    fn exclamation(&mut self) {
        let length = self.text[self.at..].iter().take_while(|c| matches!(c, '?' | '!')).count();
        if length > 1 {
            let token: String = self.text[self.at..self.at + length].iter().collect();
            self.push(&token);
        }
        self.at += length;
    }

    fn symbol(&mut self, c: char) {
        let written = match c {
            '(' => "-lrb-",
            ')' => "-rrb-",
            '[' => "-lsb-",
            ']' => "-rsb-",
            '{' => "-lcb-",
            '}' => "-rcb-",
            '£' => "#",
            '€' => "$",
            '¢' => "cents",
            '.' | ',' | ':' | ';' | '-' | '–' | '—' | '…' | '"' | '“' | '”' | '«' | '»' | '‘'
            | '‹' | '›' | '`' => return,
            c if c.is_whitespace() || c.is_control() || c == '\u{200b}' || c > '\u{ffff}' => return,
            c => match fraction(c) {
                Some(written) => written,
                None => return self.push(&c.to_string()),
            },
        };
        self.push(written);
    }

    /// An apostrophe that does not follow a word: of `'tis`, `'s`, `'90s`, or a quotation mark.
    fn quote(&mut self) {
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().take_while(|c| in_word(**c)).count();
        let word: String = rest[..length].iter().collect::<String>().to_lowercase();
        let closed = rest.get(length).is_some_and(|c| is_apostrophe(*c));
        match words::after_apostrophe(&word, closed, self.peek(0) == '\'') {
            Apostrophe::Quote => self.at += 1,
            Apostrophe::Tokens(tokens) => {
                tokens.iter().for_each(|token| self.push(token));
                self.at += 1 + length;
            }
            Apostrophe::Closed(token) => {
                self.push(token);
                self.at += 2 + length;
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        if self.address() {
            return;
        }
        self.at += 1;
        while self.at < self.text.len() && (in_word(self.peek(0)) || self.joins(start)) {
            self.at += 1;
        }
        let word: String = self.text[start..self.at].iter().collect();
        if is_apostrophe(self.peek(0)) && self.clitic(&word) {
            return;
        }
        if self.peek(0) == '.' && self.keeps_dot(&word) {
            self.at += 1;
            // "U.S.-based"
            if self.peek(0) == '-' && in_word(self.peek(1)) {
                while in_word(self.peek(0)) || (self.peek(0) == '-' && in_word(self.peek(1))) {
                    self.at += 1;
                }
            }
            let word: String = self.text[start..self.at].iter().collect();
            return self.push(&word);
        }
        if self.peek(0) == '$' && word.len() <= 3 && word.chars().all(|c| c.is_ascii_uppercase()) {
            self.at += 1;
            return self.push(&format!("{word}$"));
        }
        match whole_word(&word.to_lowercase()) {
            Some(parts) => parts.iter().for_each(|part| self.push(part)),
            None => self.push(&word),
        }
    }

    /// A web address, up to the next space.
    fn address(&mut self) -> bool {
        let end = self.text[self.at..].iter().position(|c| c.is_whitespace());
        let chunk = &self.text[self.at..end.map_or(self.text.len(), |e| self.at + e)];
        let scheme = chunk.iter().take_while(|c| c.is_ascii_alphabetic()).count();
        let found = scheme > 0 && chunk[scheme..].starts_with(&[':', '/', '/']);
        if found {
            let length = chunk.len();
            let token: String = chunk.iter().collect();
            self.push(&token);
            self.at += length;
        }
        found
    }

    /// Whether the character at the current position belongs to the word that began at `start`.
    fn joins(&self, start: usize) -> bool {
        let (before, c, after) = (self.before(), self.peek(0), self.peek(1));
        if !in_word(before) || !in_word(after) {
            return false;
        }
        let digits = before.is_ascii_digit() && after.is_ascii_digit();
        match c {
            '-' | '/' | '_' | '@' => true,
            '.' => digits || (is_letter(before) && is_letter(after)),
            ',' | ':' => digits,
            '&' => before.is_uppercase() && after.is_uppercase(),
            '\'' | '’' => words::inner_apostrophe(&self.text[start..self.at], after),
            _ => false,
        }
    }

    /// Splits off what an apostrophe joins to a word: `n't`, `'s`. The word itself is written too.
    fn clitic(&mut self, word: &str) -> bool {
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().take_while(|c| in_word(**c)).count();
        let tail: String = rest[..length].iter().collect::<String>().to_lowercase();
        let stem = word.strip_suffix(['n', 'N']);
        let tokens = match (tail.as_str(), stem) {
            ("t", Some(stem)) => [stem.to_string(), "n't".into()],
            ("s" | "m" | "d" | "re" | "ve" | "ll", _) => [word.to_string(), format!("'{tail}")],
            _ => return false,
        };
        tokens.iter().filter(|token| !token.is_empty()).for_each(|token| self.push(token));
        self.at += 1 + length;
        true
    }

    /// Whether the dot behind a word belongs to it.
    fn keeps_dot(&self, word: &str) -> bool {
        let rest = self.text[self.at + 1..].iter().skip_while(|c| c.is_whitespace());
        let next: String = rest.take_while(|c| in_word(**c)).collect();
        is_abbreviation(word, &next)
    }
}
