//! Draws the gauges below the list.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use crate::tui::panel::state::Panel;
use crate::tui::theme::Theme;
use artgpt_base::text::{fit, printable};
use artgpt_machine::Load;

/// Width of a bar.
const BAR: usize = 6;

/// Height with border.
pub(crate) fn rows(panel: &Panel) -> u16 {
    panel.history.back().map_or(3, |load| 5 + load.gpus.len() as u16)
}

pub(crate) fn draw(panel: &Panel, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let block = Block::bordered().title(" Machine ").border_style(theme.border);
    let lines = panel
        .history
        .back()
        .map_or_else(|| vec![Line::styled("reading …", theme.dim)], |load| lines(load, theme));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn lines(load: &Load, theme: &Theme) -> Vec<Line<'static>> {
    let gb = |bytes: u64| bytes as f64 / 1e9;
    let mut lines = vec![
        line(theme, "CPU", load.cpu.into(), format!("{:.0}% of {}", load.cpu * 100.0, load.cores)),
        line(
            theme,
            "memory",
            load.memory.share(),
            format!("{:.1} of {:.1} GB", gb(load.memory.used), gb(load.memory.total)),
        ),
    ];
    if let Some(disk) = load.disk {
        lines.push(line(theme, "disk", disk.share(), format!("{:.0} GB free", gb(disk.free()))));
    }
    for gpu in &load.gpus {
        let mut told = format!("{:.1}/{:.0} GB", gb(gpu.memory.used), gb(gpu.memory.total));
        told += &gpu.busy.map_or(String::new(), |busy| format!(" {:.0}%", busy * 100.0));
        told += &gpu.celsius.map_or(String::new(), |t| format!(" {t}°C"));
        told += &gpu.watts.map_or(String::new(), |w| format!(" {w:.0} W"));
        told += &format!(" {}", fit(&printable(&gpu.name), 20));
        lines.push(line(theme, &format!("cuda:{}", gpu.index), gpu.memory.share(), told));
    }
    lines
}

fn line(theme: &Theme, name: &str, share: f64, told: String) -> Line<'static> {
    let full = ((share * BAR as f64).round() as usize).min(BAR);
    let style = if share > 0.95 { theme.error } else { theme.success };
    Line::from(vec![
        Span::styled(format!("{name:<7}"), theme.dim),
        Span::styled("█".repeat(full), style),
        Span::styled("░".repeat(BAR - full), theme.dim),
        Span::styled(format!(" {told}"), theme.text),
    ])
}
