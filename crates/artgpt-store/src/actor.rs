//! The thread that owns the database, so that the caller never waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::unsaved::{UnsavedItem, Writes};
use super::{Database, DraftKey, Pictures, Result, StoreError, find_saved, read_mirror};
use artgpt_base::text::with_hint;
use artgpt_chat::{Conversation, Session, TurnRecord};

/// How long a close waits for the disk: a user must not wait for a disk that hangs.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the store reports.
#[derive(Debug)]
pub enum StoreEvent {
    /// The store is open. The text, if any, says what was recovered.
    Opened(Option<String>),
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
    /// A write or another request failed; the text says why.
    Failed(String),
}

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
            while let Ok(command) = receiver.recv() {
                task.run(command);
            }
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

struct Task<F> {
    database: Option<Database>,
    folder: PathBuf,
    pictures: Pictures,
    draft: Option<(DraftKey, u32)>,
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
        let database = match Database::open(&folder) {
            Ok(opened) => {
                on_event(StoreEvent::Opened(opened.notice));
                Some(opened.database)
            }
            Err(e) => {
                on_event(StoreEvent::ReadOnly(with_hint(&e, e.hint())));
                None
            }
        };
        Self { database, folder, pictures, draft: None, writes, on_event }
    }

    fn run(&mut self, command: Command) {
        let loading = matches!(command, Command::Load(_));
        let writing = command.writes().is_some();
        let result = self.answer(command);
        if writing {
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

    fn answer(&mut self, command: Command) -> Result<Option<StoreEvent>> {
        let Some(db) = &self.database else { return self.read_only(command) };
        Ok(match command {
            Command::List => Some(StoreEvent::Sessions(db.list()?)),
            Command::Load(id) => Some(StoreEvent::Loaded(Box::new(db.get(&id)?))),
            Command::Turn(pair) => {
                let (session, turn) = *pair;
                db.put_turn(&session, &turn)?;
                self.draft = None;
                Some(StoreEvent::Saved { session: session.id, seq: turn.seq })
            }
            Command::BeginDraft(pair) => {
                self.draft = Some((db.begin_draft(&pair.0, &pair.1)?, 0));
                None
            }
            Command::AppendDraft(text) => {
                if let Some((key, number)) = &mut self.draft {
                    *number += 1;
                    db.append_draft(key, *number, &text)?;
                }
                None
            }
            Command::KeepPicture(path, sha256) => {
                self.pictures.keep(&path, &sha256)?;
                None
            }
            Command::Remove(id) => {
                db.remove(&id)?;
                let left = db.list()?;
                self.pictures.drop_unused(&left)?;
                Some(StoreEvent::Sessions(left))
            }
        })
    }

    /// Without the store, earlier sessions come from the mirror. Turns count as saved, since the
    /// user knows from [`StoreEvent::ReadOnly`] that nothing is.
    fn read_only(&mut self, command: Command) -> Result<Option<StoreEvent>> {
        let mirror = super::database::mirror_path(&self.folder);
        Ok(match command {
            Command::List => {
                let all = read_mirror(&mirror)?;
                Some(StoreEvent::Sessions(all.into_iter().map(|c| c.session).collect()))
            }
            Command::Load(id) => {
                Some(StoreEvent::Loaded(Box::new(find_saved(&read_mirror(&mirror)?, &id)?)))
            }
            Command::Turn(pair) => Some(StoreEvent::Saved { session: pair.0.id, seq: pair.1.seq }),
            Command::Remove(_) => Some(StoreEvent::Failed(
                "the sessions cannot be changed now; close the other artgpt-tui first".into(),
            )),
            Command::BeginDraft(_) | Command::AppendDraft(_) | Command::KeepPicture(..) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unsaved;

    fn round() -> (Session, TurnRecord) {
        let conversation = Conversation::new(Session::new("m", None));
        let turn = conversation.user_turn("what?", Vec::new());
        (conversation.session, turn)
    }

    fn unsaved(result: Result<()>) -> Vec<Unsaved> {
        match result {
            Err(StoreError::Unsaved(all)) => all,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_close_waits_for_what_was_asked() {
        let dir = tempfile::tempdir().expect("temp dir");
        let folder = dir.path().join("sessions.sled");
        let pictures = Pictures::new(dir.path().join("pictures"));
        let store = Store::spawn(folder.clone(), pictures, |_| ()).expect("starts");
        let (session, turn) = round();
        store.put_turn(session.clone(), turn.clone());
        store.close().expect("saves");
        let database = Database::open(&folder).expect("opens").database;
        assert_eq!(*database.get(&session.id).expect("is there").turns, [turn]);
    }

    #[test]
    fn a_close_names_what_a_slow_disk_did_not_take() {
        let dir = tempfile::tempdir().expect("temp dir");
        let pictures = Pictures::new(dir.path().join("pictures"));
        // The thread hangs in its first event, as it would in a write.
        let (release, hold) = channel::<()>();
        let mut store = Store::spawn(dir.path().join("sessions.sled"), pictures, move |_| {
            let _ = hold.recv();
        })
        .expect("starts");
        let (session, turn) = round();
        store.put_turn(session.clone(), turn);
        store.append_draft("text".into());
        store.list();
        let unsaved = unsaved(store.finish(Duration::from_millis(20)));
        let item = UnsavedItem::Turn { session: session.id.clone(), seq: 0 };
        assert_eq!(unsaved.iter().map(|u| &u.item).collect::<Vec<_>>(), [&item]);
        let text = StoreError::Unsaved(unsaved).to_string();
        assert!(text.contains(&format!("turn 1 of session {}", session.id)), "{text}");
        drop(release);
    }

    #[test]
    fn a_close_names_what_failed_unless_it_was_written_later() {
        let dir = tempfile::tempdir().expect("temp dir");
        let pictures = Pictures::new(dir.path().join("pictures"));
        let (events, failures) = channel();
        let store = Store::spawn(dir.path().join("sessions.sled"), pictures, move |event| {
            if let StoreEvent::Failed(reason) = event {
                let _ = events.send(reason);
            }
        })
        .expect("starts");
        let (gone, back) = (dir.path().join("gone.png"), dir.path().join("back.png"));
        store.keep_picture(gone.clone(), "a".into());
        store.keep_picture(back.clone(), "b".into());
        failures.recv().expect("the first fails");
        failures.recv().expect("the second fails");
        std::fs::write(&back, b"pixels").expect("writes");
        store.keep_picture(back, "b".into());
        let unsaved = unsaved(store.close());
        assert_eq!(unsaved.len(), 1, "{unsaved:?}");
        assert_eq!(unsaved[0].item, UnsavedItem::Image(gone));
    }
}
