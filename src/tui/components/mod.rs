//! Small parts that the chat's and the panel's screens are built from.

mod input;
mod list;
mod window;

pub(crate) use input::{LineInput, editor};
pub(crate) use list::{List, draw_list, row};
pub(crate) use window::{draw_text, room, window};
