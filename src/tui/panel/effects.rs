//! What the panel does outside its state: files, jobs, processes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::chart::Export;
use super::find_runs::PanelPaths;
use super::jobs::{Form, Steer};
use super::media::Save;
use super::message::Message;
use super::notes::file as notes;
use super::page::{self, PageRequest};
use super::saved_state::{self, Change, StateFile};
use crate::tui::complete::{common_prefix, matching};
use artgpt_machine::Processes;
use artgpt_rundir::job::Wanted;

/// Something to do outside the state.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Write a chart to a file.
    Export(Box<Export>),
    /// Write what a tab shows to a file.
    Save(Save),
    ReadNotes,
    SetNote(PathBuf, String),
    /// Append words to the notes of runs; each with the note that it logged, if it has none yet.
    AddNotes(Vec<(PathBuf, String)>, String),
    ReadState,
    SaveState(Change),
    LoadPage(Box<PageRequest>),
    /// Request that jobs pause, run or stop.
    RequestJobs(Vec<PathBuf>, Wanted),
    RemoveRuns(Vec<PathBuf>),
    /// Find the configurations whose paths begin with this.
    Complete(String),
    Check(Form),
    Submit(Form),
    ListProcesses,
    /// Ring the bell, or run the notice command.
    Ring(String),
    /// Draw every cell again.
    Redraw,
    Quit {
        by_user: bool,
    },
}

/// Effects at the start, whose answers complete the state.
pub(crate) fn initial() -> [Effect; 2] {
    [Effect::ReadNotes, Effect::ReadState]
}

/// What effects need besides their values.
pub(crate) struct Context {
    /// Folder for exported files.
    exports: PathBuf,
    notes: PathBuf,
    state: StateFile,
    /// The watched paths as one text, under which the state is saved.
    watched: String,
    steer: Option<Arc<dyn Steer>>,
    /// Opened by the first request: load is measured between two of them.
    processes: Mutex<Option<Processes>>,
}

impl Context {
    pub(crate) fn new(paths: &PanelPaths, steer: Option<Arc<dyn Steer>>) -> Self {
        Self {
            exports: paths.exports.clone(),
            notes: notes::path_in(&paths.data),
            watched: paths.as_text(),
            state: StateFile::new(saved_state::path_in(&paths.data)),
            steer,
            processes: Mutex::default(),
        }
    }
}

/// Carries out an effect. Blocks, so it must not run on the event loop. The event loop itself handles
/// [`Effect::Ring`], [`Effect::Redraw`] and [`Effect::Quit`].
pub(crate) fn perform(effect: Effect, context: &Context) -> Option<Message> {
    let steer = context.steer.as_deref();
    match effect {
        Effect::Export(export) => Some(written(export.write(&context.exports))),
        Effect::Save(save) => Some(written(save.write(&context.exports))),
        Effect::ReadNotes => Some(match notes::read(&context.notes) {
            Ok(all) => Message::Notes(all),
            Err(e) => Message::Notice(format!("cannot read {}: {e}", context.notes.display())),
        }),
        Effect::SetNote(run, note) => {
            Some(change_notes(&context.notes, |path| notes::set(path, &run, &note)))
        }
        Effect::AddNotes(runs, words) => {
            Some(change_notes(&context.notes, |path| notes::add(path, &runs, &words)))
        }
        Effect::ReadState => {
            let saved = context.state.read();
            Some(Message::SavedState(Box::new(saved), context.watched.clone()))
        }
        Effect::SaveState(change) => {
            context.state.write(change);
            None
        }
        Effect::LoadPage(request) => {
            let data = page::load(&request);
            Some(Message::Page(request.run, Box::new(data)))
        }
        Effect::RequestJobs(runs, wanted) => {
            let steer = steer?;
            let answers: Vec<_> = runs.iter().map(|run| steer.wish(run, wanted)).collect();
            let all = answers.iter().all(Result::is_ok);
            let text = in_one_line(answers);
            Some(if all { Message::RunsChanged(runs, text) } else { Message::Notice(text) })
        }
        Effect::RemoveRuns(runs) => Some(match steer?.remove(&runs) {
            Ok(text) => Message::RunsChanged(runs, text),
            Err(why) => Message::Notice(why),
        }),
        Effect::Complete(text) => {
            let found = matching(&text, &|name| name.ends_with(".toml"));
            let shared = common_prefix(&found);
            let all = found.into_iter().map(|candidate| candidate.path).collect();
            Some(Message::Completed(text, shared, all))
        }
        Effect::Check(form) => {
            let answer = steer?.check(&form);
            Some(Message::Checked(Box::new(form), answer))
        }
        Effect::Submit(form) => {
            let answer = steer?.submit(&form);
            Some(Message::Submitted(Box::new(form), answer))
        }
        Effect::ListProcesses => {
            let mut known = context.processes.lock().unwrap_or_else(PoisonError::into_inner);
            Some(Message::Processes(known.get_or_insert_with(Processes::open).look()))
        }
        Effect::Ring(_) | Effect::Redraw | Effect::Quit { .. } => None,
    }
}

fn written(result: io::Result<String>) -> Message {
    Message::Notice(result.unwrap_or_else(|e| format!("cannot write {e}")))
}

fn change_notes(path: &Path, change: impl FnOnce(&Path) -> io::Result<()>) -> Message {
    match change(path).and_then(|()| notes::read(path)) {
        Ok(all) => Message::Notes(all),
        Err(e) => Message::Notice(format!("cannot write {}: {e}", path.display())),
    }
}

/// The answers about several runs: the first success and the first failure, each with a count.
fn in_one_line(answers: Vec<Result<String, String>>) -> String {
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let summary = |all: Vec<Result<String, String>>| {
        let others = all.len().saturating_sub(1);
        let first = all.into_iter().next().map(|(Ok(text) | Err(text))| text)?;
        Some(if others > 0 { format!("{first} (and {others} more)") } else { first })
    };
    [summary(good), summary(bad)].into_iter().flatten().collect::<Vec<_>>().join("; but ")
}
