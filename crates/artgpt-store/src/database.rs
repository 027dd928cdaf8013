//! The sled trees: `meta`, `sessions`, `messages`, `drafts`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use super::folder::{FolderLock, PrivateAtEnd, replaced, tidy};
use super::mirror::{Contents, Mirror, read_all};
use super::trees::{OpenError, Trees};
use super::{Result, StorageError, StoreError, io};
use artgpt_base::private;
use artgpt_chat::{Conversation, Session, TurnRecord};

/// Bytes of a ULID as text.
const ID_BYTES: usize = 26;
/// The largest number of a turn: JSON readers keep whole numbers up to here.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// An open store. Only one process at a time can have it open.
pub struct Database {
    /// `None` after a removal could not put the new store in place of the old one.
    pub(super) trees: Option<Trees>,
    pub(super) mirror: Mirror,
    pub(super) path: PathBuf,
    // These are dropped last, in this order.
    pub(super) _private: PrivateAtEnd,
    pub(super) _lock: FolderLock,
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
    /// [`StoreError::Locked`] while another process has it, [`StoreError::NoLocks`] on a file system
    /// without locks, [`StoreError::Newer`] for a later schema, [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Opened> {
        Self::open_as(folder, false)
    }

    /// Opens the store again in a process in which a write has failed. sled can keep its lock then, and
    /// the store is made anew from its mirror.
    pub(super) fn open_again(folder: &Path) -> Result<Self> {
        Ok(Self::open_as(folder, true)?.database)
    }

    fn open_as(folder: &Path, again: bool) -> Result<Opened> {
        let lock = FolderLock::acquire(folder)?;
        tidy(folder)?;
        let (trees, damaged) = match Trees::open(folder) {
            Ok(trees) => (trees, None),
            Err(OpenError::Final(StoreError::Locked(_))) if again => {
                // The mirror has all that was ever reported as saved.
                let old = replaced(folder);
                std::fs::rename(folder, &old).map_err(io(folder))?;
                (Trees::open(folder).map_err(|e| e.into_store_error(folder))?, None)
            }
            Err(OpenError::Final(e)) => return Err(e),
            Err(OpenError::Corrupt(reason)) => {
                let aside = move_aside(folder)?;
                let trees = Trees::open(folder).map_err(|e| e.into_store_error(folder))?;
                (trees, Some((reason, aside)))
            }
        };
        let mut database = Self {
            trees: Some(trees),
            mirror: Mirror::open(&mirror_path(folder))?,
            path: folder.to_path_buf(),
            _private: PrivateAtEnd(folder.to_path_buf()),
            _lock: lock,
        };
        let recovered = database.recover_drafts()?;
        let saved = read_all(&mirror_path(folder))?;
        // sled opens a damaged log as an empty or shorter one and says nothing.
        let restored = database.restore_lost(&saved.conversations)?;
        database.finish_removals(&saved)?;
        database.complete_mirror(&saved)?;
        // There is one after a failure only; the next start removes what cannot be removed now.
        let _ = std::fs::remove_dir_all(replaced(folder));
        let notice = match (damaged, restored, recovered) {
            (Some((reason, aside)), ..) => Some(format!(
                "the session store was damaged ({reason}); it was moved to {} and {} session(s) were restored",
                aside.display(),
                saved.conversations.len()
            )),
            (None, 0, 0) => None,
            (None, 0, n) => Some(format!("recovered {n} unfinished answer(s) of an earlier run")),
            (None, n, _) => Some(format!(
                "the session store was damaged; {n} turn(s) were restored from its mirror"
            )),
        };
        Ok(Opened { database, notice })
    }

    /// The trees.
    ///
    /// # Errors
    /// If the store is closed.
    pub(super) fn trees(&self) -> Result<&Trees> {
        self.trees.as_ref().ok_or_else(|| io(&self.path)(StorageError::Closed))
    }

    /// All sessions, the last updated first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn list(&self) -> Result<Vec<Session>> {
        let mut all: Vec<Session> = self
            .trees()?
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
        let trees = self.trees()?;
        // For a whole id the other sessions need not be read.
        let exact = trees.sessions.get(id).map_err(io(&self.path))?;
        let session = match exact.and_then(|v| serde_json::from_slice(&v).ok()) {
            Some(session) => session,
            None => find(&self.list()?, id)?.clone(),
        };
        let turns = trees
            .messages
            .scan_prefix(session.id.as_bytes())
            .values()
            .filter_map(|v| v.ok().and_then(|v| serde_json::from_slice(&v).ok()))
            .collect();
        Ok(Conversation { session, turns })
    }

    /// Adds a finished turn, in one transaction with its session's record; durable on return.
    /// The same transaction deletes the turn's draft.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the turn is then not in the store, or not in its mirror.
    /// [`StoreError::Full`] for a number beyond [`MAX_SEQ`], which would overwrite another turn.
    pub fn put_turn(&self, session: &Session, turn: &TurnRecord) -> Result<()> {
        self.store(session, std::slice::from_ref(turn))?;
        self.mirror.turn(session, turn)
    }

    /// Writes a whole conversation, as import does. After a kill it is whole or absent.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Full`].
    pub fn insert(&self, conversation: &Conversation) -> Result<()> {
        self.store(&conversation.session, &conversation.turns)?;
        self.mirror.conversation(conversation)
    }

    /// Writes a session and some of its turns in one transaction, which also deletes their drafts.
    fn store(&self, session: &Session, turns: &[TurnRecord]) -> Result<()> {
        if turns.iter().any(|turn| turn.seq > MAX_SEQ) {
            return Err(StoreError::Full(session.id.clone()));
        }
        let trees = self.trees()?;
        let record = encode(session);
        let turns: Vec<(Vec<u8>, Vec<u8>)> =
            turns.iter().map(|turn| (turn_key(&session.id, turn.seq), encode(turn))).collect();
        let drafts: Vec<_> = turns
            .iter()
            .flat_map(|(key, _)| trees.drafts.scan_prefix(key).keys().flatten())
            .collect();
        (&trees.sessions, &trees.messages, &trees.drafts)
            .transaction(|(sessions_tree, messages_tree, drafts_tree)| {
                sessions_tree.insert(session.id.as_bytes(), record.as_slice())?;
                for (key, turn) in &turns {
                    messages_tree.insert(key.as_slice(), turn.as_slice())?;
                }
                for key in &drafts {
                    drafts_tree.remove(key)?;
                }
                Ok::<(), ConflictableTransactionError<Infallible>>(())
            })
            .map_err(|e| aborted(&self.path, e))?;
        self.flush()
    }

    /// Writes the turns of `saved` that the store lacks; returns their number.
    fn restore_lost(&self, saved: &[Conversation]) -> Result<usize> {
        let trees = self.trees()?;
        let mut restored = 0;
        for conversation in saved {
            let session = &conversation.session;
            let known = trees.sessions.contains_key(&session.id).map_err(io(&self.path))?;
            for turn in &conversation.turns {
                let key = turn_key(&session.id, turn.seq);
                if !trees.messages.contains_key(&key).map_err(io(&self.path))? {
                    trees.messages.insert(key, encode(turn)).map_err(io(&self.path))?;
                    restored += 1;
                }
            }
            if !known {
                trees.sessions.insert(&session.id, encode(session)).map_err(io(&self.path))?;
            }
        }
        if restored > 0 {
            self.flush()?;
        }
        Ok(restored)
    }

    /// Writes to the mirror what only the store has, as a kill between the two leaves it.
    fn complete_mirror(&self, saved: &Contents) -> Result<()> {
        let known: BTreeMap<&str, usize> =
            saved.conversations.iter().map(|c| (c.session.id.as_str(), c.turns.len())).collect();
        for session in self.list()? {
            let known = known.get(session.id.as_str());
            let count = self.trees()?.messages.scan_prefix(session.id.as_bytes()).count();
            if known.is_none_or(|known| *known < count) {
                self.mirror.conversation(&self.get(&session.id)?)?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.trees()?.db.flush().map(|_| ()).map_err(io(&self.path))
    }
}

/// Renames a damaged store.
fn move_aside(folder: &Path) -> Result<PathBuf> {
    let stamp = jiff::Timestamp::now().as_second();
    let mut names = std::iter::once(String::new()).chain((2..).map(|n| format!("-{n}")));
    let aside = names
        .by_ref()
        .map(|more| folder.with_extension(format!("sled.damaged-{stamp}{more}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.with_extension("sled.damaged"));
    std::fs::rename(folder, &aside).map_err(io(folder))?;
    private::tree(&aside);
    Ok(aside)
}

/// Why a transaction that never aborts by itself failed.
pub(super) fn aborted(path: &Path, error: TransactionError<Infallible>) -> StoreError {
    match error {
        TransactionError::Storage(e) => io(path)(e),
        TransactionError::Abort(never) => match never {},
    }
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
    use crate::read_mirror;

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
        let mut again = open(dir.path()).database;
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
            .trees()
            .expect("is open")
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

    #[test]
    fn a_number_that_would_overwrite_a_turn_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let database = open(dir.path()).database;
        let mut c = Conversation::new(Session::new("m", None));
        let turn = TurnRecord { seq: u64::MAX, ..c.user_turn("what?", vec![]) };
        c.turns.push(turn);
        assert!(matches!(database.insert(&c), Err(StoreError::Full(_))));
        assert!(database.list().expect("lists").is_empty());
    }

    #[test]
    fn the_mirror_gets_what_a_kill_kept_from_it() {
        let dir = tempfile::tempdir().expect("temp dir");
        let c = conversation();
        open(dir.path()).database.insert(&c).expect("writes");
        let mirror = dir.path().join("sessions.jsonl");
        let text = std::fs::read_to_string(&mirror).expect("reads");
        // Half of the import's lines.
        std::fs::write(&mirror, &text[..text.len() / 2]).expect("writes");
        drop(open(dir.path()));
        assert_eq!(read_mirror(&mirror).expect("reads"), [c]);
    }

    #[test]
    fn sessions_can_be_read_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        fn check(path: &Path) {
            let meta = std::fs::metadata(path).expect("is there");
            assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", path.display());
            if meta.is_dir() {
                std::fs::read_dir(path).expect("reads").flatten().for_each(|e| check(&e.path()));
            }
        }
        let dir = tempfile::tempdir().expect("temp dir");
        open(dir.path()).database.insert(&conversation()).expect("writes");
        for name in ["sessions.sled", "sessions.jsonl", "sessions.lock"] {
            check(&dir.path().join(name));
        }
    }
}
