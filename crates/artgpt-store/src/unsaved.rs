//! What the store was asked to write and has not written, so that a close can name it.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;

/// Something that the store writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsavedItem {
    /// A turn, or the draft of one.
    Turn {
        /// The session's id.
        session: String,
        /// The turn's number in the session.
        seq: u64,
    },
    /// The copy of an artwork's image, by the path of the original.
    Image(PathBuf),
    /// The removal of a session, by its id.
    Removal(String),
}

/// An item that was not written, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// What was not written.
    pub item: UnsavedItem,
    /// The error, in words.
    pub reason: String,
}

impl fmt::Display for UnsavedItem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Turn { session, seq } => write!(f, "turn {} of session {session}", seq + 1),
            Self::Image(path) => write!(f, "the copy of {}", path.display()),
            Self::Removal(session) => write!(f, "the removal of session {session}"),
        }
    }
}

/// All items in one line.
pub(super) fn list(unsaved: &[Unsaved]) -> String {
    let all: Vec<String> = unsaved.iter().map(|u| format!("{} ({})", u.item, u.reason)).collect();
    all.join(", ")
}

/// The writes that are queued, and those that failed.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Oldest first.
    queued: VecDeque<UnsavedItem>,
    failed: Vec<Unsaved>,
}

impl Writes {
    /// Notes that a write was asked for.
    pub(super) fn queue(&mut self, item: UnsavedItem) {
        self.queued.push_back(item);
    }

    /// Notes how the oldest write in the queue ended. A later success makes up for a failure.
    pub(super) fn complete(&mut self, error: Option<String>) {
        let Some(item) = self.queued.pop_front() else { return };
        self.failed.retain(|u| u.item != item);
        if let Some(reason) = error {
            self.failed.push(Unsaved { item, reason });
        }
    }

    /// Notes that a write that failed was done later.
    pub(super) fn written(&mut self, item: &UnsavedItem) {
        self.failed.retain(|u| u.item != *item);
    }

    /// Notes that turns of a session that failed are not wanted any more.
    pub(super) fn forget(&mut self, session: &str) {
        self.failed
            .retain(|u| !matches!(&u.item, UnsavedItem::Turn { session: id, .. } if id == session));
    }

    /// What is not written now; `reason` is that of queued writes.
    pub(super) fn unsaved(&self, reason: &str) -> Vec<Unsaved> {
        let mut all = self.failed.clone();
        for item in &self.queued {
            if !all.iter().any(|u| u.item == *item) {
                all.push(Unsaved { item: item.clone(), reason: reason.into() });
            }
        }
        all
    }
}
