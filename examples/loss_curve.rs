//! Draws the loss curve of a training run in the terminal, once.
//!
//!     cargo run --release --example loss_curve -- RUN_DIR

#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use anyhow::Context;
use artgpt_rundir::Metrics;
use ratatui::prelude::*;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Widget};

fn main() -> anyhow::Result<()> {
    let run: PathBuf = std::env::args().nth(1).context("name a run's folder")?.into();
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    // The last line of a live run may be half written.
    let metrics: Vec<Metrics> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let points = |split: &str| -> Vec<(f64, f64)> {
        metrics.iter().filter(|m| m.split == split).map(|m| (m.step as f64, m.loss)).collect()
    };
    let (train, held_out) = (points("train"), points("held_out"));
    let last = train.last().context("the run has no steps yet")?.0;
    let highest = train.iter().chain(&held_out).map(|p| p.1).fold(0.0, f64::max);
    let line = |name, points, colour| {
        Dataset::default()
            .name(name)
            .marker(symbols::Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(colour))
            .data(points)
    };
    let chart = Chart::new(vec![
        line("train", &train, Color::Cyan),
        line("held out", &held_out, Color::Yellow),
    ])
    .block(Block::bordered().title(run.display().to_string()))
    .x_axis(Axis::default().bounds([0.0, last]).labels(["0".into(), format!("step {last}")]))
    .y_axis(Axis::default().bounds([0.0, highest]).labels(["0".into(), format!("{highest:.2}")]));
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let area = Rect::new(0, 0, size.0, size.1.saturating_sub(2).max(8));
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    for y in 0..area.height {
        let row: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        println!("{}", row.trim_end());
    }
    Ok(())
}
