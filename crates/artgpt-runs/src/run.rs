//! One run: its curves, its configuration, and whether it is running.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::catalogue::Unread;
use super::curves::Curves;
use super::series::{Clock, XAxis};
use super::settings::Settings;
use super::skipped::Skipped;
use super::standing::{LIVELY, Standing, standing_with};
use artgpt_rundir::job::Wanted;
use artgpt_rundir::{Mark, RunState, Status};

/// The last points from which the pace of a run is estimated.
const PACE_OVER: usize = 50;

/// Metric names under which programs log the epoch.
const EPOCHS: &[&str] =
    &["epoch", "train/epoch", "trainer/epoch", "Epoch", "epochs", "current_epoch", "_epoch"];

/// Everything known about one run. Only its reader changes it; everyone else shares a
/// [`RunSnapshot`].
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Its folder, or its file.
    pub path: PathBuf,
    /// See [`Found::name`](super::catalogue::Found::name).
    pub name: String,
    /// Metrics, and what the same files tell besides.
    pub curves: Curves,
    /// `status.json`, if the run has one.
    pub status: Option<Status>,
    /// Whether the process that `status` names existed at the last read.
    pub has_process: bool,
    /// When its process was heard of last: the heartbeat in `status`, on the clock of
    /// [`steady_now`](crate::steady_now).
    pub heard: Option<SystemTime>,
    /// The job name, if it is a job.
    pub job: Option<String>,
    /// Its configuration: from its log, else from files in its folder.
    pub config: Settings,
    /// How often `config` has changed.
    pub configured: u64,
    /// A pause or stop that was requested and has not happened yet.
    pub ending: Option<Wanted>,
    /// Its files were deleted.
    pub gone: bool,
    /// Checkpoints, warnings and rollbacks, oldest first.
    pub marks: Vec<Mark>,
    /// When its newest file changed last, on the clock of [`steady_now`](crate::steady_now).
    pub written: Option<SystemTime>,
    /// The last read error.
    pub trouble: Option<String>,
    /// What its readers left out.
    pub skipped: Skipped,
    /// Its files of other formats, which are not read.
    pub unread: Vec<Unread>,
}

/// An immutable state of a run, published by the thread that reads its files. Consecutive snapshots
/// share everything that did not change, down to the full chunks of each curve.
pub type RunSnapshot = Arc<Run>;

impl Run {
    /// The name that its author gave it.
    pub fn title(&self) -> Option<&str> {
        self.job.as_deref().or(self.curves.about.name.as_deref())
    }

    /// Its logged summary, without values that are the last point of a curve.
    pub fn results(&self) -> Vec<(&str, &str)> {
        let mut all = self.curves.about.results();
        all.retain(|(key, value)| {
            let last = self.curves.get(&key.replace('.', "/")).and_then(|series| series.last());
            last.is_none_or(|point| value.parse() != Ok(point.value))
        });
        all
    }

    /// Why it shows nothing or too little: a read error, or no line that can be used.
    pub fn problem(&self) -> Option<String> {
        let nothing = || {
            let first = self.skipped.iter().next().filter(|_| self.curves.is_empty());
            first.map(|part| format!("no metric: {part}"))
        };
        self.trouble.clone().or_else(nothing)
    }

    /// Whether it is running. Depends on nothing but the snapshot and `now`.
    pub fn standing(&self, now: SystemTime) -> Standing {
        match &self.status {
            Some(status) => {
                match (standing_with(status, self.has_process, self.heard, now), self.ending) {
                    (Standing::Told(RunState::Running), Some(Wanted::Pause)) => Standing::Pausing,
                    (Standing::Told(RunState::Running), Some(Wanted::Stop)) => Standing::Stopping,
                    (Standing::Told(RunState::Running), _) if status.phase.is_some() => {
                        Standing::Starting
                    }
                    (told, _) => told,
                }
            }
            None if self.curves.about.exit.is_some() => {
                let good = self.curves.about.exit == Some(0);
                Standing::Told(if good { RunState::Finished } else { RunState::Failed })
            }
            None => {
                // The clock may be up to a second behind a file that has just been written.
                let apart = |at| now.duration_since(at).unwrap_or_else(|e| e.duration());
                match self.written.map(apart) {
                    Some(age) if age <= LIVELY => Standing::Lively,
                    _ => Standing::Quiet,
                }
            }
        }
    }

    /// Places its points on an axis; `None` before the first point.
    pub fn clock(&self, axis: XAxis) -> Option<Clock<'_>> {
        let began = self.curves.began().unwrap_or(0.0);
        let epochs = EPOCHS.iter().find_map(|name| self.curves.get(name));
        (!self.curves.is_empty()).then_some(Clock { axis, began, epochs })
    }

    /// `step/total`, or `step`.
    pub fn steps(&self) -> String {
        match self.progress() {
            (step, Some(total)) => format!("{step}/{total}"),
            (step, None) => step.to_string(),
        }
    }

    /// Estimated seconds to its end, at the pace of its last points. Only for a running run that
    /// states its total.
    pub fn left(&self, now: SystemTime) -> Option<f64> {
        if !self.standing(now).runs() {
            return None;
        }
        let (step, total) = self.progress();
        // Pauses do not count where the run itself leaves them out.
        let spent = self.curves.get("elapsed_s");
        let longest = || self.curves.iter().map(|(_, s)| s).max_by_key(|series| series.len());
        let series = spent.or_else(longest)?;
        let last = series.last()?;
        // The pace of an earlier stage says nothing of this one, once it has a pace.
        let own =
            series.index_after(self.stage_began(last.step)).min(series.len().saturating_sub(2));
        let first = series.get(series.len().saturating_sub(PACE_OVER).max(own))?;
        let passed = match spent {
            Some(_) => last.value - first.value,
            None => last.wall - first.wall,
        };
        let seconds = passed / (last.step - first.step).max(0.0);
        let left = seconds * (total? as f64 - step).max(0.0);
        left.is_finite().then_some(left)
    }

    /// The last step before the stage that contains `step`, in our own runs.
    fn stage_began(&self, step: f64) -> f64 {
        let steps = (0..).map_while(|stage| self.config.get(&format!("stage.{stage}.steps")));
        let ends = steps.map_while(|steps| steps.parse::<u64>().ok()).scan(0u64, |sum, steps| {
            *sum = sum.saturating_add(steps);
            Some(*sum)
        });
        ends.map(|end| end as f64).take_while(|end| *end < step).last().unwrap_or(0.0)
    }

    /// The current step, and the total if known.
    pub fn progress(&self) -> (f64, Option<u64>) {
        let step = self.curves.last_step().unwrap_or(0.0);
        let total = self.status.as_ref().map(|s| s.total_steps as u64);
        // What other trainers log of it, unless their steps go on beyond.
        let logged = || self.curves.about.total.filter(|total| *total as f64 >= step);
        let total = total.or_else(logged);
        (self.status.as_ref().map_or(step, |s| s.step as f64), total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunReader;
    use crate::catalogue::find;

    #[test]
    fn the_time_that_is_left_goes_by_the_pace_of_the_stage() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::write(dir.path().join(name), text).expect("writes");
        };
        // Ten steps of a second each, then steps of five.
        let lines = |to: u64| -> String {
            let elapsed = |step: u64| if step <= 10 { step } else { 10 + (step - 10) * 5 };
            (1..=to).map(|s| format!("{{\"step\":{s},\"elapsed_s\":{}}}\n", elapsed(s))).collect()
        };
        let told = |step: u64| {
            let pid = std::process::id();
            let text = format!(
                r#"{{"state":"running","pid":{pid},"step":{step},"total_steps":30,"heartbeat":"{}","exit_reason":null}}"#,
                jiff::Timestamp::now()
            );
            write("status.json", text);
            write("metrics.jsonl", lines(step));
            let found = find(dir.path(), false).pop().expect("a run");
            RunReader::whole(found, None).left(SystemTime::now())
        };
        write("config.toml", "[[stage]]\nsteps = 10\n[[stage]]\nsteps = 20\n".into());
        assert_eq!(told(8), Some(22.0));
        // Its first step has no pace of its own yet.
        assert_eq!(told(11), Some(19.0 * 5.0));
        assert_eq!(told(16), Some(14.0 * 5.0));
    }
}
