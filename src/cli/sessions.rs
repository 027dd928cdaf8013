//! `sessions list | show | search | export | import | rm`.

use std::process::ExitCode;

use super::args::{ExportFormat, SessionsCommand};
use super::{Context, Failure, out};
use artgpt_base::text::printable;
use artgpt_chat::{Conversation, Session};
use artgpt_store::{
    Database, Pictures, StoreError, find_saved, mirror_path, read_mirror, to_json, to_markdown,
};

pub fn run(context: &Context, command: SessionsCommand) -> Result<ExitCode, Failure> {
    match command {
        SessionsCommand::List => {
            let all = open(context)?.list()?;
            list(context, &all);
        }
        SessionsCommand::Search { text } => {
            let reader = open(context)?;
            let mut found = Vec::new();
            for session in reader.list()? {
                if mentions(&reader.get(&session.id)?, &text.to_lowercase()) {
                    found.push(session);
                }
            }
            list(context, &found);
        }
        SessionsCommand::Show { id } => {
            let conversation = open(context)?.get(&id)?;
            match context.json {
                true => out::line(to_json(&conversation)),
                false => out::write(to_markdown(&conversation)),
            }
        }
        SessionsCommand::Export { id, format } => {
            let conversation = open(context)?.get(&id)?;
            match format {
                ExportFormat::Json => out::line(to_json(&conversation)),
                ExportFormat::Md => out::write(to_markdown(&conversation)),
            }
        }
        SessionsCommand::Import { file } => {
            let name = printable(&file.display().to_string());
            let bad = |reason: String| StoreError::Import { path: name.clone(), reason };
            let text = std::fs::read_to_string(&file).map_err(|e| bad(e.to_string()))?;
            let mut conversation = parse(&text).map_err(bad)?;
            let database = writable(context)?;
            if database.get(&conversation.session.id).is_ok() {
                conversation.session.id = ulid::Ulid::generate().to_string();
                eprintln!("artgpt-tui: a session of that id is there already; imported as a copy");
            }
            database.insert(&conversation)?;
            changed(context, &conversation.session, "imported");
        }
        SessionsCommand::Rm { id } => {
            let database = writable(context)?;
            let session = database.remove(&id)?;
            Pictures::new(context.paths.pictures()).drop_unused(&database.list()?)?;
            changed(context, &session, "removed");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The store, or its mirror while another process holds it.
enum Reader {
    Database(Box<Database>),
    Mirror(Vec<Conversation>),
}

impl Reader {
    fn list(&self) -> Result<Vec<Session>, StoreError> {
        match self {
            Self::Database(db) => db.list(),
            Self::Mirror(all) => Ok(all.iter().map(|c| c.session.clone()).collect()),
        }
    }

    fn get(&self, id: &str) -> Result<Conversation, StoreError> {
        match self {
            Self::Database(db) => db.get(id),
            Self::Mirror(all) => find_saved(all, id),
        }
    }
}

fn open(context: &Context) -> Result<Reader, Failure> {
    let folder = context.paths.sessions();
    if !folder.exists() {
        return Ok(Reader::Mirror(read_mirror(&mirror_path(&folder))?));
    }
    match Database::open(&folder) {
        Ok(opened) => {
            if let Some(notice) = opened.notice {
                eprintln!("artgpt-tui: {notice}");
            }
            Ok(Reader::Database(Box::new(opened.database)))
        }
        Err(e @ (StoreError::Locked(_) | StoreError::Io { .. })) => {
            eprintln!("artgpt-tui: {}", Failure::from(e));
            eprintln!("artgpt-tui: this is what has been saved so far");
            Ok(Reader::Mirror(read_mirror(&mirror_path(&folder))?))
        }
        Err(e) => Err(e.into()),
    }
}

fn writable(context: &Context) -> Result<Database, Failure> {
    let opened = Database::open(&context.paths.sessions())?;
    if let Some(notice) = opened.notice {
        eprintln!("artgpt-tui: {notice}");
    }
    Ok(opened.database)
}

fn list(context: &Context, sessions: &[Session]) {
    if context.json {
        out::line(serde_json::json!(sessions));
        return;
    }
    for s in sessions {
        let updated = s.updated.strftime("%Y-%m-%d %H:%M");
        let title = if s.title.is_empty() { "Untitled" } else { &s.title };
        out::line(format_args!(
            "{}  {updated}  {:<14}  {}",
            s.id,
            printable(&model_name(&s.model)),
            printable(title)
        ));
    }
}

/// Of a path, its last part.
fn model_name(model: &str) -> String {
    let last = std::path::Path::new(model).file_name();
    last.map_or_else(|| model.to_string(), |name| name.to_string_lossy().into_owned())
}

fn mentions(c: &Conversation, text: &str) -> bool {
    let has = |s: &str| s.to_lowercase().contains(text);
    let labels = c.session.artworks.iter().filter_map(|a| a.label.as_ref());
    has(&c.session.title)
        || labels.flat_map(|l| l.fields()).any(|(_, v)| has(v))
        || c.turns.iter().any(|t| has(&t.text))
}

/// JSON as `export` writes it, or the same in TOML (see `sessions/` in the project).
fn parse(text: &str) -> Result<Conversation, String> {
    let conversation: Conversation = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| e.to_string())?
    } else {
        toml::from_str(text).map_err(|e| e.message().to_string())?
    };
    let id = &conversation.session.id;
    if ulid::Ulid::from_string(id).is_err() || *id != id.to_ascii_uppercase() {
        return Err("its id is no ULID".into());
    }
    let rooted = conversation.turns.iter().all(|t| t.parent.is_none_or(|p| p < t.seq));
    if !rooted {
        return Err("its turns are out of order".into());
    }
    let artworks = conversation.session.artworks.len();
    if conversation.turns.iter().flat_map(|t| &t.artworks).any(|a| *a >= artworks) {
        return Err("a turn shows an artwork that is not listed".into());
    }
    // The name becomes a file's name.
    let hex = |s: &str| s.len() == 64 && s.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if !conversation.session.artworks.iter().all(|a| hex(&a.sha256)) {
        return Err("an artwork's sha256 is no sha256".into());
    }
    Ok(conversation)
}

fn changed(context: &Context, session: &Session, what: &str) {
    if context.json {
        out::line(serde_json::json!({"id": session.id, "state": what}));
    } else {
        out::line(format_args!("{what} {}", session.id));
    }
}
