//! The training panel: all runs below some folders, and their curves while they grow.
//!
//! One folder a feature, each with its state, its keys (an `Action` with `action` and `apply`) and its
//! view. [`update`] is pure: time and everything read from disk come in a [`Message`], and what has to
//! happen outside goes out as an [`Effect`], which [`effects::perform`] carries out. Runs are immutable
//! snapshots, so that neither `update` nor `view` takes a lock.

mod chart;
pub mod effects;
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
mod popup;
mod saved_state;
mod state;
mod table;
mod text_input;
mod update;
mod view;

pub use chart::ChartPicture;
pub use effects::Effect;
pub use find_runs::{FindRuns, MachineWatch, PanelPaths, Sight};
pub use jobs::{Form, Steer};
pub use message::Message;
pub use saved_state::Change;
pub use state::Panel;
pub use update::{save_state, update};
pub use view::view;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
