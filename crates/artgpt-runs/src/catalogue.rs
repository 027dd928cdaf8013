//! Finds runs below directories, with the log files of each and their formats.

use std::path::{Path, PathBuf};

use super::readers::{
    CsvFile, EventFile, JsonLines, Matches, Pattern, PatternLog, Reader, TrainerState, WandbFile,
};

/// A run: a directory (or a single file) with log files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The directory or file.
    pub path: PathBuf,
    /// Its path below the searched directory, without parts called `runs`.
    pub name: String,
    /// Its log files, all of one format.
    pub files: Vec<Source>,
}

/// A log file and its format.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub kind: Kind,
}

/// Log formats in order of preference. A run may write the same metrics in several formats (ours does, and
/// Lightning with two loggers); only the first one found is read.
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
        let ends = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
        match name {
            _ if name.contains("tfevents") => Some(Self::Events),
            "trainer_state.json" => Some(Self::TrainerState),
            _ if name.starts_with(EXPORT) => None,
            _ if (ends("jsonl") || ends("ndjson")) && is_log(name) => Some(Self::JsonLines),
            _ if ends("wandb") => Some(Self::Wandb),
            _ if (ends("csv") || ends("tsv")) && is_log(name) => Some(Self::Csv),
            _ if pattern && (ends("log") || ends("txt") || ends("out") || ends("err")) => {
                Some(Self::Log)
            }
            _ => None,
        }
    }
}

/// Whether a table's name suggests training metrics, not some other table.
fn is_log(name: &str) -> bool {
    let name = name.to_lowercase();
    ["metric", "log", "progress", "history", "loss"].iter().any(|word| name.contains(word))
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
        let plain = match path.extension().and_then(|e| e.to_str()) {
            Some("csv" | "tsv") => Some(Kind::Csv),
            Some("jsonl" | "ndjson") => Some(Kind::JsonLines),
            _ => None,
        };
        let kind = Kind::of(path, pattern).or(plain).or(pattern.then_some(Kind::Log));
        let files = kind.map(|kind| vec![Source { path: path.into(), kind }]);
        return files.map(|files| Found { path: path.into(), name, files }).into_iter().collect();
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

fn walk(folder: &Path, pattern: bool, depth: usize, all: &mut Vec<Found>) {
    let Ok(entries) = folder.read_dir() else { return };
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        // Hidden: runs that are being removed, and directories such as `.git`.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Does not follow links to directories: they may form a cycle.
        if kind.is_dir() {
            folders.push(path);
        } else if let Some(kind) = Kind::of(&path, pattern)
            // Reading a FIFO would block.
            && path.is_file()
        {
            files.push(Source { path, kind });
        }
    }
    let checkpoints = checkpoints_of_trainer(&folders);
    // The newest checkpoint's state includes the history of the earlier ones.
    let states = checkpoints.iter().rev().map(|(_, path)| path.join("trainer_state.json"));
    if let Some(state) = states.into_iter().find(|state| state.is_file())
        && files.iter().all(|f| f.kind != Kind::TrainerState)
    {
        files.push(Source { path: state, kind: Kind::TrainerState });
    }
    if let Some(best) = files.iter().map(|f| f.kind).min() {
        files.retain(|f| f.kind == best);
        files.sort();
        all.push(Found { path: folder.into(), name: String::new(), files });
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
                    let files: Vec<_> = run
                        .files
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
