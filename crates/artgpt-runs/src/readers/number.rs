//! Numbers as people and programs write them: `1,000`, `0,75`, `50%`, `3.4k`, `tensor(0.5)`, `-nan(ind)`.

/// How a file writes its numbers. Most can be read in one way only; `1,125` and `1.125` are read like the
/// others of their file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notation {
    /// The sign before the fraction, once a number has shown it.
    fraction: Option<char>,
    /// Cells are separated by `;`: programs do so where the comma is the sign before the fraction.
    expects_comma: bool,
}

impl Notation {
    /// The notation of a table with this delimiter.
    pub(crate) fn of_table(delimiter: char) -> Self {
        Self { fraction: None, expects_comma: delimiter == ';' }
    }

    /// Learns from a text whether commas or points precede fractions, if it is plainly a number: neither a
    /// date nor a version.
    pub(crate) fn learn(&mut self, text: &str) {
        if self.fraction.is_none() && text.contains(['.', ',']) {
            self.fraction = mantissa(core(text.trim())).and_then(Digits::taught);
        }
    }

    /// The sign before the fraction, once it is known.
    pub(crate) fn fraction(self) -> Option<char> {
        self.fraction
    }

    /// Takes over this sign before the fraction, if none is known.
    pub(crate) fn follow(&mut self, fraction: Option<char>) {
        self.fraction = self.fraction.or(fraction);
    }

    /// This notation for a column that has shown one of its own, or none.
    pub(crate) fn of_column(self, column: Self) -> Self {
        Self { fraction: column.fraction.or(self.fraction), ..self }
    }

    /// The number that a text is.
    pub(crate) fn number(self, text: &str) -> Option<f64> {
        let has_comma = self.fraction == Some(',');
        match text.trim().parse() {
            Ok(number) if !has_comma => Some(number),
            _ => self.other(text.trim()),
        }
    }

    /// A number in a notation that Rust does not read.
    fn other(self, text: &str) -> Option<f64> {
        let text = core(text);
        if let Ok(number) = text.parse::<f64>()
            && !text.contains('.')
        {
            return Some(number);
        }
        if let Some(value) = word(text) {
            return Some(value);
        }
        let (digits, factor) = match text.as_bytes().last()? {
            b'k' | b'K' => (&text[..text.len() - 1], 1e3),
            b'M' => (&text[..text.len() - 1], 1e6),
            b'G' => (&text[..text.len() - 1], 1e9),
            _ => (text, 1.0),
        };
        let (mantissa, exponent) = split_exponent(digits);
        let mantissa = mantissa.trim_end();
        let (negative, mantissa) = match mantissa.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let plain = Digits::of(mantissa, exponent.is_some())?.plain(self)?;
        let number: f64 = match exponent {
            Some(exponent) => format!("{plain}e{exponent}").parse().ok()?,
            None => plain.parse().ok()?,
        };
        Some(if negative { -number } else { number } * factor)
    }
}

/// What a cell holds besides its number is taken off: quotes, brackets, a percent sign, the name of a type.
fn core(text: &str) -> &str {
    let mut text = text.trim_matches(['"', '\'', ' ', '\u{a0}']);
    if let Some(inner) = text.strip_suffix(')')
        && let Some((kind, inner)) = inner.split_once('(')
        && !kind.is_empty()
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        && !kind.to_ascii_lowercase().contains("nan")
    {
        // tensor(0.5, device='cuda:0'), np.float64(0.5)
        text = inner.split(", ").next().unwrap_or(inner);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        text = inner;
    }
    text.trim().trim_end_matches('%').trim()
}

/// The words for numbers that are none, and for truth values.
fn word(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (sign, word) = match lower.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    match word {
        "true" => Some(1.0),
        "false" => Some(0.0),
        "\u{221e}" | "1.#inf" | "1.#inf00" => Some(sign * f64::INFINITY),
        // As the C library of Windows writes it.
        "nan(ind)" | "nan(snan)" | "1.#ind" | "1.#qnan" | "1.#ind00" | "1.#qnan0" => Some(f64::NAN),
        _ => None,
    }
}

/// `1.5e-3` into `1.5` and `-3`; Fortran writes a `D`.
fn split_exponent(text: &str) -> (&str, Option<&str>) {
    let Some(at) = text.find(['e', 'E', 'd', 'D']) else { return (text, None) };
    let exponent = &text[at + 1..];
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => (&text[..at], Some(exponent)),
        false => (text, None),
    }
}

/// The digits of a text that may be a number.
fn mantissa(text: &str) -> Option<Digits<'_>> {
    let (mantissa, exponent) = split_exponent(text);
    let mantissa = mantissa.trim_start_matches(['+', '-', '\u{2212}']);
    Digits::of(mantissa, exponent.is_some())
}

/// The only comma or point of a number that it may part thousands of: of `1.125`, but not of `0.125`.
pub(super) fn unsure_sign(text: &str) -> Option<char> {
    let digits = mantissa(core(text.trim()))?;
    let sign = match (digits.commas, digits.points) {
        (1, 0) => ',',
        (0, 1) => '.',
        _ => return None,
    };
    digits.may_be_thousands(sign).then_some(sign)
}

/// Signs that part thousands and are never before a fraction.
const SPACERS: &[char] = &[' ', '_', '\'', '\u{2019}', '\u{a0}', '\u{2009}', '\u{202f}'];

/// Digits with signs between them, without sign and exponent.
#[derive(Debug, Clone, Copy)]
struct Digits<'a> {
    text: &'a str,
    commas: usize,
    points: usize,
    has_exponent: bool,
}

impl<'a> Digits<'a> {
    fn of(text: &'a str, has_exponent: bool) -> Option<Self> {
        let known = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',') || SPACERS.contains(&c);
        if !text.chars().all(known) || !text.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let count = |sign| text.matches(sign).count();
        Some(Self { text, commas: count(','), points: count('.'), has_exponent })
    }

    /// The sign before the fraction, where the digits leave no choice.
    fn shown(self) -> Option<char> {
        match (self.commas, self.points) {
            (0, 0) => None,
            (1, 0) => (!self.may_be_thousands(',')).then_some(','),
            (0, 1) => (!self.may_be_thousands('.')).then_some('.'),
            // Only thousands are parted more than once.
            (2.., 0) => Some('.'),
            (0, 2..) => Some(','),
            _ => self.text.chars().rev().find(|c| matches!(c, ',' | '.')),
        }
    }

    /// The sign before the fraction, if this is plainly a number that shows it.
    fn taught(self) -> Option<char> {
        let sign = self.shown()?;
        self.plain(Notation::default())?;
        // `192.168.100.200` is an address, and no thousands begin with a zero.
        let mut groups = self.text.split('.');
        let is_address = self.points == 3 && groups.all(|group| group.parse::<u8>().is_ok());
        let is_odd = self.commas + self.points > 1 && self.text.starts_with('0');
        (!is_address && !is_odd).then_some(sign)
    }

    /// Whether the only comma or point may part thousands: `1,125`, but neither `0,125` nor `1,25`.
    fn may_be_thousands(self, sign: char) -> bool {
        let (before, after) = self.text.split_once(sign).unwrap_or((self.text, ""));
        !self.has_exponent
            && after.len() == 3
            && after.bytes().all(|b| b.is_ascii_digit())
            && (1..=3).contains(&before.len())
            && !before.starts_with('0')
    }

    /// The number as Rust writes it; `None` if its thousands are no thousands.
    fn plain(self, notation: Notation) -> Option<String> {
        let usual = match notation {
            Notation { fraction: Some(sign), .. } => sign,
            // A point is one in tables with `;`, too, until a number shows otherwise.
            Notation { expects_comma: true, .. } if self.points == 0 => ',',
            _ => '.',
        };
        let fraction = self.shown().unwrap_or(usual);
        let (whole, rest) = self.text.split_once(fraction).unwrap_or((self.text, ""));
        if !rest.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut groups = whole.split(|c: char| !c.is_ascii_digit());
        let first = groups.next().unwrap_or_default();
        let mut plain = first.to_string();
        let mut signs = whole.chars().filter(|c| !c.is_ascii_digit());
        let sign = signs.next();
        if sign.is_some() && (!(1..=3).contains(&first.len()) || signs.any(|s| Some(s) != sign)) {
            return None;
        }
        for group in groups {
            if group.len() != 3 {
                return None;
            }
            plain.push_str(group);
        }
        if !rest.is_empty() {
            plain.push('.');
            plain.push_str(rest);
        }
        Some(plain)
    }
}

/// Seconds of a duration such as `0:00:10`, `01:30`, `1 day, 2:03:04.5`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let text = text.trim();
    let (days, clock) = match text.split_once(", ").or_else(|| text.split_once("d ")) {
        Some((days, clock)) => {
            let days = days.trim_end_matches(['d', 'a', 'y', 's', ' ']);
            (days.parse::<u32>().ok()?, clock.trim())
        }
        None => (0, text),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let hours = f64::from(days) * 24.0;
    let mut seconds = if parts.len() == 3 { hours } else { hours * 60.0 };
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        let known = |b: u8| b.is_ascii_digit() || (is_last && b == b'.');
        if part.is_empty() || !part.bytes().all(known) {
            return None;
        }
        let sixty = if at == 0 { 1.0 } else { 60.0 };
        seconds = seconds * sixty + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}

/// Seconds since 1970 of a date and time; without a zone it counts as UTC.
pub(super) fn date(text: &str) -> Option<f64> {
    let text = text.trim();
    // Python's `logging` puts a comma before the milliseconds.
    let text = text.replacen(',', ".", 1);
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    Some(stamp.as_second() as f64 + f64::from(stamp.subsec_nanosecond()) / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the last text, after the others have shown the notation.
    fn read(delimiter: char, texts: &[&str]) -> Option<f64> {
        let mut notation = Notation::of_table(delimiter);
        texts.iter().for_each(|text| notation.learn(text));
        notation.number(texts.last()?)
    }

    #[test]
    fn usual_notations_are_read() {
        for (text, number) in [
            ("1", 1.0),
            (" -1.5e-3 ", -1.5e-3),
            ("+2.", 2.0),
            (".5", 0.5),
            ("1,000", 1e3),
            ("1,234,567.5", 1_234_567.5),
            ("1.234.567,5", 1_234_567.5),
            ("1_000", 1e3),
            ("1 000", 1e3),
            ("1\u{a0}000,25", 1000.25),
            ("12\u{202f}345", 12_345.0),
            ("1'000.5", 1000.5),
            ("0,75", 0.75),
            ("-0,125", -0.125),
            ("12,5", 12.5),
            ("1,5e-3", 1.5e-3),
            ("1.0D+2", 100.0),
            ("\u{2212}3", -3.0),
            ("50%", 50.0),
            ("12,5 %", 12.5),
            ("3.4k", 3400.0),
            ("2M", 2e6),
            ("'0.5'", 0.5),
            ("[0.5]", 0.5),
            ("tensor(0.5000, device='cuda:0')", 0.5),
            ("np.float64(1.25)", 1.25),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("-1.#INF", f64::NEG_INFINITY),
            ("True", 1.0),
        ] {
            assert_eq!(read(',', &[text]), Some(number), "{text}");
        }
        for text in ["nan", "NaN", "-nan", "-nan(ind)", "1.#QNAN"] {
            assert!(read(',', &[text]).is_some_and(f64::is_nan), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for text in [
            "",
            "-",
            "last",
            "n/a",
            "1,00,0",
            "1.2.3",
            "1,2,3",
            "12,34",
            "1 2",
            "0x10",
            "1e",
            "e5",
            "2024-01-01",
            "10/5",
            "1__000",
            "1,000_000",
            "5 m",
            "()",
            "a(1)b",
            "%",
            ",",
            ".",
        ] {
            let expected = (text == "12,34").then_some(12.34);
            assert_eq!(read(',', &[text]), expected, "{text}");
        }
    }

    #[test]
    fn a_number_that_may_be_two_is_read_like_the_others_of_its_file() {
        for (delimiter, texts, number) in [
            (',', &["1,125"][..], 1125.0),
            (';', &["1,125"], 1.125),
            (';', &["1.125"], 1.125),
            (';', &["0,5", "1.000"], 1000.0),
            (';', &["0.5", "1,000"], 1000.0),
            ('\t', &["0,5", "1,125"], 1.125),
            ('\t', &["2.5", "1,125"], 1125.0),
            (',', &["0,5", "1,125"], 1.125),
            (',', &["1.234.567", "1,125"], 1.125),
            // What can be read in one way only is read so.
            (';', &["0.5", "0,25"], 0.25),
            (',', &["0,5", "0.25"], 0.25),
        ] {
            assert_eq!(read(delimiter, texts), Some(number), "{texts:?}");
        }
    }

    #[test]
    fn what_is_plainly_no_number_teaches_no_notation() {
        for text in [
            "01.12.2024",
            "2.1.0",
            "10.0.0.1",
            "192.168.100.200",
            "2.5.",
            "1,2,3",
            "0.125.250",
            "1.2,3",
            "2024,12.5",
            "v1,5",
        ] {
            assert_eq!(read(',', &[text, "1.125"]), Some(1.125), "{text}");
            assert_eq!(read(';', &[text, "1,125"]), Some(1.125), "{text}");
        }
        assert_eq!(read(',', &["1.234.567", "1.125"]), Some(1125.0));
        let signs = ["1.125", "-2,125", "0.125", "2,5", "1.000,5", "a"].map(unsure_sign);
        assert_eq!(signs, [Some('.'), Some(','), None, None, None, None]);
    }

    #[test]
    fn durations_and_dates_are_seconds() {
        let texts = ["0:00:10", "01:30", "1 day, 2:03:04.5", "2d 00:00:01", "90", "a:b", "1:2:3:4"];
        let expected = [Some(10.0), Some(90.0), Some(93_784.5), Some(172_801.0), None, None, None];
        assert_eq!(texts.map(duration), expected);
        let texts = [
            "2024-01-01T00:00:10Z",
            "2024-01-01 00:00:10",
            "2024-01-01 00:00:10,500",
            "2024-01-01T01:00:10+01:00",
            "0:00:10",
        ];
        let at = 1_704_067_210.0;
        assert_eq!(texts.map(date), [Some(at), Some(at), Some(at + 0.5), Some(at), None]);
    }
}
