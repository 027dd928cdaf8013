//! What a list shows of a run, without its curves.

use std::path::PathBuf;
use std::time::SystemTime;

use artgpt_runs::catalogue::Unread;
use artgpt_runs::{Run, Skipped, Standing};

/// One metric of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSummary {
    /// The name.
    pub name: String,
    /// Number of points.
    pub points: usize,
    /// Of the last point.
    pub step: Option<f64>,
    /// The last value.
    pub last: Option<f64>,
    /// The smallest finite value.
    pub min: Option<f64>,
    /// The largest finite value.
    pub max: Option<f64>,
    /// How many values are NaN or infinite.
    pub not_finite: usize,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The name.
    pub name: String,
    /// The file or directory of the run.
    pub path: PathBuf,
    /// The name it was submitted under.
    pub title: Option<String>,
    /// The state, as it is now.
    pub standing: Standing,
    /// The last step.
    pub step: f64,
    /// The total number of steps, where it is known.
    pub total_steps: Option<u64>,
    /// The steps as people read them.
    pub steps: String,
    /// Why it ended.
    pub exit_reason: Option<String>,
    /// What was left out, by reason.
    pub skipped: Skipped,
    /// Why it could not be read to its end.
    pub trouble: Option<String>,
    /// Why it shows nothing or too little; includes the trouble.
    pub problem: Option<String>,
    /// Its files of other formats, which are not read.
    pub unread: Vec<Unread>,
    /// All metrics.
    pub metrics: Vec<MetricSummary>,
}

impl Summary {
    /// Summarises a run.
    pub fn of(run: &Run) -> Self {
        let metrics = run.curves.iter().map(|(name, series)| {
            let (last, extremes) = (series.last(), series.extremes(0..series.len()));
            MetricSummary {
                name: name.to_string(),
                points: series.len(),
                step: last.map(|p| p.step),
                last: last.map(|p| p.value),
                min: extremes.map(|e| e.min),
                max: extremes.map(|e| e.max),
                not_finite: series.not_finite(),
            }
        });
        let (step, total_steps) = run.progress();
        Self {
            name: run.name.clone(),
            path: run.path.clone(),
            title: run.title().map(String::from),
            standing: run.standing(SystemTime::now()),
            step,
            total_steps,
            steps: run.steps(),
            exit_reason: run.status.as_ref().and_then(|s| s.exit_reason.clone()),
            skipped: run.skipped.clone(),
            trouble: run.trouble.clone(),
            problem: run.problem(),
            unread: run.unread.clone(),
            metrics: metrics.collect(),
        }
    }

    /// The metric that a line has room for: a training loss if there is one, then any loss.
    pub fn main_metric(&self) -> Option<(&str, f64)> {
        let rank = |metric: &&MetricSummary| {
            let name = metric.name.to_lowercase();
            match name.contains("loss") {
                true if name.contains("val") || name.contains("eval") || name.contains("held") => 1,
                true => 0,
                false => 2,
            }
        };
        let metric = self.metrics.iter().min_by_key(rank)?;
        Some((&metric.name, metric.last?))
    }
}
