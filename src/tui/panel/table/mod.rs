//! The runs as a table that fills the screen: metric values, and where configurations differ.

pub(super) mod keys;
mod state;
pub(super) mod view;

pub(super) use keys::Action;
pub(super) use state::{HEADS, RunTable, VALUE};

#[cfg(test)]
mod tests;
