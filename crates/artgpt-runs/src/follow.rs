//! Follows runs while they grow: the system tells of changes where it can, and all files are looked at
//! now and then, because network file systems tell nothing.

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
use super::run::{RunReader, Shared};

#[derive(Debug)]
pub enum Change {
    /// Runs that were not known, in the order in which they are to be listed.
    Found(Vec<Shared>),
    /// Numbers of the runs that have grown, in the order in which they were found.
    Grown(Vec<usize>),
    /// All that there is has been read once.
    Loaded,
}

/// Changes that come together are read together.
const SETTLE: Duration = Duration::from_millis(100);
/// Between looks at files that nobody told of.
const POLL: Duration = Duration::from_secs(2);
/// Between searches for new runs.
const SEARCH: Duration = Duration::from_secs(5);

/// Its thread ends soon after it is dropped; it is not waited for, because it may wait for a disk.
pub struct Follower {
    stop: Arc<AtomicBool>,
    _wake: Sender<Vec<PathBuf>>,
    _watcher: Option<RecommendedWatcher>,
}

impl Follower {
    pub fn spawn(
        paths: Vec<PathBuf>,
        pattern: Option<Pattern>,
        tell: impl Fn(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        // The system tells whole paths.
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
                // Where it cannot be watched it is looked at.
                let _ = watcher.watch(path, RecursiveMode::Recursive);
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let following = Following {
            paths,
            pattern,
            runs: Vec::new(),
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
    runs: Vec<(Shared, RunReader)>,
    /// Their numbers by their paths.
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
                Some(place) => self.runs[*place].1.set_sources(found.files),
                None => {
                    self.places.insert(found.path.clone(), self.runs.len());
                    let (run, reader) = RunReader::open(found, self.pattern.clone());
                    new.push(run.clone());
                    self.runs.push((run, reader));
                }
            }
        }
        if !new.is_empty() {
            (self.tell)(Change::Found(new));
        }
    }

    /// Reads the runs whose files changed; all of them where that is not known.
    fn read(&mut self, told: Option<&[PathBuf]>) {
        let stop = &self.stop;
        let concerned = |reader: &RunReader| {
            told.is_none_or(|paths| paths.iter().any(|path| path.starts_with(reader.path())))
        };
        let grown: Vec<usize> = self
            .runs
            .par_iter_mut()
            .enumerate()
            .filter(|(_, (_, reader))| concerned(reader))
            .filter_map(|(i, (run, reader))| reader.read(run, stop).then_some(i))
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
        let mut until = |done: &dyn Fn(&[Shared], &Change) -> bool| loop {
            let change = inbox.recv_timeout(patience).expect("a change");
            if let Change::Found(new) = &change {
                runs.extend(new.iter().cloned());
            }
            if done(&runs, &change) {
                return;
            }
        };
        until(&|runs, change| runs.len() == 1 && matches!(change, Change::Loaded));
        let mut file = std::fs::OpenOptions::new().append(true).open(&first).expect("opens");
        file.write_all(line(2).as_bytes()).expect("writes");
        let last = |run: &Shared| run.read().expect("is whole").curves.last_step();
        until(&|runs, change| matches!(change, Change::Grown(_)) && last(&runs[0]) == Some(2));
        begin("b");
        until(&|runs, _| runs.len() == 2 && last(&runs[1]) == Some(1));
        drop(follower);
        // Its thread, which holds the sender, ends.
        let ended = loop {
            match inbox.recv_timeout(patience) {
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!(ended, RecvTimeoutError::Disconnected);
    }
}
