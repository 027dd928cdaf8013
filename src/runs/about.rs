//! What a run's files tell of it besides numbers: its name and configuration, what it printed, texts,
//! pictures and histograms by step.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;

use super::settings::Settings;

/// Of one run, in whatever format it was told.
#[derive(Debug, Default)]
pub struct About {
    pub name: Option<String>,
    pub project: Option<String>,
    pub note: Option<String>,
    pub tags: Vec<String>,
    pub settings: Settings,
    /// Of the machine and the program: `host`, `python`, …
    pub environment: BTreeMap<String, String>,
    /// What the run itself holds for its result.
    pub summary: BTreeMap<String, String>,
    /// The exit code of a run that has said that it is over.
    pub exit: Option<i64>,
    pub console: Console,
    pub alerts: Vec<At<String>>,
    pub texts: ByTag<String>,
    pub pictures: ByTag<Picture>,
    pub histograms: ByTag<Vec<Bin>>,
}

/// What was logged under a name, in the order of steps.
pub type ByTag<T> = BTreeMap<String, Vec<At<T>>>;

#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    pub step: u64,
    pub what: T,
}

/// Where a picture is; its bytes are read when somebody looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub path: PathBuf,
    /// The part of the file, where it holds more than the picture.
    pub bytes: Option<Range<u64>>,
    pub caption: String,
}

/// A bar of a histogram: as many values from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    pub low: f64,
    pub high: f64,
    pub count: f64,
}

/// More of one name are thinned out: every second one goes.
const MOST: usize = 400;
/// Lines of a console that are kept.
const LINES: usize = 500;
/// A line that is longer is cut.
const LONGEST: usize = 4096;

impl About {
    /// Note and tags as our own notes have them.
    pub fn remarks(&self) -> String {
        let note = self.note.iter().cloned();
        note.chain(self.tags.iter().map(|tag| format!("#{tag}"))).collect::<Vec<_>>().join(" ")
    }

    /// What the run holds for its result, but what stands for a picture or a table.
    pub fn results(&self) -> Vec<(&str, &str)> {
        let media: Vec<&str> =
            self.summary.keys().filter_map(|key| key.strip_suffix("._type")).collect();
        let is_media = |key: &str| {
            media.iter().any(|m| key.strip_prefix(m).is_some_and(|rest| rest.starts_with('.')))
        };
        let all = self.summary.iter().filter(|(key, _)| !is_media(key));
        all.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// Forgets what was said of this step and later ones.
    pub fn restart(&mut self, step: u64) {
        fn cut<T>(all: &mut ByTag<T>, step: u64) {
            all.values_mut().for_each(|all| all.retain(|at| at.step < step));
        }
        cut(&mut self.texts, step);
        cut(&mut self.pictures, step);
        cut(&mut self.histograms, step);
        self.alerts.retain(|at| at.step < step);
    }
}

/// Adds what was logged at a step. Several of one step stay beside each other.
pub fn keep<T>(all: &mut ByTag<T>, tag: &str, step: u64, what: T) {
    let list = match all.get_mut(tag) {
        Some(list) => list,
        None => all.entry(tag.to_string()).or_default(),
    };
    list.push(At { step, what });
    if list.len() > MOST {
        let mut place = 0;
        // The newest one stays: the count is odd.
        list.retain(|_| {
            place += 1;
            place % 2 == 1
        });
    }
}

/// The last lines that a run printed, put together from the pieces in which it printed them.
#[derive(Debug, Default)]
pub struct Console {
    pub lines: VecDeque<String>,
    /// Of standard output and of standard error, what has no end yet.
    open: [String; 2],
}

impl Console {
    pub fn print(&mut self, is_error: bool, piece: &str) {
        let open = &mut self.open[usize::from(is_error)];
        for letter in piece.chars() {
            match letter {
                '\n' => {
                    if self.lines.len() == LINES {
                        self.lines.pop_front();
                    }
                    self.lines.push_back(last_of(open));
                    open.clear();
                }
                letter if open.len() < LONGEST => open.push(letter),
                // A progress bar begins its line again.
                '\r' => {
                    open.clear();
                    open.push('\r');
                }
                _ => {}
            }
        }
    }

    /// All lines, the unfinished ones last.
    pub fn told(&self) -> Vec<String> {
        let open = self.open.iter().map(|line| last_of(line)).filter(|line| !line.is_empty());
        self.lines.iter().cloned().chain(open).collect()
    }
}

/// What a terminal would leave of a line that was written over, without colours.
pub fn last_of(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let last = line.rsplit('\r').next().unwrap_or(line);
    crate::text::printable(&anstream::adapter::strip_str(last).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_shows_what_a_terminal_would_leave() {
        let mut console = Console::default();
        console.print(false, "first\n10%\r20");
        console.print(true, "\u{1b}[31mred\u{1b}[0m\n");
        console.print(false, "%\r30%");
        assert_eq!(console.told(), ["first", "red", "30%"]);
        (0..LINES).for_each(|i| console.print(true, &format!("{i}\n")));
        assert_eq!(console.lines.len(), LINES);
        assert_eq!(console.lines[0], "0");
    }

    #[test]
    fn what_comes_too_often_is_thinned_out_and_a_restart_takes_back() {
        let mut about = About::default();
        (0..=MOST as u64).for_each(|step| keep(&mut about.texts, "a", step, step.to_string()));
        let steps: Vec<u64> = about.texts["a"].iter().map(|at| at.step).collect();
        assert_eq!((steps.len(), steps[1], steps.last()), (MOST / 2 + 1, 2, Some(&(MOST as u64))));
        about.restart(10);
        assert_eq!(about.texts["a"].len(), 5);
    }
}
