//! Draws histograms by step, as shades.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::tui::panel::state::Panel;
use artgpt_base::text::number;
use artgpt_runs::{At, Bin};

/// From an empty bin to the fullest one.
const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];
/// Maximum width of one step.
const BROADEST: usize = 6;
/// Width of the value labels.
const VALUES: u16 = 12;

/// Steps from left to right, values from bottom to top; darker means more.
pub(crate) fn draw(panel: &Panel, all: &[At<Vec<Bin>>], step: u64, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let (low, high) = ends(all.iter().flat_map(|at| &at.what));
    if low > high || area.height < 3 || area.width <= VALUES {
        return frame.render_widget(Paragraph::new("no values").style(theme.dim), area);
    }
    let high = if high > low { high } else { low + 1.0 };
    let rows = usize::from(area.height - 1);
    let room = usize::from(area.width - VALUES);
    let columns = room.min(all.len());
    // A few steps share the width.
    let broad = (room / columns.max(1)).clamp(1, BROADEST);
    let shown: Vec<&At<Vec<Bin>>> =
        (0..columns).map(|c| &all[(c + 1) * all.len() / columns - 1]).collect();
    let grid: Vec<Vec<f64>> = shown.iter().map(|at| spread(&at.what, (low, high), rows)).collect();
    let mut lines = Vec::new();
    for row in (0..rows).rev() {
        let value = low + (high - low) * (row as f64 + 0.5) / rows as f64;
        let name = if row % 3 == 0 { number(value) } else { String::new() };
        let mut spans = vec![Span::styled(format!("{name:>10}  "), theme.dim)];
        for (at, column) in shown.iter().zip(&grid) {
            let most = column.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let share = column[row] / most;
            let shade = (share * (SHADES.len() - 1) as f64).ceil() as usize;
            let style: Style = if at.step == step { theme.accent } else { theme.text };
            let shade = SHADES[shade.min(SHADES.len() - 1)];
            spans.push(Span::styled(shade.repeat(broad), style));
        }
        lines.push(Line::from(spans));
    }
    let steps = shown.first().zip(shown.last());
    let steps = steps.map_or(String::new(), |(a, b)| format!("steps {} to {}", a.step, b.step));
    let others = all.iter().flat_map(|at| &at.what).filter(|bin| !is_finite(bin)).count();
    let others = match others {
        0 => String::new(),
        count => format!(", without {count} bins whose ends or counts are not finite"),
    };
    let steps = steps + &others;
    lines.push(Line::styled(format!("{:12}{steps}", ""), theme.dim));
    frame.render_widget(Paragraph::new(lines), area);
}

fn is_finite(bin: &Bin) -> bool {
    bin.low.is_finite() && bin.high.is_finite() && bin.count.is_finite()
}

/// The lowest and the highest end of the finite bins; the first is larger where there is none.
fn ends<'a>(bins: impl Iterator<Item = &'a Bin>) -> (f64, f64) {
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let finite = bins.filter(|bin| is_finite(bin));
    finite.fold(none, |(low, high), bin| (low.min(bin.low), high.max(bin.high)))
}

/// Distributes bins over equal parts of the range, by overlap.
fn spread(bins: &[Bin], (low, high): (f64, f64), parts: usize) -> Vec<f64> {
    let mut out = vec![0.0; parts];
    let scale = parts as f64 / (high - low);
    for bin in bins {
        let (from, to) = ((bin.low - low) * scale, (bin.high - low) * scale);
        // A damaged bin may have no finite bounds.
        if !(from.is_finite() && to.is_finite() && bin.count.is_finite()) {
            continue;
        }
        let from = from.clamp(0.0, parts as f64);
        let to = to.clamp(from, parts as f64);
        let first = (from as usize).min(parts - 1);
        let last = (to.ceil() as usize).clamp(first + 1, parts);
        for (part, sum) in out.iter_mut().enumerate().take(last).skip(first) {
            let inside = (to.min(part as f64 + 1.0) - from.max(part as f64)).max(0.0);
            let share = if to > from { inside / (to - from) } else { 1.0 };
            *sum += bin.count * share;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_distributed_over_the_rows_that_they_overlap() {
        let bin = |low, high, count| Bin { low, high, count };
        let bins = [bin(0.0, 2.0, 4.0), bin(2.0, 4.0, 1.0), bin(3.5, 3.5, 2.0)];
        assert_eq!(spread(&bins, (0.0, 4.0), 4), [2.0, 2.0, 0.5, 2.5]);
        assert_eq!(spread(&bins[..1], (0.0, 8.0), 2), [4.0, 0.0]);
        // A bin without an end does not hide the others.
        let open = [bin(f64::NEG_INFINITY, 0.0, 1.0), bin(0.0, 2.0, 3.0), bin(2.0, f64::NAN, 1.0)];
        assert_eq!(ends(open.iter()), (0.0, 2.0));
        assert_eq!(spread(&open, (0.0, 2.0), 2), [1.5, 1.5]);
        let odd = [bin(f64::NAN, 1.0, 1.0), bin(-1e308, 1e308, 1.0), bin(3.0, 1.0, 1.0)];
        assert_eq!(spread(&odd, (-1e308, 1e308), 2).len(), 2);
    }
}
