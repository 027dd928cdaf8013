//! Bytes of a terminal as keys and pastes, however they are cut into pieces.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::sequence::{PASTE_END, PASTE_START, csi_key, ss3_key};

/// Esc alone and the start of a sequence are the same byte; a terminal sends the rest at once.
const ESC_WAIT: Duration = Duration::from_millis(50);
/// A sequence that has begun comes whole within this, also over a slow line.
const SEQUENCE_WAIT: Duration = Duration::from_millis(500);
/// A paste may come in many pieces; after this pause its end is not waited for.
const PASTE_WAIT: Duration = Duration::from_secs(2);
/// No key has a longer sequence.
const MAX_CSI: usize = 256;
/// No reply that we ask for is longer.
const MAX_STRING: usize = 64 << 10;
/// A longer paste is handed on in pieces.
const MAX_PASTE: usize = 1 << 20;

/// One thing that the user typed or pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Key(KeyEvent),
    Paste(String),
}

/// Collects bytes until they are a key or a paste. Replies of the terminal are dropped.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    pending: Vec<u8>,
    /// Within a paste.
    pasting: bool,
    /// Bytes of the paste in which its end was searched.
    searched: usize,
    /// Sequences, keys and pieces of pastes that have ended.
    ended: u64,
}

/// What the first bytes are: so many bytes of it, or a part of something.
enum Step {
    Done(usize, Option<Input>),
    Incomplete,
}

impl Decoder {
    /// Takes bytes; returns what they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        let mut inputs = Vec::new();
        // A terminal sends Alt with a key at once; only sequences come in two parts now and then.
        let goes_on = matches!(bytes.first(), None | Some(b'[' | b'O' | b']' | b'P' | b'_'));
        if self.pending == [0x1b] && !goes_on {
            inputs.extend(self.expire());
        }
        self.pending.extend_from_slice(bytes);
        loop {
            let step = match self.pasting {
                true => self.paste(),
                false if self.pending.starts_with(PASTE_START) => {
                    (self.pasting, self.searched) = (true, 0);
                    Step::Done(PASTE_START.len(), None)
                }
                false => first(&self.pending),
            };
            let Step::Done(length, input) = step else { return inputs };
            self.pending.drain(..length);
            self.ended += 1;
            inputs.extend(input);
            if self.pending.is_empty() {
                return inputs;
            }
        }
    }

    /// How long to wait for the rest of what has begun; `None` where nothing has, or where waiting
    /// costs nothing because the next key ends it.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self.pending.as_slice() {
            _ if self.pasting => Some(PASTE_WAIT),
            [0x1b] | [0x1b, _] => Some(ESC_WAIT),
            [0x1b, ..] => Some(SEQUENCE_WAIT),
            _ => None,
        }
    }

    /// How much has ended; another number means that what is waited for is new.
    pub(crate) fn ended(&self) -> u64 {
        self.ended
    }

    /// Whether the time to wait counts from the last byte, not from the first.
    pub(crate) fn is_pasting(&self) -> bool {
        self.pasting
    }

    /// The rest did not come in time: what has come counts as it is, or is dropped.
    pub(crate) fn expire(&mut self) -> Vec<Input> {
        let pending = std::mem::take(&mut self.pending);
        self.ended += 1;
        if std::mem::take(&mut self.pasting) {
            return pasted(&pending).into_iter().collect();
        }
        let esc = || key(KeyCode::Esc, KeyModifiers::NONE);
        match pending.as_slice() {
            [0x1b] => vec![esc()],
            [0x1b, 0x1b] => vec![esc(), esc()],
            [0x1b, c @ 0x20..=0x7e] => vec![character(char::from(*c), KeyModifiers::ALT)],
            _ => Vec::new(),
        }
    }

    /// The paste up to its end, or a piece of a long one.
    fn paste(&mut self) -> Step {
        let from = self.searched.saturating_sub(PASTE_END.len() - 1);
        let end = self.pending[from..].windows(PASTE_END.len()).position(|w| w == PASTE_END);
        if let Some(at) = end.map(|at| from + at) {
            self.pasting = false;
            return Step::Done(at + PASTE_END.len(), pasted(&self.pending[..at]));
        }
        self.searched = self.pending.len();
        if self.pending.len() < MAX_PASTE {
            return Step::Incomplete;
        }
        // Not within the end's sequence, nor within a character.
        let mut cut = self.pending.len() - PASTE_END.len();
        while cut > 0 && self.pending[cut] & 0xc0 == 0x80 {
            cut -= 1;
        }
        self.searched = 0;
        Step::Done(cut.max(1), pasted(&self.pending[..cut.max(1)]))
    }
}

fn pasted(bytes: &[u8]) -> Option<Input> {
    (!bytes.is_empty()).then(|| Input::Paste(String::from_utf8_lossy(bytes).into_owned()))
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Key(KeyEvent::new(code, modifiers))
}

fn character(c: char, modifiers: KeyModifiers) -> Input {
    let shift = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    key(KeyCode::Char(c), modifiers | shift)
}

/// What begins the bytes, outside a paste.
fn first(bytes: &[u8]) -> Step {
    let control = |code| Step::Done(1, Some(key(code, KeyModifiers::NONE)));
    let with_control =
        |c: u8| Step::Done(1, Some(key(KeyCode::Char(char::from(c)), KeyModifiers::CONTROL)));
    match *bytes {
        [] => Step::Incomplete,
        [0x1b, ..] => escape(bytes),
        [b'\r', ..] => control(KeyCode::Enter),
        [b'\t', ..] => control(KeyCode::Tab),
        [0x7f, ..] => control(KeyCode::Backspace),
        [0, ..] => with_control(b' '),
        [c @ 0x01..=0x1a, ..] => with_control(c - 1 + b'a'),
        [c @ 0x1c..=0x1f, ..] => with_control(c - 0x1c + b'4'),
        [c @ 0x20..=0x7e, ..] => Step::Done(1, Some(character(char::from(c), KeyModifiers::NONE))),
        _ => utf8(bytes),
    }
}

/// A character of several bytes. What is none is dropped up to the next byte that may begin one.
fn utf8(bytes: &[u8]) -> Step {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Step::Done(1, None),
    };
    let rest = &bytes[1..bytes.len().min(length)];
    if let Some(at) = rest.iter().position(|byte| byte & 0xc0 != 0x80) {
        return Step::Done(1 + at, None);
    }
    if bytes.len() < length {
        return Step::Incomplete;
    }
    let text = std::str::from_utf8(&bytes[..length]).ok();
    let c = text.and_then(|text| text.chars().next());
    Step::Done(length, c.map(|c| character(c, KeyModifiers::NONE)))
}

/// A sequence, a key with Alt, or Esc.
fn escape(bytes: &[u8]) -> Step {
    match bytes[1..] {
        [] | [b'O'] | [0x1b] => Step::Incomplete,
        [b'[', ..] => csi(bytes),
        [b'O', c, ..] => match ss3_key(c) {
            Some(found) => Step::Done(3, Some(Input::Key(found))),
            // Alt-O and the next key.
            None => Step::Done(2, Some(character('O', KeyModifiers::ALT))),
        },
        [b']' | b'P' | b'_' | b'^' | b'X', ..] => string(bytes),
        // Alt with a key that is a sequence, as rxvt sends it; else Esc and another Esc.
        [0x1b, b'[' | b'O', ..] => with_alt(bytes),
        [0x1b, ..] => Step::Done(1, Some(key(KeyCode::Esc, KeyModifiers::NONE))),
        _ => with_alt(bytes),
    }
}

fn with_alt(bytes: &[u8]) -> Step {
    match first(&bytes[1..]) {
        Step::Done(length, Some(Input::Key(mut found))) => {
            found.modifiers |= KeyModifiers::ALT;
            Step::Done(1 + length, Some(Input::Key(found)))
        }
        Step::Done(length, _) => Step::Done(1 + length, None),
        Step::Incomplete => Step::Incomplete,
    }
}

/// `ESC [ parameters final`. A byte that cannot be in it ends it; that byte counts by itself.
fn csi(bytes: &[u8]) -> Step {
    // The Linux console's function keys: `ESC [ [ A`.
    let start = if bytes.get(2) == Some(&b'[') { 3 } else { 2 };
    let end = bytes[start..].iter().position(|byte| !(0x20..=0x3f).contains(byte));
    match end.map(|at| start + at) {
        Some(at) if (0x40..=0x7e).contains(&bytes[at]) => {
            Step::Done(at + 1, csi_key(&bytes[2..at], bytes[at]).map(Input::Key))
        }
        Some(at) => Step::Done(at, None),
        None if bytes.len() > MAX_CSI => Step::Done(bytes.len(), None),
        None => Step::Incomplete,
    }
}

/// A string that a terminal sends as a reply, up to BEL or `ESC \`. No key is one.
fn string(bytes: &[u8]) -> Step {
    let body = &bytes[2..];
    match body.iter().position(|byte| *byte < 0x20) {
        Some(at) if body[at] == 0x07 => Step::Done(2 + at + 1, None),
        Some(at) if body[at] == 0x1b => match body.get(at + 1) {
            Some(b'\\') => Step::Done(2 + at + 2, None),
            Some(_) => Step::Done(2 + at, None),
            None => Step::Incomplete,
        },
        // Nothing else of this kind is in a reply: a key ends what was none.
        Some(at) => Step::Done(2 + at, None),
        None if body.len() > MAX_STRING => Step::Done(bytes.len(), None),
        None => Step::Incomplete,
    }
}

#[cfg(test)]
mod tests;
