//! Draws a sound: its waveform and its level.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::canvas::{Canvas, Line as Stroke};
use ratatui::widgets::{Paragraph, Wrap};

use crate::tui::panel::state::Panel;
use artgpt_runs::media::Sound;

/// Maximum height of the waveform.
const HIGHEST: u16 = 16;

pub(crate) fn draw(panel: &Panel, sound: &Sound, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let [head, wave, rest] =
        Layout::vertical([Constraint::Length(2), Constraint::Max(HIGHEST), Constraint::Length(2)])
            .areas(area);
    let channels = match sound.channels {
        1 => "mono".to_string(),
        2 => "stereo".to_string(),
        more => format!("{more} channels"),
    };
    let told = format!(
        "{:.2} s  {} Hz  {channels}  {} bits   peak {}  RMS {}",
        sound.seconds,
        sound.rate,
        sound.bits,
        decibels(sound.peak),
        decibels(sound.rms)
    );
    let told = Paragraph::new(told).wrap(Wrap { trim: true });
    frame.render_widget(told.style(theme.text), head);
    let colour = theme.accent.fg.unwrap_or_default();
    let slices = sound.wave.len().max(1) as f64;
    // Scaled to the peak, so that quiet sounds are visible.
    let scale = f64::from(sound.peak).max(1e-6);
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, slices])
        .y_bounds([-scale, scale])
        .paint(|context| {
            for (at, (low, high)) in sound.wave.iter().enumerate() {
                let x = at as f64 + 0.5;
                let (y1, y2) = (f64::from(*low), f64::from(*high));
                context.draw(&Stroke { x1: x, y1, x2: x, y2, color: colour });
            }
        });
    frame.render_widget(canvas, wave);
    let end = format!("{:.2} s", sound.seconds);
    let room = usize::from(rest.width).saturating_sub(end.len() + 1);
    let lines = vec![
        Line::styled(format!("{:room$} {end}", "0"), theme.dim),
        Line::styled("e: write it to a file that a player can open", theme.dim),
    ];
    frame.render_widget(Paragraph::new(lines), rest);
}

/// Relative to full scale.
fn decibels(amplitude: f32) -> String {
    match amplitude > 0.0 {
        true => format!("{:.1} dB", 20.0 * amplitude.log10()),
        false => "silent".into(),
    }
}
