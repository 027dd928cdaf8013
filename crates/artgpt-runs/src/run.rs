//! One run: its files, its curves, and how it stands.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::catalogue::{Found, Kind, Source};
use super::curves::Curves;
use super::marks::MarksReader;
use super::readers::{Pattern, Reader};
use super::series::{Clock, XAxis};
use super::settings::{Settings, settings};
use super::tail::Grown;
use artgpt_rundir::job::{Wanted, called, ending};
use artgpt_rundir::{Mark, RunState, Status};

/// A run whose files were written within this time is taken to go on, where it does not say.
const LIVELY: Duration = Duration::from_secs(120);

/// Points over which a run's pace is taken.
const PACE_OVER: usize = 50;

/// What programs call the passes over the data.
const EPOCHS: &[&str] = &["epoch", "train/epoch", "trainer/epoch"];

/// What is known of a run; [`RunReader`] brings it up to date.
#[derive(Debug, Default)]
pub struct Run {
    pub path: PathBuf,
    /// See [`Found::name`].
    pub name: String,
    pub curves: Curves,
    /// `status.json`, where the run has one.
    pub status: Option<Status>,
    /// The name that it was submitted under, where it is a job.
    pub job: Option<String>,
    /// What it was told: by its log, or by files in its folder.
    pub config: Settings,
    /// How often that has changed.
    pub configured: u64,
    /// What it was asked to do, and does not do yet.
    pub ending: Option<Wanted>,
    /// Its files are no longer there.
    pub gone: bool,
    /// Checkpoints, warnings and rollbacks, in their order.
    pub marks: Vec<Mark>,
    /// Of the last file that was written.
    pub written: Option<SystemTime>,
    /// The last error of reading, in words.
    pub trouble: Option<String>,
    /// Lines or records that could not be understood.
    pub skipped: usize,
}

/// A run that is read by one thread and drawn by another.
pub type Shared = Arc<RwLock<Run>>;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It says so itself.
    Told(RunState),
    /// It runs, and has not come to its next step.
    Starting,
    /// It runs, and ends after its present step.
    Pausing,
    Stopping,
    /// It says that it runs, and its process is gone.
    Lost,
    /// It does not say; its files were written a moment ago, or not.
    Lively,
    Quiet,
}

impl Standing {
    /// Whether a process trains.
    pub fn runs(self) -> bool {
        use Standing::{Lively, Pausing, Starting, Stopping, Told};
        matches!(self, Told(RunState::Running) | Starting | Pausing | Stopping | Lively)
    }

    /// As scripts know it: the state that it says, or ours where it says none.
    pub fn state(self) -> &'static str {
        match self {
            Self::Starting | Self::Pausing | Self::Stopping => Self::Told(RunState::Running).word(),
            other => other.word(),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Told(RunState::Queued) => "queued",
            Self::Told(RunState::Running) => "running",
            Self::Told(RunState::Paused) => "paused",
            Self::Told(RunState::Finished) => "finished",
            Self::Told(RunState::Failed) => "failed",
            Self::Told(RunState::Stopped) => "stopped",
            Self::Starting => "starting",
            Self::Pausing => "pausing",
            Self::Stopping => "stopping",
            Self::Lost => "lost",
            Self::Lively => "live",
            Self::Quiet => "quiet",
        }
    }
}

impl Run {
    /// What it was called by whoever began it.
    pub fn title(&self) -> Option<&str> {
        self.job.as_deref().or(self.curves.about.name.as_deref())
    }

    /// What it holds for its result, but what is the last value of a curve.
    pub fn results(&self) -> Vec<(&str, &str)> {
        let mut all = self.curves.about.results();
        all.retain(|(key, value)| {
            let last = self.curves.get(&key.replace('.', "/")).and_then(|series| series.last());
            last.is_none_or(|point| value.parse() != Ok(point.value))
        });
        all
    }

    pub fn standing(&self, now: SystemTime) -> Standing {
        match &self.status {
            Some(status) => match (standing(status, now), self.ending) {
                (Standing::Told(RunState::Running), Some(Wanted::Pause)) => Standing::Pausing,
                (Standing::Told(RunState::Running), Some(Wanted::Stop)) => Standing::Stopping,
                (Standing::Told(RunState::Running), _) if status.phase.is_some() => {
                    Standing::Starting
                }
                (told, _) => told,
            },
            None if self.curves.about.exit.is_some() => {
                let good = self.curves.about.exit == Some(0);
                Standing::Told(if good { RunState::Finished } else { RunState::Failed })
            }
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

    /// What places its points on an axis; `None` before there is one.
    pub fn clock(&self, axis: XAxis) -> Option<Clock<'_>> {
        let began = self.curves.began().unwrap_or(0.0);
        let epochs = EPOCHS.iter().find_map(|name| self.curves.get(name));
        (!self.curves.is_empty()).then_some(Clock { axis, began, epochs })
    }

    /// The progress in words.
    pub fn steps(&self) -> String {
        match self.progress() {
            (step, Some(total)) => format!("{step}/{total}"),
            (step, None) => step.to_string(),
        }
    }

    /// Seconds that it still needs, at the pace of its last points; of a run that goes on and says how
    /// far it goes.
    pub fn left(&self, now: SystemTime) -> Option<f64> {
        if !self.standing(now).runs() {
            return None;
        }
        let (step, total) = self.progress();
        // Pauses do not count where the run itself leaves them out.
        let spent = self.curves.get("elapsed_s");
        let longest = || self.curves.iter().map(|(_, s)| s).max_by_key(|series| series.len());
        let series = spent.or_else(longest)?;
        let last = series.last()?;
        // The pace of an earlier stage says nothing of this one, once it has a pace.
        let own =
            series.index_after(self.stage_began(last.step)).min(series.len().saturating_sub(2));
        let first = series.get(series.len().saturating_sub(PACE_OVER).max(own))?;
        let passed = match spent {
            Some(_) => last.value - first.value,
            None => last.wall - first.wall,
        };
        let seconds = passed / last.step.checked_sub(first.step)? as f64;
        let left = seconds * total?.saturating_sub(step) as f64;
        left.is_finite().then_some(left)
    }

    /// The last step before the stage in which a step is, of a run of ours.
    fn stage_began(&self, step: u64) -> u64 {
        let steps = (0..).map_while(|stage| self.config.get(&format!("stage.{stage}.steps")));
        let ends = steps.map_while(|steps| steps.parse::<u64>().ok()).scan(0u64, |sum, steps| {
            *sum = sum.saturating_add(steps);
            Some(*sum)
        });
        ends.take_while(|end| *end < step).last().unwrap_or(0)
    }

    /// The step it stands at, and the step it goes to.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let step = self.curves.last_step().unwrap_or(0);
        let total = self.status.as_ref().map(|s| s.total_steps as u64);
        (self.status.as_ref().map_or(step, |s| s.step as u64), total)
    }
}

/// Reads the files of one run. It is held by one thread; the run is locked only while what was fetched
/// is added to it, so that who looks at it never waits for a disk.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    sources: Vec<Source>,
    readers: Vec<Named>,
    pattern: Option<Pattern>,
    marks: MarksReader,
    /// What was read before is void.
    anew: bool,
}

/// A reader, and what stands before the names in its file.
#[derive(Debug)]
struct Named {
    prefix: String,
    reader: Box<dyn Reader>,
}

impl RunReader {
    pub fn open(found: Found, pattern: Option<Pattern>) -> (Shared, Self) {
        let Found { path, name, files } = found;
        let run = Run { path: path.clone(), name, ..Run::default() };
        let (sources, readers) = (files, Vec::new());
        let marks = MarksReader::of(&path);
        let mut reader = Self { path, sources, readers, pattern, marks, anew: true };
        reader.begin();
        (Arc::new(RwLock::new(run)), reader)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a new look at its folder found. Readers of files that stay go on where they are.
    pub fn set_sources(&mut self, sources: Vec<Source>) {
        if sources == self.sources {
            return;
        }
        // Names get a prefix when a second file comes.
        let goes_on = sources.starts_with(&self.sources)
            && (self.sources.len() > 1 || sources.iter().all(|s| s.kind == Kind::Events));
        let known = if goes_on { self.sources.len() } else { 0 };
        self.sources = sources;
        if goes_on {
            let new = self.readers_from(known);
            self.readers.extend(new);
        } else {
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.readers = self.readers_from(0);
        self.anew = true;
    }

    fn readers_from(&self, first: usize) -> Vec<Named> {
        // Event files of one folder are one log that was begun again.
        let apart = self.sources.len() > 1 && self.sources.iter().any(|s| s.kind != Kind::Events);
        let sources = self.sources.iter().skip(first);
        sources
            .filter_map(|source| {
                let stem = source.path.file_stem().unwrap_or_default().to_string_lossy();
                let prefix = if apart { stem.into_owned() } else { String::new() };
                Some(Named { prefix, reader: source.open(self.pattern.as_ref())? })
            })
            .collect()
    }

    /// Reads all that is new, until `stop`; says whether there was anything. Files are read to their
    /// end in their order: a later one may take back what an earlier one said.
    pub fn read(&mut self, run: &RwLock<Run>, stop: &AtomicBool) -> bool {
        let lock = || run.write().unwrap_or_else(PoisonError::into_inner);
        let (mut changed, mut trouble, mut at, mut restarts) = (false, None, 0, 0);
        while at < self.readers.len() && !stop.load(Ordering::Relaxed) {
            if std::mem::take(&mut self.anew) {
                lock().curves.clear();
                changed = true;
            }
            let Named { prefix, reader } = &mut self.readers[at];
            match reader.fetch() {
                Ok(Grown::Some) => {
                    let mut run = lock();
                    run.curves.set_prefix(prefix);
                    reader.parse(&mut run.curves);
                    changed = true;
                }
                Ok(Grown::Not) => at += 1,
                // A file that is replaced without end is read at the next call.
                Ok(Grown::Anew) if restarts > 0 => at += 1,
                Ok(Grown::Anew) => {
                    restarts += 1;
                    self.begin();
                    at = 0;
                }
                Err(e) => {
                    trouble = Some(format!("cannot read {}: {e}", reader.path().display()));
                    at += 1;
                }
            }
        }
        let status = Status::read(&self.path);
        let marks = self.marks.read();
        let times = self.sources.iter().filter_map(|s| s.path.metadata().ok()?.modified().ok());
        let written = times.max();
        let skipped = self.readers.iter().map(|r| r.reader.skipped()).sum();
        let running = status.as_ref().filter(|s| s.state == RunState::Running);
        let ending = running.and_then(|status| ending(&self.path, status.pid));
        let gone = !self.path.exists();
        // Files are read before the lock is taken, and only where they can tell something new.
        let (named, anew, unconfigured) = {
            let run = run.read().unwrap_or_else(PoisonError::into_inner);
            let state = |status: &Option<Status>| status.as_ref().map(|s| s.state);
            let anew = state(&run.status) != state(&status);
            (run.job.is_some(), anew, run.config.is_empty())
        };
        // What makes it a job is written after its first status.
        let queued = status.as_ref().is_some_and(|status| status.state == RunState::Queued);
        let job = ((anew || queued) && !named).then(|| called(&self.path)).flatten();
        let config = (anew || (unconfigured && changed)).then(|| settings(&self.path));
        let mut run = lock();
        run.job = run.job.take().or(job);
        changed |= run.status != status || run.trouble != trouble || !marks.is_empty();
        changed |= run.ending != ending || run.gone != gone;
        if !run.curves.about.settings.is_empty() {
            if run.config != run.curves.about.settings {
                run.config = run.curves.about.settings.clone();
                run.configured += 1;
            }
        } else if let Some(config) = config.filter(|config| *config != run.config) {
            run.config = config;
            run.configured += 1;
        }
        (run.ending, run.gone) = (ending, gone);
        run.marks.extend(marks);
        (run.status, run.trouble, run.written, run.skipped) = (status, trouble, written, skipped);
        changed
    }

    /// Reads a run once, to its end; that of one that stands still is also a last line with no end.
    pub fn whole(found: Found, pattern: Option<Pattern>) -> Run {
        let (run, mut reader) = Self::open(found, pattern);
        reader.read(&run, &AtomicBool::new(false));
        let mut run = std::mem::take(&mut *run.write().unwrap_or_else(PoisonError::into_inner));
        if !run.standing(SystemTime::now()).runs() {
            for Named { prefix, reader } in &mut reader.readers {
                reader.finish();
                run.curves.set_prefix(prefix);
                reader.parse(&mut run.curves);
            }
            run.skipped = reader.readers.iter().map(|r| r.reader.skipped()).sum();
        }
        run
    }
}

/// How a run stands that says so itself.
pub fn standing(status: &Status, now: SystemTime) -> Standing {
    let runs = status.state == RunState::Running;
    // One on another machine has no process here, but its heart beats.
    match runs && !lives(status.pid) && !beats(&status.heartbeat, now) {
        true => Standing::Lost,
        false => Standing::Told(status.state),
    }
}

/// Whether a heartbeat (RFC 3339) is of a moment ago.
fn beats(heartbeat: &str, now: SystemTime) -> bool {
    let Ok(at) = heartbeat.parse::<jiff::Timestamp>() else { return false };
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_second().max(0) as u64);
    now.duration_since(at).map_or(true, |age| age < LIVELY)
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
    use crate::catalogue::find;

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
        let (run, mut reader) = RunReader::open(found(), None);
        let go = AtomicBool::new(false);
        assert!(reader.read(&run, &go));
        assert!(!reader.read(&run, &go));
        let steps = |name: &str| -> Vec<u64> {
            let run = run.read().expect("is whole");
            run.curves.get(name).map_or(vec![], |s| s.points().map(|p| p.step).collect())
        };
        std::fs::write(&file, line(1, 4.0) + &line(2, 3.0)).expect("writes");
        assert!(reader.read(&run, &go));
        assert_eq!(steps("loss"), [1, 2]);
        std::fs::write(&file, line(7, 1.0)).expect("writes");
        assert!(reader.read(&run, &go));
        assert_eq!(steps("loss"), [7]);
        // Two files that say the same name are kept apart.
        std::fs::write(dir.path().join("eval_log.jsonl"), line(3, 0.5)).expect("writes");
        reader.set_sources(found().files);
        assert!(reader.read(&run, &go));
        assert_eq!((steps("loss"), steps("metrics/loss")), (vec![], vec![7]));
        assert_eq!(steps("eval_log/loss"), [3]);
        std::fs::remove_file(&file).expect("removes");
        reader.read(&run, &go);
        let trouble = || run.read().expect("is whole").trouble.clone();
        assert!(trouble().is_some_and(|t| t.contains("metrics.jsonl")));
        reader.set_sources(found().files);
        reader.read(&run, &go);
        assert_eq!((steps("loss"), trouble()), (vec![3], None));
    }

    #[test]
    fn the_time_that_is_left_goes_by_the_pace_of_the_stage() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::write(dir.path().join(name), text).expect("writes");
        };
        // Ten steps of a second each, then steps of five.
        let lines = |to: u64| -> String {
            let elapsed = |step: u64| if step <= 10 { step } else { 10 + (step - 10) * 5 };
            (1..=to).map(|s| format!("{{\"step\":{s},\"elapsed_s\":{}}}\n", elapsed(s))).collect()
        };
        let told = |step: u64| {
            let pid = std::process::id();
            let text = format!(
                r#"{{"state":"running","pid":{pid},"step":{step},"total_steps":30,"heartbeat":"{}","exit_reason":null}}"#,
                jiff::Timestamp::now()
            );
            write("status.json", text);
            write("metrics.jsonl", lines(step));
            let found = find(dir.path(), false).pop().expect("a run");
            RunReader::whole(found, None).left(SystemTime::now())
        };
        write("config.toml", "[[stage]]\nsteps = 10\n[[stage]]\nsteps = 20\n".into());
        assert_eq!(told(8), Some(22.0));
        // Its first step has no pace of its own yet.
        assert_eq!(told(11), Some(19.0 * 5.0));
        assert_eq!(told(16), Some(14.0 * 5.0));
    }

    #[test]
    fn how_a_run_stands_is_told_by_its_status_its_process_or_its_files() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("metrics.jsonl"), "{\"step\":1,\"loss\":1}\n")
            .expect("writes");
        let (run, mut reader) =
            RunReader::open(find(dir.path(), false).pop().expect("a run"), None);
        let go = AtomicBool::new(false);
        let now = SystemTime::now();
        reader.read(&run, &go);
        let standing = |at| run.read().expect("is whole").standing(at);
        assert_eq!(standing(now), Standing::Lively);
        assert_eq!(standing(now + LIVELY * 2), Standing::Quiet);
        let mut tell = |text: String| {
            std::fs::write(dir.path().join("status.json"), text).expect("writes");
            assert!(reader.read(&run, &go));
            (standing(now), run.read().expect("is whole").progress())
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
        // On another machine of a shared file system.
        let beating = status("running", 1 << 30).replace(
            "\"heartbeat\":\"\"",
            &format!("\"heartbeat\":\"{}\"", jiff::Timestamp::now()),
        );
        assert_eq!(tell(beating), (Standing::Told(RunState::Running), progress));
    }
}
