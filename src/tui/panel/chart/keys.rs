//! Keys of the charts.

use crossterm::event::KeyEvent;

use super::export::{Export, Format};
use crate::tui::keys::{ChartAction, ChartsAction, ExportAction};
use crate::tui::panel::effects::Effect;
use crate::tui::panel::layout::grid;
use crate::tui::panel::state::{Focus, Panel};
use artgpt_runs::XAxis;

/// What the keys of the charts do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Action {
    /// Fill the screen with the selected chart, or go back.
    ToggleOpen,
    /// Select a chart some rows away.
    Row(isize),
    /// Select a chart some columns away.
    Column(isize),
    /// Select a chart some screens away.
    Screen(isize),
    /// Move the cursor that reads exact values.
    Read(isize),
    /// Move the window by this share of its length.
    Pan(f64),
    /// Make the window this many times as long.
    Zoom(f64),
    /// Show the whole axis.
    All,
    Follow,
    Axis,
    Log,
    Clip,
    /// More (1) or less (-1) smoothing.
    Smooth(isize),
    Unite,
    Filter,
    /// Draw the open chart as a picture or in cells.
    Picture,
    Export(Format),
}

/// Axes in the order in which the key cycles through them.
const AXES: [XAxis; 4] = [XAxis::Step, XAxis::Epoch, XAxis::Relative, XAxis::Wall];

/// Smoothing weights that the keys step through.
const WEIGHTS: &[f64] = &[0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Option<Action> {
    let keymap = &panel.keymap;
    match keymap.action::<ExportAction>(&key) {
        Some(ExportAction::Csv) => return Some(Action::Export(Format::Csv)),
        Some(ExportAction::Svg) => return Some(Action::Export(Format::Svg)),
        Some(ExportAction::Png) => return Some(Action::Export(Format::Png)),
        // The table covers the charts.
        None if panel.table.open => return None,
        None => {}
    }
    if panel.charts.open || panel.focus == Focus::Charts {
        let across = |by| if panel.charts.open { Action::Read(by) } else { Action::Column(by) };
        match keymap.action::<ChartsAction>(&key) {
            Some(ChartsAction::Up) => return Some(Action::Row(-1)),
            Some(ChartsAction::Down) => return Some(Action::Row(1)),
            Some(ChartsAction::Left) => return Some(across(-1)),
            Some(ChartsAction::Right) => return Some(across(1)),
            None => {}
        }
    }
    Some(match keymap.action::<ChartAction>(&key)? {
        ChartAction::Enlarge => Action::ToggleOpen,
        ChartAction::PageUp => Action::Screen(-1),
        ChartAction::PageDown => Action::Screen(1),
        ChartAction::PanLeft => Action::Pan(-0.25),
        ChartAction::PanRight => Action::Pan(0.25),
        ChartAction::ZoomIn => Action::Zoom(0.5),
        ChartAction::ZoomOut => Action::Zoom(2.0),
        ChartAction::WholeAxis => Action::All,
        ChartAction::Follow => Action::Follow,
        ChartAction::Axis => Action::Axis,
        ChartAction::Log => Action::Log,
        ChartAction::Clip => Action::Clip,
        ChartAction::SmoothLess => Action::Smooth(-1),
        ChartAction::SmoothMore => Action::Smooth(1),
        ChartAction::Unite => Action::Unite,
        ChartAction::Filter => Action::Filter,
        ChartAction::Picture => Action::Picture,
    })
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::ToggleOpen => {
            panel.charts.open = !panel.charts.open && !panel.charts.metrics.is_empty();
            panel.charts.reading = None;
        }
        Action::Row(by) => {
            let row = if panel.charts.open { 1 } else { grid(panel).columns as isize };
            choose_chart(panel, by * row);
        }
        Action::Column(by) => choose_chart(panel, by),
        Action::Screen(by) => {
            let screen = if panel.charts.open { 1 } else { grid(panel).charts() as isize };
            choose_chart(panel, by * screen);
        }
        Action::Read(by) => read(panel, by),
        Action::Pan(by) => pan(panel, by),
        Action::Zoom(factor) => zoom(panel, factor),
        Action::All => (panel.charts.window, panel.charts.follow) = (None, false),
        Action::Follow => {
            panel.charts.follow ^= true;
            if panel.charts.follow && panel.charts.window.is_none() {
                zoom(panel, 0.25);
            }
        }
        Action::Axis => next_axis(panel),
        Action::Log => panel.charts.scale.log ^= true,
        Action::Clip => panel.charts.scale.clip ^= true,
        Action::Smooth(by) => {
            let weight = panel.charts.scale.smoothing;
            let at = WEIGHTS.iter().position(|w| *w == weight).unwrap_or(0);
            let next = at.saturating_add_signed(by).min(WEIGHTS.len() - 1);
            panel.charts.scale.smoothing = WEIGHTS[next];
            panel.refresh_smoothed();
        }
        Action::Unite => {
            panel.charts.unite ^= true;
            panel.refresh_metrics();
        }
        Action::Filter => {
            panel.begin_filter(Focus::Charts);
        }
        Action::Picture => panel.pictures ^= true,
        Action::Export(format) => {
            let export = panel.metric().map(|metric| Export::new(panel, metric, format));
            return export.map(|export| Effect::Export(Box::new(export))).into_iter().collect();
        }
    }
    Vec::new()
}

pub(crate) fn choose_chart(panel: &mut Panel, by: isize) {
    let last = panel.charts.metrics.len().saturating_sub(1);
    panel.charts.chosen = panel.charts.chosen.saturating_add_signed(by).min(last);
    panel.saved.chart = None;
}

/// Switches to the next axis on which a chart has points.
fn next_axis(panel: &mut Panel) {
    for _ in 0..AXES.len() {
        let at = AXES.iter().position(|axis| *axis == panel.charts.scale.axis).unwrap_or(0);
        panel.charts.scale.axis = AXES[(at + 1) % AXES.len()];
        if panel.charts.metrics.iter().any(|metric| panel.whole(metric).is_some()) {
            break;
        }
    }
    (panel.charts.window, panel.charts.reading) = (None, None);
}

/// Moves the reading cursor by columns of cells.
fn read(panel: &mut Panel, by: isize) {
    let Some((low, high)) = panel.metric().and_then(|m| panel.seen(m)) else { return };
    let cell = (high - low) / f64::from(panel.screen.width.saturating_sub(12).max(1));
    let at = panel.charts.reading.unwrap_or(if by < 0 { high } else { low });
    panel.charts.reading = Some((at + cell * by as f64).clamp(low, high));
}

/// Makes the window `factor` times as long, around the reading cursor or its middle.
fn zoom(panel: &mut Panel, factor: f64) {
    let Some(metric) = panel.metric() else { return };
    let (Some((low, high)), Some(whole)) = (panel.seen(metric), panel.whole(metric)) else {
        return;
    };
    let middle = match panel.charts.reading {
        _ if panel.charts.follow => high,
        Some(at) if panel.charts.open => at,
        _ => (low + high) / 2.0,
    };
    let length = (high - low) * factor;
    if length >= whole.1 - whole.0 {
        panel.charts.window = None;
    } else if length > 0.0 {
        // A window at an end stays there.
        let share = if high > low { (middle - low) / (high - low) } else { 0.5 };
        let from = (middle - length * share).clamp(whole.0, whole.1 - length);
        panel.charts.window = Some((from, from + length));
    }
}

fn pan(panel: &mut Panel, by: f64) {
    let Some(metric) = panel.metric() else { return };
    let (Some((low, high)), Some(whole)) = (panel.seen(metric), panel.whole(metric)) else {
        return;
    };
    let length = high - low;
    let from = (low + length * by).clamp(whole.0, (whole.1 - length).max(whole.0));
    panel.charts.window = Some((from, from + length));
    panel.charts.follow = false;
}
