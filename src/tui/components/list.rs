//! A list with a selected row.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{List as Widget, ListItem, ListState, Paragraph};

use crate::tui::keys::{Action, Keymap, ListAction};
use crate::tui::theme::Theme;

/// Rows that one press of PageUp or PageDown passes.
pub(crate) const PAGE: usize = 10;

/// Items to choose from. They may still be on their way.
#[derive(Debug, Clone)]
pub(crate) struct List<T> {
    items: Option<Vec<T>>,
    selected: usize,
}

/// What a key was in a window with a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ListKey<A> {
    /// An action of this window.
    Own(A),
    Close,
    /// It has moved the selection, or means nothing.
    Done,
}

impl<T> List<T> {
    /// The items are still being read.
    pub(crate) fn loading() -> Self {
        Self { items: None, selected: 0 }
    }

    pub(crate) fn new(items: Vec<T>) -> Self {
        Self { items: Some(items), selected: 0 }
    }

    /// Shows these items. The selection stays where it is as far as possible.
    pub(crate) fn set(&mut self, items: Vec<T>) {
        self.selected = self.selected.min(items.len().saturating_sub(1));
        self.items = Some(items);
    }

    pub(crate) fn select(&mut self, at: usize) {
        self.selected = at.min(self.len().saturating_sub(1));
    }

    pub(crate) fn selected(&self) -> Option<&T> {
        self.items.as_ref()?.get(self.selected)
    }

    fn len(&self) -> usize {
        self.items.as_ref().map_or(0, Vec::len)
    }

    /// Takes a key of a window whose own actions are `A`.
    pub(crate) fn key<A: Action>(&mut self, keymap: &Keymap, key: &KeyEvent) -> ListKey<A> {
        match (keymap.action::<A>(key), keymap.action::<ListAction>(key)) {
            (Some(own), _) => ListKey::Own(own),
            (None, Some(ListAction::Close)) => ListKey::Close,
            (None, action) => {
                action.into_iter().for_each(|action| self.apply(action));
                ListKey::Done
            }
        }
    }

    fn apply(&mut self, action: ListAction) {
        let last = self.len().saturating_sub(1);
        self.selected = match action {
            ListAction::Up => self.selected.saturating_sub(1),
            ListAction::Down => (self.selected + 1).min(last),
            ListAction::PageUp => self.selected.saturating_sub(PAGE),
            ListAction::PageDown => (self.selected + PAGE).min(last),
            ListAction::First => 0,
            ListAction::Last => last,
            ListAction::Close => self.selected,
        };
    }

    /// One line an item, or `empty` where there are none.
    pub(crate) fn draw(
        &self,
        line: impl Fn(&T) -> Line<'static>,
        empty: &'static str,
        theme: &Theme,
        area: Rect,
        frame: &mut Frame,
    ) {
        let message = match self.items.as_deref() {
            None => "reading …",
            Some([]) => empty,
            Some(items) => {
                let lines = items.iter().map(line).collect();
                return draw_list(lines, Some(self.selected), theme.selected, area, frame);
            }
        };
        frame.render_widget(Paragraph::new(message).style(theme.dim), area);
    }
}

/// Draws lines, scrolled so that the selected one is seen, which is highlighted.
pub(crate) fn draw_list(
    lines: Vec<Line<'static>>,
    selected: Option<usize>,
    highlight: Style,
    area: Rect,
    frame: &mut Frame,
) {
    let widget = Widget::new(lines.into_iter().map(ListItem::new)).highlight_style(highlight);
    let mut position = ListState::default().with_selected(selected);
    frame.render_stateful_widget(widget, area, &mut position);
}

/// A row of two columns, the first one at least `width` cells wide.
pub(crate) fn row(first: (&str, Style), width: usize, second: (&str, Style)) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{:<width$}", first.0), first.1),
        Span::styled(second.0.to_string(), second.1),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_stays_inside() {
        let mut list = List::loading();
        list.apply(ListAction::Down);
        assert_eq!(list.selected(), None);
        list.set((0..25).collect());
        for (action, at) in [
            (ListAction::Down, 1),
            (ListAction::PageDown, 11),
            (ListAction::Last, 24),
            (ListAction::PageDown, 24),
            (ListAction::PageUp, 14),
            (ListAction::Up, 13),
            (ListAction::First, 0),
            (ListAction::Up, 0),
        ] {
            list.apply(action);
            assert_eq!(list.selected(), Some(&at));
        }
        list.select(99);
        list.set(vec![7]);
        assert_eq!(list.selected(), Some(&7));
    }
}
