//! Notes and tags that the user writes on runs.

pub(super) mod file;
pub(super) mod keys;
pub(super) mod view;

pub(super) use file::Notes;
pub(super) use keys::{Action, NoteWindow};

#[cfg(test)]
mod tests;
