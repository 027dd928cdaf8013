//! The open sled database: its trees and its schema.

use std::path::Path;

use sled::{Db, Tree};

use super::{Result, StorageError, StoreError, io};
use artgpt_base::private;

/// Rises when the format of records changes.
const SCHEMA: u32 = 1;
/// sled's default cache is 1 GiB.
const CACHE_BYTES: u64 = 8 << 20;

/// The trees of a database.
pub(super) struct Trees {
    pub(super) db: Db,
    meta: Tree,
    pub(super) sessions: Tree,
    pub(super) messages: Tree,
    pub(super) drafts: Tree,
}

/// Why a store did not open.
pub(super) enum OpenError {
    /// Another attempt would end in the same way.
    Final(StoreError),
    /// The store is damaged, so that it can be rebuilt.
    Corrupt(StorageError),
}

impl Trees {
    /// Opens or creates the database in `folder`.
    pub(super) fn open(folder: &Path) -> std::result::Result<Self, OpenError> {
        private::folder(folder).map_err(io(folder))?;
        // sled panics on some damaged files.
        let opened = artgpt_base::panics::guarded(|| {
            sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).open()
        });
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(e)) => return Err(OpenError::of(folder, e)),
            Err(_) => return Err(OpenError::Corrupt(StorageError::UnreadableLog)),
        };
        private::tree(folder);
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
        Ok(Self {
            sessions: db.open_tree("sessions").map_err(failed)?,
            messages: db.open_tree("messages").map_err(failed)?,
            drafts: db.open_tree("drafts").map_err(failed)?,
            meta,
            db,
        })
    }

    /// Copies everything into a new database. sled never overwrites: only a copy is free of what was
    /// removed.
    pub(super) fn copy_to(&self, folder: &Path) -> Result<()> {
        let copy = Self::open(folder).map_err(|e| e.into_store_error(folder))?;
        let pairs = [
            (&self.meta, &copy.meta),
            (&self.sessions, &copy.sessions),
            (&self.messages, &copy.messages),
            (&self.drafts, &copy.drafts),
        ];
        for (from, to) in pairs {
            for pair in from.iter() {
                let (key, value) = pair.map_err(io(folder))?;
                to.insert(key, value).map_err(io(folder))?;
            }
        }
        copy.db.flush().map(|_| ()).map_err(io(folder))
    }
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

    pub(super) fn into_store_error(self, folder: &Path) -> StoreError {
        match self {
            Self::Final(e) => e,
            Self::Corrupt(source) => io(folder)(source),
        }
    }
}

/// Whether a program of an earlier version has the store open, which takes sled's own lock alone.
///
/// sled reports a lock that it cannot get as an I/O error of kind `Other` with nothing but a text.
/// So the same lock is tried again here: the operating system's answer decides.
fn is_locked(folder: &Path) -> bool {
    let Ok(file) = std::fs::File::open(folder.join("db")) else { return false };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}
