//! Sessions on disk. Nothing else writes to sled.

mod actor;
mod database;
mod drafts;
mod export;
mod mirror;
mod pictures;

pub use actor::{Store, StoreEvent};
pub use database::{Database, Opened, find, mirror_path};
pub use drafts::DraftKey;
pub use export::{to_json, to_markdown};
pub use mirror::{find_saved, read_mirror};
pub use pictures::Pictures;

use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the sessions in {0} are open in another artgpt-tui; close that one, or use another --data-dir"
    )]
    Locked(String),
    #[error(
        "the sessions in {path} were written by a newer artgpt-tui (schema {found}, this one knows {known}); update the program"
    )]
    Newer { path: String, found: u32, known: u32 },
    #[error(
        "cannot keep sessions in {path}: {reason}; free some space, make the folder writable, or choose another --data-dir"
    )]
    Io { path: String, reason: String },
    #[error("there is no session {0}; `artgpt-tui sessions list` shows them")]
    Unknown(String),
    #[error("more than one session begins with {0}; give more of its id")]
    Ambiguous(String),
    #[error(
        "{path} is not a conversation ({reason}); export one with `sessions export ID --format json` to see the form"
    )]
    Import { path: String, reason: String },
}

pub type Result<T> = std::result::Result<T, StoreError>;

fn io<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> StoreError {
    let path = path.display().to_string();
    move |e| StoreError::Io { path: path.clone(), reason: e.to_string() }
}
