//! Text files of other programs, as one reads them: byte order marks, UTF-16, colours, progress bars,
//! bytes that are no text. Every text reader decodes here, whether it reads a file whole or follows it.

use std::borrow::Cow;
use std::fmt;

use anstream::adapter::strip_str;

/// A file is written in an encoding that is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedEncoding(&'static str);

impl fmt::Display for UnsupportedEncoding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "it is {} text, which is not supported", self.0)
    }
}

impl std::error::Error for UnsupportedEncoding {}

impl From<UnsupportedEncoding> for std::io::Error {
    fn from(e: UnsupportedEncoding) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, e)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Encoding {
    /// Fewer than [`DECIDING`] bytes are known.
    #[default]
    Unknown,
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// Bytes that decide the encoding: UTF-32's byte order mark begins like UTF-16's.
const DECIDING: usize = 4;

const BOM: char = '\u{feff}';

/// Turns the bytes of a file into UTF-8, piece by piece. Bytes of UTF-8 files pass unchanged, valid or
/// not; [`line()`] makes text of them.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    encoding: Encoding,
    /// Bytes that wait for the next ones: half a code unit, half a surrogate pair.
    carry: Vec<u8>,
}

impl Decoder {
    /// Replaces `bytes[from..]`, the next bytes of the file, with their UTF-8.
    ///
    /// # Errors
    /// If the first bytes of the file name an encoding that is not supported.
    pub fn decode(&mut self, bytes: &mut Vec<u8>, from: usize) -> Result<(), UnsupportedEncoding> {
        if !self.carry.is_empty() {
            bytes.splice(from..from, std::mem::take(&mut self.carry));
        }
        if self.encoding == Encoding::Unknown {
            if bytes.len() - from < DECIDING {
                self.carry = bytes.split_off(from);
                return Ok(());
            }
            self.begin(bytes, from)?;
        }
        if self.encoding != Encoding::Utf8 {
            self.decode_utf16(bytes, from);
        }
        Ok(())
    }

    /// Appends what waits for bytes that do not come any more.
    pub fn finish(&mut self, bytes: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.carry);
        match self.encoding {
            _ if rest.is_empty() => {}
            Encoding::Utf16Le | Encoding::Utf16Be => {
                bytes.extend(char::REPLACEMENT_CHARACTER.to_string().bytes());
            }
            Encoding::Unknown | Encoding::Utf8 => {
                let from = bytes.len();
                bytes.extend(rest);
                // Of three bytes, a byte order mark and one letter.
                if self.begin(bytes, from).is_ok() && self.encoding != Encoding::Utf8 {
                    self.decode_utf16(bytes, from);
                }
            }
        }
    }

    /// Finds the encoding of a file that begins at `from`, and removes its byte order mark.
    fn begin(&mut self, bytes: &mut Vec<u8>, from: usize) -> Result<(), UnsupportedEncoding> {
        let (encoding, mark) = match bytes[from..] {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
                return Err(UnsupportedEncoding("UTF-32"));
            }
            [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
            [0xff, 0xfe, ..] => (Encoding::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Encoding::Utf16Be, 2),
            // Without a mark: letters of ASCII in UTF-16.
            [1..0x80, 0, 1..0x80, 0, ..] => (Encoding::Utf16Le, 0),
            [0, 1..0x80, 0, 1..0x80, ..] => (Encoding::Utf16Be, 0),
            _ => (Encoding::Utf8, 0),
        };
        self.encoding = encoding;
        bytes.drain(from..from + mark);
        Ok(())
    }

    fn decode_utf16(&mut self, bytes: &mut Vec<u8>, from: usize) {
        let mut raw = bytes.split_off(from);
        let big = self.encoding == Encoding::Utf16Be;
        let unit = |pair: &[u8]| match big {
            true => u16::from_be_bytes([pair[0], pair[1]]),
            false => u16::from_le_bytes([pair[0], pair[1]]),
        };
        let mut whole = raw.len() & !1;
        // The first half of a pair waits for the second.
        if whole >= 2 && (0xd800..0xdc00).contains(&unit(&raw[whole - 2..whole])) {
            whole -= 2;
        }
        self.carry = raw.split_off(whole);
        let mut letter = [0; 4];
        for c in char::decode_utf16(raw.chunks_exact(2).map(unit)) {
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            bytes.extend(c.encode_utf8(&mut letter).bytes());
        }
    }
}

/// The text of a whole file. Line ends of any kind are kept, except that carriage returns without any
/// line feed become line feeds.
///
/// # Errors
/// If the file names an encoding that is not supported.
pub fn text(mut bytes: Vec<u8>) -> Result<String, UnsupportedEncoding> {
    let mut decoder = Decoder::default();
    decoder.decode(&mut bytes, 0)?;
    decoder.finish(&mut bytes);
    let cleaned = match line(&bytes) {
        Cow::Owned(text) => Some(text),
        Cow::Borrowed(_) => None,
    };
    // Without a change it is valid UTF-8.
    let text = cleaned.unwrap_or_else(|| String::from_utf8(bytes).unwrap_or_default());
    Ok(match text.contains('\r') && !text.contains('\n') {
        true => text.replace('\r', "\n"),
        false => text,
    })
}

/// Why a file is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotText {
    /// Its encoding is not supported.
    Encoding(UnsupportedEncoding),
    /// Some bytes are none of its encoding's.
    Bytes,
}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Encoding(e) => e.fmt(f),
            Self::Bytes => f.write_str("some of its bytes are no UTF-8 text"),
        }
    }
}

impl std::error::Error for NotText {}

/// [`text`] of a file that people wrote, of which no byte may be lost.
///
/// # Errors
/// If a byte is no text.
pub fn strict_text(bytes: Vec<u8>) -> Result<String, NotText> {
    let lost = char::REPLACEMENT_CHARACTER;
    let is_written = bytes.windows(3).any(|three| three == lost.to_string().as_bytes());
    let text = text(bytes).map_err(NotText::Encoding)?;
    match text.contains(lost) && !is_written {
        true => Err(NotText::Bytes),
        false => Ok(text),
    }
}

/// A decoded line as a terminal shows it: without escape sequences and NUL bytes, with what was printed
/// over its backspaces.
/// Bytes that are not UTF-8 become U+FFFD.
pub fn line(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    // A byte order mark begins with 0xef.
    let has_mark = memchr::memchr(0xef, text.as_bytes()).is_some() && text.contains(BOM);
    if memchr::memchr3(0, 8, 0x1b, text.as_bytes()).is_none() && !has_mark {
        return text;
    }
    let mut screen = Screen::default();
    for (at, piece) in text.split('\u{8}').enumerate() {
        if at > 0 {
            screen.back();
        }
        // A byte order mark stands in the middle where files were joined.
        let printed = strip_str(piece).to_string();
        printed.chars().filter(|c| !matches!(c, '\0' | &BOM)).for_each(|c| screen.print(c));
    }
    screen.letters.into_iter().collect::<String>().into()
}

/// What a terminal shows: letters after a backspace take the place of others.
#[derive(Default)]
struct Screen {
    letters: Vec<char>,
    at: usize,
    /// Where the present line begins.
    line: usize,
}

impl Screen {
    fn back(&mut self) {
        self.at = self.at.saturating_sub(1).max(self.line);
    }

    fn print(&mut self, letter: char) {
        if matches!(letter, '\n' | '\r') {
            self.letters.push(letter);
            (self.at, self.line) = (self.letters.len(), self.letters.len());
            return;
        }
        match self.letters.get_mut(self.at) {
            Some(place) => *place = letter,
            None => self.letters.push(letter),
        }
        self.at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// All ways to write one text, with what they are called.
    fn spellings(plain: &str) -> Vec<(&'static str, Vec<u8>)> {
        let marked = format!("\u{feff}{plain}");
        vec![
            ("UTF-8", plain.as_bytes().to_vec()),
            ("UTF-8 with a mark", marked.clone().into_bytes()),
            ("UTF-16LE with a mark", utf16(&marked, false)),
            ("UTF-16BE with a mark", utf16(&marked, true)),
            ("UTF-16LE", utf16(plain, false)),
            ("UTF-16BE", utf16(plain, true)),
        ]
    }

    #[test]
    fn a_text_reads_the_same_in_every_encoding_and_in_pieces_of_any_size() {
        let plain = "step,loss\r\n1,0.5 ö 漢 🎨\r\n";
        for (name, bytes) in spellings(plain) {
            assert_eq!(text(bytes.clone()).as_deref(), Ok(plain), "{name}");
            for size in 1..8 {
                let (mut decoder, mut out) = (Decoder::default(), Vec::new());
                for piece in bytes.chunks(size) {
                    let from = out.len();
                    out.extend(piece);
                    decoder.decode(&mut out, from).expect("is supported");
                }
                decoder.finish(&mut out);
                assert_eq!(String::from_utf8(out).as_deref(), Ok(plain), "{name}, {size}");
            }
        }
    }

    #[test]
    fn files_of_a_few_bytes_are_text_too() {
        for short in ["", "1", "1\n", "ab\n"] {
            assert_eq!(text(short.into()).as_deref(), Ok(short));
            let marked = format!("\u{feff}{short}");
            assert_eq!(text(marked.clone().into_bytes()).as_deref(), Ok(short));
            assert_eq!(text(utf16(&marked, false)).as_deref(), Ok(short));
        }
        // Half a unit and half a pair at the end.
        assert_eq!(text(vec![0xff, 0xfe, b'a', 0, b'b']).as_deref(), Ok("a\u{fffd}"));
        let mut half = utf16("\u{feff}a🎨", false);
        half.truncate(6);
        assert_eq!(text(half).as_deref(), Ok("a\u{fffd}"));
    }

    #[test]
    fn a_lost_byte_is_told() {
        assert_eq!(strict_text(b"\xef\xbb\xbfCaf\xc3\xa9".to_vec()).as_deref(), Ok("Caf\u{e9}"));
        assert_eq!(strict_text("\u{fffd}".into()).as_deref(), Ok("\u{fffd}"));
        assert_eq!(strict_text(b"Caf\xe9".to_vec()), Err(NotText::Bytes));
    }

    #[test]
    fn utf32_is_named() {
        let little = [0xff, 0xfe, 0, 0, b'a', 0, 0, 0].to_vec();
        let big = [0, 0, 0xfe, 0xff, 0, 0, 0, b'a'].to_vec();
        for bytes in [little, big] {
            let told = text(bytes).expect_err("is not supported").to_string();
            assert_eq!(told, "it is UTF-32 text, which is not supported");
        }
    }

    #[test]
    fn a_line_is_what_one_reads() {
        for (bytes, read) in [
            (&b"\x1b[36m[10:00]\x1b[0m step \x1b[1m1\x1b[0m"[..], "[10:00] step 1"),
            (b"\x1b]0;title\x07step\x1b[K 1", "step 1"),
            (b"\0\0\0{\"a\":1}", "{\"a\":1}"),
            (b" 9%\x08\x08\x0810%", "10%"),
            (b"loss 0.5\x08\x08\x08", "loss 0.5"),
            (b"\x08\x08a", "a"),
            (b"\xef\xbb\xbfstep,loss", "step,loss"),
            (b"20 \xb0C", "20 \u{fffd}C"),
            (b"plain \xc3\xb6", "plain \u{f6}"),
        ] {
            assert_eq!(line(bytes), read);
        }
        assert!(matches!(line(b"plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn carriage_returns_alone_end_lines() {
        assert_eq!(text(b"a = 1\rb = 2\r".to_vec()).as_deref(), Ok("a = 1\nb = 2\n"));
        assert_eq!(text(b"a\r\nb\x1b[0m\r\n".to_vec()).as_deref(), Ok("a\r\nb\r\n"));
    }
}
