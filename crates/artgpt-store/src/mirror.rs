//! `sessions.jsonl`: one line for each change, as JSON. It rebuilds a damaged store, and it can be
//! read while another process has the store open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Result, StoreError, io};
use artgpt_base::files::sync_folder;
use artgpt_base::private;
use artgpt_chat::{Conversation, Session, TurnRecord};

#[derive(Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum MirrorRecord {
    Session { session: Session },
    Turn { id: String, turn: TurnRecord },
    Remove { id: String },
}

pub(super) struct Mirror {
    path: PathBuf,
    file: Mutex<Appended>,
}

struct Appended {
    file: File,
    /// Whether a line was cut off, as a full disk does it: without its line break it would spoil the
    /// next one.
    torn: bool,
}

impl Appended {
    fn open(path: &Path) -> Result<Self> {
        let torn = last_byte(path).is_some_and(|b| b != b'\n');
        let options = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = options.map_err(io(path))?;
        private::file(path);
        Ok(Self { file, torn })
    }

    fn write(&mut self, mut lines: Vec<u8>) -> std::io::Result<()> {
        if std::mem::replace(&mut self.torn, true) {
            lines.insert(0, b'\n');
        }
        self.file.write_all(&lines)?;
        self.torn = false;
        Ok(())
    }
}

impl Mirror {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = Mutex::new(Appended::open(path)?);
        Ok(Self { path: path.to_path_buf(), file })
    }

    pub(super) fn turn(&self, session: &Session, turn: &TurnRecord) -> Result<()> {
        let id = session.id.clone();
        let session = MirrorRecord::Session { session: session.clone() };
        self.write([line(&session), line(&MirrorRecord::Turn { id, turn: turn.clone() })].concat())
    }

    /// Appends a whole conversation.
    pub(super) fn conversation(&self, conversation: &Conversation) -> Result<()> {
        self.write(lines(conversation.clone()).concat())
    }

    /// Notes that a session is removed; durable on return. [`Mirror::rewrite`] takes out its text.
    pub(super) fn remove(&self, id: &str) -> Result<()> {
        self.write(line(&MirrorRecord::Remove { id: id.to_string() }))?;
        self.lock().file.sync_all().map_err(io(&self.path))
    }

    /// Writes the file anew, without what was removed or replaced.
    pub(super) fn rewrite(&self) -> Result<()> {
        let kept = read_all(&self.path)?.conversations;
        let target = self.path.with_extension("jsonl.new");
        let write = || {
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&target)?;
            for line in kept.into_iter().flat_map(lines) {
                file.write_all(&line)?;
            }
            file.sync_all()?;
            std::fs::rename(&target, &self.path)?;
            sync_folder(self.path.parent().unwrap_or(Path::new(".")))
        };
        write().map_err(io(&self.path))?;
        *self.lock() = Appended::open(&self.path)?;
        Ok(())
    }

    fn write(&self, lines: Vec<u8>) -> Result<()> {
        self.lock().write(lines).map_err(io(&self.path))
    }

    fn lock(&self) -> MutexGuard<'_, Appended> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation as lines.
fn lines(conversation: Conversation) -> Vec<Vec<u8>> {
    let Conversation { session, turns } = conversation;
    let id = session.id.clone();
    let turns = turns.into_iter().map(|turn| line(&MirrorRecord::Turn { id: id.clone(), turn }));
    std::iter::once(line(&MirrorRecord::Session { session })).chain(turns).collect()
}

fn last_byte(path: &Path) -> Option<u8> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::End(-1)).ok()?;
    let mut byte = [0];
    file.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

fn line(record: &MirrorRecord) -> Vec<u8> {
    let mut bytes = super::database::encode(record);
    bytes.push(b'\n');
    bytes
}

/// Finds a conversation by its id or a unique prefix of it.
///
/// # Errors
/// [`StoreError::Unknown`], [`StoreError::Ambiguous`].
pub fn find_saved(saved: &[Conversation], id: &str) -> Result<Conversation> {
    let sessions: Vec<Session> = saved.iter().map(|c| c.session.clone()).collect();
    let id = &super::find(&sessions, id)?.id;
    let found = saved.iter().find(|c| c.session.id == *id);
    found.cloned().ok_or_else(|| StoreError::Unknown(id.clone()))
}

/// Reads all conversations in the mirror, the last updated first. Skips damaged lines.
///
/// # Errors
/// [`StoreError::Io`]; a missing file is an empty mirror.
pub fn read_mirror(path: &Path) -> Result<Vec<Conversation>> {
    Ok(read_all(path)?.conversations)
}

/// What the mirror says.
#[derive(Default)]
pub(super) struct Contents {
    /// The last updated first.
    pub(super) conversations: Vec<Conversation>,
    /// Ids of the sessions whose text the file still holds although they were removed.
    pub(super) removed: BTreeSet<String>,
}

pub(super) fn read_all(path: &Path) -> Result<Contents> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Contents::default()),
        Err(e) => return Err(io(path)(e)),
    };
    if !file.metadata().map_err(io(path))?.is_file() {
        let kind = std::io::ErrorKind::InvalidInput;
        return Err(io(path)(std::io::Error::new(kind, "it is not a regular file")));
    }
    let mut all: BTreeMap<String, Conversation> = BTreeMap::new();
    let mut removed = BTreeSet::new();
    for text in BufReader::new(file).split(b'\n') {
        let text = text.map_err(io(path))?;
        let Ok(record) = serde_json::from_slice::<MirrorRecord>(&text) else { continue };
        match record {
            MirrorRecord::Session { session } => match all.get_mut(&session.id) {
                Some(known) => known.session = session,
                None => {
                    removed.remove(&session.id);
                    all.insert(session.id.clone(), Conversation::new(session));
                }
            },
            MirrorRecord::Turn { id, turn } => {
                if let Some(c) = all.get_mut(&id) {
                    c.turns.push(turn);
                }
            }
            MirrorRecord::Remove { id } => {
                all.remove(&id);
                removed.insert(id);
            }
        }
    }
    let mut conversations: Vec<_> = all.into_values().collect();
    conversations.sort_by_key(|c| std::cmp::Reverse(c.session.updated));
    Ok(Contents { conversations, removed })
}
