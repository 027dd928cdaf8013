//! The machine window and the gauges: load and processes.

pub(super) mod gauges;
pub(super) mod keys;
mod state;
pub(super) mod view;

pub(super) use gauges::rows as gauge_rows;
pub(super) use keys::{Action, look};
pub(super) use state::MachineWindow;

#[cfg(test)]
mod tests;
