//! Stored conversations: list, search, read, import, remove.

use std::path::Path;

use super::{App, Event, Result};
use artgpt_base::files::read_limited;
use artgpt_base::mask::mask_url;
use artgpt_base::text::printable;
use artgpt_chat::{Conversation, Session};
use artgpt_store::{
    Database, MAX_SEQ, Pictures, Removed, StoreError, find_saved, mirror_path, read_mirror,
};

/// Bytes of the largest file that is imported.
const MAX_IMPORT: u64 = 256 << 20;

/// All sessions, the last changed first.
pub fn list(app: &App) -> Result<Vec<Session>> {
    Ok(Reader::open(app)?.list()?)
}

/// The sessions whose title, labels or turns contain a text, in any case.
pub fn search(app: &App, text: &str) -> Result<Vec<Session>> {
    let (reader, text) = (Reader::open(app)?, text.to_lowercase());
    let mut found = Vec::new();
    for session in reader.list()? {
        if mentions(&reader.get(&session.id)?, &text) {
            found.push(session);
        }
    }
    Ok(found)
}

/// One session, by its ID or a unique prefix of it.
pub fn get(app: &App, id: &str) -> Result<Conversation> {
    Ok(Reader::open(app)?.get(id)?)
}

/// Stores a conversation from a file that an export wrote (JSON), or the same in TOML. Where its ID
/// is taken it gets a new one.
pub fn import(app: &App, file: &Path) -> Result<Session> {
    let bad = |reason: String| StoreError::Import {
        path: printable(&file.display().to_string()),
        reason,
    };
    let bytes = read_limited(file, MAX_IMPORT).map_err(|e| bad(e.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| bad("it is no UTF-8 text".into()))?;
    let mut conversation = parse(&text).map_err(|e| bad(e.to_string()))?;
    drop(text);
    // A password in a server's address is not stored.
    conversation.session.model = mask_url(&conversation.session.model).into_owned();
    let database = open_to_write(app)?;
    if database.get(&conversation.session.id).is_ok() {
        conversation.session.id = ulid::Ulid::generate().to_string();
        app.tell(&Event::ImportedAsCopy);
    }
    database.insert(&conversation)?;
    Ok(conversation.session)
}

/// Deletes a session, and the copies of pictures that no other session shows. Backups that may still
/// hold it go to the observer.
pub fn remove(app: &App, id: &str) -> Result<Removed> {
    let mut database = open_to_write(app)?;
    let removed = database.remove(id);
    // A session that is not erased is removed nevertheless.
    Pictures::new(app.paths.pictures()).drop_unused(&database.list()?)?;
    Ok(removed?)
}

/// Opens the store; what it reports goes to the observer.
pub(super) fn open_to_write(app: &App) -> Result<Database> {
    let opened = Database::open(&app.paths.sessions())?;
    Pictures::new(app.paths.pictures()).tidy();
    if let Some(notice) = &opened.notice {
        app.tell(&Event::Store(notice));
    }
    Ok(opened.database)
}

/// The store, or its text copy while another process holds it.
enum Reader {
    Database(Box<Database>),
    Mirror(Vec<Conversation>),
}

impl Reader {
    fn open(app: &App) -> Result<Self> {
        let folder = app.paths.sessions();
        if !folder.exists() {
            return Ok(Self::Mirror(read_mirror(&mirror_path(&folder))?));
        }
        match Database::open(&folder) {
            Ok(opened) => {
                if let Some(notice) = &opened.notice {
                    app.tell(&Event::Store(notice));
                }
                Ok(Self::Database(Box::new(opened.database)))
            }
            Err(
                e @ (StoreError::Locked(_) | StoreError::NoLocks { .. } | StoreError::Io { .. }),
            ) => {
                app.tell(&Event::ReadingMirror(&e.into()));
                Ok(Self::Mirror(read_mirror(&mirror_path(&folder))?))
            }
            Err(e) => Err(e.into()),
        }
    }

    fn list(&self) -> std::result::Result<Vec<Session>, StoreError> {
        match self {
            Self::Database(database) => database.list(),
            Self::Mirror(all) => Ok(all.iter().map(|c| c.session.clone()).collect()),
        }
    }

    fn get(&self, id: &str) -> std::result::Result<Conversation, StoreError> {
        match self {
            Self::Database(database) => database.get(id),
            Self::Mirror(all) => find_saved(all, id),
        }
    }
}

fn mentions(c: &Conversation, text: &str) -> bool {
    let has = |s: &str| s.to_lowercase().contains(text);
    let labels = c.session.artworks.iter().filter_map(|a| a.label.as_ref());
    has(&c.session.title)
        || labels.flat_map(|l| l.fields()).any(|(_, v)| has(v))
        || c.turns.iter().any(|t| has(&t.text))
}

/// Why a file is not a conversation.
#[derive(Debug, thiserror::Error)]
enum NotAConversation {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{}", .0.message())]
    Toml(#[from] toml::de::Error),
    #[error("its id is no ULID")]
    Id,
    #[error("its turns are out of order")]
    Order,
    #[error("a turn has a number above {MAX_SEQ}")]
    Number,
    #[error("a turn shows an artwork that is not listed")]
    Artwork,
    #[error("an artwork's sha256 is no sha256")]
    Sha256,
}

fn parse(text: &str) -> std::result::Result<Conversation, NotAConversation> {
    let conversation: Conversation = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text)?,
        false => toml::from_str(text)?,
    };
    let id = &conversation.session.id;
    if ulid::Ulid::from_string(id).is_err() || *id != id.to_ascii_uppercase() {
        return Err(NotAConversation::Id);
    }
    let rising = conversation.turns.windows(2).all(|w| w[0].seq < w[1].seq);
    let rooted = conversation.turns.iter().all(|t| t.parent.is_none_or(|p| p < t.seq));
    if !rising || !rooted {
        return Err(NotAConversation::Order);
    }
    // The next turn gets the next number.
    if conversation.turns.last().is_some_and(|turn| turn.seq >= MAX_SEQ) {
        return Err(NotAConversation::Number);
    }
    let artworks = conversation.session.artworks.len();
    if conversation.turns.iter().flat_map(|t| &t.artworks).any(|a| *a >= artworks) {
        return Err(NotAConversation::Artwork);
    }
    // The hash becomes a file's name.
    let hex = |s: &str| s.len() == 64 && s.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if !conversation.session.artworks.iter().all(|a| hex(&a.sha256)) {
        return Err(NotAConversation::Sha256);
    }
    Ok(conversation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_seq(seq: u64) -> String {
        format!(
            r#"{{"id":"01M8Q5XXH0KSMAC2YZ3G68S5R9","title":"","model":"m",
                "created":"2026-01-01T00:00:00Z","updated":"2026-01-01T00:00:00Z",
                "turns":[{{"seq":{seq},"parent":null,"role":"user","text":"a",
                    "created":"2026-01-01T00:00:00Z"}}]}}"#
        )
    }

    #[test]
    fn the_next_turn_of_an_imported_session_has_a_number() {
        assert_eq!(parse(&with_seq(MAX_SEQ - 1)).expect("parses").turns.len(), 1);
        for seq in [MAX_SEQ, u64::MAX] {
            assert!(matches!(parse(&with_seq(seq)), Err(NotAConversation::Number)), "{seq}");
        }
    }
}
