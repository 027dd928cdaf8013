//! What every screen needs to draw itself and to understand keys.

use std::sync::Arc;

use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::graphics::{ColourDepth, Protocol};
use super::keys::Keymap;
use super::theme::Theme;

/// Where a terminal does not say how large its cells are.
pub(crate) const DEFAULT_CELL: (u16, u16) = (8, 16);

/// The screen, the terminal behind it, and the user's colours and keys.
#[derive(Clone)]
pub(crate) struct Ui {
    pub(crate) screen: Rect,
    pub(crate) terminal: Terminal,
    pub(crate) theme: Theme,
    pub(crate) keymap: Arc<Keymap>,
    /// For dates and times of day.
    pub(crate) zone: TimeZone,
}

/// What the terminal can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    pub(crate) protocol: Protocol,
    pub(crate) colours: ColourDepth,
    /// A cell's size in pixels; a guess where the terminal did not say.
    pub(crate) cell: (u16, u16),
}
