//! The events tab: checkpoints, warnings, rollbacks and alerts.

use jiff::tz::TimeZone;
use ratatui::text::{Line, Span};

use crate::tui::theme::Theme;
use artgpt_base::text::printable;
use artgpt_rundir::MarkKind;
use artgpt_runs::Run;

/// How many lines there are.
pub(crate) fn count(run: &Run) -> usize {
    run.marks.len() + run.curves.about.alerts.len()
}

pub(crate) fn lines(run: &Run, zone: &TimeZone, theme: &Theme) -> Vec<Line<'static>> {
    let lines = run.marks.iter().map(|mark| {
        let style = match mark.kind {
            kind if kind.is_trouble() => theme.error,
            MarkKind::Turn => theme.accent,
            _ => theme.text,
        };
        let time = mark.at.to_zoned_datetime(zone.clone()).strftime("%m-%d %H:%M:%S");
        Line::from(vec![
            Span::styled(format!("{time}  step {:>7}  ", mark.step), theme.dim),
            Span::styled(printable(&mark.text), style),
        ])
    });
    let alerts = run.curves.about.alerts.iter().map(|alert| {
        Line::from(vec![
            Span::styled(format!("{:15} step {:>7}  ", "", alert.step), theme.dim),
            Span::styled(printable(&alert.what), theme.error),
        ])
    });
    lines.chain(alerts).collect()
}
