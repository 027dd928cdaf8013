//! Removing a session so that its text is gone from the disk, not only from the list.
//!
//! sled never overwrites a page, so a removal writes the store anew and then gives the copy the old
//! one's name. The mirror notes a removal before it begins, so that one that was killed is finished by
//! the next start.

use std::path::{Path, PathBuf};

use sled::transaction::{ConflictableTransactionError, Transactional};
use std::convert::Infallible;

use super::database::{Database, aborted, find};
use super::folder::{backups, replaced, rewritten};
use super::mirror::Contents;
use super::trees::Trees;
use super::{Result, StoreError, io};
use artgpt_base::files::sync_folder;
use artgpt_chat::Session;

/// A session that was removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    /// The session's record.
    pub session: Session,
    /// Copies of the store that were kept because they were damaged; they may hold the session.
    pub backups: Vec<PathBuf>,
}

impl Database {
    /// Removes a session with its turns and drafts; nothing of it is left in the store and its mirror.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`StoreError::Ambiguous`], [`StoreError::Io`];
    /// [`StoreError::NotErased`], if the session is removed but its text is still on disk.
    pub fn remove(&mut self, id: &str) -> Result<Removed> {
        let session = find(&self.list()?, id)?.clone();
        self.mirror.remove(&session.id)?;
        self.take_out(&session.id)?;
        self.erase()?;
        Ok(Removed { session, backups: backups(&self.path) })
    }

    /// Finishes the removals that the mirror notes.
    pub(super) fn finish_removals(&mut self, saved: &Contents) -> Result<()> {
        if saved.removed.is_empty() {
            return Ok(());
        }
        for id in &saved.removed {
            self.take_out(id)?;
        }
        self.erase()
    }

    /// Deletes the records of a session in one transaction.
    fn take_out(&self, id: &str) -> Result<()> {
        let trees = self.trees()?;
        let keys = |tree: &sled::Tree| -> Vec<_> {
            tree.scan_prefix(id.as_bytes()).keys().flatten().collect()
        };
        let (messages, drafts) = (keys(&trees.messages), keys(&trees.drafts));
        (&trees.sessions, &trees.messages, &trees.drafts)
            .transaction(|(sessions_tree, messages_tree, drafts_tree)| {
                sessions_tree.remove(id.as_bytes())?;
                for key in &messages {
                    messages_tree.remove(key)?;
                }
                for key in &drafts {
                    drafts_tree.remove(key)?;
                }
                Ok::<(), ConflictableTransactionError<Infallible>>(())
            })
            .map_err(|e| aborted(&self.path, e))?;
        self.flush()
    }

    /// Writes store and mirror anew without what was removed.
    fn erase(&mut self) -> Result<()> {
        let not_erased = |e: StoreError| match e {
            StoreError::Io { path, source } => StoreError::NotErased { path, source },
            e => e,
        };
        self.rewrite().map_err(not_erased)?;
        self.mirror.rewrite().map_err(not_erased)
    }

    fn rewrite(&mut self) -> Result<()> {
        let (new, old) = (rewritten(&self.path), replaced(&self.path));
        let copied = self.trees()?.copy_to(&new);
        if let Err(e) = copied {
            // Half a copy only takes space.
            let _ = std::fs::remove_dir_all(&new);
            return Err(e);
        }
        // sled knows its files by their path, so the store is closed while folders change names.
        self.trees = None;
        let swapped = swap(&self.path, &new, &old);
        self.trees = Some(Trees::open(&self.path).map_err(|e| e.into_store_error(&self.path))?);
        swapped?;
        std::fs::remove_dir_all(&old).map_err(io(&old))
    }
}

/// Gives the new store the name of the old one. Where the second rename fails, the first is undone.
fn swap(folder: &Path, new: &Path, old: &Path) -> Result<()> {
    std::fs::rename(folder, old).map_err(io(folder))?;
    if let Err(e) = std::fs::rename(new, folder) {
        std::fs::rename(old, folder).map_err(io(folder))?;
        return Err(io(folder)(e));
    }
    sync_folder(folder.parent().unwrap_or(Path::new("."))).map_err(io(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_chat::{Conversation, Session};

    fn conversation(text: &str) -> Conversation {
        let mut c = Conversation::new(Session::new("m", None));
        let turn = c.user_turn(text, vec![]);
        c.turns.push(turn);
        c.derive_title();
        c
    }

    /// Whether any file below a folder holds a text.
    fn is_on_disk(folder: &Path, text: &str) -> bool {
        std::fs::read_dir(folder).expect("reads").flatten().any(|entry| {
            let path = entry.path();
            match path.is_dir() {
                true => is_on_disk(&path, text),
                false => {
                    let bytes = std::fs::read(&path).expect("reads");
                    bytes.windows(text.len()).any(|w| w == text.as_bytes())
                }
            }
        })
    }

    #[test]
    fn a_removed_session_is_gone_from_the_disk_and_the_others_stay() {
        let dir = tempfile::tempdir().expect("temp dir");
        let folder = dir.path().join("sessions.sled");
        let (gone, kept) = (conversation("a secret question"), conversation("another question"));
        let mut database = Database::open(&folder).expect("opens").database;
        for c in [&gone, &kept] {
            database.insert(c).expect("writes");
        }
        assert!(is_on_disk(dir.path(), "a secret question"));
        let removed = database.remove(&gone.session.id).expect("removes");
        assert_eq!((removed.session, removed.backups), (gone.session, vec![]));
        assert!(!is_on_disk(dir.path(), "a secret question"));
        // The same handle goes on.
        assert_eq!(database.get(&kept.session.id).expect("is there"), kept);
        let next = kept.assistant_turn("an answer");
        database.put_turn(&kept.session, &next).expect("writes");
        drop(database);
        assert!(!is_on_disk(dir.path(), "a secret question"));
        let database = Database::open(&folder).expect("opens").database;
        assert_eq!(database.get(&kept.session.id).expect("is there").turns.len(), 2);
    }

    #[test]
    fn a_removal_that_was_killed_is_finished_and_backups_are_named() {
        let dir = tempfile::tempdir().expect("temp dir");
        let folder = dir.path().join("sessions.sled");
        let c = conversation("a secret question");
        let database = Database::open(&folder).expect("opens").database;
        database.insert(&c).expect("writes");
        database.mirror.remove(&c.session.id).expect("notes");
        drop(database);
        let backup = dir.path().join("sessions.sled.damaged-1");
        std::fs::create_dir(&backup).expect("makes");
        let mut database = Database::open(&folder).expect("opens").database;
        assert!(database.list().expect("lists").is_empty());
        assert!(!is_on_disk(dir.path(), "a secret question"));
        database.insert(&c).expect("writes");
        assert_eq!(database.remove(&c.session.id).expect("removes").backups, [backup]);
    }
}
