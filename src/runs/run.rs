//! One run: its files, its curves, and how it stands.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::catalogue::{Found, Source};
use super::curves::Curves;
use super::readers::{Pattern, Reader};
use super::tail::Grown;
use crate::training::{RunState, Status};

/// A run whose files were written within this time is taken to go on, where it does not say.
const LIVELY: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Run {
    pub path: PathBuf,
    /// See [`Found::name`].
    pub name: String,
    sources: Vec<Source>,
    readers: Vec<Box<dyn Reader>>,
    pattern: Option<Pattern>,
    pub curves: Curves,
    /// `status.json`, where the run has one.
    pub status: Option<Status>,
    /// Of the last file that was written.
    pub written: Option<SystemTime>,
    /// The last error of reading, in words.
    pub trouble: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It says so itself.
    Told(RunState),
    /// It says that it runs, and its process is gone.
    Lost,
    /// It does not say; its files were written a moment ago, or not.
    Lively,
    Quiet,
}

impl Standing {
    pub fn word(self) -> &'static str {
        match self {
            Self::Told(RunState::Queued) => "queued",
            Self::Told(RunState::Running) => "running",
            Self::Told(RunState::Paused) => "paused",
            Self::Told(RunState::Finished) => "finished",
            Self::Told(RunState::Failed) => "failed",
            Self::Told(RunState::Stopped) => "stopped",
            Self::Lost => "lost",
            Self::Lively => "live",
            Self::Quiet => "quiet",
        }
    }
}

impl Run {
    pub fn new(found: Found, pattern: Option<Pattern>) -> Self {
        let mut run = Self {
            path: found.path,
            name: found.name,
            sources: found.files,
            readers: Vec::new(),
            pattern,
            curves: Curves::default(),
            status: None,
            written: None,
            trouble: None,
        };
        run.begin();
        run
    }

    /// What a new look at its folder found. Readers of files that stay go on where they are.
    pub fn set_sources(&mut self, sources: Vec<Source>) {
        if sources == self.sources {
            return;
        }
        let goes_on = sources.starts_with(&self.sources);
        let new = sources.iter().skip(self.sources.len());
        if goes_on {
            self.readers.extend(new.filter_map(|s| s.open(self.pattern.as_ref())));
            self.sources = sources;
        } else {
            self.sources = sources;
            self.begin();
        }
    }

    fn begin(&mut self) {
        let pattern = self.pattern.as_ref();
        self.curves.clear();
        self.readers = self.sources.iter().filter_map(|s| s.open(pattern)).collect();
    }

    /// Reads all that is new; says whether there was anything.
    pub fn poll(&mut self) -> bool {
        let mut changed = false;
        while self.poll_piece() {
            changed = true;
        }
        changed
    }

    /// Reads a piece of what is new; says whether there was anything, and so perhaps more of it. Files
    /// are read to their end in their order: a later one may take back what an earlier one said.
    pub fn poll_piece(&mut self) -> bool {
        self.trouble = None;
        for at in 0..self.readers.len() {
            let Some(reader) = self.readers.get_mut(at) else { break };
            match reader.read(&mut self.curves) {
                Ok(Grown::Some) => return true,
                Ok(Grown::Not) => {}
                Ok(Grown::Anew) => {
                    self.begin();
                    return true;
                }
                Err(e) => {
                    self.trouble = Some(format!("cannot read {}: {e}", reader.path().display()));
                }
            }
        }
        let status = read_status(&self.path);
        let changed = status != self.status;
        self.status = status;
        let times = self.sources.iter().filter_map(|s| s.path.metadata().ok()?.modified().ok());
        self.written = times.max();
        changed
    }

    pub fn standing(&self, now: SystemTime) -> Standing {
        match &self.status {
            Some(status) if status.state == RunState::Running && !lives(status.pid) => {
                Standing::Lost
            }
            Some(status) => Standing::Told(status.state),
            None => {
                let since = self.written.and_then(|at| now.duration_since(at).ok());
                match since {
                    Some(age) if age > LIVELY => Standing::Quiet,
                    None => Standing::Quiet,
                    Some(_) => Standing::Lively,
                }
            }
        }
    }

    /// Lines or records that could not be understood.
    pub fn skipped(&self) -> usize {
        self.readers.iter().map(|r| r.skipped()).sum()
    }

    /// The step it stands at, and the step it goes to.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let step = self.curves.last_step().unwrap_or(0);
        let total = self.status.as_ref().map(|s| s.total_steps as u64);
        (self.status.as_ref().map_or(step, |s| s.step as u64), total)
    }
}

fn read_status(path: &Path) -> Option<Status> {
    serde_json::from_slice(&std::fs::read(path.join("status.json")).ok()?).ok()
}

/// Whether the process is there. A number that was given to another process since is not noticed.
fn lives(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    // One that belongs to somebody else lives, too.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::catalogue::find;

    fn status(state: &str, pid: u32) -> String {
        format!(
            r#"{{"state":"{state}","pid":{pid},"step":1,"total_steps":10,"heartbeat":"","exit_reason":null}}"#
        )
    }

    #[test]
    fn a_run_is_followed_through_growth_replacement_and_new_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("metrics.jsonl");
        let line = |step, loss: f64| format!("{{\"step\":{step},\"loss\":{loss}}}\n");
        std::fs::write(&file, line(1, 4.0)).expect("writes");
        let found = || find(dir.path(), false).pop().expect("a run");
        let mut run = Run::new(found(), None);
        assert!(run.poll());
        assert!(!run.poll());
        let steps = |run: &Run| -> Vec<u64> {
            run.curves.get("loss").expect("is").points().map(|p| p.step).collect()
        };
        std::fs::write(&file, line(1, 4.0) + &line(2, 3.0)).expect("writes");
        assert!(run.poll());
        assert_eq!(steps(&run), [1, 2]);
        std::fs::write(&file, line(7, 1.0)).expect("writes");
        assert!(run.poll());
        assert_eq!(steps(&run), [7]);
        std::fs::write(dir.path().join("z.jsonl"), line(8, 0.5)).expect("writes");
        run.set_sources(found().files);
        assert!(run.poll());
        assert_eq!(steps(&run), [7, 8]);
        std::fs::remove_file(&file).expect("removes");
        run.poll();
        assert!(run.trouble.as_ref().is_some_and(|t| t.contains("metrics.jsonl")));
        run.set_sources(found().files);
        run.poll();
        assert_eq!((steps(&run), run.trouble.clone()), (vec![8], None));
    }

    #[test]
    fn how_a_run_stands_is_told_by_its_status_its_process_or_its_files() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("metrics.jsonl"), "{\"step\":1,\"loss\":1}\n")
            .expect("writes");
        let mut run = Run::new(find(dir.path(), false).pop().expect("a run"), None);
        let now = SystemTime::now();
        run.poll();
        assert_eq!(run.standing(now), Standing::Lively);
        assert_eq!(run.standing(now + LIVELY * 2), Standing::Quiet);
        let mut tell = |text: String| {
            std::fs::write(dir.path().join("status.json"), text).expect("writes");
            assert!(run.poll());
            (run.standing(now), run.progress())
        };
        let own = std::process::id();
        let progress = (1, Some(10));
        assert_eq!(tell(status("running", own)), (Standing::Told(RunState::Running), progress));
        // Above what Linux gives out.
        assert_eq!(tell(status("running", 1 << 30)), (Standing::Lost, progress));
        assert_eq!(
            tell(status("finished", 1 << 30)),
            (Standing::Told(RunState::Finished), progress)
        );
    }
}
