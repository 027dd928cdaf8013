//! Whether a conversation shows the picture's label.

use crate::data::conversations::Dialogue;

/// What the kind of a conversation says about the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelRule {
    /// The answer uses it.
    Shown,
    /// The answer guesses, as there is none.
    Hidden,
    /// In half of the cases: the answer speaks of what is seen.
    Either,
}

impl LabelRule {
    pub(super) fn of(dialogue: &Dialogue) -> Self {
        match dialogue.kind.as_deref() {
            None | Some("subject" | "artist" | "comparison" | "unknowable" | "conversation") => {
                Self::Shown
            }
            Some("no-label") => Self::Hidden,
            Some(_) => Self::Either,
        }
    }

    /// The rule of both in one conversation; `None` if they exclude each other.
    pub(super) fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Either, rule) | (rule, Self::Either) => Some(rule),
            (one, other) => (one == other).then_some(one),
        }
    }

    /// Whether the label is shown; `coin` decides where both are right.
    pub(super) fn shows(self, coin: bool) -> bool {
        match self {
            Self::Shown => true,
            Self::Hidden => false,
            Self::Either => coin,
        }
    }
}
