//! The line in which a filter is typed.

use ratatui::text::{Line, Span};

use super::list::filter;
use super::state::{Focus, Panel};
use crate::tui::components::LineInput;
use crate::tui::theme::Theme;
use artgpt_base::text::printable;

/// A filter while it is typed. It applies at once, and is checked when it is to stay.
#[derive(Debug, Clone)]
pub(crate) struct FilterInput {
    /// Of the list or of the charts.
    focus: Focus,
    input: LineInput,
    /// Why it cannot stay.
    error: Option<String>,
}

impl FilterInput {
    pub(crate) fn line(&self, theme: &Theme) -> Line<'static> {
        let title = match self.focus {
            Focus::List => "filter runs: ",
            Focus::Charts => "filter charts: ",
        };
        let mut line = Line::styled(title, theme.accent);
        line.extend(self.input.spans(theme.accent, theme));
        line.extend(
            self.error
                .iter()
                .map(|error| Span::styled(format!("  {}", printable(error)), theme.error)),
        );
        line
    }
}

impl Panel {
    /// Begins with an empty filter.
    pub(crate) fn begin_filter(&mut self, focus: Focus) {
        self.filtering = Some(FilterInput { focus, input: LineInput::new(""), error: None });
        self.apply_filter();
    }

    /// Types into the filter; `change` tells whether it has changed the text.
    pub(crate) fn type_filter(&mut self, change: impl FnOnce(&mut LineInput) -> bool) {
        let Some(filter) = &mut self.filtering else { return };
        if change(&mut filter.input) {
            filter.error = None;
            self.apply_filter();
        }
    }

    /// Keeps the filter, unless something in it can never match.
    pub(crate) fn accept_filter(&mut self) {
        let Some(typed) = &self.filtering else { return };
        let runs = self.runs.iter().map(|listed| &*listed.run).filter(|run| !run.gone);
        let checked = match typed.focus {
            Focus::List => filter::check(&typed.input.text(), runs),
            Focus::Charts => Ok(()),
        };
        match (checked, &mut self.filtering) {
            (Err(error), Some(typed)) => typed.error = Some(error.to_string()),
            _ => self.filtering = None,
        }
    }

    /// Ends without a filter.
    pub(crate) fn clear_filter(&mut self) {
        self.type_filter(|input| {
            *input = LineInput::new("");
            true
        });
        self.filtering = None;
    }

    fn apply_filter(&mut self) {
        let Some(typed) = &self.filtering else { return };
        let text = typed.input.text();
        match typed.focus {
            Focus::List => self.list.filter = text,
            Focus::Charts => {
                self.charts.filter = text;
                self.refresh_metrics();
            }
        }
    }
}
