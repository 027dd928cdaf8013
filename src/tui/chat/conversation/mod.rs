//! The conversation: who said what, the newest at the bottom.

mod keys;
mod lines;
mod view;

pub(super) use keys::{Scroll, clamp, scroll};
pub(super) use view::view;
