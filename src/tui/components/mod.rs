//! Small parts that the chat's and the panel's screens are built from.

mod input;
mod list;
mod message;
mod overlays;
mod table;
mod window;

pub(crate) use input::{LineInput, editor};
pub(crate) use list::{List, ListKey, PAGE, draw_list, row};
pub(crate) use message::message;
pub(crate) use overlays::Overlays;
pub(crate) use table::Table;
pub(crate) use window::{draw_text, full_window, scrolled, window};
