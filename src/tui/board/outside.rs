//! What the panel has done outside: files read and written, jobs asked for something.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::export::Export;
use super::kept::{self, Change, Keeper};
use super::notes;
use super::page;
use super::state::Board;
use super::steer::Steer;
use super::update::{Effect, Message};
use crate::tui::complete::{common_prefix, matching};
use crate::tui::run::TuiError;
use artgpt_machine::Processes;
use artgpt_runs::{Follower, Pattern};

/// Where the panel's messages go.
pub type Send = Arc<dyn Fn(Message) + std::marker::Send + Sync>;

/// Follows runs and carries out effects, while the panel is open.
pub struct Outside {
    /// Exported files.
    exports: PathBuf,
    notes: PathBuf,
    keeper: Keeper,
    steer: Option<Arc<dyn Steer>>,
    /// Opened by the first look: the time between two is what tells how busy they are.
    processes: Arc<Mutex<Option<Processes>>>,
    send: Send,
    _follower: Follower,
}

/// What it is told of.
pub struct Places {
    pub paths: Vec<PathBuf>,
    pub pattern: Option<Pattern>,
    /// Our own data folder.
    pub data: PathBuf,
    pub exports: PathBuf,
}

impl Outside {
    pub fn open(
        places: Places,
        steer: Option<Arc<dyn Steer>>,
        send: Send,
    ) -> Result<Self, TuiError> {
        let watched = places.paths.iter().map(|path| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        });
        let watched = watched.collect::<Vec<_>>().join("\n");
        let changes = send.clone();
        let follower = Follower::spawn(places.paths, places.pattern, move |change| {
            changes(Message::Runs(change));
        })
        .map_err(TuiError::Thread)?;
        let notes = notes::place(&places.data);
        let (path, told) = (notes.clone(), send.clone());
        apart(&send, move || {
            told(match notes::read(&path) {
                Ok(all) => Message::Notes(all),
                Err(e) => Message::Notice(format!("cannot read {}: {e}", path.display())),
            });
        });
        let (kept, told) = (kept::place(&places.data), send.clone());
        let path = kept.clone();
        apart(&send, move || {
            told(Message::Kept(Box::new(kept::read(&path).unwrap_or_default()), watched));
        });
        let keeper = Keeper::spawn(kept).map_err(TuiError::Thread)?;
        let exports = places.exports;
        let processes = Arc::default();
        Ok(Self { exports, notes, keeper, steer, processes, send, _follower: follower })
    }

    /// Before the end: what changed a moment ago is kept, too.
    pub fn keep(&self, change: Change) {
        self.keeper.keep(change);
    }

    /// Waits until that is done.
    pub fn finish(self) {
        self.keeper.finish();
    }

    pub fn steers(&self) -> bool {
        self.steer.is_some()
    }

    /// Writes a file, and says which one, or why not.
    fn write(&self, write: impl FnOnce() -> io::Result<String> + std::marker::Send + 'static) {
        let send = self.send.clone();
        apart(&self.send, move || {
            let told = write().unwrap_or_else(|e| format!("cannot write: {e}"));
            send(Message::Notice(told));
        });
    }

    fn change_notes(
        &self,
        change: impl FnOnce(&Path) -> io::Result<()> + std::marker::Send + 'static,
    ) {
        let (path, send) = (self.notes.clone(), self.send.clone());
        apart(&self.send, move || {
            let told = change(&path).and_then(|()| notes::read(&path));
            send(match told {
                Ok(all) => Message::Notes(all),
                Err(e) => Message::Notice(format!("cannot write {}: {e}", path.display())),
            });
        });
    }

    /// Carries out what needs no terminal; the others come back.
    pub fn run(&self, board: &Board, effect: Effect) -> Option<Effect> {
        let send = self.send.clone();
        let steer = self.steer.clone();
        match effect {
            Effect::Export(metric, format) => {
                let export = Export::of(board, &metric, format);
                let folder = self.exports.clone();
                self.write(move || export.write(&folder));
            }
            Effect::Save(save) => {
                let folder = self.exports.clone();
                self.write(move || save.write(&folder));
            }
            Effect::Load(wanted) => {
                let known = board.page.as_ref().and_then(|page| page.texts.shown.clone());
                apart(&self.send, move || {
                    let texts = page::load(&wanted, known);
                    send(Message::Page(wanted.run, Box::new(texts)));
                });
            }
            Effect::Keep(change) => self.keep(change),
            Effect::SetNote(run, note) => {
                self.change_notes(move |path| notes::set(path, &run, &note));
            }
            Effect::AddNotes(runs, words) => {
                self.change_notes(move |path| notes::add(path, &runs, &words));
            }
            Effect::Wish(runs, wanted) => apart(&self.send, move || {
                let Some(steer) = steer else { return };
                let told: Vec<_> = runs.iter().map(|run| steer.wish(run, wanted)).collect();
                let all = told.iter().all(Result::is_ok);
                let told = in_one(told);
                send(if all { Message::Steered(runs, told) } else { Message::Notice(told) });
            }),
            Effect::Processes => {
                let processes = self.processes.clone();
                apart(&self.send, move || {
                    let mut known = processes.lock().unwrap_or_else(PoisonError::into_inner);
                    let all = known.get_or_insert_with(Processes::open).look();
                    send(Message::Processes(all));
                });
            }
            Effect::Remove(runs) => {
                apart(&self.send, move || match steer.map(|steer| steer.remove(&runs)) {
                    Some(Ok(told)) => send(Message::Steered(runs, told)),
                    Some(Err(why)) => send(Message::Notice(why)),
                    None => {}
                })
            }
            Effect::Complete(text) => apart(&self.send, move || {
                let found = matching(&text, &|name| name.ends_with(".toml"));
                let shared = common_prefix(&found);
                let all = found.into_iter().map(|candidate| candidate.path).collect();
                send(Message::Completed(text, shared, all));
            }),
            Effect::Check(form) => apart(&self.send, move || {
                if let Some(steer) = steer {
                    let told = steer.check(&form);
                    send(Message::Checked(Box::new(form), told));
                }
            }),
            Effect::Submit(form) => apart(&self.send, move || {
                if let Some(steer) = steer {
                    let told = steer.submit(&form);
                    send(Message::Submitted(Box::new(form), told));
                }
            }),
            other => return Some(other),
        }
        None
    }
}

/// What was told of several runs: the first of each kind, and how many others there are.
fn in_one(told: Vec<Result<String, String>>) -> String {
    let (good, bad): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    let kind = |all: Vec<Result<String, String>>| {
        let others = all.len().saturating_sub(1);
        let first = all.into_iter().next().map(|(Ok(text) | Err(text))| text)?;
        Some(if others > 0 { format!("{first} (and {others} more)") } else { first })
    };
    [kind(good), kind(bad)].into_iter().flatten().collect::<Vec<_>>().join("; but ")
}

/// A slow disk must not hold up the screen.
fn apart(send: &Send, work: impl FnOnce() + std::marker::Send + 'static) {
    if let Err(e) = std::thread::Builder::new().name("panel".into()).spawn(work) {
        send(Message::Notice(format!("that cannot be done now: {e}")));
    }
}
