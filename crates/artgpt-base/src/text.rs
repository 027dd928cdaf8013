//! Text that is safe to put on a terminal.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Replaces control and text-direction characters, which could move the cursor, change colours
/// or reverse a line, with U+FFFD. Newline and tab become a space.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { harmless(c) }).collect()
}

/// Like [`printable`], but keeps line breaks and turns a tab into four spaces.
pub fn printable_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\r' => {}
            '\t' => out.push_str("    "),
            c => out.push(harmless(c)),
        }
    }
    out
}

fn harmless(c: char) -> char {
    // Bidirectional overrides and isolates can disguise a file name (CVE-2021-42574).
    let reorders =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    if c.is_control() || reorders { '\u{fffd}' } else { c }
}

/// What a terminal shows of a line after its carriage returns, without escape sequences and control
/// characters: a progress bar overwrites its line.
pub fn visible_line(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let last = line.rsplit('\r').next().unwrap_or(line);
    printable(&anstream::adapter::strip_str(last).to_string())
}

/// The first line of an error's message; candle appends a backtrace after it.
pub fn first_line(e: &impl std::fmt::Display) -> String {
    e.to_string().lines().next().unwrap_or_default().to_string()
}

/// An error's message and its hint, joined with `; `.
pub fn with_hint(message: &impl std::fmt::Display, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_string(),
    }
}

/// A text as one word of a POSIX shell's command line; quoted only if it has to be.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A duration in seconds as text with at most two units: `25 min`, `2 h 10 min`.
pub fn duration(seconds: f64) -> String {
    let all = seconds.max(0.0).round() as u64;
    let (days, hours, minutes) = (all / 86_400, all / 3600 % 24, all / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{all} s"),
        (0, 0, 1..10) => format!("{minutes} min {} s", all % 60),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A number for a table: six significant digits, or all digits before the point if there are more.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".into(),
        1e15.. => format!("{value:.5e}"),
        _ if size < 1e-4 => format!("{value:.3e}"),
        _ => {
            let digits = (5.0 - size.log10().floor()).clamp(0.0, 8.0) as usize;
            format!("{value:.digits$}")
        }
    }
}

/// Shortens a text to at most `cells` terminal columns; a shortened text ends in an ellipsis.
pub fn fit(text: &str, cells: usize) -> String {
    if text.width() <= cells {
        return text.to_string();
    }
    let mut out = String::new();
    let mut used = 1;
    for letter in text.graphemes(true) {
        used += letter.width();
        if used > cells {
            break;
        }
        out.push_str(letter);
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_digits() {
        let texts = [0.0, 2_204_000_000.0, 12.5, 0.001_234_567, 3e-5, f64::NAN].map(number);
        assert_eq!(texts, ["0", "2204000000", "12.5000", "0.00123457", "3.000e-5", "NaN"]);
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let texts = [4.4, 61.0, 1500.0, 7800.0, 200_000.0].map(duration);
        assert_eq!(texts, ["4 s", "1 min 1 s", "25 min", "2 h 10 min", "2 d 7 h"]);
    }

    #[test]
    fn a_line_is_what_its_carriage_returns_leave() {
        let lines = ["a", "10%\r20%", "\u{1b}[31mred\u{1b}[0m\r", ""].map(visible_line);
        assert_eq!(lines, ["a", "20%", "red", ""]);
    }

    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        for (text, word) in [
            ("/data/a-b_c.toml", "/data/a-b_c.toml"),
            ("openai:http://box:80/v1#m", "'openai:http://box:80/v1#m'"),
            ("my data", "'my data'"),
            ("it's; rm", r"'it'\''s; rm'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), word);
            let line = format!("printf %s {word}");
            let told = std::process::Command::new("sh").args(["-c", &line]).output().expect("runs");
            assert_eq!(told.stdout, text.as_bytes());
        }
    }

    #[test]
    fn escapes_do_not_survive() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}c\u{202e}d\te"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d e"
        );
        assert_eq!(printable_lines("a\r\nb\u{7}"), "a\nb\u{fffd}");
    }
}
