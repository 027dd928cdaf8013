//! The reply, read on a thread of its own: server-sent events, or one JSON object.

use std::io::{Read, Take};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use artgpt_fetch::network::{Network, NetworkError, keeps_key, redirect_target};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use ureq::Body;
use ureq::http::{Response, Uri};

use super::chunk::{Chunk, Meaning, meaning, status_message, whole};
use super::sse::{BOM, Decoder, MAX_EVENT};
use super::{Remote, RemoteError};
use crate::Cancel;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the next piece of an answer; a large prompt takes long to compute.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of an error's text that are read.
const MAX_ERROR: u64 = 2000;
/// Bytes of one reply with all that is not text: reasoning, log-probabilities, comments.
const MAX_REPLY: u64 = 256 << 20;
/// Items that wait to be followed; more make the server wait.
const QUEUE: usize = 64;
const MAX_REDIRECTS: usize = 5;
/// Bytes of one read.
const BUFFER: usize = 16 << 10;

/// What the reading thread sends.
pub(super) enum StreamItem {
    /// A step of the answer, and when it arrived.
    Chunk(Chunk, Instant),
    Failed(RemoteError),
    /// The reply is complete by the protocol.
    Done,
    /// The connection was closed.
    End,
}

/// A request, ready to be sent.
struct Post {
    uri: Uri,
    authorization: Option<String>,
    body: String,
    network: Network,
}

impl Remote {
    /// Sends the request on a thread of its own and returns what comes of the reply.
    pub(super) fn post(&self, path: &str, body: &Value, cancel: &Cancel) -> Receiver<StreamItem> {
        let (sender, receiver) = sync_channel(QUEUE);
        let url = self.endpoint(path);
        let (authorization, network) = (self.authorization.clone(), self.network.clone());
        let (body, cancel) = (body.to_string(), cancel.clone());
        let work = move || {
            let last = url.parse().map_err(|_| RemoteError::Address).and_then(|uri| {
                let reply = Post { uri, authorization, body, network }.send()?;
                read_reply(reply, &sender, &cancel)
            });
            // Nobody receives after a cancel.
            let _ = sender.send(last.unwrap_or_else(StreamItem::Failed));
        };
        // Without a thread the channel closes at once, which is reported as a lost connection.
        let _ = std::thread::Builder::new().name("remote".into()).spawn(work);
        receiver
    }
}

impl Post {
    /// Sends the request and follows redirects: to another server without the key, and never from https
    /// to http.
    fn send(mut self) -> Result<Response<Body>, RemoteError> {
        for _ in 0..=MAX_REDIRECTS {
            let agent = self.network.agent(&self.uri, |config| {
                config
                    .timeout_connect(Some(CONNECT_TIMEOUT))
                    .timeout_per_read(Some(READ_TIMEOUT))
                    .http_status_as_error(false)
            })?;
            let mut call = agent.post(&self.uri).header("content-type", "application/json");
            if let Some(authorization) = &self.authorization {
                call = call.header("authorization", authorization);
            }
            let reply = call.send(&self.body)?;
            let status = reply.status();
            if status.is_success() {
                return Ok(reply);
            }
            match reply.headers().get("location") {
                Some(to) if matches!(status.as_u16(), 301 | 302 | 307 | 308) => {
                    let to = redirect_target(&self.uri, to.to_str().unwrap_or_default())?;
                    if !keeps_key(&self.uri, &to) {
                        self.authorization = None;
                    }
                    self.uri = to;
                }
                _ => {
                    let mut text = Vec::new();
                    let _ = unpacked(reply)?.take(MAX_ERROR).read_to_end(&mut text);
                    let message = status_message(&String::from_utf8_lossy(&text));
                    return Err(RemoteError::Status { status: status.as_u16(), message });
                }
            }
        }
        Err(NetworkError::Redirect(self.uri.to_string()).into())
    }
}

/// The body; unpacked if the server, or a proxy before it, has compressed it without being asked.
fn unpacked(reply: Response<Body>) -> Result<Box<dyn Read>, RemoteError> {
    let encoding = reply.headers().get("content-encoding").and_then(|v| v.to_str().ok());
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    let body = reply.into_body().into_reader();
    match encoding.as_str() {
        "" | "identity" => Ok(Box::new(body)),
        "gzip" | "x-gzip" => Ok(Box::new(MultiGzDecoder::new(body))),
        _ => Err(RemoteError::Encoding(artgpt_base::text::printable(&encoding))),
    }
}

/// Sends what the reply says, until its end or until nobody receives; returns the last item.
fn read_reply(
    reply: Response<Body>,
    items: &SyncSender<StreamItem>,
    cancel: &Cancel,
) -> Result<StreamItem, RemoteError> {
    let mut body = unpacked(reply)?.take(MAX_REPLY);
    let mut buffer = vec![0; BUFFER];
    let mut head = Vec::new();
    // What comes first tells the two forms apart: servers do not agree on the content type.
    loop {
        let n = read(&mut body, &mut buffer)?;
        head.extend_from_slice(&buffer[..n]);
        let more = n > 0 && head.len() < MAX_EVENT;
        match head.strip_prefix(BOM).unwrap_or(&head).iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{' | b'[') => return read_object(head, body, items),
            None if more => {}
            Some(_) if more && BOM.starts_with(&head) => {}
            _ => return read_events(head, body, items, cancel),
        }
    }
}

/// A reply that is not streamed.
fn read_object(
    mut head: Vec<u8>,
    body: impl Read,
    items: &SyncSender<StreamItem>,
) -> Result<StreamItem, RemoteError> {
    body.take(MAX_EVENT as u64 + 1).read_to_end(&mut head).map_err(lost)?;
    if head.len() > MAX_EVENT {
        return Err(RemoteError::LargeEvent(MAX_EVENT));
    }
    let chunk = whole(&head).map_err(|e| match e {
        // An object without its end was cut off on the way.
        RemoteError::Chunk(json) if json.is_eof() => RemoteError::ClosedEarly,
        e => e,
    })?;
    // Nobody receives after a cancel.
    let _ = items.send(StreamItem::Chunk(chunk, Instant::now()));
    Ok(StreamItem::Done)
}

/// Server-sent events.
fn read_events(
    mut bytes: Vec<u8>,
    mut body: Take<Box<dyn Read>>,
    items: &SyncSender<StreamItem>,
    cancel: &Cancel,
) -> Result<StreamItem, RemoteError> {
    let mut decoder = Decoder::default();
    let (mut events, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    while !bytes.is_empty() && !cancel.is_cancelled() {
        // Events of one read arrived together.
        let at = Instant::now();
        decoder.push(&bytes, &mut events).map_err(|_| RemoteError::LargeEvent(MAX_EVENT))?;
        for event in events.drain(..) {
            match meaning(&event)? {
                Meaning::Nothing => {}
                Meaning::Done => return Ok(StreamItem::Done),
                Meaning::Chunk(chunk) => {
                    if items.send(StreamItem::Chunk(chunk, at)).is_err() {
                        return Ok(StreamItem::End); // the answer was cancelled
                    }
                }
            }
        }
        let n = read(&mut body, &mut buffer)?;
        bytes.clear();
        bytes.extend_from_slice(&buffer[..n]);
    }
    if body.limit() == 0 {
        return Err(RemoteError::LongReply(MAX_REPLY));
    }
    // An event that was cut off in the middle is no event.
    match decoder.finish().map(|event| meaning(&event)) {
        Some(Ok(Meaning::Done)) => Ok(StreamItem::Done),
        Some(Ok(Meaning::Chunk(chunk))) => {
            let _ = items.send(StreamItem::Chunk(chunk, Instant::now()));
            Ok(StreamItem::End)
        }
        Some(Err(e @ RemoteError::Reported(_))) => Err(e),
        Some(Ok(Meaning::Nothing) | Err(_)) | None => Ok(StreamItem::End),
    }
}

fn read(body: &mut impl Read, buffer: &mut [u8]) -> Result<usize, RemoteError> {
    loop {
        match body.read(buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result.map_err(lost),
        }
    }
}

fn lost(e: std::io::Error) -> RemoteError {
    match e.kind() {
        std::io::ErrorKind::TimedOut => RemoteError::Silent(READ_TIMEOUT.as_secs()),
        _ => RemoteError::Read(e),
    }
}
