//! The user's own keys: `keys.toml`, beside `config.toml`.
//!
//! ```toml
//! [chat]
//! open = "ctrl-f"
//! help = ["f1", "ctrl-h"]
//! ```

use std::io;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keymap::name;
use super::{Context, Key};
use artgpt_base::files::read_text;

/// A file that holds more is no keymap.
const MAX_BYTES: u64 = 1 << 20;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Override {
    pub(super) context: Context,
    pub(super) action: String,
    pub(super) keys: Vec<Key>,
    pub(super) line: usize,
}

/// Why `keys.toml` is not used; the default keys apply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("cannot read {file}: {error}; the default keys apply")]
    Read { file: String, error: io::Error },
    #[error("cannot read {file}: {message}; the default keys apply")]
    Syntax { file: String, message: String },
    #[error("cannot read {file}: line {line}: {problem}; the default keys apply")]
    Line { file: String, line: usize, problem: Problem },
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("unknown context [{name}]; did you mean [{suggestion}]?")]
    Context { name: String, suggestion: String },
    #[error("unknown action \"{name}\" in [{context}]; did you mean \"{suggestion}\"?")]
    Action { context: String, name: String, suggestion: String },
    #[error(
        "unknown key \"{name}\"; spell it like \"ctrl-x\", \"alt-enter\", \"f2\" or \"pageup\""
    )]
    Key { name: String },
    #[error("{what} must be {expected}")]
    Type { what: String, expected: &'static str },
    #[error(
        "the key {key} already has the action \"{other}\"; change one of \"{action}\" and \"{other}\""
    )]
    Taken { key: String, action: String, other: String },
}

impl KeysError {
    pub(super) fn taken(file: &Path, line: usize, key: Key, one: String, other: String) -> Self {
        let problem = Problem::Taken { key: key.spelled(), action: other, other: one };
        Self::Line { file: file_name(file), line, problem }
    }
}

/// The overrides in `file`; none where it is missing.
pub(super) fn read(file: &Path) -> Result<Vec<Override>, KeysError> {
    let failed = |error| KeysError::Read { file: file_name(file), error };
    match std::fs::metadata(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
        Ok(found) if !found.is_file() || found.len() > MAX_BYTES => {
            return Err(failed(io::Error::other("not a file of key bindings")));
        }
        Ok(_) => {}
    }
    let text = read_text(file, MAX_BYTES).map_err(failed)?;
    parse(file, &text)
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Override>, KeysError> {
    let table = DeTable::parse(text).map_err(|e| KeysError::Syntax {
        file: file_name(file),
        message: match e.span() {
            Some(span) => format!("line {}: {}", line_of(text, span.start), e.message()),
            None => e.message().to_string(),
        },
    })?;
    let mut overrides = Vec::new();
    for (heading, value) in table.get_ref() {
        let at = |start: usize, problem| {
            let problem = clean(problem);
            KeysError::Line { file: file_name(file), line: line_of(text, start), problem }
        };
        let context = context(heading.get_ref()).map_err(|p| at(heading.span().start, p))?;
        let DeValue::Table(rows) = value.get_ref() else {
            let what = format!("\"{}\"", heading.get_ref());
            return Err(at(value.span().start, Problem::Type { what, expected: "a table" }));
        };
        for (key, value) in rows {
            let action = action(context, key.get_ref()).map_err(|p| at(key.span().start, p))?;
            let keys = keys(&action, value).map_err(|p| at(value.span().start, p))?;
            let line = line_of(text, key.span().start);
            overrides.push(Override { context, action, keys, line });
        }
    }
    Ok(overrides)
}

fn context(text: &str) -> Result<Context, Problem> {
    let known = Context::ALL.iter().find(|context| name(**context) == text);
    known.copied().ok_or_else(|| {
        let suggestion = nearest(text, Context::ALL.iter().map(|context| name(*context)));
        Problem::Context { name: text.to_string(), suggestion }
    })
}

fn action(context: Context, text: &str) -> Result<String, Problem> {
    let rows = context.defaults();
    match rows.iter().any(|row| row.name == text) {
        true => Ok(text.to_string()),
        false => Err(Problem::Action {
            context: name(context),
            name: text.to_string(),
            suggestion: nearest(text, rows.into_iter().map(|row| row.name)),
        }),
    }
}

fn keys(action: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<Key>, Problem> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => {
            Key::parse(text).ok_or_else(|| Problem::Key { name: text.to_string() })
        }
        _ => Err(Problem::Type {
            what: format!("\"{action}\""),
            expected: "a key or a list of keys",
        }),
    };
    match value.get_ref() {
        DeValue::Array(all) => all.iter().map(|value| one(value.get_ref())).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// The name that differs least from `text`.
fn nearest(text: &str, names: impl Iterator<Item = String>) -> String {
    names.min_by_key(|name| strsim::damerau_levenshtein(text, name)).unwrap_or_default()
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

fn file_name(file: &Path) -> String {
    artgpt_base::text::printable(&file.file_name().unwrap_or_default().to_string_lossy())
}

/// Names from the file cannot move the cursor.
fn clean(problem: Problem) -> Problem {
    let safe = |text: String| artgpt_base::text::printable(&text);
    match problem {
        Problem::Context { name, suggestion } => Problem::Context { name: safe(name), suggestion },
        Problem::Action { context, name, suggestion } => {
            Problem::Action { context, name: safe(name), suggestion }
        }
        Problem::Key { name } => Problem::Key { name: safe(name) },
        Problem::Type { what, expected } => Problem::Type { what: safe(what), expected },
        taken @ Problem::Taken { .. } => taken,
    }
}
