//! The reply as server-sent events, read on a thread of its own.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Remote, RemoteError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the next piece of an answer; a large prompt takes long to compute.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of an error's text that are read.
const MAX_ERROR: u64 = 2000;
/// Bytes of the longest line.
const MAX_LINE: u64 = 16 << 20;

/// What the reading thread sends.
pub(super) enum StreamItem {
    Line(String),
    Failed(RemoteError),
    End,
}

/// One line of the stream.
#[derive(Debug, PartialEq)]
pub(super) enum SseEvent {
    /// A comment, an empty line, or a field that is not read.
    Nothing,
    Chunk(Box<Chunk>),
    Done,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<RemoteUsage>,
    error: Option<Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Choice {
    pub(super) delta: Option<Delta>,
    /// Of an answer that is not streamed.
    pub(super) message: Option<Delta>,
    /// Of the completions without chat.
    pub(super) text: Option<String>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct RemoteUsage {
    #[serde(default)]
    pub(super) prompt_tokens: usize,
    #[serde(default)]
    pub(super) completion_tokens: usize,
    pub(super) prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct PromptTokensDetails {
    pub(super) cached_tokens: Option<usize>,
}

impl Remote {
    /// Sends the request on a thread of its own and returns the lines of the reply.
    pub(super) fn post(&self, path: &str, body: &Value) -> Receiver<StreamItem> {
        let (sender, receiver) = channel();
        let (url, key, body) = (format!("{}{path}", self.url), self.key.clone(), body.to_string());
        let work = move || {
            let last = match read_reply(&url, key.as_deref(), body, &sender) {
                Ok(()) => StreamItem::End,
                Err(e) => StreamItem::Failed(e),
            };
            // Nobody receives after a cancel.
            let _ = sender.send(last);
        };
        // Without a thread the channel closes at once, which is reported as a lost connection.
        let _ = std::thread::Builder::new().name("remote".into()).spawn(work);
        receiver
    }
}

/// Sends each line of the reply, until its end or until nobody receives.
fn read_reply(
    url: &str,
    key: Option<&str>,
    body: String,
    lines: &Sender<StreamItem>,
) -> Result<(), RemoteError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    let mut call = agent.post(url).header("content-type", "application/json");
    if let Some(key) = key {
        call = call.header("authorization", format!("Bearer {key}"));
    }
    let response = call.send(body)?;
    let status = response.status();
    if !status.is_success() {
        let mut text = Vec::new();
        let body = response.into_body().into_reader();
        let _ = body.take(MAX_ERROR).read_to_end(&mut text);
        let message = status_message(&String::from_utf8_lossy(&text));
        return Err(RemoteError::Status { status: status.as_u16(), message });
    }
    let content_type = response.headers().get("content-type").and_then(|v| v.to_str().ok());
    let whole = content_type.is_some_and(|k| k.starts_with("application/json"));
    let mut body = BufReader::new(response.into_body().into_reader());
    loop {
        let mut line = Vec::new();
        let mut part = body.by_ref().take(MAX_LINE);
        // A server that does not stream sends one object.
        let read = match whole {
            true => part.read_to_end(&mut line),
            false => part.read_until(b'\n', &mut line),
        };
        match read {
            Ok(0) => return Ok(()),
            Ok(n) if n as u64 == MAX_LINE => return Err(RemoteError::LongLine(MAX_LINE)),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                return Err(RemoteError::Silent(READ_TIMEOUT.as_secs()));
            }
            Err(e) => return Err(e.into()),
        }
        let text = String::from_utf8_lossy(&line);
        let text = if whole { format!("data:{text}") } else { text.into_owned() };
        if lines.send(StreamItem::Line(text)).is_err() {
            return Ok(()); // the answer was cancelled
        }
    }
}

/// Parses one line of the stream.
pub(super) fn parse(line: &str) -> Result<SseEvent, RemoteError> {
    let Some(data) = line.strip_prefix("data:").map(str::trim) else {
        return Ok(SseEvent::Nothing);
    };
    if data == "[DONE]" {
        return Ok(SseEvent::Done);
    }
    match serde_json::from_str::<Chunk>(data)? {
        Chunk { error: Some(e), .. } => Err(RemoteError::Reported(error_text(&e))),
        chunk => Ok(SseEvent::Chunk(Box::new(chunk))),
    }
}

fn error_text(error: &Value) -> String {
    let text = error.get("message").unwrap_or(error);
    artgpt_base::text::printable(
        text.as_str().map_or_else(|| text.to_string(), String::from).trim(),
    )
}

/// The message in the body of an HTTP error.
fn status_message(body: &str) -> String {
    let error = serde_json::from_str::<Value>(body).ok();
    error.as_ref().map_or_else(
        || artgpt_base::text::printable(body.trim()),
        |v| error_text(v.get("error").unwrap_or(v)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_stream_are_read_and_noise_is_passed_over() {
        assert!(matches!(parse(""), Ok(SseEvent::Nothing)));
        assert!(matches!(parse(": keep-alive"), Ok(SseEvent::Nothing)));
        assert!(matches!(parse("data: [DONE]"), Ok(SseEvent::Done)));
        let line = r#"data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}"#;
        let Ok(SseEvent::Chunk(chunk)) = parse(line) else { panic!("no chunk") };
        assert_eq!(chunk.choices[0].delta.as_ref().and_then(|d| d.content.as_deref()), Some("Hi"));
        let refused = parse(r#"data: {"error":{"message":"full"}}"#);
        assert!(matches!(refused, Err(RemoteError::Reported(r)) if r == "full"));
        assert!(matches!(parse("data: {"), Err(RemoteError::Chunk(_))));
    }
}
