//! Follows runs while they grow and publishes a snapshot of each run that changed. Uses file system
//! notifications, and polls because network file systems send none.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rayon::prelude::*;

use super::catalogue::find;
use super::readers::Pattern;
use super::run::RunSnapshot;
use super::run_reader::RunReader;

/// What happened to the runs.
#[derive(Debug)]
pub enum Change {
    /// New runs, not read yet, in the order in which they are listed.
    Found(Vec<RunSnapshot>),
    /// New snapshots of runs that changed, by their number in the order in which they were found.
    Grown(Vec<(usize, RunSnapshot)>),
    /// Everything that exists has been read once.
    Loaded,
}

/// Notifications within this time are handled together.
const SETTLE: Duration = Duration::from_millis(100);
/// Interval between polls of all files.
const POLL: Duration = Duration::from_secs(2);
/// Interval between searches for new runs.
const SEARCH: Duration = Duration::from_secs(5);

/// The thread that reads runs. It ends soon after this is dropped; nobody joins it, because it may wait
/// for a disk.
pub struct Follower {
    stop: Arc<AtomicBool>,
    _wake: Sender<Vec<PathBuf>>,
    _watcher: Option<RecommendedWatcher>,
}

impl Follower {
    /// `tell` gets each change, in order.
    pub fn spawn(
        paths: Vec<PathBuf>,
        pattern: Option<Pattern>,
        tell: impl Fn(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        // Notifications have absolute paths.
        let paths: Vec<PathBuf> =
            paths.into_iter().map(|p| std::path::absolute(&p).unwrap_or(p)).collect();
        let (wake, woken) = channel();
        let waker = wake.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if let Ok(event) = event
                    && !event.kind.is_access()
                {
                    let _ = waker.send(event.paths);
                }
            })
            .ok();
        if let Some(watcher) = &mut watcher {
            for path in &paths {
                // Polling covers what cannot be watched.
                let _ = watcher.watch(path, RecursiveMode::Recursive);
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let following = Following {
            paths,
            pattern,
            readers: Vec::new(),
            places: HashMap::new(),
            stop: stop.clone(),
            tell,
        };
        std::thread::Builder::new().name("runs".into()).spawn(move || following.run(&woken))?;
        Ok(Self { stop, _wake: wake, _watcher: watcher })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Following<T> {
    paths: Vec<PathBuf>,
    pattern: Option<Pattern>,
    readers: Vec<RunReader>,
    /// Position of each path in `readers`.
    places: HashMap<PathBuf, usize>,
    stop: Arc<AtomicBool>,
    tell: T,
}

impl<T: Fn(Change)> Following<T> {
    fn run(mut self, woken: &Receiver<Vec<PathBuf>>) {
        self.search();
        self.read(None);
        (self.tell)(Change::Loaded);
        let (mut searched, mut polled) = (Instant::now(), Instant::now());
        while !self.stop.load(Ordering::Relaxed) {
            let told = match woken.recv_timeout(POLL) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => None,
                Ok(mut paths) => {
                    std::thread::sleep(SETTLE);
                    woken.try_iter().for_each(|more| paths.extend(more));
                    Some(paths).filter(|_| polled.elapsed() < POLL)
                }
            };
            if searched.elapsed() > SEARCH {
                self.search();
                searched = Instant::now();
            }
            if told.is_none() {
                polled = Instant::now();
            }
            self.read(told.as_deref());
        }
    }

    fn search(&mut self) {
        let mut new = Vec::new();
        for found in self.paths.iter().flat_map(|p| find(p, self.pattern.is_some())) {
            match self.places.get(&found.path) {
                Some(place) => self.readers[*place].set_groups(found.groups),
                None => {
                    self.places.insert(found.path.clone(), self.readers.len());
                    let reader = RunReader::open(found, self.pattern.clone());
                    new.push(reader.snapshot());
                    self.readers.push(reader);
                }
            }
        }
        if !new.is_empty() {
            (self.tell)(Change::Found(new));
        }
    }

    /// Reads the runs whose files changed; all of them if `told` is `None`.
    fn read(&mut self, told: Option<&[PathBuf]>) {
        let stop = &self.stop;
        let concerned = |reader: &RunReader| {
            told.is_none_or(|paths| paths.iter().any(|path| path.starts_with(reader.path())))
        };
        let grown: Vec<(usize, RunSnapshot)> = self
            .readers
            .par_iter_mut()
            .enumerate()
            .filter(|(_, reader)| concerned(reader))
            .filter_map(|(i, reader)| reader.read(stop).then(|| (i, reader.snapshot())))
            .collect();
        if !grown.is_empty() {
            (self.tell)(Change::Grown(grown));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn growth_and_new_runs_are_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let line = |step: u64| format!("{{\"step\":{step},\"loss\":1.5}}\n");
        let begin = |name: &str| {
            let folder = dir.path().join(name);
            std::fs::create_dir_all(&folder).expect("makes");
            let path = folder.join("metrics.jsonl");
            std::fs::write(&path, line(1)).expect("writes");
            path
        };
        let first = begin("a");
        let (changes, inbox) = channel();
        let follower = Follower::spawn(vec![dir.path().into()], None, move |change| {
            let _ = changes.send(change);
        })
        .expect("starts");
        let patience = Duration::from_secs(30);
        let mut runs = Vec::new();
        let mut until = |done: &dyn Fn(&[RunSnapshot], &Change) -> bool| loop {
            let change = inbox.recv_timeout(patience).expect("a change");
            match &change {
                Change::Found(new) => runs.extend(new.iter().cloned()),
                Change::Grown(grown) => {
                    grown.iter().for_each(|(i, run)| runs[*i] = run.clone());
                }
                Change::Loaded => {}
            }
            if done(&runs, &change) {
                return;
            }
        };
        until(&|runs, change| runs.len() == 1 && matches!(change, Change::Loaded));
        let mut file = std::fs::OpenOptions::new().append(true).open(&first).expect("opens");
        file.write_all(line(2).as_bytes()).expect("writes");
        let last = |run: &RunSnapshot| run.curves.last_step();
        until(&|runs, change| matches!(change, Change::Grown(_)) && last(&runs[0]) == Some(2.0));
        begin("b");
        until(&|runs, _| runs.len() == 2 && last(&runs[1]) == Some(1.0));
        drop(follower);
        // The thread, which holds the sender, ends.
        let ended = loop {
            match inbox.recv_timeout(patience) {
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!(ended, RecvTimeoutError::Disconnected);
    }
}
