//! The page of one run: overview, configuration, log, and everything that it logged.

mod adapters;
mod differences;
mod events;
mod extent;
mod graph;
pub(super) mod keys;
mod load;
mod overview;
mod parallel;
mod samples;
mod state;
pub(super) mod view;

pub(super) use extent::texts;
pub(super) use keys::{Action, open, reload};
#[cfg(test)]
pub(super) use load::LoadedMedia;
pub(super) use load::{MediaContent, MediaRequest, PageData, PageRequest, Room, load};
#[cfg(test)]
pub(super) use state::tabs;
pub(super) use state::{Page, Tab, steps};

#[cfg(test)]
mod tests;
