//! Notices about our own runs: finished, failed, diverging. They need no metrics.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::clock::{LastChange, steady_now};
use super::marks::MarksReader;
use super::standing::{Standing, standing, stated};
use artgpt_rundir::job::called;
use artgpt_rundir::{RunState, Status, run_folders, run_id};

/// A notice about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The run's ID.
    pub run: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What happened.
    pub what: What,
    /// Details, such as the step or the reason; may be empty.
    pub text: String,
}

/// The kind of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The run has finished.
    Finished,
    /// The run has failed, or its process is gone.
    Failed,
    /// A loss spike, a vanishing gradient or a rollback to a checkpoint.
    Diverging,
}

impl What {
    /// The words after the run's name in a notice.
    pub fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Diverging => "in trouble",
        }
    }
}

impl Item {
    /// The notice as one line of printable text.
    pub fn told(&self) -> String {
        let text = artgpt_base::text::printable(&self.text);
        let colon = if text.is_empty() { "" } else { ": " };
        let run = match &self.name {
            Some(name) => format!("{} ({})", artgpt_base::text::printable(name), self.run),
            None => self.run.clone(),
        };
        format!("{run} {}{colon}{text}", self.what.word())
    }
}

/// The newest notice and the number of others, as one line; `None` without notices.
pub fn in_one_line(items: &[Item]) -> Option<String> {
    let (last, others) = items.split_last()?;
    let more = others.len();
    Some(last.told() + &if more > 0 { format!(", and {more} more") } else { String::new() })
}

/// Watches the runs in a runs directory.
#[derive(Debug)]
pub struct News {
    runs: PathBuf,
    /// The first call of [`Self::look`] only records the present states.
    has_baseline: bool,
    seen: HashMap<PathBuf, LastSeen>,
}

#[derive(Debug)]
struct LastSeen {
    standing: Option<Standing>,
    heard: LastChange<String>,
    marks: MarksReader,
}

impl News {
    /// Watches the runs in the directory `runs`.
    pub fn of(runs: &Path) -> Self {
        Self { runs: runs.into(), has_baseline: false, seen: HashMap::new() }
    }

    /// The notices since the last call; none in the first call.
    pub fn look(&mut self) -> Vec<Item> {
        let now = steady_now();
        let mut items = Vec::new();
        for path in run_folders(&self.runs) {
            let Some(status) = Status::read(&path) else { continue };
            let run = run_id(&path);
            let new = || LastSeen {
                standing: None,
                heard: LastChange::default(),
                marks: MarksReader::of(&path),
            };
            let seen = self.seen.entry(path.clone()).or_insert_with(new);
            let beat = &status.heartbeat;
            let heard = seen.heard.see(beat.clone(), stated(beat), now);
            let state = standing(&status, heard, now);
            let marks = seen.marks.read();
            let before = seen.standing.replace(state);
            if !self.has_baseline {
                continue;
            }
            let mut notify = |what, text: String| {
                items.push(Item { run: run.clone(), name: called(&path), what, text });
            };
            // Of several marks, report the last one only.
            if let Some(mark) = marks.into_iter().rfind(|m| m.kind.is_trouble()) {
                notify(What::Diverging, format!("step {}: {}", mark.step, mark.text));
            }
            if before == Some(state) {
                continue;
            }
            match state {
                Standing::Told(RunState::Finished) => {
                    notify(What::Finished, format!("{} steps", status.step));
                }
                Standing::Told(RunState::Failed) => {
                    notify(What::Failed, status.exit_reason.unwrap_or_default());
                }
                Standing::Lost => notify(What::Failed, "its process is gone".into()),
                _ => {}
            }
        }
        self.has_baseline = true;
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::MarkKind;
    use artgpt_rundir::RunDir;
    use artgpt_rundir::TrainConfig;

    #[test]
    fn ends_and_troubles_are_reported_once() {
        let runs = tempfile::tempdir().expect("a folder");
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let run = RunDir::create(runs.path(), "A", &config).expect("makes");
        run.set_status(RunState::Running, 1, 9, None).expect("writes");
        run.mark(1, MarkKind::Warning, "old");
        let mut news = News::of(runs.path());
        assert_eq!(news.look(), []);
        assert_eq!(news.look(), []);
        run.mark(2, MarkKind::Checkpoint, "checkpoint");
        run.mark(3, MarkKind::Warning, "the loss leaps");
        let lines =
            |news: &mut News| -> Vec<String> { news.look().iter().map(Item::told).collect() };
        assert_eq!(lines(&mut news), ["A in trouble: step 3: the loss leaps"]);
        run.set_status(RunState::Failed, 3, 9, Some("why".into())).expect("writes");
        assert_eq!(lines(&mut news), ["A failed: why"]);
        assert_eq!(news.look(), []);
        // A run that came between two looks.
        let other = RunDir::create(runs.path(), "B", &config).expect("makes");
        other.set_status(RunState::Finished, 9, 9, None).expect("writes");
        assert_eq!(lines(&mut news), ["B finished: 9 steps"]);
    }
}
