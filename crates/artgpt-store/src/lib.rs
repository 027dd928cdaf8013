//! Sessions on disk: a sled database, its mirror as JSON lines, and copies of the images. Nothing
//! else in the program writes to sled.

mod actor;
mod database;
mod drafts;
mod export;
mod mirror;
mod pictures;
mod unsaved;

pub use actor::{Store, StoreEvent};
use database::find;
pub use database::{Database, Opened, mirror_path};
pub use drafts::DraftKey;
pub use export::{to_json, to_markdown};
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
