//! Sessions on disk: a sled database, its mirror as JSON lines, and copies of the images. Nothing
//! else in the program writes to sled.

mod actor;
mod database;
mod drafts;
mod erase;
mod export;
mod folder;
mod mirror;
mod pictures;
mod trees;
mod unsaved;

pub use actor::{Store, StoreEvent};
use database::find;
pub use database::{Database, MAX_SEQ, Opened, mirror_path};
pub use drafts::DraftKey;
pub use erase::Removed;
pub use export::{to_json, to_markdown};
pub use folder::backups;
pub use mirror::{find_saved, read_mirror};
pub use pictures::Pictures;
pub use unsaved::{Unsaved, UnsavedItem};

use std::path::Path;

use unsaved::list;

/// Why sessions cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store (in this folder) open.
    #[error("the sessions in {0} are open in another artgpt-tui")]
    Locked(String),
    /// The file system has no file locks, so that two processes could write at once.
    #[error("the file system of {path} has no file locks ({source})")]
    NoLocks {
        /// The store's folder.
        path: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The store has a schema of a later version.
    #[error(
        "a newer artgpt-tui wrote the sessions in {path} (schema {found}, this one knows {known})"
    )]
    Newer {
        /// The store's folder.
        path: String,
        /// The schema of the store.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// A file or the database cannot be read or written.
    #[error("cannot keep sessions in {path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What failed.
        source: StorageError,
    },
    /// An image cannot be copied into the data folder.
    #[error("cannot copy {path}: {source}")]
    Copy {
        /// The image or its copy.
        path: String,
        /// What failed.
        source: StorageError,
    },
    /// A session is removed, but a file or folder still holds its text.
    #[error("the session is removed, but its text is still in {path}: {source}")]
    NotErased {
        /// The file or folder.
        path: String,
        /// What failed.
        source: StorageError,
    },
    /// A turn of a session (by its id) has a number beyond the largest one.
    #[error("session {0} has no room for another turn")]
    Full(String),
    /// No session has this id.
    #[error("there is no session {0}")]
    Unknown(String),
    /// Several sessions have an id that begins like this.
    #[error("more than one session begins with {0}")]
    Ambiguous(String),
    /// A file that is to be imported holds no conversation.
    #[error("{path} is not a conversation ({reason})")]
    Import {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was closed before it could write these.
    #[error("not saved: {}", list(.0))]
    Unsaved(Vec<Unsaved>),
}

/// What failed below the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A file operation.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A database operation.
    #[error(transparent)]
    Database(#[from] sled::Error),
    /// A removal could not open the database again.
    #[error("the database is closed")]
    Closed,
    /// The database crashed while it read its log.
    #[error("its log cannot be read")]
    UnreadableLog,
}

impl StoreError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Locked(_) => "close that one, or use another --data-dir",
            Self::Newer { .. } => "update the program",
            Self::NoLocks { .. } => {
                "use another --data-dir, on a local disk; earlier sessions can be read"
            }
            Self::NotErased { .. } => {
                "free some space; the next command that opens the sessions tries again"
            }
            Self::Copy { .. } => "check that the image is readable, and free some space",
            Self::Full(_) => "start a new session",
            Self::Io { .. } => {
                "free some space, make the folder writable, or choose another --data-dir"
            }
            Self::Unknown(_) => "`artgpt-tui sessions list` shows them",
            Self::Ambiguous(_) => "give more of its id",
            Self::Import { .. } => {
                "export one with `sessions export ID --format json` to see the form"
            }
            Self::Unsaved(_) => "free some space, and check that the data folder is writable",
        };
        Some(hint.into())
    }
}

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Adds the path to an error.
fn io<E: Into<StorageError>>(path: &Path) -> impl Fn(E) -> StoreError {
    let path = path.display().to_string();
    move |e| StoreError::Io { path: path.clone(), source: e.into() }
}
