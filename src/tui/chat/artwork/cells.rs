//! The cells that the image covers, and the image at their size.

use std::sync::Arc;

use image::RgbImage;
use ratatui::layout::Rect;

use super::shown;
use crate::tui::chat::layout::areas;
use crate::tui::chat::message::Scaled;
use crate::tui::chat::state::State;
use crate::tui::effect::Effect;
use crate::tui::graphics::{Protocol, fit};

/// The cells of the image, if one is shown.
pub(in crate::tui::chat) fn cells(state: &State) -> Option<Rect> {
    let area = areas(state).image?;
    let (_, shown) = shown(state)?;
    let terminal = state.ui.terminal;
    if terminal.protocol == Protocol::None || area.width < 2 || area.height < 1 {
        return None;
    }
    Some(fit(shown.image.dimensions(), area, terminal.cell))
}

/// The image at its size, named by its key, and its cells; for terminals that show images.
pub(crate) fn picture(state: &State) -> Option<(&str, &Arc<RgbImage>, Rect)> {
    if !state.overlays.is_empty() {
        return None;
    }
    let cells = cells(state)?;
    let scaled = state.artwork.scaled.as_ref()?;
    let (key, _) = shown(state)?;
    let (_, size) = state.artwork.requested.as_ref()?;
    (scaled.sha256 == key && scaled.size == *size).then_some((key, &scaled.image, cells))
}

/// Requests the image at the size of its cells, once for each size.
pub(crate) fn scale_if_needed(state: &mut State) -> Option<Effect> {
    let cells = cells(state)?;
    let (key, shown) = shown(state)?;
    let (cell_w, cell_h) = state.ui.terminal.cell;
    let size = match state.ui.terminal.protocol {
        Protocol::Blocks | Protocol::None => (u32::from(cells.width), 2 * u32::from(cells.height)),
        _ => (
            u32::from(cells.width) * u32::from(cell_w),
            u32::from(cells.height) * u32::from(cell_h),
        ),
    };
    let wanted = (key.to_string(), size);
    if state.artwork.requested.as_ref() == Some(&wanted) {
        return None;
    }
    let image = shown.image.clone();
    state.artwork.requested = Some(wanted.clone());
    Some(Effect::Scale { sha256: wanted.0, image, size })
}

/// The image at some size. While a window is dragged, sizes overtake one another.
pub(in crate::tui::chat) fn scaled(state: &mut State, scaled: Scaled) {
    let requested = state.artwork.requested.as_ref();
    if requested.is_some_and(|(key, size)| *key == scaled.sha256 && *size == scaled.size) {
        state.artwork.scaled = Some(scaled);
    }
}
