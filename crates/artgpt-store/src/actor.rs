//! The thread that owns the database, so that the caller never waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::database::find;
use super::unsaved::{UnsavedItem, Writes};
use super::{Database, DraftKey, Pictures, Result, StoreError, find_saved, read_mirror};
use artgpt_base::text::with_hint;
use artgpt_chat::{Conversation, Session, TurnRecord};

/// How long a close waits for the disk: a user must not wait for a disk that hangs.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often writes that failed are tried again: a full disk may have room by then.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// What the store reports.
#[derive(Debug)]
pub enum StoreEvent {
    /// The store is open. The text, if any, says what was recovered.
    Opened(Option<String>),
    /// All writes that failed are done.
    Recovered,
    /// Nothing will be saved; the text says why. Earlier sessions can still be read.
    ReadOnly(String),
    /// All sessions, the last updated first.
    Sessions(Vec<Session>),
    /// The session that was asked for.
    Loaded(Box<Conversation>),
    /// A turn is durable.
    Saved {
        /// The session's id.
        session: String,
        /// The turn's number in the session.
        seq: u64,
    },
    /// A session could not be read; the text says why.
    NotLoaded(String),
    /// The session that was asked to be removed is; these copies of the store may still hold it.
    Backups(Vec<PathBuf>),
    /// A write or another request failed; the text says why.
    Failed(String),
}

#[derive(Clone)]
enum Command {
    List,
    Load(String),
    Turn(Box<(Session, TurnRecord)>),
    BeginDraft(Box<(Session, TurnRecord)>),
    AppendDraft(String),
    KeepPicture(PathBuf, String),
    Remove(String),
}

impl Command {
    /// Whether this write is tried again after it failed. The user sees a removal that failed, and asks
    /// again.
    fn is_kept(&self) -> bool {
        matches!(self, Self::Turn(_) | Self::KeepPicture(..))
    }

    /// What this command writes.
    fn writes(&self) -> Option<UnsavedItem> {
        match self {
            Self::Turn(pair) | Self::BeginDraft(pair) => {
                let (session, seq) = (pair.0.id.clone(), pair.1.seq);
                Some(UnsavedItem::Turn { session, seq })
            }
            Self::KeepPicture(path, _) => Some(UnsavedItem::Image(path.clone())),
            Self::Remove(id) => Some(UnsavedItem::Removal(id.clone())),
            // A draft's text is in the turn that follows it.
            Self::List | Self::Load(_) | Self::AppendDraft(_) => None,
        }
    }
}

/// A handle of the thread. [`Store::close`] ends it; a drop ends it without a report.
pub struct Store {
    commands: Option<Sender<Command>>,
    /// Closes when the thread ends.
    ended: Receiver<()>,
    writes: Arc<Mutex<Writes>>,
}

impl Store {
    /// Starts the thread, which opens the store in `folder`.
    ///
    /// # Errors
    /// If the thread cannot be started. What happens to the store comes as events.
    pub fn spawn(
        folder: PathBuf,
        pictures: Pictures,
        on_event: impl FnMut(StoreEvent) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, receiver) = channel();
        let (end, ended) = channel();
        let writes = Arc::new(Mutex::new(Writes::default()));
        let shared = writes.clone();
        std::thread::Builder::new().name("store".into()).spawn(move || {
            // Dropped last, also by a panic.
            let _end: Sender<()> = end;
            let mut task = Task::open(folder, pictures, shared, on_event);
            loop {
                match receiver.recv_timeout(RETRY_EVERY) {
                    Ok(command) => task.run(command),
                    Err(RecvTimeoutError::Timeout) => task.retry(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            task.retry();
        })?;
        Ok(Self { commands: Some(commands), ended, writes })
    }

    /// Waits until all that was asked for is written, for 2 seconds at most.
    ///
    /// # Errors
    /// [`StoreError::Unsaved`] names what was not written: writes that failed, and those that a
    /// slow disk has not taken in time.
    pub fn close(mut self) -> Result<()> {
        self.finish(CLOSE_TIMEOUT)
    }

    fn finish(&mut self, patience: Duration) -> Result<()> {
        if self.commands.take().is_none() {
            return Ok(());
        }
        let reason = match self.ended.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => "the disk is too slow",
            // A thread that has ended leaves a queue only if it crashed.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => "the store crashed",
        };
        let unsaved = lock(&self.writes).unsaved(reason);
        if unsaved.is_empty() { Ok(()) } else { Err(StoreError::Unsaved(unsaved)) }
    }

    /// Asks for [`StoreEvent::Sessions`].
    pub fn list(&self) {
        self.send(Command::List);
    }

    /// Asks for [`StoreEvent::Loaded`].
    pub fn load(&self, id: String) {
        self.send(Command::Load(id));
    }

    /// Stores a turn; [`StoreEvent::Saved`] follows.
    pub fn put_turn(&self, session: Session, turn: TurnRecord) {
        self.send(Command::Turn(Box::new((session, turn))));
    }

    /// Begins the draft of an answer that streams.
    pub fn begin_draft(&self, session: Session, turn: TurnRecord) {
        self.send(Command::BeginDraft(Box::new((session, turn))));
    }

    /// Adds text to the draft begun last.
    pub fn append_draft(&self, text: String) {
        self.send(Command::AppendDraft(text));
    }

    /// Copies an artwork's image into the data folder.
    pub fn keep_picture(&self, path: PathBuf, sha256: String) {
        self.send(Command::KeepPicture(path, sha256));
    }

    /// Removes a session; [`StoreEvent::Sessions`] follows.
    pub fn remove(&self, id: String) {
        self.send(Command::Remove(id));
    }

    fn send(&self, command: Command) {
        let Some(commands) = &self.commands else { return };
        // Locked until the command is sent, so that both queues have one order.
        let mut writes = lock(&self.writes);
        if let Some(item) = command.writes() {
            writes.queue(item);
        }
        // A thread that has crashed is reported by `close`.
        let _ = commands.send(command);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Only `close` can report what is lost.
        let _ = self.finish(CLOSE_TIMEOUT);
    }
}

fn lock(writes: &Mutex<Writes>) -> MutexGuard<'_, Writes> {
    writes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer that streams.
struct Draft {
    session: Session,
    turn: TurnRecord,
    /// All of its text up to now: a store that was opened again has turned the old draft into a turn.
    text: String,
    key: DraftKey,
    /// Pieces in the store.
    pieces: u32,
}

/// Whether sessions are written.
enum State {
    Open(Database),
    /// A write failed, or the store could not be opened: it is opened again before the next write.
    Broken,
    /// Another process has the store, or this program must not write it.
    ReadOnly,
}

struct Task<F> {
    state: State,
    folder: PathBuf,
    pictures: Pictures,
    draft: Option<Draft>,
    /// Writes that failed, oldest first.
    pending: Vec<Command>,
    writes: Arc<Mutex<Writes>>,
    on_event: F,
}

impl<F: FnMut(StoreEvent)> Task<F> {
    fn open(
        folder: PathBuf,
        pictures: Pictures,
        writes: Arc<Mutex<Writes>>,
        mut on_event: F,
    ) -> Self {
        let state = match Database::open(&folder) {
            Ok(opened) => {
                pictures.tidy();
                on_event(StoreEvent::Opened(opened.notice));
                State::Open(opened.database)
            }
            Err(e) => {
                let state = if is_passing(&e) { State::Broken } else { State::ReadOnly };
                on_event(match state {
                    State::Broken => StoreEvent::Failed(with_hint(&e, e.hint())),
                    _ => StoreEvent::ReadOnly(with_hint(&e, e.hint())),
                });
                state
            }
        };
        Self { state, folder, pictures, draft: None, pending: Vec::new(), writes, on_event }
    }

    fn run(&mut self, command: Command) {
        let loading = matches!(command, Command::Load(_));
        let item = command.writes();
        let kept = Some(&command).filter(|command| command.is_kept()).cloned();
        if item.is_some() {
            self.retry();
        }
        let result = self.answer(command);
        if let (Err(e), Some(command)) = (&result, kept)
            && (is_passing(e) || matches!(self.state, State::Broken))
        {
            let same = |other: &Command| other.writes() == command.writes();
            self.pending.retain(|other| !same(other));
            self.pending.push(command);
        }
        if item.is_some() {
            lock(&self.writes).complete(result.as_ref().err().map(ToString::to_string));
        }
        let text = |e: StoreError| with_hint(&e, e.hint());
        match result {
            Ok(Some(event)) => (self.on_event)(event),
            Ok(None) => {}
            Err(e) if loading => (self.on_event)(StoreEvent::NotLoaded(text(e))),
            Err(e) => (self.on_event)(StoreEvent::Failed(text(e))),
        }
    }

    /// Writes what has failed before, if there is anything, and if it can be written now.
    fn retry(&mut self) {
        if !matches!(self.state, State::Broken) && self.pending.is_empty() {
            return;
        }
        if matches!(self.state, State::Broken) && self.reopen().is_err() {
            return;
        }
        while let Some(command) = self.pending.first().cloned() {
            let item = command.writes();
            match self.answer(command) {
                Ok(event) => {
                    self.pending.remove(0);
                    item.iter().for_each(|item| lock(&self.writes).written(item));
                    event.into_iter().for_each(|event| (self.on_event)(event));
                }
                Err(_) => return,
            }
        }
        (self.on_event)(StoreEvent::Recovered);
    }

    /// After an error sled writes nothing any more, so the store is opened again.
    fn reopen(&mut self) -> Result<()> {
        let database = Database::open_again(&self.folder)?;
        if let Some(draft) = &mut self.draft {
            draft.key = database.begin_draft(&draft.session, &draft.turn)?;
            database.append_draft(&draft.key, 1, &draft.text)?;
            draft.pieces = 1;
        }
        self.state = State::Open(database);
        Ok(())
    }

    fn answer(&mut self, command: Command) -> Result<Option<StoreEvent>> {
        if matches!(self.state, State::ReadOnly) {
            return self.read_only(command);
        }
        // The text of a draft is kept also while it cannot be written.
        if let (Command::AppendDraft(text), Some(draft)) = (&command, &mut self.draft) {
            draft.text.push_str(text);
        }
        if matches!(self.state, State::Broken)
            && let Err(e) = self.reopen()
        {
            return match command {
                Command::List | Command::Load(_) => self.read_mirrored(command),
                _ => Err(e),
            };
        }
        let result = self.write(command);
        // What is removed, but not erased, leaves the store as it should be.
        if matches!(&result, Err(StoreError::Io { .. })) {
            self.state = State::Broken;
        }
        result
    }

    fn write(&mut self, command: Command) -> Result<Option<StoreEvent>> {
        let State::Open(db) = &mut self.state else { return Ok(None) };
        Ok(match command {
            Command::List => Some(StoreEvent::Sessions(db.list()?)),
            Command::Load(id) => Some(StoreEvent::Loaded(Box::new(db.get(&id)?))),
            Command::Turn(pair) => {
                let (session, turn) = *pair;
                self.draft.take_if(|d| (&d.session.id, d.turn.seq) == (&session.id, turn.seq));
                db.put_turn(&session, &turn)?;
                Some(StoreEvent::Saved { session: session.id, seq: turn.seq })
            }
            Command::BeginDraft(pair) => {
                let (session, turn) = *pair;
                let key = db.begin_draft(&session, &turn)?;
                self.draft = Some(Draft { session, turn, text: String::new(), key, pieces: 0 });
                None
            }
            Command::AppendDraft(text) => {
                if let Some(draft) = &mut self.draft {
                    draft.pieces += 1;
                    db.append_draft(&draft.key, draft.pieces, &text)?;
                }
                None
            }
            Command::KeepPicture(path, sha256) => {
                // Its own folder: a failure there says nothing of the database.
                return match self.pictures.keep(&path, &sha256) {
                    Err(StoreError::Io { path, source }) => Err(StoreError::Copy { path, source }),
                    result => result.map(|()| None),
                };
            }
            Command::Remove(id) => return self.remove(&id),
        })
    }

    fn remove(&mut self, id: &str) -> Result<Option<StoreEvent>> {
        let State::Open(db) = &mut self.state else { return Ok(None) };
        // The user may give the first letters of an id.
        let whole = find(&db.list()?, id).map_or_else(|_| id.to_string(), |s| s.id.clone());
        let removed = db.remove(&whole);
        let left = db.list();
        let was_waiting = match removed {
            // What waits is all that there is of a session that is unknown.
            Ok(_) | Err(StoreError::NotErased { .. } | StoreError::Unknown(_)) => {
                self.forget(&whole)
            }
            Err(_) => false,
        };
        let left = left?;
        self.pictures.drop_unused(&left)?;
        (self.on_event)(StoreEvent::Sessions(left));
        match removed {
            Ok(removed) if removed.backups.is_empty() => Ok(None),
            Ok(removed) => Ok(Some(StoreEvent::Backups(removed.backups))),
            Err(StoreError::Unknown(_)) if was_waiting => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Drops the turns and the draft of a session that is removed: written later, they would bring it back.
    /// Returns whether there was one.
    fn forget(&mut self, session: &str) -> bool {
        let before = self.pending.len();
        self.pending.retain(|command| match command {
            Command::Turn(pair) => pair.0.id != session,
            _ => true,
        });
        let draft = self.draft.take_if(|draft| draft.session.id == session);
        lock(&self.writes).forget(session);
        draft.is_some() || self.pending.len() < before
    }

    /// Earlier sessions, without the store.
    fn read_mirrored(&self, command: Command) -> Result<Option<StoreEvent>> {
        let all = read_mirror(&super::database::mirror_path(&self.folder))?;
        Ok(Some(match command {
            Command::Load(id) => StoreEvent::Loaded(Box::new(find_saved(&all, &id)?)),
            _ => StoreEvent::Sessions(all.into_iter().map(|c| c.session).collect()),
        }))
    }

    /// Turns count as saved, since the user knows from [`StoreEvent::ReadOnly`] that nothing is.
    fn read_only(&mut self, command: Command) -> Result<Option<StoreEvent>> {
        Ok(match command {
            Command::List | Command::Load(_) => self.read_mirrored(command)?,
            Command::Turn(pair) => Some(StoreEvent::Saved { session: pair.0.id, seq: pair.1.seq }),
            Command::Remove(_) => Some(StoreEvent::Failed(
                "the sessions cannot be changed now; close the other artgpt-tui first".into(),
            )),
            Command::BeginDraft(_) | Command::AppendDraft(_) | Command::KeepPicture(..) => None,
        })
    }
}

/// Whether a later attempt may succeed: a full disk, a quota, a folder that cannot be written now.
fn is_passing(e: &StoreError) -> bool {
    matches!(e, StoreError::Io { .. } | StoreError::Copy { .. })
}

#[cfg(test)]
mod tests;
