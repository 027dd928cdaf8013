//! The training panel: all runs below some folders, and their curves while they grow.
//!
//! One folder a feature, each with its state, its keys (an `Action` with `action` and `apply`) and its
//! view. [`update`] is pure: time and everything read from disk come in a [`Message`], and what has to
//! happen outside goes out as an [`Effect`], which [`effects::perform`] carries out. Runs are immutable
//! snapshots, so that neither `update` nor `view` takes a lock.

mod chart;
pub(crate) mod effects;
mod filter_input;
mod find_runs;
mod jobs;
mod keys;
mod layout;
mod list;
mod machine;
mod media;
mod message;
mod notes;
mod overlay;
mod page;
mod saved_state;
mod state;
mod table;
mod update;
mod view;

pub(crate) use chart::ChartPicture;
pub(crate) use effects::Effect;
pub(crate) use find_runs::{FindRuns, PanelPaths};
pub(crate) use jobs::{Form, Steer};
pub(crate) use machine::{MachineWatch, Sight};
pub(crate) use message::Message;
pub(crate) use saved_state::Change;
pub(crate) use state::Panel;
pub(crate) use update::{save_state, update};
pub(crate) use view::view;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
