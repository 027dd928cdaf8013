//! Which charts there are, which one is selected, and which part of the axis is visible.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::partners::partners;
use crate::tui::panel::state::Panel;
use artgpt_runs::{Clock, Point, SYSTEM, Series, Smoothed, XAxis};

/// The charts.
pub(crate) struct Charts {
    /// Names of the metrics of all shown runs, one chart each. Derived.
    pub metrics: Vec<String>,
    /// Held-out metrics that are drawn in the chart of their training metric, by the chart's name.
    /// Derived.
    pub partners: HashMap<String, Vec<String>>,
    /// Moving averages by run and metric, with the weight in [`Scale::smoothing`]. Derived.
    pub smoothed: HashMap<(usize, String), Smoothed>,
    /// Position of the selected chart in `metrics`.
    pub chosen: usize,
    /// The selected chart fills the screen.
    pub open: bool,
    /// Only charts whose names contain this.
    pub filter: String,
    pub scale: Scale,
    /// Draw held-out metrics in the charts of their training metrics.
    pub unite: bool,
    /// The visible part of the horizontal axis; `None` is all of it.
    pub window: Option<(f64, f64)>,
    /// The window follows the newest point.
    pub follow: bool,
    /// Where the cursor of the open chart reads exact values.
    pub reading: Option<f64>,
}

/// How curves are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Scale {
    pub axis: XAxis,
    pub log: bool,
    /// Weight of the moving average; 0 draws the raw curve.
    pub smoothing: f64,
    /// Clip the vertical axis to the 5th to 95th percentile.
    pub clip: bool,
}

impl Default for Charts {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            partners: HashMap::new(),
            smoothed: HashMap::new(),
            chosen: 0,
            open: false,
            filter: String::new(),
            scale: Scale::default(),
            unite: true,
            window: None,
            follow: false,
            reading: None,
        }
    }
}

impl Panel {
    /// The name of the selected chart.
    pub(crate) fn metric(&self) -> Option<&str> {
        self.charts.metrics.get(self.charts.chosen).map(String::as_str)
    }

    /// The open chart is a picture.
    pub(crate) fn as_picture(&self) -> bool {
        let reads = self.charts.reading.is_some();
        self.charts.open
            && self.pictures
            && self.cell.is_some()
            && !reads
            && self.overlays.is_empty()
    }

    /// Computes which charts there are, and keeps the selected one.
    pub(crate) fn refresh_metrics(&mut self) {
        let chosen = self.metric().map(String::from);
        let mut names = BTreeSet::new();
        for i in self.drawn() {
            names.extend(self.run(i).curves.iter().map(|(name, _)| name.to_string()));
        }
        let mut names: Vec<String> = names.into_iter().collect();
        let charts = &mut self.charts;
        charts.partners.clear();
        if charts.unite {
            let partners = partners(&names);
            let moved: HashSet<&String> = partners.iter().map(|(held_out, _)| held_out).collect();
            names.retain(|name| !moved.contains(name));
            for (held_out, chart) in partners {
                charts.partners.entry(chart).or_default().push(held_out);
            }
        }
        let wanted = charts.filter.to_lowercase();
        let matches = |name: &String| name.to_lowercase().contains(&wanted);
        let partners = &charts.partners;
        // The chart of a held-out curve matches by that curve's name, too.
        names.retain(|name| {
            wanted.is_empty()
                || matches(name)
                || partners.get(name).is_some_and(|held_out| held_out.iter().any(matches))
        });
        // In alphabetical order already.
        names.sort_by_cached_key(|name| rank(name));
        charts.metrics = names;
        let place = chosen.and_then(|name| charts.metrics.iter().position(|m| *m == name));
        charts.chosen = place.unwrap_or(0);
        if let Some((wanted, open)) = &self.saved.chart
            && let Some(place) = charts.metrics.iter().position(|metric| metric == wanted)
        {
            (charts.chosen, charts.open) = (place, *open);
            self.saved.chart = None;
        }
        charts.open &= !charts.metrics.is_empty();
    }

    /// The metrics that are drawn in a chart.
    pub(crate) fn charted<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = &'a str> {
        let partners = self.charts.partners.get(metric).into_iter().flatten();
        std::iter::once(metric).chain(partners.map(String::as_str))
    }

    /// Brings the moving averages of all drawn curves up to date.
    pub(crate) fn refresh_smoothed(&mut self) {
        let weight = self.charts.scale.smoothing;
        let drawn: Vec<usize> = self.drawn().collect();
        let smoothed = &mut self.charts.smoothed;
        smoothed.retain(|(run, _), s| s.weight() == weight && drawn.contains(run));
        self.refresh_smoothed_of(&drawn);
    }

    /// Brings the moving averages of these runs up to date.
    pub(crate) fn refresh_smoothed_of(&mut self, runs: &[usize]) {
        let weight = self.charts.scale.smoothing;
        if weight == 0.0 {
            return self.charts.smoothed.clear();
        }
        for i in runs {
            let listed = &self.runs[*i];
            if !listed.shown || listed.run.gone {
                continue;
            }
            for (name, series) in listed.run.curves.iter() {
                let key = (*i, name.to_string());
                let smoothed = self.charts.smoothed.entry(key);
                smoothed.or_insert_with(|| Smoothed::new(weight)).follow(series);
            }
        }
    }

    /// From the first to the last point of the drawn runs, on the current axis.
    pub(crate) fn whole(&self, metric: &str) -> Option<(f64, f64)> {
        let mut all: Option<(f64, f64)> = None;
        for i in self.drawn() {
            let run = self.run(i);
            let clock = run.clock(self.charts.scale.axis);
            let Some((series, clock)) = run.curves.get(metric).zip(clock) else { continue };
            let x = |at: usize| series.x(at, clock);
            // The first points may have no time.
            let first = series.within(clock, f64::NEG_INFINITY, f64::INFINITY).start;
            if let (Some(low), Some(high)) = (x(first), x(series.len().saturating_sub(1))) {
                let (a, b) = all.unwrap_or((low, high));
                all = Some((a.min(low), b.max(high)));
            }
        }
        all
    }

    /// The visible part of a chart's horizontal axis.
    pub(crate) fn seen(&self, metric: &str) -> Option<(f64, f64)> {
        let (low, high) = self.whole(metric)?;
        match self.charts.window {
            None => Some((low, high)),
            Some((from, to)) if self.charts.follow => Some((high - (to - from), high)),
            Some(window) => Some(window),
        }
    }
}

/// The last point at or before `x`.
pub(crate) fn value_at(series: &Series, clock: Clock, x: f64) -> Option<Point> {
    // The next larger number, so that a point at `x` counts.
    let upto = series.within(clock, f64::NEG_INFINITY, x.next_up()).end;
    series.get(upto.checked_sub(1)?)
}

/// What people look at first comes first.
fn rank(name: &str) -> u8 {
    let lower = name.to_lowercase();
    match () {
        () if name.starts_with(SYSTEM) => 5,
        () if lower.contains("loss") => 0,
        () if lower.contains("acc") => 1,
        () if lower == "lr" || lower.contains("learning_rate") => 2,
        () if lower.contains("grad") => 3,
        () => 4,
    }
}
