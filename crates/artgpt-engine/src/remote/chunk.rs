//! What one event, or a whole reply, says: OpenAI's chunk objects, and what other servers make of them.

use serde_json::Value;

use super::RemoteError;
use super::sse::{BOM, Event};
use artgpt_base::text::printable;
use artgpt_chat::FinishReason;

/// One step of an answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Chunk {
    /// New text of the answer; empty for chunks with a role, reasoning or a tool call only.
    pub(super) text: String,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Option<RemoteUsage>,
}

/// Token counts as far as the server tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RemoteUsage {
    pub(super) prompt_tokens: Option<usize>,
    pub(super) completion_tokens: Option<usize>,
    pub(super) cached_tokens: Option<usize>,
}

/// What an event means for the answer.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// Not a part of the answer: a ping, or an event without data.
    Nothing,
    Chunk(Chunk),
    /// The last event of the protocol.
    Done,
}

/// Reads an event.
pub(super) fn meaning(event: &Event) -> Result<Meaning, RemoteError> {
    let data = event.data.trim();
    match (event.name.as_str(), data) {
        ("error", _) => Err(RemoteError::Reported(status_message(data))),
        (_, "") => Ok(Meaning::Nothing),
        (_, "[DONE]") => Ok(Meaning::Done),
        ("" | "message", _) => read(&serde_json::from_str(data)?),
        // Other types are pings and the like, but some servers name the type of their chunks.
        _ => serde_json::from_str(data).map_or(Ok(Meaning::Nothing), |value| read(&value)),
    }
}

/// Reads a reply that is not streamed.
pub(super) fn whole(body: &[u8]) -> Result<Chunk, RemoteError> {
    let body = body.strip_prefix(BOM).unwrap_or(body);
    match read(&serde_json::from_slice(body)?)? {
        Meaning::Chunk(chunk) => {
            Ok(Chunk { finish: chunk.finish.or(Some(FinishReason::Stop)), ..chunk })
        }
        Meaning::Nothing | Meaning::Done => Err(RemoteError::NoAnswer),
    }
}

fn read(value: &Value) -> Result<Meaning, RemoteError> {
    if let Some(error) = value.get("error").filter(|error| is_told(error)) {
        return Err(RemoteError::Reported(error_text(error)));
    }
    let choices = value.get("choices").and_then(Value::as_array);
    let first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
    let choice = choices.and_then(|all| all.iter().find(first));
    let usage = [
        value.get("usage"),
        choice.and_then(|choice| choice.get("usage")),
        value.pointer("/x_groq/usage"),
    ];
    let usage = usage.into_iter().flatten().find(|usage| usage.is_object()).map(read_usage);
    let Some(choice) = choice else {
        let chunk = usage.map(|usage| Chunk { usage: Some(usage), ..Chunk::default() });
        return Ok(chunk.map_or(Meaning::Nothing, Meaning::Chunk));
    };
    let message = ["delta", "message"].into_iter().filter_map(|key| choice.get(key));
    let text = message
        .flat_map(|message| [message.get("content"), message.get("refusal")])
        .chain([choice.get("text")])
        .flatten()
        .map(content)
        .find(|text| !text.is_empty());
    let finish = choice.get("finish_reason").and_then(Value::as_str).map(finish).transpose()?;
    let (text, finish) = (text.unwrap_or_default(), finish.flatten());
    Ok(Meaning::Chunk(Chunk { text, finish, usage }))
}

/// Whether an `error` field reports one: some servers send `null` with every chunk.
fn is_told(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// The text of `content`, which is a string or a list of parts.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(part).collect(),
        _ => String::new(),
    }
}

fn part(part: &Value) -> String {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let text = match kind {
        "text" | "output_text" | "refusal" => part.get("text").or(part.get("refusal")),
        // Reasoning, an image, a tool call.
        _ => None,
    };
    let text = text.or(Some(part)).and_then(Value::as_str);
    text.unwrap_or_default().to_string()
}

/// Why the answer ended; `None` while it goes on.
fn finish(reason: &str) -> Result<Option<FinishReason>, RemoteError> {
    match reason.to_ascii_lowercase().as_str() {
        "" | "null" => Ok(None),
        "length" | "max_tokens" | "max_length" | "max_output_tokens" => {
            Ok(Some(FinishReason::Length))
        }
        "error" | "abort" => {
            Err(RemoteError::Reported(format!("the answer ended with finish_reason {reason:?}")))
        }
        _ => Ok(Some(FinishReason::Stop)),
    }
}

fn read_usage(usage: &Value) -> RemoteUsage {
    let count = |pointer: &str| usage.pointer(pointer)?.as_u64()?.try_into().ok();
    RemoteUsage {
        prompt_tokens: count("/prompt_tokens"),
        completion_tokens: count("/completion_tokens"),
        cached_tokens: count("/prompt_tokens_details/cached_tokens")
            .or_else(|| count("/prompt_cache_hit_tokens")),
    }
}

fn error_text(error: &Value) -> String {
    let text = ["message", "detail", "msg"].into_iter().find_map(|key| error.get(key));
    let text = text.unwrap_or(error);
    printable(text.as_str().map_or_else(|| text.to_string(), String::from).trim())
}

/// The message in the body of an HTTP error, or in the data of an `error` event.
pub(super) fn status_message(body: &str) -> String {
    let error = serde_json::from_str::<Value>(body).ok();
    error.as_ref().map_or_else(
        || printable(body.trim()),
        |value| error_text(value.get("error").filter(|e| is_told(e)).unwrap_or(value)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(data: &str) -> Event {
        Event { name: String::new(), data: data.into() }
    }

    fn chunk(text: &str) -> Chunk {
        match meaning(&data(text)) {
            Ok(Meaning::Chunk(chunk)) => chunk,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_text_of_every_form_of_chunk_is_found() {
        for (json, text) in [
            (r#"{"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}"#, "Hi"),
            (r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#, ""),
            (r#"{"choices":[{"delta":{"role":"assistant"}}],"usage":null}"#, ""),
            (r#"{"choices":[{"delta":null,"finish_reason":""}],"error":null}"#, ""),
            (r#"{"choices":[{"delta":{"reasoning_content":"Hm","content":null}}]}"#, ""),
            (
                r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"thinking","text":"x"},{"text":"b"},"c"]}}]}"#,
                "abc",
            ),
            (r#"{"choices":[{"delta":{"content":null,"refusal":"I cannot"}}]}"#, "I cannot"),
            (
                r#"{"choices":[{"index":1,"delta":{"content":"other"}},{"index":0,"delta":{"content":"first"}}]}"#,
                "first",
            ),
            (r#"{"choices":[{"text":"raw"}]}"#, "raw"),
            (r#"{"choices":[{"message":{"content":"all"},"delta":{}}]}"#, "all"),
        ] {
            assert_eq!(chunk(json).text, text, "{json}");
        }
    }

    #[test]
    fn unknown_counts_stay_unknown() {
        let usage = |json: &str| chunk(json).usage;
        assert_eq!(usage(r#"{"choices":[{"delta":{}}],"usage":null}"#), None);
        let all = usage(
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":7}}}"#,
        );
        let (prompt_tokens, completion_tokens, cached_tokens) = (Some(9), Some(2), Some(7));
        assert_eq!(all, Some(RemoteUsage { prompt_tokens, completion_tokens, cached_tokens }));
        let part = usage(
            r#"{"choices":[{"delta":{},"usage":{"prompt_tokens":9,"completion_tokens":null,"prompt_tokens_details":null}}]}"#,
        );
        assert_eq!(part, Some(RemoteUsage { prompt_tokens, ..RemoteUsage::default() }));
        let wrong =
            usage(r#"{"choices":null,"usage":{"prompt_tokens":-1,"completion_tokens":"2"}}"#);
        assert_eq!(wrong, Some(RemoteUsage::default()));
    }

    #[test]
    fn answers_end_for_every_reason() {
        let end = |reason: &str| {
            chunk(&format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":{reason}}}]}}"#)).finish
        };
        for (reason, expected) in [
            ("null", None),
            (r#""""#, None),
            (r#""stop""#, Some(FinishReason::Stop)),
            (r#""content_filter""#, Some(FinishReason::Stop)),
            (r#""length""#, Some(FinishReason::Length)),
            (r#""MAX_TOKENS""#, Some(FinishReason::Length)),
        ] {
            assert_eq!(end(reason), expected, "{reason}");
        }
        let error = meaning(&data(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#));
        assert!(matches!(error, Err(RemoteError::Reported(_))), "{error:?}");
    }

    #[test]
    fn events_that_are_no_chunks_are_passed_over_and_errors_are_told() {
        for noise in ["", " ", "null", "{}", r#"{"type":"ping"}"#, r#"{"choices":[]}"#] {
            assert!(matches!(meaning(&data(noise)), Ok(Meaning::Nothing)), "{noise}");
        }
        assert!(matches!(meaning(&data(" [DONE] ")), Ok(Meaning::Done)));
        let ping = Event { name: "ping".into(), data: "2026-01-01".into() };
        assert!(matches!(meaning(&ping), Ok(Meaning::Nothing)));
        assert!(matches!(meaning(&data("{")), Err(RemoteError::Chunk(_))));
        let told = |event: Event| match meaning(&event) {
            Err(RemoteError::Reported(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(data(r#"{"error":{"message":"full"}}"#)), "full");
        assert_eq!(told(data(r#"{"error":"full","choices":[]}"#)), "full");
        let named = |data: &str| Event { name: "error".into(), data: data.into() };
        assert_eq!(told(named(r#"{"error":{"message":"full"}}"#)), "full");
        assert_eq!(told(named(r#"{"message":"full"}"#)), "full");
        assert_eq!(told(named("full")), "full");
    }

    #[test]
    fn a_reply_that_is_not_streamed_is_one_chunk() {
        let body = "\u{feff}{\"choices\":[{\"message\":{\"content\":\"all\"}}]}";
        let chunk = whole(body.as_bytes()).expect("is one");
        assert_eq!((chunk.text.as_str(), chunk.finish), ("all", Some(FinishReason::Stop)));
        assert!(matches!(whole(b"{}"), Err(RemoteError::NoAnswer)));
        assert!(matches!(whole(br#"{"detail":"no"}"#), Err(RemoteError::NoAnswer)));
    }
}
