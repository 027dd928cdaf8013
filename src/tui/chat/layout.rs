//! Where the parts of the chat are on the screen.

use ratatui::layout::{Constraint, Layout, Rect};

use super::state::State;

/// From this width on, the image stands beside the conversation.
const WIDE: u16 = 100;
/// Below this size there is only a conversation and a line to type in.
const SMALL: (u16, u16) = (40, 14);

/// The screen's parts. Parts that do not fit are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    /// For the image alone.
    pub(super) image: Option<Rect>,
    /// For the label below or beside the image.
    pub(super) label: Option<Rect>,
    pub(super) conversation: Rect,
    pub(super) composer: Rect,
    pub(super) status: Option<Rect>,
}

/// The parts of the screen as it is now.
pub(super) fn areas(state: &State) -> Areas {
    let rows = state.composer.rows(state.ui.screen.width);
    layout(state.ui.screen, state.artwork.shown.is_some(), rows)
}

/// Lays out `screen`. `composer` is the number of rows that the question needs.
fn layout(screen: Rect, has_image: bool, composer: u16) -> Areas {
    let small = screen.width < SMALL.0 || screen.height < SMALL.1;
    if small {
        let [conversation, composer] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1.min(screen.height))])
                .areas(screen);
        return Areas { image: None, label: None, conversation, composer, status: None };
    }
    let composer_height = (composer + 2).min(screen.height / 3).max(3);
    let [main, composer, status] = Layout::vertical([
        Constraint::Min(0),
        Constraint::Length(composer_height),
        Constraint::Length(1),
    ])
    .areas(screen);
    let mut areas = Areas {
        image: None,
        label: None,
        conversation: inset(main),
        composer,
        status: Some(status),
    };
    if !has_image {
        return areas;
    }
    if screen.width >= WIDE {
        let [art, talk] =
            Layout::horizontal([Constraint::Percentage(42), Constraint::Min(0)]).areas(main);
        let [image, label] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(5)]).areas(art);
        areas.image = Some(inset(image));
        areas.label = Some(inset(label));
        areas.conversation = inset(talk);
    } else {
        let [art, talk] =
            Layout::vertical([Constraint::Percentage(45), Constraint::Min(0)]).areas(main);
        let [image, label] =
            Layout::horizontal([Constraint::Percentage(60), Constraint::Min(0)]).areas(art);
        areas.image = Some(image);
        areas.label = Some(inset(label));
        areas.conversation = inset(talk);
    }
    areas
}

/// One free column on each side.
fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_leaves_the_screen_at_any_size() {
        for width in (1..220).step_by(3) {
            for height in 1..70 {
                let screen = Rect::new(0, 0, width, height);
                for rows in [1, 9, 400] {
                    let a = layout(screen, true, rows);
                    for part in [a.image, a.label, Some(a.conversation), Some(a.composer), a.status]
                    {
                        let part = part.unwrap_or_default();
                        let inside = part.is_empty() || screen.union(part) == screen;
                        assert!(inside, "{screen:?} {part:?}");
                    }
                    // The row below the image keeps viuer from scrolling the screen.
                    assert!(a.image.is_none_or(|p| p.bottom() < height));
                }
            }
        }
    }
}
