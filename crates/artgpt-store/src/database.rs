//! The sled trees: `meta`, `sessions`, `messages`, `drafts`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use sled::{Db, Tree};

use super::mirror::Mirror;
use super::{Result, StoreError, io, read_mirror};
use artgpt_chat::{Conversation, Session, TurnRecord};

/// Raised when records change their form.
const SCHEMA: u32 = 1;
/// sled's default cache is 1 GiB.
const CACHE_BYTES: u64 = 8 << 20;
/// Bytes of a ULID as text.
const ID_BYTES: usize = 26;

/// An open store. One process at a time can have it.
pub struct Database {
    pub(super) db: Db,
    sessions: Tree,
    pub(super) messages: Tree,
    pub(super) drafts: Tree,
    mirror: Mirror,
    pub(super) path: PathBuf,
}

/// A store, and what a user should know about how it opened.
pub struct Opened {
    pub database: Database,
    pub notice: Option<String>,
}

impl Database {
    /// Opens `folder` (`sessions.sled`), making it if need be, and finishes what a killed process
    /// left behind. A damaged store is moved aside and rebuilt from the mirror.
    pub fn open(folder: &Path) -> Result<Opened> {
        match Self::try_open(folder) {
            Err(Trouble::Told(e)) => Err(e),
            Ok((database, recovered)) => {
                // sled opens a damaged log as an empty or shorter one and says nothing.
                let restored = database.restore_lost(&read_mirror(&mirror_path(folder))?)?;
                let notice = match (restored, recovered) {
                    (0, 0) => None,
                    (0, n) => Some(format!("{n} unfinished answer(s) of an earlier run were kept")),
                    (n, _) => Some(format!(
                        "the session store was damaged; {n} turn(s) were restored from its mirror"
                    )),
                };
                Ok(Opened { database, notice })
            }
            Err(Trouble::Corrupt(reason)) => {
                let stamp = jiff::Timestamp::now().as_second();
                let aside = folder.with_extension(format!("sled.damaged-{stamp}"));
                std::fs::rename(folder, &aside).map_err(io(folder))?;
                let saved = read_mirror(&mirror_path(folder))?;
                let (database, _) = Self::try_open(folder).map_err(|t| t.told(folder))?;
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

    fn try_open(folder: &Path) -> std::result::Result<(Self, usize), Trouble> {
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let opened = catch_unwind(AssertUnwindSafe(|| {
            sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).open()
        }));
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(e)) => return Err(Trouble::of(folder, &e)),
            Err(_) => return Err(Trouble::Corrupt("its log cannot be read".into())),
        };
        let trouble = |e: sled::Error| Trouble::of(folder, &e);
        let meta = db.open_tree("meta").map_err(trouble)?;
        match meta.get("schema").map_err(trouble)? {
            Some(bytes) => {
                let found = bytes.as_ref().try_into().map(u32::from_be_bytes).unwrap_or(u32::MAX);
                if found > SCHEMA {
                    return Err(Trouble::Told(StoreError::Newer {
                        path: folder.display().to_string(),
                        found,
                        known: SCHEMA,
                    }));
                }
            }
            None => {
                meta.insert("schema", &SCHEMA.to_be_bytes()).map_err(trouble)?;
                meta.insert("app", env!("CARGO_PKG_VERSION")).map_err(trouble)?;
            }
        }
        let database = Self {
            sessions: db.open_tree("sessions").map_err(trouble)?,
            messages: db.open_tree("messages").map_err(trouble)?,
            drafts: db.open_tree("drafts").map_err(trouble)?,
            mirror: Mirror::open(&mirror_path(folder))?,
            path: folder.to_path_buf(),
            db,
        };
        let recovered = database.recover_drafts()?;
        Ok((database, recovered))
    }

    /// All sessions, newest change first.
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

    /// A session by its id or an unambiguous beginning of it.
    pub fn get(&self, id: &str) -> Result<Conversation> {
        // A whole id needs no look at the other sessions.
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
    pub fn put_session(&self, session: &Session) -> Result<()> {
        self.sessions.insert(&session.id, encode(session)).map_err(io(&self.path))?;
        self.flush()?;
        self.mirror.session(session)
    }

    /// Deletes a draft that came to nothing.
    pub fn drop_draft(&self, key: &super::DraftKey) -> Result<()> {
        for key in self.drafts.scan_prefix(turn_key(&key.session, key.seq)).keys().flatten() {
            self.drafts.remove(key).map_err(io(&self.path))?;
        }
        self.flush()
    }

    /// Adds a finished turn, in one transaction with its session's record; durable on return.
    /// The turn's draft, if it had one, goes in the same transaction.
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
                Ok::<(), ConflictableTransactionError<()>>(())
            })
            .map_err(|e| match e {
                TransactionError::Storage(e) => io(&self.path)(e),
                TransactionError::Abort(()) => io(&self.path)("the transaction was refused"),
            })?;
        self.flush()?;
        self.mirror.session(session)?;
        self.mirror.turn(&session.id, turn)
    }

    /// Writes a whole conversation, as import does.
    pub fn insert(&self, conversation: &Conversation) -> Result<()> {
        self.put_session(&conversation.session)?;
        for turn in &conversation.turns {
            self.put_turn(&conversation.session, turn)?;
        }
        Ok(())
    }

    /// Writes what `saved` has and the store lacks. Returns how many turns that were.
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

    /// Removes a session and its turns.
    pub fn remove(&self, id: &str) -> Result<Session> {
        let session = find(&self.list()?, id)?.clone();
        // First: what the mirror still has would come back at the next start.
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
enum Trouble {
    Told(StoreError),
    Corrupt(String),
}

impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Self {
        Self::Told(e)
    }
}

impl Trouble {
    fn of(folder: &Path, e: &sled::Error) -> Self {
        let path = folder.display().to_string();
        match e {
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => {
                Self::Corrupt(e.to_string())
            }
            // sled wraps the failed lock in an Io error with this text.
            e if e.to_string().contains("could not acquire lock") => {
                Self::Told(StoreError::Locked(path))
            }
            e => Self::Told(StoreError::Io { path, reason: e.to_string() }),
        }
    }

    fn told(self, folder: &Path) -> StoreError {
        match self {
            Self::Told(e) => e,
            Self::Corrupt(reason) => StoreError::Io { path: folder.display().to_string(), reason },
        }
    }
}

/// A session by its id or the beginning of it.
pub fn find<'a>(all: &'a [Session], id: &str) -> Result<&'a Session> {
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
