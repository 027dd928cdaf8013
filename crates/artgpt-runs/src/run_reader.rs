//! Reads the files of one run while they grow.

mod last_line;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use self::last_line::LastLine;
use super::catalogue::{Found, Kind, Source, Unread};
use super::clock::{LastChange, steady_now};
use super::curves::Curves;
use super::marks::MarksReader;
use super::readers::{Pattern, Reader};
use super::run::{Run, RunSnapshot};
use super::settings::{Settings, settings};
use super::skipped::Skipped;
use super::standing::{is_process, stated};
use super::tail::Grown;
use artgpt_rundir::job::{Wanted, called, ending};
use artgpt_rundir::{Mark, RunState, Status};

/// Reads the files of one run and builds its snapshots. It belongs to one thread.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    /// All log files, by format.
    groups: Vec<Vec<Source>>,
    /// The group that is read.
    sources: Vec<Source>,
    readers: Vec<Named>,
    pattern: Option<Pattern>,
    marks: MarksReader,
    written: LastChange<SystemTime>,
    heard: LastChange<String>,
    /// What is read from the start takes the place of the run's curves when all of it is read: a file
    /// that is just being written again has nothing to show.
    staged: Option<Curves>,
    /// The latest state. Published snapshots share it until it changes again.
    run: RunSnapshot,
}

/// A reader, and the prefix of the metric names in its file.
#[derive(Debug)]
struct Named {
    prefix: String,
    reader: Box<dyn Reader>,
}

impl RunReader {
    /// Opens no file yet, unless the run wrote several formats; [`Self::read`] does.
    pub fn open(found: Found, pattern: Option<Pattern>) -> Self {
        let Found { path, name, groups } = found;
        let run = Arc::new(Run { path: path.clone(), name, ..Run::default() });
        let marks = MarksReader::of(&path);
        let mut reader = Self {
            path,
            groups,
            sources: Vec::new(),
            readers: Vec::new(),
            pattern,
            marks,
            written: LastChange::default(),
            heard: LastChange::default(),
            staged: None,
            run,
        };
        reader.choose();
        reader.begin();
        reader
    }

    /// The run as of the last read.
    pub fn snapshot(&self) -> RunSnapshot {
        self.run.clone()
    }

    /// The folder or file of the run.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the files that a new search found. Readers of files that stay continue where they are.
    pub fn set_groups(&mut self, groups: Vec<Vec<Source>>) {
        if groups == self.groups {
            return;
        }
        self.groups = groups;
        let before = std::mem::take(&mut self.sources);
        self.choose();
        // Names get a prefix when a second file comes.
        let goes_on = self.sources.starts_with(&before)
            && (before.len() > 1 || self.sources.iter().all(|s| s.kind == Kind::Events));
        if goes_on || self.sources == before {
            let new = self.readers_from(before.len());
            self.readers.extend(new);
        } else {
            self.begin();
        }
    }

    /// Chooses the files that are read: those of the most complete format.
    fn choose(&mut self) {
        let best = match &self.groups[..] {
            // Our own runs write the same numbers into all formats.
            groups if groups.len() > 1 && Status::read(&self.path).is_none() => {
                most_complete(groups, self.pattern.as_ref())
            }
            _ => 0,
        };
        self.sources = self.groups.get(best).cloned().unwrap_or_default();
        let is_own = self.groups.len() > 1 && Status::read(&self.path).is_some();
        let others = self.groups.iter().enumerate().filter(|(at, _)| *at != best && !is_own);
        let name = self.sources.first().map(|source| file_name(&source.path)).unwrap_or_default();
        let unread = others.flat_map(|(_, group)| group).map(|source| Unread {
            path: source.path.clone(),
            reason: format!("the run is read from {name}, which has at least as much"),
        });
        let unread: Vec<Unread> = unread.collect();
        if self.run.unread != unread {
            Arc::make_mut(&mut self.run).unread = unread;
        }
    }

    fn begin(&mut self) {
        self.readers = self.readers_from(0);
        self.staged = Some(Curves::default());
    }

    fn readers_from(&self, first: usize) -> Vec<Named> {
        readers(&self.sources, self.pattern.as_ref()).skip(first).collect()
    }

    /// Reads everything new, until `stop` is set; returns whether the run changed. Reads each file to
    /// its end in order, because a later file may take back what an earlier one said.
    pub fn read(&mut self, stop: &AtomicBool) -> bool {
        let (mut changed, trouble) = self.read_curves(stop);
        changed |= self.read_folder(changed, trouble);
        changed
    }

    /// Parses what the log files gained; returns whether there was anything, and the last error.
    fn read_curves(&mut self, stop: &AtomicBool) -> (bool, Option<String>) {
        let (mut changed, mut trouble, mut at, mut restarts) = (false, None, 0, 0);
        while at < self.readers.len() && !stop.load(Ordering::Relaxed) {
            let Named { prefix, reader } = &mut self.readers[at];
            match reader.fetch() {
                Ok(Grown::Some) => {
                    let curves = match &mut self.staged {
                        Some(staged) => staged,
                        None => &mut Arc::make_mut(&mut self.run).curves,
                    };
                    curves.set_prefix(prefix);
                    reader.parse(curves);
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
        // The last state that could be read stays until there is another one.
        if let Some(staged) =
            self.staged.take_if(|new| !new.is_empty() || self.run.curves.is_empty())
        {
            Arc::make_mut(&mut self.run).curves = staged;
            changed = true;
        }
        (changed, trouble)
    }

    /// Reads the small files beside the logs; returns whether they changed the run.
    fn read_folder(&mut self, parsed: bool, trouble: Option<String>) -> bool {
        let new = self.look(parsed, trouble);
        let run = &*self.run;
        let same = run.job == new.job
            && run.status == new.status
            && run.has_process == new.has_process
            && run.heard == new.heard
            && run.ending == new.ending
            && run.gone == new.gone
            && run.written == new.written
            && run.trouble == new.trouble
            && run.skipped == new.skipped
            && new.marks.is_empty()
            && new.config.as_ref().is_none_or(|config| *config == run.config);
        if same {
            return false;
        }
        let run = Arc::make_mut(&mut self.run);
        if let Some(config) = new.config.filter(|config| *config != run.config) {
            run.config = config;
            run.configured += 1;
        }
        run.marks.extend(new.marks);
        (run.job, run.status, run.has_process) = (new.job, new.status, new.has_process);
        (run.ending, run.gone) = (new.ending, new.gone);
        (run.written, run.heard) = (new.written, new.heard);
        (run.trouble, run.skipped) = (new.trouble, new.skipped);
        true
    }

    /// The small files beside the logs; those that rarely change are read only when they may have.
    fn look(&mut self, parsed: bool, trouble: Option<String>) -> Look {
        let status = Status::read(&self.path);
        let times = self.sources.iter().filter_map(|s| s.path.metadata().ok()?.modified().ok());
        let running = status.as_ref().filter(|s| s.state == RunState::Running);
        let now = steady_now();
        let written = times.max().and_then(|at| self.written.see(at, Some(at), now));
        let beat = status.as_ref().map(|status| status.heartbeat.clone());
        let heard = beat.and_then(|beat| {
            let stated = stated(&beat);
            self.heard.see(beat, stated, now)
        });
        let state = |status: &Option<Status>| status.as_ref().map(|s| s.state);
        let new_state = state(&self.run.status) != state(&status);
        // The files that make it a job are written after its first status.
        let queued = status.as_ref().is_some_and(|status| status.state == RunState::Queued);
        let job = self.run.job.clone();
        let job = job.or_else(|| (new_state || queued).then(|| called(&self.path)).flatten());
        let logged = &self.run.curves.about.settings;
        let may_have_config = new_state || (self.run.config.is_empty() && parsed);
        Look {
            config: match logged.is_empty() {
                false if *logged == self.run.config => None,
                false => Some(logged.clone()),
                true => may_have_config.then(|| settings(&self.path)),
            },
            has_process: running.is_some_and(|status| is_process(status.pid)),
            ending: running.and_then(|status| ending(&self.path, status.pid)),
            gone: !self.path.exists(),
            marks: self.marks.read(),
            written,
            heard,
            skipped: skipped(&self.readers),
            job,
            status,
            trouble,
        }
    }

    /// Reads a run once, to its end. A last line without line end counts, too; in a run that may still
    /// write only if it is whole.
    pub fn whole(found: Found, pattern: Option<Pattern>) -> Run {
        let mut reader = Self::open(found, pattern);
        reader.read(&AtomicBool::new(false));
        let Self { run, mut readers, sources, .. } = reader;
        let (mut run, count) = (Arc::unwrap_or_clone(run), readers.len());
        let runs = run.standing(steady_now()).runs();
        run.skipped = Skipped::default();
        for Named { prefix, reader } in &mut readers {
            let source = sources.iter().find(|s| runs && s.path == reader.path());
            let end = source.map_or(LastLine::Ended, LastLine::of);
            run.curves.set_prefix(prefix);
            let left_out = end.finish(&mut **reader, &mut run.curves);
            run.skipped.absorb(&name_in(count, &**reader), &left_out);
        }
        run
    }
}

/// Readers of the files of one group.
fn readers<'a>(
    sources: &'a [Source],
    pattern: Option<&'a Pattern>,
) -> impl Iterator<Item = Named> + 'a {
    // Event files of one folder are one log that was restarted.
    let apart = sources.len() > 1 && sources.iter().any(|s| s.kind != Kind::Events);
    sources.iter().filter_map(move |source| {
        let stem = source.path.file_stem().unwrap_or_default().to_string_lossy();
        let prefix = if apart { stem.into_owned() } else { String::new() };
        Some(Named { prefix, reader: source.open(pattern)? })
    })
}

/// Files of more bytes are not read to compare them.
const MAX_COMPARED: u64 = 64 << 20;

/// The group that tells most: with steps, of the most rows, of the most points.
fn most_complete(groups: &[Vec<Source>], pattern: Option<&Pattern>) -> usize {
    let bytes = |source: &Source| source.path.metadata().map_or(0, |m| m.len());
    let size: u64 = groups.iter().flatten().map(bytes).sum();
    if size > MAX_COMPARED {
        return 0;
    }
    let fullness = |group: &Vec<Source>| {
        let mut curves = Curves::default();
        for Named { prefix, mut reader } in readers(group, pattern) {
            curves.set_prefix(&prefix);
            // A file that is replaced meanwhile is read as far as it goes.
            while let Ok(Grown::Some) = reader.fetch() {
                reader.parse(&mut curves);
            }
            reader.finish();
            reader.parse(&mut curves);
        }
        let lengths = || curves.iter().map(|(_, series)| series.len());
        (!curves.has_row_numbers(), lengths().max().unwrap_or(0), lengths().sum::<usize>())
    };
    let all = groups.iter().enumerate().map(|(at, group)| (fullness(group), at));
    // Of equals the preferred format, which comes first.
    all.rev().max_by_key(|(fullness, _)| *fullness).map_or(0, |(_, at)| at)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What a look into the folder of a run finds.
struct Look {
    job: Option<String>,
    status: Option<Status>,
    has_process: bool,
    ending: Option<Wanted>,
    gone: bool,
    /// New ones.
    marks: Vec<Mark>,
    /// `None` where it cannot have changed.
    config: Option<Settings>,
    written: Option<SystemTime>,
    heard: Option<SystemTime>,
    trouble: Option<String>,
    skipped: Skipped,
}

/// What all readers left out; several name their files.
fn skipped(readers: &[Named]) -> Skipped {
    let mut all = Skipped::default();
    for Named { reader, .. } in readers {
        all.absorb(&name_in(readers.len(), &**reader), reader.skipped());
    }
    all
}

/// The name of a reader's file, if it is one of several.
fn name_in(count: usize, reader: &dyn Reader) -> String {
    if count > 1 { file_name(reader.path()) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Standing;
    use crate::catalogue::find;
    use crate::standing::LIVELY;

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
        let mut reader = RunReader::open(found(), None);
        let go = AtomicBool::new(false);
        assert!(reader.read(&go));
        assert!(!reader.read(&go));
        let steps = |reader: &RunReader, name: &str| -> Vec<f64> {
            let run = reader.snapshot();
            run.curves.get(name).map_or(vec![], |s| s.points().map(|p| p.step).collect())
        };
        std::fs::write(&file, line(1, 4.0) + &line(2, 3.0)).expect("writes");
        assert!(reader.read(&go));
        assert_eq!(steps(&reader, "loss"), [1.0, 2.0]);
        std::fs::write(&file, line(7, 1.0)).expect("writes");
        assert!(reader.read(&go));
        assert_eq!(steps(&reader, "loss"), [7.0]);
        // Two files that say the same name are kept apart.
        std::fs::write(dir.path().join("eval_log.jsonl"), line(3, 0.5)).expect("writes");
        reader.set_groups(found().groups);
        assert!(reader.read(&go));
        assert_eq!((steps(&reader, "loss"), steps(&reader, "metrics/loss")), (vec![], vec![7.0]));
        assert_eq!(steps(&reader, "eval_log/loss"), [3.0]);
        std::fs::remove_file(&file).expect("removes");
        reader.read(&go);
        let trouble = |reader: &RunReader| reader.snapshot().trouble.clone();
        assert!(trouble(&reader).is_some_and(|t| t.contains("metrics.jsonl")));
        reader.set_groups(found().groups);
        reader.read(&go);
        assert_eq!((steps(&reader, "loss"), trouble(&reader)), (vec![3.0], None));
    }

    #[test]
    fn the_last_state_that_can_be_read_stays_while_the_next_one_is_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let state = |steps: &[u64]| {
            let all: Vec<String> =
                steps.iter().map(|s| format!("{{\"step\": {s}, \"loss\": 0.5}}")).collect();
            format!("{{\"max_steps\": 80, \"log_history\": [{}]}}", all.join(", "))
        };
        let write = |checkpoint: u64, text: &str| {
            let folder = dir.path().join(format!("checkpoint-{checkpoint}"));
            std::fs::create_dir_all(&folder).expect("makes");
            std::fs::write(folder.join("trainer_state.json"), text).expect("writes");
        };
        let groups = || find(dir.path(), false).pop().expect("a run").groups;
        let steps = |reader: &mut RunReader| -> Vec<f64> {
            reader.set_groups(groups());
            reader.read(&AtomicBool::new(false));
            let run = reader.snapshot();
            assert_eq!(run.progress().1, Some(80));
            run.curves.get("loss").map_or(vec![], |s| s.points().map(|p| p.step).collect())
        };
        write(20, &state(&[10, 20]));
        let mut reader = RunReader::open(find(dir.path(), false).pop().expect("a run"), None);
        assert_eq!(steps(&mut reader), [10.0, 20.0]);
        // The file itself is written again, then one of a newer checkpoint.
        for checkpoint in [20, 30] {
            let whole = state(&[10, 20, checkpoint + 10]);
            for part in [&whole[..0], &whole[..1], &whole[..whole.len() / 2]] {
                write(checkpoint, part);
                let told = steps(&mut reader);
                assert!(told.starts_with(&[10.0, 20.0]), "{checkpoint}: {told:?}");
            }
            let reasons =
                reader.snapshot().skipped.iter().map(ToString::to_string).collect::<String>();
            assert!(reasons.contains("not complete"), "{reasons}");
            write(checkpoint, &whole);
            assert_eq!(steps(&mut reader), [10.0, 20.0, checkpoint as f64 + 10.0]);
            assert!(reader.snapshot().skipped.is_empty());
        }
    }

    #[test]
    fn how_a_run_stands_is_told_by_its_status_its_process_or_its_files() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("metrics.jsonl"), "{\"step\":1,\"loss\":1}\n")
            .expect("writes");
        let mut reader = RunReader::open(find(dir.path(), false).pop().expect("a run"), None);
        let go = AtomicBool::new(false);
        let now = SystemTime::now();
        reader.read(&go);
        assert_eq!(reader.snapshot().standing(now), Standing::Lively);
        assert_eq!(reader.snapshot().standing(now + LIVELY * 2), Standing::Quiet);
        let mut tell = |text: String| {
            std::fs::write(dir.path().join("status.json"), text).expect("writes");
            assert!(reader.read(&go));
            (reader.snapshot().standing(now), reader.snapshot().progress())
        };
        let own = std::process::id();
        let progress = (1.0, Some(10));
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

    #[test]
    fn a_snapshot_stays_as_it_is_and_shares_what_did_not_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("metrics.jsonl");
        let line = |step: u64| format!("{{\"step\":{step},\"loss\":1.5}}\n");
        let lines = |to: u64| (0..to).map(line).collect::<String>();
        std::fs::write(&file, "{\"step\":0,\"lr\":1}\n".to_string() + &lines(5_000))
            .expect("writes");
        let mut reader = RunReader::open(find(dir.path(), false).pop().expect("a run"), None);
        let go = AtomicBool::new(false);
        reader.read(&go);
        let before = reader.snapshot();
        assert!(Arc::ptr_eq(&before, &reader.snapshot()));
        let mut append = std::fs::OpenOptions::new().append(true).open(&file).expect("opens");
        std::io::Write::write_all(&mut append, line(5_000).as_bytes()).expect("writes");
        assert!(reader.read(&go));
        let after = reader.snapshot();
        let length = |run: &Run| run.curves.get("loss").map(|series| series.len());
        assert_eq!((length(&before), length(&after)), (Some(5_000), Some(5_001)));
        let shared = |name| {
            let (a, b) = (before.curves.get(name), after.curves.get(name));
            a.zip(b).map(|(a, b)| (std::ptr::eq(a, b), a.shares_with(b)))
        };
        // 5,000 points are four full chunks; the curve that did not grow is the same one.
        assert_eq!((shared("loss"), shared("lr")), (Some((false, 4)), Some((true, 0))));
        assert!(std::ptr::eq(&*before.curves.about, &*after.curves.about));
    }
}
