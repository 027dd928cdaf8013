//! A table with a selected row, shown a page of rows at a time.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Cell, Row, Table as Widget};

use crate::tui::theme::Theme;

/// The columns of a table, and where its cursor is.
pub(crate) struct Table<'a> {
    /// Headings with the widths of their columns.
    pub(crate) columns: Vec<(String, u16)>,
    /// The selected row.
    pub(crate) selected: usize,
    pub(crate) theme: &'a Theme,
}

impl Table<'_> {
    /// Draws the page that contains the selected row; `row` gives the cells of a row, of which there
    /// are `count`.
    pub(crate) fn draw(
        self,
        count: usize,
        row: impl Fn(usize) -> Vec<Cell<'static>>,
        area: Rect,
        frame: &mut Frame,
    ) {
        let Self { columns, selected, theme } = self;
        // The headings take a line.
        let room = usize::from(area.height.saturating_sub(1)).max(1);
        let first = selected / room * room;
        let (heads, widths): (Vec<String>, Vec<u16>) = columns.into_iter().unzip();
        let rows = (first..count.min(first + room)).map(|at| {
            let row = Row::new(row(at)).style(theme.text);
            if at == selected { row.style(theme.selected) } else { row }
        });
        let widths = widths.into_iter().map(Constraint::Length);
        let widget = Widget::new(rows, widths).header(Row::new(heads).style(theme.dim));
        frame.render_widget(widget, area);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn the_page_with_the_selected_row_is_shown() {
        let shown = |selected, height| {
            let mut terminal = Terminal::new(TestBackend::new(6, height)).expect("draws");
            let theme = Theme::plain();
            let table =
                Table { columns: vec![("n".into(), 3), ("m".into(), 2)], selected, theme: &theme };
            let cells = |at: usize| vec![Cell::from(at.to_string()), Cell::from("x")];
            terminal.draw(|frame| table.draw(5, cells, frame.area(), frame)).expect("draws");
            let cells = terminal.backend().buffer().content().chunks(6);
            let lines = cells.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
            lines.map(|line| line.trim_end().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(shown(0, 3), ["n   m", "0   x", "1   x"]);
        assert_eq!(shown(3, 3), ["n   m", "2   x", "3   x"]);
        assert_eq!(shown(4, 3), ["n   m", "4   x", ""]);
        assert_eq!(shown(4, 1), ["n   m"]);
    }
}
