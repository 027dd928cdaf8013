//! Where things are on the screen.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::app::State;

/// From this width on, the picture stands beside the conversation.
const WIDE: u16 = 100;
/// Below this size there is only a conversation and a line to type in.
const SMALL: (u16, u16) = (40, 14);

/// The screen's parts. Parts that do not fit are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// For the picture alone.
    pub picture: Option<Rect>,
    /// For the label below or beside the picture.
    pub label: Option<Rect>,
    pub conversation: Rect,
    pub composer: Rect,
    pub status: Option<Rect>,
}

/// Lays out `screen`. `composer` is the rows that the question needs.
pub fn layout(screen: Rect, has_picture: bool, composer: u16) -> Areas {
    let small = screen.width < SMALL.0 || screen.height < SMALL.1;
    if small {
        let [conversation, composer] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1.min(screen.height))])
                .areas(screen);
        return Areas { picture: None, label: None, conversation, composer, status: None };
    }
    let composer_height = (composer + 2).min(screen.height / 3).max(3);
    let [main, composer, status] = Layout::vertical([
        Constraint::Min(0),
        Constraint::Length(composer_height),
        Constraint::Length(1),
    ])
    .areas(screen);
    let mut areas = Areas {
        picture: None,
        label: None,
        conversation: inset(main),
        composer,
        status: Some(status),
    };
    if !has_picture {
        return areas;
    }
    if screen.width >= WIDE {
        let [art, talk] =
            Layout::horizontal([Constraint::Percentage(42), Constraint::Min(0)]).areas(main);
        let [picture, label] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(5)]).areas(art);
        areas.picture = Some(inset(picture));
        areas.label = Some(inset(label));
        areas.conversation = inset(talk);
    } else {
        let [art, talk] =
            Layout::vertical([Constraint::Percentage(45), Constraint::Min(0)]).areas(main);
        let [picture, label] =
            Layout::horizontal([Constraint::Percentage(60), Constraint::Min(0)]).areas(art);
        areas.picture = Some(picture);
        areas.label = Some(inset(label));
        areas.conversation = inset(talk);
    }
    areas
}

/// Rows of the question, wrapped to the composer's width.
pub fn composer_rows(state: &State) -> u16 {
    let width = usize::from(state.screen.width.saturating_sub(3)).max(1);
    let rows: usize = state
        .composer
        .lines()
        .iter()
        .map(|l| unicode_width::UnicodeWidthStr::width(l.as_str()) / width + 1)
        .sum();
    u16::try_from(rows).unwrap_or(u16::MAX - 2)
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
                    for part in
                        [a.picture, a.label, Some(a.conversation), Some(a.composer), a.status]
                    {
                        let part = part.unwrap_or_default();
                        let inside = part.is_empty() || screen.union(part) == screen;
                        assert!(inside, "{screen:?} {part:?}");
                    }
                    // The row below the picture keeps viuer from scrolling the screen.
                    assert!(a.picture.is_none_or(|p| p.bottom() < height));
                }
            }
        }
    }
}
