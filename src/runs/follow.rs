//! Follows runs while they grow: the system tells of changes where it can, and all files are looked at
//! now and then, because network file systems tell nothing.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rayon::prelude::*;

use super::catalogue::find;
use super::readers::Pattern;
use super::run::Run;

/// A run that is read by one thread and drawn by another.
pub type Shared = Arc<RwLock<Run>>;

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

/// Ends when it is dropped.
pub struct Follower {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _watcher: Option<RecommendedWatcher>,
}

impl Follower {
    pub fn spawn(
        paths: Vec<PathBuf>,
        pattern: Option<Pattern>,
        tell: impl Fn(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, wake) = channel();
        let waker = stop.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.is_ok_and(|e| !e.kind.is_access()) {
                    let _ = waker.send(());
                }
            })
            .ok();
        if let Some(watcher) = &mut watcher {
            for path in &paths {
                // Where it cannot be watched it is looked at.
                let _ = watcher.watch(path, RecursiveMode::Recursive);
            }
        }
        let thread = std::thread::Builder::new()
            .name("runs".into())
            .spawn(move || Following { paths, pattern, runs: Vec::new(), tell }.run(&wake))?;
        Ok(Self { stop: Some(stop), thread: Some(thread), _watcher: watcher })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // The watcher holds the other sender.
        self._watcher = None;
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Following<T> {
    paths: Vec<PathBuf>,
    pattern: Option<Pattern>,
    runs: Vec<Shared>,
    tell: T,
}

impl<T: Fn(Change)> Following<T> {
    fn run(mut self, wake: &Receiver<()>) {
        self.search();
        self.read();
        (self.tell)(Change::Loaded);
        let mut searched = Instant::now();
        loop {
            match wake.recv_timeout(POLL) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) => {
                    std::thread::sleep(SETTLE);
                    while wake.try_recv().is_ok() {}
                }
            }
            if searched.elapsed() > SEARCH {
                self.search();
                searched = Instant::now();
            }
            self.read();
        }
    }

    fn search(&mut self) {
        let mut new = Vec::new();
        for found in self.paths.iter().flat_map(|p| find(p, self.pattern.is_some())) {
            let path_of = |run: &Shared| {
                run.read().unwrap_or_else(PoisonError::into_inner).path == found.path
            };
            match self.runs.iter().find(|run| path_of(run)) {
                Some(known) => known
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .set_sources(found.files.clone()),
                None => {
                    let run = Arc::new(RwLock::new(Run::new(found, self.pattern.clone())));
                    self.runs.push(run.clone());
                    new.push(run);
                }
            }
        }
        if !new.is_empty() {
            (self.tell)(Change::Found(new));
        }
    }

    fn read(&self) {
        let poll = |(i, run): (usize, &Shared)| {
            // A piece at a time, so that who draws need not wait for a long file.
            let mut grown = false;
            loop {
                let mut run = run.write().unwrap_or_else(PoisonError::into_inner);
                match run.poll_piece() {
                    true => grown = true,
                    false => return grown.then_some(i),
                }
            }
        };
        let grown: Vec<usize> = self.runs.par_iter().enumerate().filter_map(poll).collect();
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
        assert!(inbox.recv_timeout(patience).is_err(), "its thread has ended");
    }
}
