//! The formats of a record, recognised by its keys.
//!
//! - `turns`: `{"image": 7 | "a.jpg" | null, "kind": "mood", "turns": [{"role": "user", "text": "…"}, …]}`.
//! - `conversations`: LLaVA and ShareGPT, `{"image": "a.jpg", "conversations": [{"from": "human", "value":
//!   "<image>\n…"}, {"from": "gpt", "value": "…"}]}`.
//! - `messages`: OpenAI, `{"messages": [{"role": "user", "content": "…" | [{"type": "text", …}, {"type":
//!   "image_url", …}]}]}`.

use serde_json::{Map, Value};

use artgpt_chat::{IMAGE_MARKER, Role};

/// A record as its file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Raw {
    pub kind: Option<String>,
    pub turns: Vec<RawTurn>,
    /// What the record shows beside its turns.
    pub pictures: Vec<Reference>,
}

/// A turn as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawTurn {
    pub role: Role,
    /// Without markers of pictures.
    pub text: String,
    /// Markers that were in the text.
    pub markers: usize,
    /// Pictures among its parts.
    pub pictures: Vec<Reference>,
}

/// How a record names a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// A museum's ID, or the name of a file without its extension.
    Number(u64),
    /// A path or a URL.
    Text(String),
}

/// Longest `kind`, in bytes.
const MAX_KIND: usize = 100;

/// Reads a record.
///
/// # Errors
/// Why it is none, for people.
pub(super) fn read(record: Value) -> Result<Raw, String> {
    let Value::Object(object) = record else { return Err("it is no object".into()) };
    let list = |key: &str| match object.get(key) {
        Some(Value::Array(turns)) => Ok(Some(turns)),
        Some(_) => Err(format!("its {key} are no list")),
        None => Ok(None),
    };
    let turns = if let Some(turns) = list("turns")? {
        each(turns, |turn| plain(turn, "role", "text"))?
    } else if let Some(turns) = list("conversations")? {
        each(turns, |turn| plain(turn, "from", "value"))?
    } else if let Some(turns) = list("messages")? {
        each(turns, message)?
    } else {
        return Err("it has neither turns, conversations nor messages".into());
    };
    let kind = object.get("kind").and_then(Value::as_str).filter(|kind| kind.len() <= MAX_KIND);
    Ok(Raw { kind: kind.map(Into::into), turns, pictures: shown(&object)? })
}

/// Reads each turn; an error names the turn.
fn each(
    turns: &[Value],
    read: impl Fn(&Map<String, Value>) -> Result<RawTurn, String>,
) -> Result<Vec<RawTurn>, String> {
    let one = |(i, turn): (usize, &Value)| {
        let turn = turn.as_object().ok_or_else(|| format!("turn {} is no object", i + 1))?;
        read(turn).map_err(|reason| format!("turn {}: {reason}", i + 1))
    };
    turns.iter().enumerate().map(one).collect()
}

/// The pictures under `image` or `images` of a record.
fn shown(object: &Map<String, Value>) -> Result<Vec<Reference>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(Reference::Text(text.clone())),
        Value::Number(n) => n.as_u64().map(Reference::Number).ok_or_else(|| wrong(value)),
        // Hugging Face's: the path within an object.
        Value::Object(inner) => match given(inner, "path").or(given(inner, "url")) {
            Some(Value::String(text)) => Ok(Reference::Text(text.clone())),
            _ => Err(wrong(value)),
        },
        _ => Err(wrong(value)),
    };
    match given(object, "image").or(given(object, "images")) {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) => all.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// The value of a key, unless it is null.
fn given<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn wrong(value: &Value) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    format!("its image {text} is neither an ID nor a path")
}

fn plain(turn: &Map<String, Value>, role: &str, text: &str) -> Result<RawTurn, String> {
    let said = turn.get(text).and_then(Value::as_str).ok_or_else(|| format!("it has no {text}"))?;
    Ok(RawTurn::new(role_of(turn, role)?, said, Vec::new()))
}

/// A message of OpenAI's: text, or a list of parts.
fn message(turn: &Map<String, Value>) -> Result<RawTurn, String> {
    let role = role_of(turn, "role")?;
    match turn.get("content") {
        Some(Value::String(text)) => Ok(RawTurn::new(role, text, Vec::new())),
        Some(Value::Array(parts)) => {
            let (mut texts, mut pictures) = (Vec::new(), Vec::new());
            for part in parts {
                match part_of(part)? {
                    PartOf::Text(text) => texts.push(text),
                    PartOf::Picture(picture) => pictures.push(picture),
                }
            }
            Ok(RawTurn::new(role, &texts.join("\n"), pictures))
        }
        _ => Err("it has no content".into()),
    }
}

enum PartOf<'a> {
    Text(&'a str),
    Picture(Reference),
}

fn part_of(part: &Value) -> Result<PartOf<'_>, String> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let picture = |value: Option<&Value>| match value {
        Some(Value::String(url)) => Some(PartOf::Picture(Reference::Text(url.clone()))),
        Some(Value::Object(inner)) => {
            let url = inner.get("url")?.as_str()?;
            Some(PartOf::Picture(Reference::Text(url.into())))
        }
        _ => None,
    };
    let read = match kind {
        "text" | "input_text" | "output_text" => {
            part.get("text").and_then(Value::as_str).map(PartOf::Text)
        }
        "image_url" | "input_image" => picture(part.get("image_url")),
        "image" => picture(part.get("image")),
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(format!("a part of type {other:?} is not read"));
        }
    };
    read.ok_or_else(|| format!("a part of type {kind} is empty"))
}

fn role_of(turn: &Map<String, Value>, key: &str) -> Result<Role, String> {
    let name = turn.get(key).and_then(Value::as_str).ok_or_else(|| format!("it has no {key}"))?;
    match name.to_lowercase().as_str() {
        "user" | "human" => Ok(Role::User),
        "assistant" | "gpt" | "chatgpt" | "model" => Ok(Role::Assistant),
        "system" | "developer" => Ok(Role::System),
        _ => {
            let name: String = name.chars().take(40).collect();
            Err(format!("{key} {name:?} is neither user, assistant nor system"))
        }
    }
}

impl RawTurn {
    fn new(role: Role, text: &str, pictures: Vec<Reference>) -> Self {
        let markers = text.matches(IMAGE_MARKER).count();
        let text = text.replace(IMAGE_MARKER, "").trim().to_string();
        Self { role, text, markers, pictures }
    }
}
