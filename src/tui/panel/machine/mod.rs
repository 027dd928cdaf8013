//! The machine window and the gauges: load and processes.

pub(super) mod gauges;
pub(super) mod keys;
mod state;
pub(super) mod view;
mod watch;

pub(super) use gauges::rows as gauge_rows;
pub(super) use keys::{Action, look};
pub(super) use state::MachineWindow;

pub(crate) use watch::{MachineWatch, Sight};

#[cfg(test)]
mod tests;
