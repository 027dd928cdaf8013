//! Draws the machine window.

use std::collections::HashMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline, SparklineBar};

use super::MachineWindow;
use crate::tui::components::full_window;
use crate::tui::keys::{Hints, MachineAction};
use crate::tui::panel::state::Panel;
use crate::tui::theme::Theme;
use artgpt_base::text::{duration, fit, printable};
use artgpt_machine::{Gpu, Load, Process};

/// Height of a chart with its title.
const CHART: u16 = 4;

/// A chart of shares from 0 to 1, newest last.
struct History {
    title: String,
    shares: Vec<Option<f64>>,
}

pub(crate) fn draw(panel: &Panel, window: &MachineWindow, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let inner = full_window("Machine", hints(panel), theme, area, frame);
    let Some(now) = panel.history.back() else {
        return frame.render_widget(Paragraph::new("reading …").style(theme.dim), inner);
    };
    let charts = histories(panel, now);
    let columns = if inner.width >= 100 { 2 } else { 1 };
    // The table gets at least a third of the room.
    let rows = (charts.len().div_ceil(columns) as u16).min(inner.height * 2 / 3 / CHART).max(1);
    let [head, above, table] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows * CHART),
        Constraint::Min(0),
    ])
    .areas(inner);
    frame.render_widget(Paragraph::new(summary(now)).style(theme.text), head);
    let shown = charts.iter().take(usize::from(rows) * columns);
    for (i, chart) in shown.enumerate() {
        let (row, column) = ((i / columns) as u16, (i % columns) as u16);
        let width = above.width / columns as u16;
        let cell = Rect {
            x: above.x + column * width,
            y: above.y + row * CHART,
            width: width.saturating_sub(1),
            height: CHART,
        };
        let cell = cell.intersection(above);
        draw_chart(chart, theme, cell, frame);
    }
    frame.render_widget(Paragraph::new(processes(panel, window, table)), table);
}

fn hints(panel: &Panel) -> String {
    use MachineAction::{Close, Down, SortCpu, SortGpu, SortMemory, SortPid, SortTime, Up};
    let hints = Hints::new(&panel.keymap);
    let sorts = [SortGpu, SortCpu, SortMemory, SortTime, SortPid];
    let hints = hints.add(&sorts, "by GPU, CPU, memory, time, PID");
    hints.add(&[Up, Down], "scroll").add(&[Close], "back").border()
}

fn summary(now: &Load) -> String {
    let gb = |bytes: u64| bytes as f64 / 1e9;
    let [one, five, fifteen] = now.waiting;
    let mut words = vec![format!("load {one:.2} {five:.2} {fifteen:.2}")];
    if now.swap.total > 0 {
        words.push(format!("swap {:.1} of {:.1} GB", gb(now.swap.used), gb(now.swap.total)));
    }
    words.extend(
        now.disk
            .map(|disk| format!("disk {:.0} GB free of {:.0}", gb(disk.free()), gb(disk.total))),
    );
    words.join("   ")
}

fn histories(panel: &Panel, now: &Load) -> Vec<History> {
    let gb = |bytes: u64| bytes as f64 / 1e9;
    let all = |share: &dyn Fn(&Load) -> Option<f64>| panel.history.iter().map(share).collect();
    let mut charts = vec![
        History {
            title: format!("CPU {:.0}% of {} cores", now.cpu * 100.0, now.cores),
            shares: all(&|load| Some(load.cpu.into())),
        },
        History {
            title: format!("memory {:.1} of {:.1} GB", gb(now.memory.used), gb(now.memory.total)),
            shares: all(&|load| Some(load.memory.share())),
        },
    ];
    for gpu in &now.gpus {
        let there = |load: &Load| load.gpus.iter().find(|other| other.index == gpu.index).cloned();
        charts.push(History {
            title: format!("cuda:{} {}", gpu.index, busy(gpu)),
            shares: all(&|load| there(load)?.busy.map(f64::from)),
        });
        let memory = (gb(gpu.memory.used), gb(gpu.memory.total));
        charts.push(History {
            title: format!("{:.1} of {:.1} GB  {}", memory.0, memory.1, printable(&gpu.name)),
            shares: all(&|load| Some(there(load)?.memory.share())),
        });
    }
    charts
}

/// The load of a GPU, apart from its memory.
fn busy(gpu: &Gpu) -> String {
    let mut words = Vec::new();
    words.extend(gpu.busy.map(|busy| format!("{:.0}%", busy * 100.0)));
    words.extend(gpu.celsius.map(|degrees| format!("{degrees}°C")));
    words.extend(gpu.watts.map(|watts| match gpu.most_watts {
        Some(most) => format!("{watts:.0} of {most:.0} W"),
        None => format!("{watts:.0} W"),
    }));
    words.extend(gpu.megahertz.map(|mhz| format!("{mhz} MHz")));
    words.extend(gpu.fan.map(|fan| format!("fan {:.0}%", fan * 100.0)));
    words.join(" ")
}

fn draw_chart(chart: &History, theme: &Theme, area: Rect, frame: &mut Frame) {
    // `Sparkline` does not clip itself.
    if area.height < 2 || area.width == 0 {
        return;
    }
    let title = Rect { height: area.height.min(1), ..area };
    let text = fit(&chart.title, usize::from(area.width));
    frame.render_widget(Paragraph::new(text).style(theme.accent), title);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    // The newest sample is at the right.
    let room = usize::from(body.width);
    let from = chart.shares.len().saturating_sub(room);
    let shown = &chart.shares[from..];
    let empty = std::iter::repeat_n(SparklineBar::from(None), room - shown.len());
    let bars = shown
        .iter()
        .map(|share| SparklineBar::from(share.map(|share| (share.clamp(0.0, 1.0) * 100.0) as u64)));
    let bars: Vec<SparklineBar> = empty.chain(bars).collect();
    let line = Sparkline::default().data(bars).max(100).style(theme.success);
    frame.render_widget(line.absent_value_symbol(" "), body);
}

fn processes(panel: &Panel, window: &MachineWindow, area: Rect) -> Vec<Line<'static>> {
    let theme = &panel.theme;
    let Some(all) = &window.processes else {
        return vec![Line::styled("reading processes …", theme.dim)];
    };
    let runs: HashMap<u32, String> = (0..panel.runs.len())
        .filter_map(|i| {
            let run = panel.run(i);
            let running = run.standing(panel.now).runs();
            let pid = run.status.as_ref().filter(|_| running)?.pid;
            Some((pid, run.title().unwrap_or(&run.name).to_string()))
        })
        .collect();
    let on_gpus = all.iter().any(|process| process.gpu.is_some());
    let gpu = if on_gpus {
        format!("{:>6} {:>9} {:>5} ", "GPU", "GPU mem", "GPU%")
    } else {
        String::new()
    };
    let head = format!(
        "{:>8} {:<10} {gpu}{:>6} {:>9} {:>12}  command (by {})",
        "pid",
        "user",
        "CPU%",
        "memory",
        "time",
        window.order.word()
    );
    let mut lines = vec![Line::styled(head, theme.dim)];
    let room = usize::from(area.height.saturating_sub(1));
    for process in all.iter().skip(window.scroll).take(room) {
        lines.push(row(process, runs.get(&process.pid), on_gpus, theme));
    }
    lines
}

fn row(process: &Process, run: Option<&String>, on_gpus: bool, theme: &Theme) -> Line<'static> {
    let gb = |bytes: u64| format!("{:.2} GB", bytes as f64 / 1e9);
    let gpu = process.gpu;
    let on_gpu = format!(
        "{:>6} {:>9} {:>5} ",
        gpu.map_or(String::new(), |gpu| format!("cuda:{}", gpu.index)),
        gpu.filter(|gpu| gpu.memory > 0).map_or(String::new(), |gpu| gb(gpu.memory)),
        gpu.and_then(|gpu| gpu.busy).map_or(String::new(), |busy| format!("{:.0}", busy * 100.0)),
    );
    let told = format!(
        "{:>8} {:<10} {}{:>6.0} {:>9} {:>12}  ",
        process.pid,
        fit(&printable(&process.user), 10),
        if on_gpus { &on_gpu } else { "" },
        process.cpu * 100.0,
        gb(process.memory),
        duration(process.seconds as f64),
    );
    let mut spans = vec![Span::styled(told, theme.text)];
    spans.extend(run.map(|run| Span::styled(format!("{}  ", printable(run)), theme.accent)));
    spans.push(Span::styled(printable(&process.command), theme.dim));
    Line::from(spans)
}
