//! The chat: a conversation about artworks.
//!
//! `state.rs` holds what it shows, `update.rs` applies messages, `view.rs` draws; each feature has
//! a folder with its own state, keys and view.

mod answer;
mod artwork;
mod composer;
mod conversation;
mod layout;
mod message;
mod model;
mod session;
mod state;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod update;
mod view;
mod windows;

pub(crate) use artwork::{picture, scale_if_needed};
pub(crate) use message::{Message, Opened, Reloaded, Scaled};
pub(crate) use state::State;
pub(crate) use update::{on_key, paste, quit, resize, tick, ticks, update};
pub(crate) use view::view;
