//! `sessions.jsonl`: one line for each change, as JSON. It rebuilds a damaged store, and it can be
//! read while another process has the store open.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{Result, StoreError, io};
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
    file: Mutex<File>,
}

impl Mirror {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // Without its line break, a line that a full disk cut off would spoil the next one.
        let torn = last_byte(path).is_some_and(|b| b != b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(io(path))?;
        if torn {
            file.write_all(b"\n").map_err(io(path))?;
        }
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file) })
    }

    pub(super) fn session(&self, session: &Session) -> Result<()> {
        self.write(&MirrorRecord::Session { session: session.clone() })
    }

    pub(super) fn turn(&self, id: &str, turn: &TurnRecord) -> Result<()> {
        self.write(&MirrorRecord::Turn { id: id.to_string(), turn: turn.clone() })
    }

    pub(super) fn remove(&self, id: &str) -> Result<()> {
        self.write(&MirrorRecord::Remove { id: id.to_string() })?;
        // A removed session must not stay on disk.
        let kept = read_mirror(&self.path)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut whole = tempfile::NamedTempFile::new_in(dir).map_err(io(&self.path))?;
        for Conversation { session, turns } in kept {
            let id = session.id.clone();
            whole.write_all(&line(&MirrorRecord::Session { session })).map_err(io(&self.path))?;
            for turn in turns {
                let id = id.clone();
                whole.write_all(&line(&MirrorRecord::Turn { id, turn })).map_err(io(&self.path))?;
            }
        }
        whole.as_file().sync_all().map_err(io(&self.path))?;
        whole.persist(&self.path).map_err(|e| io(&self.path)(e.error))?;
        let file = OpenOptions::new().append(true).open(&self.path).map_err(io(&self.path))?;
        *self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = file;
        Ok(())
    }

    fn write(&self, record: &MirrorRecord) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(&line(record)).map_err(io(&self.path))
    }
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
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io(path)(e)),
    };
    let mut all: BTreeMap<String, Conversation> = BTreeMap::new();
    for text in BufReader::new(file).split(b'\n') {
        let text = text.map_err(io(path))?;
        let Ok(record) = serde_json::from_slice::<MirrorRecord>(&text) else { continue };
        match record {
            MirrorRecord::Session { session } => match all.get_mut(&session.id) {
                Some(known) => known.session = session,
                None => {
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
            }
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by_key(|c| std::cmp::Reverse(c.session.updated));
    Ok(all)
}
