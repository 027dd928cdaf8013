//! What a run logs besides numbers: its name and configuration, its output, and media by step.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use artgpt_base::text::visible_line;

use super::graph::Graph;
use super::settings::Settings;

/// Everything besides numbers in the files of one run, whatever their format.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The run's display name.
    pub name: Option<String>,
    /// The project that the run belongs to.
    pub project: Option<String>,
    /// What the user wrote about the run.
    pub note: Option<String>,
    /// The run's tags.
    pub tags: Vec<String>,
    /// The run's configuration.
    pub settings: Settings,
    /// Of the machine and the program: `host`, `python`, …
    pub environment: BTreeMap<String, String>,
    /// The summary that the run itself logs.
    pub summary: BTreeMap<String, String>,
    /// The exit code, once the run has logged it.
    pub exit: Option<i64>,
    /// The number of steps that the run goes to, as it logs it.
    pub total: Option<u64>,
    /// Lines that the run printed.
    pub console: Console,
    /// Alerts, the oldest first.
    pub alerts: Vec<At<String>>,
    /// Logged texts.
    pub texts: ByTag<Arc<str>>,
    /// Total bytes in `texts`.
    text_bytes: usize,
    /// Logged images.
    pub pictures: ByTag<Media>,
    /// Logged audio.
    pub sounds: ByTag<Media>,
    /// Logged tables.
    pub tables: ByTag<Media>,
    /// Logged histograms.
    pub histograms: ByTag<Vec<Bin>>,
    /// Precision-recall curves.
    pub precision: ByTag<Vec<Cut>>,
    /// Total thresholds in `precision`.
    cuts: usize,
    /// The logged network graph.
    pub graph: Option<Arc<Graph>>,
}

/// What was logged under each name, by step. Clones share each list until one of them changes.
pub type ByTag<T> = BTreeMap<String, Arc<Vec<At<T>>>>;

/// Something logged at a step.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The step at which it was logged.
    pub step: u64,
    /// What was logged.
    pub what: T,
}

/// The location of a picture, a sound or a table. Its bytes are read when it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The file that holds it.
    pub path: PathBuf,
    /// The part of the file, if it holds more.
    pub bytes: Option<Range<u64>>,
    /// The caption; may be empty.
    pub caption: String,
}

impl Media {
    /// A file, or the byte range of it that holds the medium.
    pub fn new(path: PathBuf, bytes: Option<Range<u64>>, caption: &str) -> Self {
        let caption = caption.chars().take(LONGEST_CAPTION).collect();
        Self { path, bytes, caption }
    }
}

/// A bin of a histogram: `count` values from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Number of values; may be fractional.
    pub count: f64,
}

/// Precision and recall of a binary classifier at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Decision threshold, 0 to 1.
    pub threshold: f64,
    /// Precision at this threshold, 0 to 1.
    pub precision: f64,
    /// Recall at this threshold, 0 to 1.
    pub recall: f64,
}

/// Limits of entries and of histograms under one name: a model has hundreds of tensors.
const MOST: usize = 400;
const MOST_HISTOGRAMS: usize = 100;
const MOST_BINS: usize = 40;
/// Limit of thresholds in a precision-recall curve; TensorFlow usually writes 201.
const MOST_CUTS: usize = 256;
/// Limit of thresholds in all such curves of a run.
const MOST_PRECISION: usize = 1 << 20;
/// Limit of a caption, in characters.
const LONGEST_CAPTION: usize = 300;
/// Limit of names of one kind; later ones are dropped.
const MOST_TAGS: usize = 1_000;
/// Limit of a text in bytes; the rest is cut.
const LONGEST_TEXT: usize = 64 << 10;
/// Limit of all texts of a run in bytes; later ones are dropped.
const MOST_TEXT: usize = 256 << 20;
/// Limit of alerts; the first ones, which say most, stay.
const MOST_ALERTS: usize = 1_000;
/// Lines of console output kept.
const LINES: usize = 500;
/// Limit of a line in bytes; the rest is cut.
const LONGEST: usize = 4096;

impl About {
    /// Records an alert at a step.
    pub fn alert(&mut self, step: u64, what: String) {
        if self.alerts.len() < MOST_ALERTS {
            self.alerts.push(At { step, what });
        }
    }

    /// The logged note and tags, in the form of our own notes.
    pub fn remarks(&self) -> String {
        let note = self.note.iter().cloned();
        note.chain(self.tags.iter().map(|tag| format!("#{tag}"))).collect::<Vec<_>>().join(" ")
    }

    /// The summary without entries that describe media.
    pub fn results(&self) -> Vec<(&str, &str)> {
        let media: HashSet<&str> =
            self.summary.keys().filter_map(|key| key.strip_suffix("._type")).collect();
        let is_media =
            |key: &str| key.match_indices('.').any(|(end, _)| media.contains(&key[..end]));
        let all = self.summary.iter().filter(|(key, _)| !is_media(key));
        all.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// Removes everything logged at this step and later ones.
    pub fn restart(&mut self, step: u64) {
        fn cut<T: Clone>(all: &mut ByTag<T>, step: u64) {
            for list in all.values_mut().filter(|list| list.iter().any(|at| at.step >= step)) {
                Arc::make_mut(list).retain(|at| at.step < step);
            }
        }
        cut(&mut self.texts, step);
        cut(&mut self.pictures, step);
        cut(&mut self.sounds, step);
        cut(&mut self.tables, step);
        cut(&mut self.precision, step);
        cut(&mut self.histograms, step);
        self.alerts.retain(|at| at.step < step);
        self.text_bytes =
            self.texts.values().flat_map(|list| list.iter()).map(|at| at.what.len()).sum();
        self.cuts =
            self.precision.values().flat_map(|list| list.iter()).map(|at| at.what.len()).sum();
    }
}

/// Adds what was logged at a step. Entries at later steps are removed, because the run was resumed. If
/// there are too many steps, drops the one whose neighbours are closest.
pub(crate) fn keep<T: Clone>(all: &mut ByTag<T>, tag: &str, step: u64, what: T) {
    keep_some(all, tag, step, what, MOST, (&mut 0, usize::MAX), |_| 0);
}

pub(crate) fn keep_text(about: &mut About, tag: &str, step: u64, mut text: String) {
    let end = (0..=text.len().min(LONGEST_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    let budget = (&mut about.text_bytes, MOST_TEXT);
    keep_some(&mut about.texts, tag, step, text.into(), MOST, budget, |text: &Arc<str>| text.len());
}

pub(crate) fn keep_histogram(about: &mut About, tag: &str, step: u64, mut bins: Vec<Bin>) {
    // More bins than rows of a screen are merged with their neighbours.
    while bins.len() > MOST_BINS {
        let join = |pair: &[Bin]| Bin {
            low: pair[0].low,
            high: pair[pair.len() - 1].high,
            count: pair.iter().map(|bin| bin.count).sum(),
        };
        bins = bins.chunks(2).map(join).collect();
    }
    let budget = (&mut 0, usize::MAX);
    keep_some(&mut about.histograms, tag, step, bins, MOST_HISTOGRAMS, budget, |_| 0);
}

pub(crate) fn keep_precision(about: &mut About, tag: &str, step: u64, cuts: &[Cut]) {
    // As many points as a screen can show, with both ends.
    let stride = cuts.len().div_ceil(MOST_CUTS).max(1);
    let last = cuts.len().saturating_sub(1);
    let kept = cuts.iter().enumerate().filter(|(at, _)| at % stride == 0 || *at == last);
    let cuts: Vec<Cut> = kept.map(|(_, cut)| *cut).collect();
    let budget = (&mut about.cuts, MOST_PRECISION);
    keep_some(&mut about.precision, tag, step, cuts, MOST_HISTOGRAMS, budget, Vec::len);
}

/// Like [`keep`], within a budget of total size: what is used of it, and the whole.
fn keep_some<T: Clone>(
    all: &mut ByTag<T>,
    tag: &str,
    step: u64,
    what: T,
    most: usize,
    (used, whole): (&mut usize, usize),
    size: impl Fn(&T) -> usize,
) {
    if !all.contains_key(tag) && (all.len() >= MOST_TAGS || tag.len() > LONGEST) {
        return;
    }
    let list = Arc::make_mut(all.entry(tag.to_string()).or_default());
    // Some programs count each epoch from the first step.
    if list.first().is_some_and(|first| first.step < step) {
        while let Some(later) = list.pop_if(|last| last.step > step) {
            *used -= size(&later.what);
        }
    }
    if *used + size(&what) > whole {
        return;
    }
    *used += size(&what);
    list.push(At { step, what });
    if list.len() <= most {
        return;
    }
    let mut steps: Vec<u64> = list.iter().map(|at| at.step).collect();
    steps.dedup();
    let gaps = steps.windows(3).map(|w| (w[2].abs_diff(w[0]), w[1]));
    // With only one or two steps, drop the first entry.
    let gone: Vec<At<T>> = match gaps.min() {
        Some((_, missed_least)) => list.extract_if(.., |at| at.step == missed_least).collect(),
        None => vec![list.remove(0)],
    };
    *used -= gone.iter().map(|at| size(&at.what)).sum::<usize>();
}

/// The last lines of a run's output, assembled from the pieces in which it was logged.
#[derive(Debug, Clone, Default)]
pub struct Console {
    pub lines: VecDeque<String>,
    /// Unfinished lines of stdout and stderr.
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
                    self.lines.push_back(visible_line(open));
                    open.clear();
                }
                letter if open.len() < LONGEST => open.push(letter),
                // A progress bar overwrites its line.
                '\r' => {
                    open.clear();
                    open.push('\r');
                }
                _ => {}
            }
        }
    }

    /// All lines; unfinished ones last.
    pub fn told(&self) -> Vec<String> {
        let open = self.open.iter().map(|line| visible_line(line)).filter(|line| !line.is_empty());
        self.lines.iter().cloned().chain(open).collect()
    }
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
    fn what_comes_too_often_is_thinned_out_evenly_and_a_restart_takes_back() {
        let mut about = About::default();
        for step in 0..2_000 {
            for _ in 0..2 {
                keep(&mut about.texts, "a", step, step.to_string().into());
            }
        }
        let mut steps: Vec<u64> = about.texts["a"].iter().map(|at| at.step).collect();
        assert!(steps.len() <= MOST && steps.len() > MOST / 2, "{}", steps.len());
        assert!(steps.chunks(2).all(|pair| pair[0] == pair[1]), "both of a step, or none");
        steps.dedup();
        assert_eq!((steps[0], steps.last()), (0, Some(&1_999)));
        let widest = steps.windows(2).map(|w| w[1] - w[0]).max();
        assert!(widest <= Some(40), "{widest:?}");
        // Resumed from an earlier step.
        keep(&mut about.texts, "a", 10, "again".into());
        assert_eq!(about.texts["a"].last().map(|at| at.step), Some(10));
        about.restart(5);
        assert!(about.texts["a"].iter().all(|at| at.step < 5));
        // Neither one long text nor many names exhaust the memory.
        keep_text(&mut about, "b", 0, "é".repeat(LONGEST_TEXT));
        assert_eq!(about.texts["b"][0].what.len(), LONGEST_TEXT);
        (0..2 * MOST_TAGS).for_each(|i| keep(&mut about.texts, &i.to_string(), 0, "".into()));
        assert_eq!(about.texts.len(), MOST_TAGS);
        let bin = |i: u32| Bin { low: i.into(), high: f64::from(i) + 1.0, count: 1.0 };
        keep_histogram(&mut about, "w", 0, (0..100).map(bin).collect());
        let kept = &about.histograms["w"][0].what;
        assert!(kept.len() <= MOST_BINS);
        assert_eq!((kept[0].low, kept[kept.len() - 1].high), (0.0, 100.0));
        assert_eq!(kept.iter().map(|bin| bin.count).sum::<f64>(), 100.0);
    }
}
