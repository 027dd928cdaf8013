//! Any server with OpenAI's chat completions: vLLM, SGLang, llama-server, ollama.
//!
//! `body` writes the request, `stream` reads the server-sent events on a thread of its own, so that
//! a cancel takes effect while the server is silent, `partial` collects the answer.

mod body;
mod error;
mod partial;
mod stream;

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use self::partial::PartialAnswer;
use self::stream::{SseEvent, StreamItem, parse};
use super::{Cancel, GenerateEvent, InferenceError, Request, Result};
use artgpt_chat::Answer;

pub use self::error::RemoteError;

/// Prefix of a server's address in `--model`.
pub const SCHEME: &str = "openai:";
/// The environment variable with the API key, the one that all clients of this protocol read.
const KEY: &str = "OPENAI_API_KEY";
/// How often a connection that is lost before the answer begins is tried again.
const RETRIES: u32 = 3;
/// How soon a cancel takes effect.
const TICK: Duration = Duration::from_millis(50);

/// A server, and the name of a model there.
#[derive(Debug, Clone)]
pub struct Remote {
    /// As the user wrote it, `openai:URL#NAME`.
    pub name: String,
    url: String,
    model: String,
    key: Option<String>,
}

impl Remote {
    /// Parses `openai:URL#NAME`; `None` if the reference names no server. Reads the API key from
    /// the environment.
    ///
    /// # Errors
    /// [`RemoteError::Address`], if URL or model is missing.
    pub fn parse(reference: &str) -> Option<Result<Self>> {
        let rest = reference.strip_prefix(SCHEME)?;
        let (url, model) = rest.split_once('#').unwrap_or((rest, ""));
        if !(url.starts_with("http://") || url.starts_with("https://")) || model.is_empty() {
            return Some(Err(InferenceError::Remote {
                url: artgpt_base::text::printable(url),
                source: Box::new(RemoteError::Address),
            }));
        }
        let url = url.trim_end_matches('/');
        let root = if url.ends_with("/v1") { url.to_string() } else { format!("{url}/v1") };
        let key = std::env::var(KEY).ok().filter(|k| !k.is_empty());
        Some(Ok(Self { name: reference.into(), url: root, model: model.into(), key }))
    }

    /// Generates one answer, as [`super::Engine::generate`] does. Token ids are not known.
    ///
    /// # Errors
    /// [`InferenceError::Remote`] for all that the server or the connection does wrong.
    pub fn generate(
        &self,
        request: &Request,
        cancel: &Cancel,
        mut on_event: impl FnMut(GenerateEvent),
    ) -> Result<Answer> {
        request.check()?;
        let (path, body) = self.body(request)?;
        let started = Instant::now();
        let mut attempt = 0;
        let mut partial = PartialAnswer::default();
        loop {
            let items = self.post(path, &body);
            let e = match follow(&items, cancel, &mut partial, started, &mut on_event) {
                Ok(()) => return Ok(partial.answer(cancel, started)),
                Err(e) => e,
            };
            attempt += 1;
            if !e.is_transient() || !partial.text.is_empty() || attempt > RETRIES {
                return Err(self.error(e));
            }
            let until = Instant::now() + Duration::from_millis(250 << attempt);
            while Instant::now() < until {
                if cancel.is_cancelled() {
                    return Ok(partial.answer(cancel, started));
                }
                std::thread::sleep(TICK);
            }
        }
    }

    fn error(&self, source: RemoteError) -> InferenceError {
        InferenceError::Remote { url: self.url.clone(), source: Box::new(source) }
    }
}

/// Collects the answer until its end or a cancel.
fn follow(
    items: &Receiver<StreamItem>,
    cancel: &Cancel,
    partial: &mut PartialAnswer,
    started: Instant,
    on_event: &mut impl FnMut(GenerateEvent),
) -> std::result::Result<(), RemoteError> {
    loop {
        if cancel.is_cancelled() {
            return Ok(());
        }
        let item = match items.recv_timeout(TICK) {
            Ok(item) => item,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => StreamItem::Failed(RemoteError::Disconnected),
        };
        match item {
            // The answer was complete; only the last event is lost.
            StreamItem::Failed(e) if partial.finish.is_some() && e.is_lost_connection() => {
                return Ok(());
            }
            StreamItem::Failed(e) => return Err(e),
            StreamItem::End if partial.finish.is_none() => return Err(RemoteError::ClosedEarly),
            StreamItem::End => return Ok(()),
            StreamItem::Line(text) => match parse(&text)? {
                SseEvent::Nothing => {}
                SseEvent::Done => return Ok(()),
                SseEvent::Chunk(chunk) => partial.add(*chunk, started, on_event),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_scheme_and_a_model() {
        let remote = Remote::parse("openai:http://box:8000#art").expect("is one").expect("parses");
        assert_eq!((remote.url.as_str(), remote.model.as_str()), ("http://box:8000/v1", "art"));
        let remote = Remote::parse("openai:https://box/v1/#a#b").expect("is one").expect("parses");
        assert_eq!((remote.url.as_str(), remote.model.as_str()), ("https://box/v1", "a#b"));
        for wrong in ["openai:box#art", "openai:http://box", "openai:http://box#"] {
            assert!(Remote::parse(wrong).expect("is one").is_err(), "{wrong}");
        }
        assert!(Remote::parse("artgpt-smol").is_none());
    }
}
