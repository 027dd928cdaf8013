//! Any server with OpenAI's chat completions: vLLM, SGLang, llama-server, ollama.
//!
//! `body` writes the request. `stream` reads the reply on a thread of its own, so that a cancel takes
//! effect while the server is silent: `sse` splits it into events, and `chunk` says what each means.
//! `partial` collects the answer. Lines, events, answers and the queue between the threads are bounded.

mod address;
mod body;
mod chunk;
mod error;
mod partial;
mod sse;
mod stream;

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use self::partial::PartialAnswer;
use self::stream::StreamItem;
use super::{Cancel, GenerateEvent, InferenceError, Request, Result};
use artgpt_chat::Answer;
use artgpt_fetch::network::Network;

pub use self::error::RemoteError;

/// Prefix of a server's address in `--model`.
pub const SCHEME: &str = "openai:";
/// How often a connection that is lost before the answer begins is tried again.
const RETRIES: u32 = 3;
/// How soon a cancel takes effect.
const TICK: Duration = Duration::from_millis(50);
/// How long a complete answer waits for the token counts that follow it.
const AFTER_THE_END: Duration = Duration::from_secs(5);

/// A server, and the name of a model there.
#[derive(Clone)]
pub struct Remote {
    /// As the user wrote it, `openai:URL#NAME`, with secrets masked.
    pub name: String,
    /// The root of the interface, without user, password and query.
    url: String,
    /// What follows the path of each request, with its question mark.
    query: String,
    model: String,
    /// The value of the header.
    authorization: Option<String>,
    /// What must not be shown.
    secrets: Vec<String>,
    network: Network,
}

impl Remote {
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
            let items = self.post(path, &body, cancel);
            let followed = follow(&items, cancel, &mut partial, &mut on_event);
            partial.pass_on(false, &mut on_event);
            let e = match followed {
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
        let source = Box::new(source.masked(&self.secrets));
        InferenceError::Remote { url: self.url.clone(), source }
    }
}

/// Collects the answer until its end or a cancel.
fn follow(
    items: &Receiver<StreamItem>,
    cancel: &Cancel,
    partial: &mut PartialAnswer,
    on_event: &mut impl FnMut(GenerateEvent),
) -> std::result::Result<(), RemoteError> {
    let mut last = Instant::now();
    loop {
        if cancel.is_cancelled() {
            return Ok(());
        }
        let item = match items.try_recv() {
            Ok(item) => item,
            Err(TryRecvError::Disconnected) => StreamItem::Failed(RemoteError::Disconnected),
            Err(TryRecvError::Empty) => {
                partial.pass_on(false, on_event);
                match items.recv_timeout(TICK) {
                    Ok(item) => item,
                    // The answer is complete; only the last event is missing.
                    Err(RecvTimeoutError::Timeout)
                        if partial.finish.is_some() && last.elapsed() > AFTER_THE_END =>
                    {
                        return Ok(());
                    }
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => {
                        StreamItem::Failed(RemoteError::Disconnected)
                    }
                }
            }
        };
        last = Instant::now();
        match item {
            // The answer was complete; only the last event is lost.
            StreamItem::Failed(e) if partial.finish.is_some() && e.is_lost_connection() => {
                return Ok(());
            }
            StreamItem::Failed(e) => return Err(e),
            StreamItem::End if partial.finish.is_none() => return Err(RemoteError::ClosedEarly),
            StreamItem::End | StreamItem::Done => return Ok(()),
            StreamItem::Chunk(chunk, at) => {
                partial.add(chunk, at)?;
                partial.pass_on(true, on_event);
            }
        }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("name", &self.name).finish_non_exhaustive()
    }
}
