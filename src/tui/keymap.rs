//! What keys do. The help screen is made from the same table.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Everything a key can ask for outside of plain typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Send,
    Newline,
    Cancel,
    Open,
    Questions,
    Sessions,
    Models,
    Panel,
    New,
    Regenerate,
    PageUp,
    PageDown,
    LineUp,
    LineDown,
    Redraw,
    Help,
    Interrupt,
    Quit,
}

/// One row of the keymap.
pub struct Binding {
    pub action: Action,
    keys: &'static [(KeyModifiers, KeyCode)],
    pub shown: &'static str,
    pub help: &'static str,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

pub const BINDINGS: &[Binding] = &[
    Binding {
        action: Action::Send,
        keys: &[(NONE, KeyCode::Enter)],
        shown: "Enter",
        help: "send the question",
    },
    Binding {
        action: Action::Newline,
        keys: &[(ALT, KeyCode::Enter), (SHIFT, KeyCode::Enter), (CTRL, KeyCode::Char('j'))],
        shown: "Alt-Enter, Ctrl-J",
        help: "a new line in the question",
    },
    Binding {
        action: Action::Cancel,
        keys: &[(NONE, KeyCode::Esc)],
        shown: "Esc",
        help: "stop the answer, or close this window",
    },
    Binding {
        action: Action::Open,
        keys: &[(CTRL, KeyCode::Char('o'))],
        shown: "Ctrl-O",
        help: "open an artwork (Tab completes)",
    },
    Binding {
        action: Action::Questions,
        keys: &[(CTRL, KeyCode::Char('p'))],
        shown: "Ctrl-P",
        help: "questions to ask",
    },
    Binding {
        action: Action::Sessions,
        keys: &[(CTRL, KeyCode::Char('t'))],
        shown: "Ctrl-T",
        help: "earlier sessions",
    },
    Binding {
        action: Action::Models,
        keys: &[(NONE, KeyCode::F(2)), (ALT, KeyCode::Char('m'))],
        shown: "F2, Alt-M",
        help: "another model, or what a training run made",
    },
    Binding {
        action: Action::Panel,
        keys: &[(NONE, KeyCode::F(3)), (ALT, KeyCode::Char('t'))],
        shown: "F3, Alt-T",
        help: "training: curves, runs and jobs",
    },
    Binding {
        action: Action::New,
        keys: &[(CTRL, KeyCode::Char('n'))],
        shown: "Ctrl-N",
        help: "a new session",
    },
    Binding {
        action: Action::Regenerate,
        keys: &[(CTRL, KeyCode::Char('r'))],
        shown: "Ctrl-R",
        help: "another answer; or load the model again",
    },
    Binding {
        action: Action::PageUp,
        keys: &[(NONE, KeyCode::PageUp)],
        shown: "PgUp",
        help: "scroll the conversation up",
    },
    Binding {
        action: Action::PageDown,
        keys: &[(NONE, KeyCode::PageDown)],
        shown: "PgDn",
        help: "scroll the conversation down",
    },
    Binding {
        action: Action::LineUp,
        keys: &[(SHIFT, KeyCode::Up), (CTRL, KeyCode::Up)],
        shown: "Ctrl-Up",
        help: "scroll a line up",
    },
    Binding {
        action: Action::LineDown,
        keys: &[(SHIFT, KeyCode::Down), (CTRL, KeyCode::Down)],
        shown: "Ctrl-Down",
        help: "scroll a line down",
    },
    Binding {
        action: Action::Redraw,
        keys: &[(CTRL, KeyCode::Char('l'))],
        shown: "Ctrl-L",
        help: "draw everything again",
    },
    Binding {
        action: Action::Help,
        keys: &[(NONE, KeyCode::F(1)), (CTRL, KeyCode::Char('g'))],
        shown: "F1, Ctrl-G",
        help: "this help",
    },
    Binding {
        action: Action::Interrupt,
        keys: &[(CTRL, KeyCode::Char('c'))],
        shown: "Ctrl-C",
        help: "stop the answer; when idle, quit",
    },
    Binding {
        action: Action::Quit,
        keys: &[(CTRL, KeyCode::Char('q'))],
        shown: "Ctrl-Q",
        help: "quit (all is saved)",
    },
];

/// The action of a key, if it has one.
pub fn action(key: &KeyEvent) -> Option<Action> {
    BINDINGS.iter().find(|b| b.keys.contains(&(key.modifiers, key.code))).map(|b| b.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<_> = BINDINGS.iter().flat_map(|b| b.keys).collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{key:?}");
        }
    }
}
