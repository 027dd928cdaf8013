//! The list of runs: filter, order, cursor, selection.

pub(super) mod filter;
pub(super) mod keys;
mod state;
pub(super) mod view;

pub(super) use keys::Action;
pub(super) use state::{RunList, Sort};

#[cfg(test)]
mod tests;
