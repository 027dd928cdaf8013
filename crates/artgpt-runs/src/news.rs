//! What happens to our own runs that somebody wants to hear of, without reading their curves.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::marks::MarksReader;
use super::standing::{Standing, standing};
use artgpt_rundir::job::called;
use artgpt_rundir::{RunState, Status, run_folders, run_id};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The run's id.
    pub run: String,
    /// What people call it, where it has a name.
    pub name: Option<String>,
    pub what: What,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Finished,
    Failed,
    /// Its loss leaps, its gradient vanishes, it went back to a checkpoint.
    Diverging,
}

impl What {
    pub fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Diverging => "in trouble",
        }
    }
}

impl Item {
    /// One line.
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

/// The newest of several, and how many more there are; `None` where there is none.
pub fn in_one_line(items: &[Item]) -> Option<String> {
    let (last, others) = items.split_last()?;
    let more = others.len();
    Some(last.told() + &if more > 0 { format!(", and {more} more") } else { String::new() })
}

/// Looks at the runs of a folder again and again.
#[derive(Debug)]
pub struct News {
    runs: PathBuf,
    /// What was there at the first look is no news.
    begun: bool,
    seen: HashMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    standing: Option<Standing>,
    marks: MarksReader,
}

impl News {
    pub fn of(runs: &Path) -> Self {
        Self { runs: runs.into(), begun: false, seen: HashMap::new() }
    }

    /// What happened since the last look.
    pub fn look(&mut self) -> Vec<Item> {
        let now = SystemTime::now();
        let mut items = Vec::new();
        for path in run_folders(&self.runs) {
            let Some(status) = Status::read(&path) else { continue };
            let run = run_id(&path);
            let new = || Seen { standing: None, marks: MarksReader::of(&path) };
            let seen = self.seen.entry(path.clone()).or_insert_with(new);
            let stands = standing(&status, now);
            let marks = seen.marks.read();
            let before = seen.standing.replace(stands);
            if !self.begun {
                continue;
            }
            let mut tell = |what, text: String| {
                items.push(Item { run: run.clone(), name: called(&path), what, text });
            };
            // Of many at once the last one says where it stands.
            if let Some(mark) = marks.into_iter().rfind(|m| m.kind.is_trouble()) {
                tell(What::Diverging, format!("step {}: {}", mark.step, mark.text));
            }
            if before == Some(stands) {
                continue;
            }
            match stands {
                Standing::Told(RunState::Finished) => {
                    tell(What::Finished, format!("{} steps", status.step));
                }
                Standing::Told(RunState::Failed) => {
                    tell(What::Failed, status.exit_reason.unwrap_or_default());
                }
                Standing::Lost => tell(What::Failed, "its process is gone".into()),
                _ => {}
            }
        }
        self.begun = true;
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
    fn ends_and_troubles_are_told_once() {
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
        let told =
            |news: &mut News| -> Vec<String> { news.look().iter().map(Item::told).collect() };
        assert_eq!(told(&mut news), ["A in trouble: step 3: the loss leaps"]);
        run.set_status(RunState::Failed, 3, 9, Some("why".into())).expect("writes");
        assert_eq!(told(&mut news), ["A failed: why"]);
        assert_eq!(news.look(), []);
        // A run that came between two looks.
        let other = RunDir::create(runs.path(), "B", &config).expect("makes");
        other.set_status(RunState::Finished, 9, 9, None).expect("writes");
        assert_eq!(told(&mut news), ["B finished: 9 steps"]);
    }
}
