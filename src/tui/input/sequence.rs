//! Keys that terminals send as sequences: xterm's, rxvt's, the Linux console's, and `CSI u`.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A terminal puts these around pasted text once it was asked to.
pub(super) const PASTE_START: &[u8] = b"\x1b[200~";
pub(super) const PASTE_END: &[u8] = b"\x1b[201~";

/// The key of `ESC O final`.
pub(super) fn ss3_key(last: u8) -> Option<KeyEvent> {
    named(last).map(|code| KeyEvent::new(code, KeyModifiers::NONE))
}

/// The key of `ESC [ parameters final`, if it is one.
pub(super) fn csi_key(parameters: &[u8], last: u8) -> Option<KeyEvent> {
    if let [b'['] = parameters {
        // The Linux console.
        let number = last.checked_sub(b'A').filter(|n| *n < 5)?;
        return Some(KeyEvent::new(KeyCode::F(number + 1), KeyModifiers::NONE));
    }
    let fields = Fields::parse(parameters)?;
    let (modifiers, kind) = fields.modifiers();
    let with = |code, modifiers| Some(KeyEvent::new_with_kind(code, modifiers, kind));
    match last {
        b'Z' => with(KeyCode::BackTab, modifiers | KeyModifiers::SHIFT),
        // With two numbers and an `R` a terminal tells its cursor's position, which nobody asks.
        b'~' if fields.number(0) == Some(27) => character(fields.number(2)?, None, modifiers, kind),
        b'~' => with(numbered(fields.number(0)?)?, modifiers),
        b'u' => character(fields.number(0)?, fields.part(0, 1), modifiers, kind),
        last if fields.number(0).is_none_or(|first| first == 1) => with(named(last)?, modifiers),
        _ => None,
    }
}

/// Keys whose sequence ends with a letter of their own.
fn named(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        _ => return None,
    })
}

/// Keys with a number: `ESC [ number ~`.
fn numbered(number: u32) -> Option<KeyCode> {
    let function = |base: u32| u8::try_from(number - base).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => function(10),
        17..=21 => function(11),
        23..=26 => function(12),
        28 | 29 => function(13),
        31..=34 => function(14),
        _ => None,
    }
}

/// A key that is told by its character, with the one that Shift makes of it where that is told too.
fn character(
    code: u32,
    shifted: Option<u32>,
    mut modifiers: KeyModifiers,
    kind: KeyEventKind,
) -> Option<KeyEvent> {
    let shift = modifiers.contains(KeyModifiers::SHIFT);
    let code = match char::from_u32(code)? {
        '\u{1b}' => KeyCode::Esc,
        '\r' => KeyCode::Enter,
        '\t' if shift => KeyCode::BackTab,
        '\t' => KeyCode::Tab,
        '\u{7f}' | '\u{8}' => KeyCode::Backspace,
        // Keys without a character: Caps Lock, media, modifiers by themselves.
        '\u{e000}'..='\u{f8ff}' => return None,
        c if c.is_control() => return None,
        c => {
            let upper = c.to_uppercase().next().filter(|_| c.is_lowercase());
            let shifted = shifted.and_then(char::from_u32).or(upper).filter(|_| shift);
            modifiers.set(KeyModifiers::SHIFT, shifted.unwrap_or(c).is_uppercase());
            KeyCode::Char(shifted.unwrap_or(c))
        }
    };
    Some(KeyEvent::new_with_kind(code, modifiers, kind))
}

/// The numbers of a sequence: parameters divided by `;`, their parts by `:`.
struct Fields(Vec<Vec<Option<u32>>>);

impl Fields {
    /// `None` where they are a reply's, such as `?62;4`.
    fn parse(parameters: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(parameters).ok()?;
        if !text.chars().all(|c| c.is_ascii_digit() || matches!(c, ';' | ':')) {
            return None;
        }
        let parts = |field: &str| field.split(':').map(|part| part.parse().ok()).collect();
        Some(Self(text.split(';').map(parts).collect()))
    }

    fn number(&self, field: usize) -> Option<u32> {
        self.part(field, 0)
    }

    fn part(&self, field: usize, part: usize) -> Option<u32> {
        self.0.get(field)?.get(part).copied().flatten()
    }

    /// The second field: one more than a sum of bits, and what happens to the key.
    fn modifiers(&self) -> (KeyModifiers, KeyEventKind) {
        let bits = self.number(1).unwrap_or(1).saturating_sub(1);
        let names = [
            KeyModifiers::SHIFT,
            KeyModifiers::ALT,
            KeyModifiers::CONTROL,
            KeyModifiers::SUPER,
            KeyModifiers::HYPER,
            KeyModifiers::META,
        ];
        let held = names.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        let kind = match self.part(1, 1) {
            Some(2) => KeyEventKind::Repeat,
            Some(3) => KeyEventKind::Release,
            _ => KeyEventKind::Press,
        };
        (held.fold(KeyModifiers::NONE, |all, (_, one)| all | one), kind)
    }
}
