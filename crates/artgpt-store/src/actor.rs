//! The one task that touches the store, so that the screen never waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::{Database, DraftKey, Pictures, Result, find_saved, read_mirror};
use artgpt_chat::{Conversation, Session, TurnRecord};

/// What the store tells.
#[derive(Debug)]
pub enum StoreEvent {
    /// The store is open; a notice where something was mended.
    Opened(Option<String>),
    /// Nothing will be kept; the text says why. Earlier sessions can still be read.
    ReadOnly(String),
    Sessions(Vec<Session>),
    Loaded(Box<Conversation>),
    /// A turn is durable.
    Saved {
        session: String,
        seq: u64,
    },
    /// A session could not be read.
    NotLoaded(String),
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

/// The handle. Dropping it ends the task after all that was asked.
pub struct Store {
    commands: Option<Sender<Command>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Store {
    pub fn spawn(
        folder: PathBuf,
        pictures: Pictures,
        on_event: impl FnMut(StoreEvent) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, receiver) = channel();
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            let mut task = Task::open(folder, pictures, on_event);
            while let Ok(command) = receiver.recv() {
                task.run(command);
            }
        })?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    pub fn list(&self) {
        self.send(Command::List);
    }

    pub fn load(&self, id: String) {
        self.send(Command::Load(id));
    }

    /// Stores a turn; [`StoreEvent::Saved`] follows.
    pub fn put_turn(&self, session: Session, turn: TurnRecord) {
        self.send(Command::Turn(Box::new((session, turn))));
    }

    /// Begins the draft of a streaming answer.
    pub fn begin_draft(&self, session: Session, turn: TurnRecord) {
        self.send(Command::BeginDraft(Box::new((session, turn))));
    }

    /// Adds text to the draft begun last.
    pub fn append_draft(&self, text: String) {
        self.send(Command::AppendDraft(text));
    }

    pub fn keep_picture(&self, path: PathBuf, sha256: String) {
        self.send(Command::KeepPicture(path, sha256));
    }

    pub fn remove(&self, id: String) {
        self.send(Command::Remove(id));
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A task that has ended has told why.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Store {
    /// Waits for what was asked, for a bounded time: a full disk must not keep a user.
    fn drop(&mut self) {
        self.commands.take();
        let Some(thread) = self.thread.take() else { return };
        for _ in 0..200 {
            if thread.is_finished() {
                let _ = thread.join();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Task<F> {
    database: Option<Database>,
    folder: PathBuf,
    pictures: Pictures,
    draft: Option<(DraftKey, u32)>,
    on_event: F,
}

impl<F: FnMut(StoreEvent)> Task<F> {
    fn open(folder: PathBuf, pictures: Pictures, mut on_event: F) -> Self {
        let database = match Database::open(&folder) {
            Ok(opened) => {
                on_event(StoreEvent::Opened(opened.notice));
                Some(opened.database)
            }
            Err(e) => {
                on_event(StoreEvent::ReadOnly(e.to_string()));
                None
            }
        };
        Self { database, folder, pictures, draft: None, on_event }
    }

    fn run(&mut self, command: Command) {
        let loading = matches!(command, Command::Load(_));
        match self.answer(command) {
            Ok(Some(event)) => (self.on_event)(event),
            Ok(None) => {}
            Err(e) if loading => (self.on_event)(StoreEvent::NotLoaded(e.to_string())),
            Err(e) => (self.on_event)(StoreEvent::Failed(e.to_string())),
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

    /// Without the store, earlier sessions come from the mirror and turns pass as saved, since
    /// the user has been told that nothing is kept.
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
