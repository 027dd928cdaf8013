//! Finds runs below folders, and says which files tell of each.

use std::path::{Path, PathBuf};

use super::readers::{
    CsvFile, EventFile, JsonLines, Matches, Pattern, PatternLog, Reader, TrainerState, WandbFile,
};

/// A folder (or a file) that one training run writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub path: PathBuf,
    /// Its path below the folder that was searched, without folders that only hold runs.
    pub name: String,
    pub files: Vec<Source>,
}

/// A file, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    pub path: PathBuf,
    pub kind: Kind,
}

/// Formats, the one that tells most first: where a run writes the same numbers twice (ours does, and
/// Lightning with two loggers), one of them is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    JsonLines,
    Wandb,
    Events,
    TrainerState,
    Csv,
    /// Read by the user's pattern.
    Log,
}

/// What the names of files begin with that the panel writes: they are no runs.
pub const EXPORT: &str = "artgpt-export-";

/// Folders are looked through so deep below a path.
const DEPTH: usize = 8;

impl Kind {
    /// By the file's name; logs only where a pattern was given.
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

/// Tables lie about for many reasons; those of a training run say so.
fn is_log(name: &str) -> bool {
    let name = name.to_lowercase();
    ["metric", "log", "progress", "history", "loss"].iter().any(|word| name.contains(word))
}

impl Source {
    /// `pattern` reads logs.
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

/// All runs at and below `path`, in the order of their paths. What cannot be read is passed over:
/// folders of other people are among them.
pub fn find(path: &Path, pattern: bool) -> Vec<Found> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if path.is_file() {
        // A file that was named is read, whatever it is called.
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
    walk(path, pattern, DEPTH, &mut all);
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
        // Ours are no runs any more, and those of others (`.git`) never were.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder may lead back to here.
        if kind.is_dir() {
            folders.push(path);
        } else if let Some(kind) = Kind::of(&path, pattern)
            // Reading a pipe would wait for ever.
            && path.is_file()
        {
            files.push(Source { path, kind });
        }
    }
    let checkpoints = checkpoints_of_trainer(&folders);
    // The newest checkpoint tells all that the earlier ones told.
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

/// `checkpoint-N`, in the order of N.
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
        let told = |pattern| -> Vec<String> {
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
        assert_eq!(told(false), expected);
        expected.insert(3, "plain: train.log");
        assert_eq!(told(true), expected);
        let one = find(&dir.path().join("plain/train.log"), true);
        assert_eq!(one.len(), 1);
        assert!(find(&dir.path().join("none/readme.md"), false).is_empty());
        assert_eq!(find(&dir.path().join("none/paintings.csv"), false).len(), 1);
        let name = |path: &str| find(&dir.path().join(path), false)[0].name.clone();
        assert_eq!((name("ours"), name("lightning")), ("ours".into(), "version_0".into()));
    }
}
