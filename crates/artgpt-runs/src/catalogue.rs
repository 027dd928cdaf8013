//! Finds runs below directories, with the log files of each and their formats.

use std::path::{Path, PathBuf};

use super::readers::{
    CsvFile, EventFile, JsonLines, Matches, Pattern, PatternLog, Reader, TrainerState, WandbFile,
};
use super::sniff::{Content, content};

/// A run: a directory (or a single file) with log files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The directory or file.
    pub path: PathBuf,
    /// Its path below the searched directory, without parts called `runs`.
    pub name: String,
    /// Its log files, grouped by format, the preferred format first. The reader uses one group: a run may
    /// write the same metrics in several formats.
    pub groups: Vec<Vec<Source>>,
}

/// A log file and its format.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Whether only its content, not its name, says that it is a log.
    is_guessed: bool,
    /// Its format.
    pub kind: Kind,
    /// The file.
    pub path: PathBuf,
}

/// A file that is not read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The file.
    pub path: PathBuf,
    /// Why it is not read.
    pub reason: String,
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        write!(f, "{}: {}", name.to_string_lossy(), self.reason)
    }
}

/// Log formats in order of preference. A run may write the same metrics in several formats (ours does, and
/// Lightning with two loggers); the most complete one is read, and of equals the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// JSON Lines, such as our `metrics.jsonl`.
    JsonLines,
    /// Weights & Biases' `run-ID.wandb`.
    Wandb,
    /// TensorBoard event files.
    Events,
    /// Hugging Face Trainer's `trainer_state.json`.
    TrainerState,
    /// CSV or TSV with a header line.
    Csv,
    /// A plain log, parsed with the user's pattern.
    Log,
}

/// Prefix of the files that the panel exports; they are no runs.
pub const EXPORT: &str = "artgpt-export-";

/// Levels of directories to search.
const MAX_DEPTH: usize = 8;

impl Kind {
    /// The format of a file, by its name; plain logs only with a pattern.
    fn of(path: &Path, pattern: bool) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name {
            _ if name.contains("tfevents") => Some(Self::Events),
            "trainer_state.json" => Some(Self::TrainerState),
            _ if name.starts_with(EXPORT) => None,
            _ if is_lines(path) && is_log(name) => Some(Self::JsonLines),
            _ if ends(path, &["wandb"]) => Some(Self::Wandb),
            _ if is_table(path) && is_log(name) => Some(Self::Csv),
            _ if pattern && ends(path, &["log", "txt", "out", "err"]) => Some(Self::Log),
            _ => None,
        }
    }

    /// The format of a file, by its content. `is_asked` says that the user names it.
    fn guessed(path: &Path, is_asked: bool) -> Option<Self> {
        match content(path) {
            Content::Lines => Some(Self::JsonLines),
            Content::Line if is_asked || is_lines(path) => Some(Self::JsonLines),
            Content::State => Some(Self::TrainerState),
            Content::Table => Some(Self::Csv),
            Content::Numbers if is_asked || is_named(path) => Some(Self::Csv),
            Content::Line | Content::Numbers | Content::Other(_) => None,
        }
    }
}

fn ends(path: &Path, all: &[&str]) -> bool {
    path.extension().is_some_and(|e| all.iter().any(|end| e.eq_ignore_ascii_case(end)))
}

fn is_table(path: &Path) -> bool {
    ends(path, &["csv", "tsv"])
}

fn is_lines(path: &Path) -> bool {
    ends(path, &["jsonl", "ndjson"])
}

/// Whether a file's name suggests training metrics.
fn is_log(name: &str) -> bool {
    let name = name.to_lowercase();
    ["metric", "log", "progress", "history", "loss"].iter().any(|word| name.contains(word))
}

/// Whether a file's name says that it may be a log.
fn is_named(path: &Path) -> bool {
    const WORDS: [&str; 10] = [
        "result", "scalar", "stats", "train", "curve", "error", "monitor", "record", "eval",
        "score",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    is_log(&name) || WORDS.iter().any(|word| name.contains(word))
}

/// Whether a look at a file's content is worth it.
fn may_be_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_text = is_lines(path) || ends(path, &["json", "txt"]);
    !name.starts_with(EXPORT) && (is_table(path) || (is_text && is_named(path)))
}

impl Source {
    /// Opens a reader; `None` for a plain log without a pattern.
    pub fn open(&self, pattern: Option<&Pattern>) -> Option<Box<dyn Reader>> {
        Some(match self.kind {
            Kind::JsonLines => Box::new(JsonLines::new(&self.path)),
            Kind::Wandb => Box::new(WandbFile::new(&self.path)),
            Kind::Events => Box::new(EventFile::new(&self.path)),
            Kind::TrainerState => Box::new(TrainerState::new(&self.path)),
            Kind::Csv => Box::new(CsvFile::new(&self.path)),
            Kind::Log => Box::new(PatternLog::of(&self.path, Matches::new(pattern?.clone()))),
        })
    }
}

/// All runs at and below `path`, ordered by path. Skips directories that cannot be read, such as those of
/// other users. `pattern` says whether plain logs count as runs.
pub fn find(path: &Path, pattern: bool) -> Vec<Found> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if path.is_file() {
        // Read a file that the user names, whatever its name.
        let plain = || match () {
            () if is_table(path) => Some(Kind::Csv),
            () if is_lines(path) => Some(Kind::JsonLines),
            () if pattern => Some(Kind::Log),
            () => Kind::guessed(path, true),
        };
        let source = |kind| Source { is_guessed: false, kind, path: path.into() };
        let groups = Kind::of(path, pattern).or_else(plain).map(|kind| vec![vec![source(kind)]]);
        return groups
            .map(|groups| Found { path: path.into(), name, groups })
            .into_iter()
            .collect();
    }
    let mut all = Vec::new();
    walk(path, pattern, MAX_DEPTH, &mut all);
    for found in &mut all {
        let below = found.path.strip_prefix(path).unwrap_or(&found.path);
        let parts = below.iter().map(|part| part.to_string_lossy()).filter(|part| part != "runs");
        let below = parts.collect::<Vec<_>>().join("/");
        found.name = if below.is_empty() { name.clone() } else { below };
    }
    all.sort();
    all
}

/// Files at or below `path` that look like logs and belong to no run, for a user who expected one.
pub fn unread(path: &Path) -> Vec<Unread> {
    /// More files are not named.
    const MOST: usize = 5;
    const DEPTH: usize = 3;
    let mut all = Vec::new();
    let mut folders = vec![(path.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let (files, below) = match listed(&folder) {
            Some(listed) => listed,
            None if path.is_file() => (vec![path.to_path_buf()], Vec::new()),
            None => continue,
        };
        let reason = |path: PathBuf| Some(Unread { reason: why_not(&path)?, path });
        all.extend(files.into_iter().filter_map(reason));
        if depth < DEPTH && all.len() < MOST {
            folders.extend(below.into_iter().map(|folder| (folder, depth + 1)));
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.truncate(MOST);
    all
}

/// Why a file with the extension of a log is not read.
fn why_not(path: &Path) -> Option<String> {
    if ends(path, &["log", "out", "err"]) {
        return Some("a plain log is read with --pattern".into());
    }
    match content(path) {
        Content::Other(why) if is_table(path) || is_lines(path) => Some(why),
        Content::Numbers => Some("its columns have no names".into()),
        _ => None,
    }
}

/// The files and folders in a folder, without hidden ones; `None` if it cannot be listed.
fn listed(folder: &Path) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in folder.read_dir().ok()?.flatten() {
        // Hidden: runs that are being removed, and directories such as `.git`.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Does not follow links to directories: they may form a cycle.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(entry.path()),
            Ok(_) => files.push(entry.path()),
            Err(_) => {}
        }
    }
    files.sort();
    Some((files, folders))
}

/// The log files among some files.
fn logs(all: Vec<PathBuf>, pattern: bool) -> Vec<Source> {
    /// Files of a folder that are opened to see what they are.
    const MAX_GUESSES: usize = 32;
    let mut guesses = 0;
    let source = |path: PathBuf| {
        let named = Kind::of(&path, pattern);
        // Reading a FIFO would block.
        if (named.is_none() && !may_be_log(&path)) || !path.is_file() {
            return None;
        }
        if let Some(kind) = named {
            return Some(Source { is_guessed: false, kind, path });
        }
        guesses += 1;
        let kind = if guesses <= MAX_GUESSES { Kind::guessed(&path, false) } else { None };
        kind.map(|kind| Source { is_guessed: true, kind, path })
    };
    all.into_iter().filter_map(source).collect()
}

fn walk(folder: &Path, pattern: bool, depth: usize, all: &mut Vec<Found>) {
    let Some((files, folders)) = listed(folder) else { return };
    let mut files = logs(files, pattern);
    let checkpoints = checkpoints_of_trainer(&folders);
    // The newest checkpoint's state includes the history of the earlier ones.
    let states = checkpoints.iter().rev().map(|(_, path)| path.join("trainer_state.json"));
    if let Some(state) = states.into_iter().find(|state| state.is_file())
        && files.iter().all(|f| f.kind != Kind::TrainerState)
    {
        files.push(Source { is_guessed: false, kind: Kind::TrainerState, path: state });
    }
    if !files.is_empty() {
        files.sort();
        let of_one_format =
            |a: &Source, b: &Source| (a.is_guessed, a.kind) == (b.is_guessed, b.kind);
        let groups = files.chunk_by(of_one_format).map(<[Source]>::to_vec).collect();
        all.push(Found { path: folder.into(), name: String::new(), groups });
    }
    if depth == 0 {
        return;
    }
    for path in folders {
        if !checkpoints.iter().any(|(_, checkpoint)| *checkpoint == path) {
            walk(&path, pattern, depth - 1, all);
        }
    }
}

/// The directories `checkpoint-N`, ordered by N.
fn checkpoints_of_trainer(folders: &[PathBuf]) -> Vec<(u64, PathBuf)> {
    let number =
        |path: &Path| path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok();
    let mut all: Vec<(u64, PathBuf)> =
        folders.iter().filter_map(|path| Some((number(path)?, path.clone()))).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_with_logs_is_a_run_of_its_best_format() {
        let dir = tempfile::tempdir().expect("a folder");
        let touch = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            std::fs::write(path, "").expect("writes");
        };
        [
            "ours/metrics.jsonl",
            "ours/events.out.tfevents.1.a",
            "ours/log.txt",
            "tb/train/events.out.tfevents.2.b",
            "tb/train/events.out.tfevents.1.b",
            "tb/validation/events.out.tfevents.3.b",
            "hf/checkpoint-5/trainer_state.json",
            "hf/checkpoint-10/trainer_state.json",
            "hf/checkpoint-20/model.safetensors",
            "hf/predictions.jsonl",
            "lightning/version_0/metrics.csv",
            "plain/train.log",
            "none/readme.md",
            "none/paintings.csv",
        ]
        .into_iter()
        .for_each(touch);
        let listed = |pattern| -> Vec<String> {
            find(dir.path(), pattern)
                .into_iter()
                .map(|run| {
                    let name =
                        |p: &Path| p.strip_prefix(dir.path()).expect("below").display().to_string();
                    let files: Vec<_> = run.groups[0]
                        .iter()
                        .map(|f| {
                            f.path.strip_prefix(&run.path).expect("below").display().to_string()
                        })
                        .collect();
                    format!("{}: {}", name(&run.path), files.join(" "))
                })
                .collect()
        };
        let mut expected = vec![
            "hf: checkpoint-10/trainer_state.json",
            "lightning/version_0: metrics.csv",
            "ours: metrics.jsonl",
            "tb/train: events.out.tfevents.1.b events.out.tfevents.2.b",
            "tb/validation: events.out.tfevents.3.b",
        ];
        assert_eq!(listed(false), expected);
        expected.insert(3, "plain: train.log");
        assert_eq!(listed(true), expected);
        let one = find(&dir.path().join("plain/train.log"), true);
        assert_eq!(one.len(), 1);
        assert!(find(&dir.path().join("none/readme.md"), false).is_empty());
        assert_eq!(find(&dir.path().join("none/paintings.csv"), false).len(), 1);
        let name = |path: &str| find(&dir.path().join(path), false)[0].name.clone();
        assert_eq!((name("ours"), name("lightning")), ("ours".into(), "version_0".into()));
    }
}
