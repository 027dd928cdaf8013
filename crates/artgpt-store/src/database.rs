//! The sled trees: `meta`, `sessions`, `messages`, `drafts`.

use std::convert::Infallible;
use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use sled::{Db, Tree};

use super::mirror::Mirror;
use super::{Result, StorageError, StoreError, io, read_mirror};
use artgpt_chat::{Conversation, Session, TurnRecord};

/// Rises when the format of records changes.
const SCHEMA: u32 = 1;
/// sled's default cache is 1 GiB.
const CACHE_BYTES: u64 = 8 << 20;
/// Bytes of a ULID as text.
const ID_BYTES: usize = 26;

/// An open store. Only one process at a time can have it open.
pub struct Database {
    pub(super) db: Db,
    sessions: Tree,
    pub(super) messages: Tree,
    pub(super) drafts: Tree,
    mirror: Mirror,
    pub(super) path: PathBuf,
}

/// A store that has been opened.
pub struct Opened {
    /// The store.
    pub database: Database,
    /// What was recovered, in words for the user.
    pub notice: Option<String>,
}

impl Database {
    /// Opens `folder` (`sessions.sled`), creates it if it is missing, and turns the drafts of a
    /// killed process into turns. A damaged store is moved aside and rebuilt from the mirror.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it, [`StoreError::Newer`] for a later
    /// schema, [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Opened> {
        match Self::try_open(folder) {
            Err(OpenError::Final(e)) => Err(e),
            Ok((database, recovered)) => {
                // sled opens a damaged log as an empty or shorter one and says nothing.
                let restored = database.restore_lost(&read_mirror(&mirror_path(folder))?)?;
                let notice = match (restored, recovered) {
                    (0, 0) => None,
                    (0, n) => Some(format!("recovered {n} unfinished answer(s) of an earlier run")),
                    (n, _) => Some(format!(
                        "the session store was damaged; {n} turn(s) were restored from its mirror"
                    )),
                };
                Ok(Opened { database, notice })
            }
            Err(OpenError::Corrupt(reason)) => {
                let stamp = jiff::Timestamp::now().as_second();
                let aside = folder.with_extension(format!("sled.damaged-{stamp}"));
                std::fs::rename(folder, &aside).map_err(io(folder))?;
                let saved = read_mirror(&mirror_path(folder))?;
                let (database, _) =
                    Self::try_open(folder).map_err(|e| e.into_store_error(folder))?;
                // The mirror has them already, so only the store is written.
                database.restore_lost(&saved)?;
                let notice = Some(format!(
                    "the session store was damaged ({reason}); it was moved to {} and {} session(s) were restored",
                    aside.display(),
                    saved.len()
                ));
                Ok(Opened { database, notice })
            }
        }
    }

    fn try_open(folder: &Path) -> std::result::Result<(Self, usize), OpenError> {
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let opened = catch_unwind(AssertUnwindSafe(|| {
            sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).open()
        }));
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(e)) => return Err(OpenError::of(folder, e)),
            Err(_) => return Err(OpenError::Corrupt(StorageError::UnreadableLog)),
        };
        let failed = |e: sled::Error| OpenError::of(folder, e);
        let meta = db.open_tree("meta").map_err(failed)?;
        match meta.get("schema").map_err(failed)? {
            Some(bytes) => {
                let found = bytes.as_ref().try_into().map(u32::from_be_bytes).unwrap_or(u32::MAX);
                if found > SCHEMA {
                    return Err(OpenError::Final(StoreError::Newer {
                        path: folder.display().to_string(),
                        found,
                        known: SCHEMA,
                    }));
                }
            }
            None => {
                meta.insert("schema", &SCHEMA.to_be_bytes()).map_err(failed)?;
                meta.insert("app", env!("CARGO_PKG_VERSION")).map_err(failed)?;
            }
        }
        let database = Self {
            sessions: db.open_tree("sessions").map_err(failed)?,
            messages: db.open_tree("messages").map_err(failed)?,
            drafts: db.open_tree("drafts").map_err(failed)?,
            mirror: Mirror::open(&mirror_path(folder))?,
            path: folder.to_path_buf(),
            db,
        };
        let recovered = database.recover_drafts()?;
        Ok((database, recovered))
    }

    /// All sessions, the last updated first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn list(&self) -> Result<Vec<Session>> {
        let mut all: Vec<Session> = self
            .sessions
            .iter()
            .values()
            .filter_map(|v| v.ok().and_then(|v| serde_json::from_slice(&v).ok()))
            .collect();
        all.sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| b.id.cmp(&a.id)));
        Ok(all)
    }

    /// Finds a session by its id or a unique prefix of it.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`StoreError::Ambiguous`], [`StoreError::Io`].
    pub fn get(&self, id: &str) -> Result<Conversation> {
        // For a whole id the other sessions need not be read.
        let exact = self.sessions.get(id).map_err(io(&self.path))?;
        let session = match exact.and_then(|v| serde_json::from_slice(&v).ok()) {
            Some(session) => session,
            None => find(&self.list()?, id)?.clone(),
        };
        let turns = self
            .messages
            .scan_prefix(session.id.as_bytes())
            .values()
            .filter_map(|v| v.ok().and_then(|v| serde_json::from_slice(&v).ok()))
            .collect();
        Ok(Conversation { session, turns })
    }

    /// Writes a session's own record.
    fn put_session(&self, session: &Session) -> Result<()> {
        self.sessions.insert(&session.id, encode(session)).map_err(io(&self.path))?;
        self.flush()?;
        self.mirror.session(session)
    }

    /// Adds a finished turn, in one transaction with its session's record; durable on return.
    /// The same transaction deletes the turn's draft.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the turn is then not in the store, or not in its mirror.
    pub fn put_turn(&self, session: &Session, turn: &TurnRecord) -> Result<()> {
        let key = turn_key(&session.id, turn.seq);
        let draft: Vec<_> = self.drafts.scan_prefix(&key).keys().flatten().collect();
        let (record, turn_bytes) = (encode(session), encode(turn));
        (&self.sessions, &self.messages, &self.drafts)
            .transaction(|(sessions, messages, drafts)| {
                sessions.insert(session.id.as_bytes(), record.as_slice())?;
                messages.insert(key.as_slice(), turn_bytes.as_slice())?;
                for key in &draft {
                    drafts.remove(key)?;
                }
                Ok::<(), ConflictableTransactionError<Infallible>>(())
            })
            .map_err(|e| match e {
                TransactionError::Storage(e) => io(&self.path)(e),
                TransactionError::Abort(never) => match never {},
            })?;
        self.flush()?;
        self.mirror.session(session)?;
        self.mirror.turn(&session.id, turn)
    }

    /// Writes a whole conversation, as import does.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn insert(&self, conversation: &Conversation) -> Result<()> {
        self.put_session(&conversation.session)?;
        for turn in &conversation.turns {
            self.put_turn(&conversation.session, turn)?;
        }
        Ok(())
    }

    /// Writes the turns of `saved` that the store lacks; returns their number.
    fn restore_lost(&self, saved: &[Conversation]) -> Result<usize> {
        let mut restored = 0;
        for conversation in saved {
            let session = &conversation.session;
            let known = self.sessions.contains_key(&session.id).map_err(io(&self.path))?;
            for turn in &conversation.turns {
                let key = turn_key(&session.id, turn.seq);
                if !self.messages.contains_key(&key).map_err(io(&self.path))? {
                    self.messages.insert(key, encode(turn)).map_err(io(&self.path))?;
                    restored += 1;
                }
            }
            if !known {
                self.sessions.insert(&session.id, encode(session)).map_err(io(&self.path))?;
            }
        }
        if restored > 0 {
            self.flush()?;
        }
        Ok(restored)
    }

    /// Removes a session with its turns and drafts; returns its record.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`StoreError::Ambiguous`], [`StoreError::Io`].
    pub fn remove(&self, id: &str) -> Result<Session> {
        let session = find(&self.list()?, id)?.clone();
        // First: the next start restores what only the mirror has.
        self.mirror.remove(&session.id)?;
        self.sessions.remove(&session.id).map_err(io(&self.path))?;
        for tree in [&self.messages, &self.drafts] {
            for key in tree.scan_prefix(session.id.as_bytes()).keys().flatten() {
                tree.remove(key).map_err(io(&self.path))?;
            }
        }
        self.flush()?;
        Ok(session)
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.db.flush().map(|_| ()).map_err(io(&self.path))
    }
}

/// Why a store did not open.
enum OpenError {
    /// Another attempt would end in the same way.
    Final(StoreError),
    /// The store is damaged, so that it can be rebuilt.
    Corrupt(StorageError),
}

impl From<StoreError> for OpenError {
    fn from(e: StoreError) -> Self {
        Self::Final(e)
    }
}

impl OpenError {
    fn of(folder: &Path, e: sled::Error) -> Self {
        match e {
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => {
                Self::Corrupt(e.into())
            }
            sled::Error::Io(e) if e.kind() == std::io::ErrorKind::Other && is_locked(folder) => {
                Self::Final(StoreError::Locked(folder.display().to_string()))
            }
            e => Self::Final(io(folder)(e)),
        }
    }

    fn into_store_error(self, folder: &Path) -> StoreError {
        match self {
            Self::Final(e) => e,
            Self::Corrupt(source) => io(folder)(source),
        }
    }
}

/// Whether another process has the store open.
///
/// sled reports a lock that it cannot get as an I/O error of kind `Other` with nothing but a text.
/// So the same lock is tried again here: the operating system's answer decides.
fn is_locked(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("db")) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Finds a session by its id or a unique prefix of it.
pub(super) fn find<'a>(all: &'a [Session], id: &str) -> Result<&'a Session> {
    let wanted = id.to_ascii_uppercase();
    let shown = || artgpt_base::text::printable(id);
    if wanted.is_empty() {
        return Err(StoreError::Unknown(shown()));
    }
    let mut hits = all.iter().filter(|s| s.id.starts_with(&wanted));
    match (hits.next(), hits.next()) {
        (Some(session), None) => Ok(session),
        (Some(_), Some(_)) => Err(StoreError::Ambiguous(shown())),
        _ => Err(StoreError::Unknown(shown())),
    }
}

/// `sessions.jsonl` beside the store's folder.
pub fn mirror_path(folder: &Path) -> PathBuf {
    folder.with_extension("jsonl")
}

/// Session id, then the position big-endian, so that a scan is in order.
pub(super) fn turn_key(id: &str, seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(ID_BYTES + 8);
    key.extend_from_slice(id.as_bytes());
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// Records hold only strings, numbers and lists, which always serialise.
pub(super) fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        let mut c = Conversation::new(Session::new("m", None));
        for text in ["what is this?", "A portrait."] {
            let turn = c.user_turn(text, vec![]);
            c.turns.push(turn);
        }
        c.derive_title();
        c
    }

    fn open(dir: &Path) -> Opened {
        Database::open(&dir.join("sessions.sled")).expect("opens")
    }

    #[test]
    fn what_was_written_is_read_again_by_the_next_process() {
        let dir = tempfile::tempdir().expect("temp dir");
        let c = conversation();
        open(dir.path()).database.insert(&c).expect("writes");
        let again = open(dir.path()).database;
        assert_eq!(again.get(&c.session.id).expect("is there"), c);
        assert_eq!(again.get(&c.session.id[..25].to_lowercase()).expect("by prefix"), c);
        again.remove(&c.session.id).expect("removes");
        assert!(matches!(again.get(&c.session.id), Err(StoreError::Unknown(_))));
        drop(again);
        assert!(read_mirror(&dir.path().join("sessions.jsonl")).expect("reads").is_empty());
    }

    #[test]
    fn a_second_process_is_told_and_a_newer_schema_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = open(dir.path()).database;
        let folder = dir.path().join("sessions.sled");
        assert!(matches!(Database::open(&folder), Err(StoreError::Locked(_))));
        first
            .db
            .open_tree("meta")
            .expect("tree")
            .insert("schema", &9u32.to_be_bytes())
            .expect("set");
        first.flush().expect("flush");
        drop(first);
        assert!(matches!(Database::open(&folder), Err(StoreError::Newer { found: 9, .. })));
    }

    #[test]
    fn a_damaged_store_is_rebuilt_from_the_mirror() {
        let dir = tempfile::tempdir().expect("temp dir");
        let c = conversation();
        open(dir.path()).database.insert(&c).expect("writes");
        for file in ["conf", "db"] {
            std::fs::write(dir.path().join("sessions.sled").join(file), b"not sled")
                .expect("write");
        }
        let opened = open(dir.path());
        assert!(opened.notice.expect("says so").contains("damaged"));
        assert_eq!(opened.database.get(&c.session.id).expect("restored"), c);
    }
}
