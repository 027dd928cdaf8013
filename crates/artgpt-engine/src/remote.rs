//! Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama-server, ollama.
//!
//! The answer streams as server-sent events. A thread reads them, so that a stop is heard while the
//! server is silent.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use image::RgbImage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cancel, GenerateEvent, InferenceError, Picture, Prompt, Request, Result, ms};
use artgpt_art::within;
use artgpt_chat::{Answer, FinishReason, IMAGE_MARKER, Role, Timings, Turn, Usage, count_markers};

/// What stands before a server's address in `--model`.
pub const SCHEME: &str = "openai:";
/// The environment variable that may hold the key, as every client of this protocol reads it.
const KEY: &str = "OPENAI_API_KEY";
const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer; a large prompt takes long to read.
const SILENCE: Duration = Duration::from_secs(300);
/// A connection that is lost before the answer begins is tried again this often.
const RETRIES: u32 = 3;
/// How soon a stop is heard.
const TICK: Duration = Duration::from_millis(50);
/// Longer sides are scaled down to this before a picture is sent.
const LONG_SIDE: u32 = 1536;
/// An error's text beyond this is not shown.
const MAX_ERROR: u64 = 2000;
/// Longer lines are no events.
const MAX_LINE: u64 = 16 << 20;

/// A server and the name of a model that it serves.
#[derive(Debug, Clone)]
pub struct Remote {
    /// As the user wrote it, `openai:URL#NAME`.
    pub name: String,
    url: String,
    model: String,
    key: Option<String>,
}

impl Remote {
    /// `None` if the reference names no server.
    pub fn parse(reference: &str) -> Option<Result<Self>> {
        let rest = reference.strip_prefix(SCHEME)?;
        let (url, model) = rest.split_once('#').unwrap_or((rest, ""));
        if !(url.starts_with("http://") || url.starts_with("https://")) || model.is_empty() {
            return Some(Err(InferenceError::Remote {
                url: artgpt_base::text::printable(url),
                reason: "the address must be openai:http(s)://HOST[:PORT][/v1]#MODEL".into(),
            }));
        }
        let url = url.trim_end_matches('/');
        let root = if url.ends_with("/v1") { url.to_string() } else { format!("{url}/v1") };
        let key = std::env::var(KEY).ok().filter(|k| !k.is_empty());
        Some(Ok(Self { name: reference.into(), url: root, model: model.into(), key }))
    }

    /// One answer; see [`super::Engine::generate`]. Token ids are not known.
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
        let mut partial = Partial::default();
        loop {
            let lines = self.post(path, &body);
            match self.follow(&lines, cancel, &mut partial, started, &mut on_event) {
                Ok(()) => return Ok(partial.answer(cancel, started)),
                Err(Lost::Refused(reason)) => return Err(self.error(reason)),
                Err(Lost::Connection(reason)) => {
                    attempt += 1;
                    if !partial.text.is_empty() || attempt > RETRIES {
                        return Err(self.error(reason));
                    }
                    let wait = Duration::from_millis(250 << attempt);
                    let until = Instant::now() + wait;
                    while Instant::now() < until {
                        if cancel.is_cancelled() {
                            return Ok(partial.answer(cancel, started));
                        }
                        std::thread::sleep(TICK);
                    }
                }
            }
        }
    }

    fn error(&self, reason: String) -> InferenceError {
        InferenceError::Remote { url: self.url.clone(), reason }
    }

    /// The path below the root, and what is sent there.
    fn body(&self, request: &Request) -> Result<(&'static str, Value)> {
        let s = &request.sampling;
        if s.beams > 1 {
            return Err(InferenceError::Sampling("a remote model has no beam search".into()));
        }
        let mut body = json!({
            "model": self.model,
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": request.max_new_tokens,
            "temperature": s.temperature,
            "top_p": s.top_p,
        });
        let mut set = |key: &str, value: Value| {
            if let Some(map) = body.as_object_mut() {
                map.insert(key.into(), value);
            }
        };
        if let Some(seed) = s.seed {
            set("seed", json!(seed));
        }
        if !s.stop.is_empty() {
            set("stop", json!(s.stop));
        }
        if s.presence_penalty != 0.0 {
            set("presence_penalty", json!(s.presence_penalty));
        }
        // These are not OpenAI's, but vLLM's, SGLang's and llama-server's: sent only when used.
        if s.top_k > 0 {
            set("top_k", json!(s.top_k));
        }
        if s.min_p > 0.0 {
            set("min_p", json!(s.min_p));
        }
        if (s.repetition_penalty - 1.0).abs() > f32::EPSILON {
            set("repetition_penalty", json!(s.repetition_penalty));
            set("repeat_penalty", json!(s.repetition_penalty)); // llama-server's name
        }
        if s.min_new_tokens > 0 {
            set("min_tokens", json!(s.min_new_tokens));
        }
        match &request.prompt {
            Prompt::Raw(_) if !request.pictures.is_empty() => Err(self.error(
                "a raw prompt with pictures needs a local model; leave out --raw-prompt".into(),
            )),
            Prompt::Raw(text) => {
                set("prompt", json!(text));
                Ok(("/completions", body))
            }
            Prompt::Chat { system, turns } => {
                let mut messages: Vec<Value> =
                    system.iter().map(|text| json!({"role": "system", "content": text})).collect();
                for turn in turns {
                    messages.push(message(turn, &request.pictures)?);
                }
                set("messages", json!(messages));
                Ok(("/chat/completions", body))
            }
        }
    }

    /// Sends the request on a thread of its own and returns its lines.
    fn post(&self, path: &str, body: &Value) -> Receiver<Line> {
        let (sender, receiver) = channel();
        let (url, key, body) = (format!("{}{path}", self.url), self.key.clone(), body.to_string());
        let worker = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(SILENCE))
                .http_status_as_error(false)
                .build()
                .into();
            let mut call = agent.post(&url).header("content-type", "application/json");
            if let Some(key) = key {
                call = call.header("authorization", format!("Bearer {key}"));
            }
            let response = match call.send(body) {
                Ok(response) => response,
                Err(e) => {
                    let _ = sender.send(Line::Lost(e.to_string()));
                    return;
                }
            };
            let status = response.status();
            if !status.is_success() {
                let mut text = Vec::new();
                let body = response.into_body().into_reader();
                let _ = body.take(MAX_ERROR).read_to_end(&mut text);
                let text = String::from_utf8_lossy(&text).into_owned();
                let _ = sender.send(Line::Refused(status.as_u16(), text));
                return;
            }
            let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok());
            let whole = kind.is_some_and(|k| k.starts_with("application/json"));
            let mut body = BufReader::new(response.into_body().into_reader());
            loop {
                let mut line = Vec::new();
                let mut part = body.by_ref().take(MAX_LINE);
                // A server that streams nothing sends one object.
                let read = match whole {
                    true => part.read_to_end(&mut line),
                    false => part.read_until(b'\n', &mut line),
                };
                let line = match read {
                    Ok(0) => break,
                    Ok(n) if n as u64 == MAX_LINE => Line::Lost("a line without end came".into()),
                    Ok(_) if whole => {
                        Line::Text(format!("data:{}", String::from_utf8_lossy(&line)))
                    }
                    Ok(_) => Line::Text(String::from_utf8_lossy(&line).into_owned()),
                    // It may still be at work; asking again would make it begin anew.
                    Err(e) if e.kind() == std::io::ErrorKind::TimedOut => Line::Silent,
                    Err(e) => Line::Lost(e.to_string()),
                };
                // Nobody listens any more: the answer was stopped.
                if sender.send(line).is_err() {
                    return;
                }
            }
            let _ = sender.send(Line::End);
        };
        // Without a thread the channel closes at once, which is reported as a lost connection.
        let _ = std::thread::Builder::new().name("remote".into()).spawn(worker);
        receiver
    }

    fn follow(
        &self,
        lines: &Receiver<Line>,
        cancel: &Cancel,
        partial: &mut Partial,
        started: Instant,
        on_event: &mut impl FnMut(GenerateEvent),
    ) -> std::result::Result<(), Lost> {
        loop {
            if cancel.is_cancelled() {
                return Ok(());
            }
            let line = match lines.recv_timeout(TICK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => Line::Lost("the connection broke".into()),
            };
            match line {
                // The answer had ended; only the last event is lost.
                Line::Lost(_) if partial.finish.is_some() => return Ok(()),
                Line::Lost(reason) => return Err(Lost::Connection(reason)),
                Line::Silent => {
                    let waited = SILENCE.as_secs();
                    return Err(Lost::Refused(format!("it said nothing for {waited} s")));
                }
                // Loading its model, or busy.
                Line::Refused(status @ (429 | 502 | 503), text) => {
                    return Err(Lost::Connection(refusal(status, &text)));
                }
                Line::Refused(status, text) => return Err(Lost::Refused(refusal(status, &text))),
                // A server that closes without the last event has broken off.
                Line::End if partial.finish.is_none() => {
                    return Err(Lost::Connection("the server closed the answer early".into()));
                }
                Line::End => return Ok(()),
                Line::Text(text) => match parse(&text) {
                    Event::Nothing => {}
                    Event::Done => return Ok(()),
                    Event::Broken(reason) => return Err(Lost::Refused(reason)),
                    Event::Chunk(chunk) => partial.take(*chunk, started, on_event),
                },
            }
        }
    }
}

/// What the reading thread tells.
enum Line {
    Text(String),
    /// Nothing came for [`SILENCE`].
    Silent,
    Refused(u16, String),
    Lost(String),
    End,
}

/// Why an answer did not come to its end.
enum Lost {
    Connection(String),
    Refused(String),
}

/// One server-sent event.
#[derive(Debug, PartialEq)]
enum Event {
    Nothing,
    Chunk(Box<Chunk>),
    Done,
    Broken(String),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<RemoteUsage>,
    error: Option<Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Choice {
    delta: Option<Delta>,
    /// Of an answer that is not streamed.
    message: Option<Delta>,
    /// Of the completions without chat.
    text: Option<String>,
    finish_reason: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct RemoteUsage {
    #[serde(default)]
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: usize,
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Details {
    cached_tokens: Option<usize>,
}

/// Reads one line of the stream.
fn parse(line: &str) -> Event {
    let Some(data) = line.strip_prefix("data:").map(str::trim) else { return Event::Nothing };
    if data == "[DONE]" {
        return Event::Done;
    }
    match serde_json::from_str::<Chunk>(data) {
        Ok(Chunk { error: Some(e), .. }) => Event::Broken(error_text(&e)),
        Ok(chunk) => Event::Chunk(Box::new(chunk)),
        Err(e) => Event::Broken(format!("the server sent no chat chunk ({e})")),
    }
}

fn error_text(error: &Value) -> String {
    let text = error.get("message").unwrap_or(error);
    artgpt_base::text::printable(
        text.as_str().map_or_else(|| text.to_string(), String::from).trim(),
    )
}

fn refusal(status: u16, body: &str) -> String {
    let error = serde_json::from_str::<Value>(body).ok();
    let text = error.as_ref().map_or_else(
        || artgpt_base::text::printable(body.trim()),
        |v| error_text(v.get("error").unwrap_or(v)),
    );
    let hint = match status {
        401 | 403 => "; set OPENAI_API_KEY",
        404 => "; is the model's name behind # one that the server has?",
        _ => "",
    };
    format!("HTTP {status}: {text}{hint}")
}

/// An answer as far as it has come.
#[derive(Default)]
struct Partial {
    text: String,
    pieces: usize,
    usage: Usage,
    first_ms: Option<f64>,
    finish: Option<FinishReason>,
}

impl Partial {
    fn take(&mut self, chunk: Chunk, started: Instant, on_event: &mut impl FnMut(GenerateEvent)) {
        if let Some(usage) = chunk.usage {
            self.usage.prompt_tokens = usage.prompt_tokens;
            self.usage.answer_tokens = usage.completion_tokens;
            let details = usage.prompt_tokens_details.and_then(|d| d.cached_tokens);
            self.usage.cached_tokens = details.unwrap_or(0);
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return };
        if let Some(reason) = choice.finish_reason {
            self.finish = Some(match reason.as_str() {
                "length" => FinishReason::Length,
                _ => FinishReason::Stop,
            });
        }
        let said = choice.delta.or(choice.message).and_then(|d| d.content);
        let text = said.or(choice.text).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        if self.first_ms.is_none() {
            self.first_ms = Some(ms(started));
            on_event(GenerateEvent::Prefilled(self.usage));
        }
        self.pieces += 1; // servers send about one piece a token
        self.text.push_str(&text);
        on_event(GenerateEvent::Text(&text, self.pieces));
    }

    fn answer(mut self, cancel: &Cancel, started: Instant) -> Answer {
        if self.usage.answer_tokens == 0 {
            self.usage.answer_tokens = self.pieces;
        }
        let total = ms(started);
        let prefill_ms = self.first_ms.unwrap_or(total);
        let decode_ms = total - prefill_ms;
        let finished = self.finish.unwrap_or(FinishReason::Stop);
        Answer {
            text: self.text,
            token_ids: Vec::new(),
            finish_reason: if cancel.is_cancelled() { FinishReason::Cancelled } else { finished },
            usage: self.usage,
            timings: Timings {
                prefill_ms,
                decode_ms,
                tokens_per_second: match decode_ms > 0.0 {
                    true => self.usage.answer_tokens as f64 * 1000.0 / decode_ms,
                    false => 0.0,
                },
                ..Timings::default()
            },
            dropped_turns: 0,
        }
    }
}

/// A turn as the server reads it: pictures as data URIs, their labels as text.
fn message(turn: &Turn, pictures: &[Picture]) -> Result<Value> {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    if turn.images.is_empty() {
        return Ok(json!({"role": role, "content": turn.text}));
    }
    // Markers place the pictures where their numbers agree, as in a local model's template.
    let places = count_markers(&turn.text) == turn.images.len();
    let mut texts = match places {
        true => turn.text.split(IMAGE_MARKER).collect::<Vec<_>>(),
        false => vec![turn.text.as_str()],
    }
    .into_iter();
    let mut parts = Vec::new();
    let text = |text: &str| json!({"type": "text", "text": text});
    if places {
        parts.extend(texts.next().filter(|t| !t.is_empty()).map(text));
    }
    for (index, label) in &turn.images {
        let Some(picture) = pictures.get(*index) else { continue };
        parts.push(json!({"type": "image_url", "image_url": {"url": data_uri(&picture.image)?}}));
        if label != "none" {
            parts.push(text(&format!("Label: {label}")));
        }
        if places {
            parts.extend(texts.next().filter(|t| !t.is_empty()).map(text));
        }
    }
    parts.extend(texts.filter(|t| !t.is_empty()).map(text));
    Ok(json!({"role": role, "content": parts}))
}

fn data_uri(image: &RgbImage) -> Result<String> {
    let scaled =
        within(image.dimensions(), LONG_SIDE).map(|(w, h)| image::imageops::thumbnail(image, w, h));
    let mut png = std::io::Cursor::new(Vec::new());
    scaled
        .as_ref()
        .unwrap_or(image)
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|e| InferenceError::Picture(e.to_string()))?;
    let text = base64::engine::general_purpose::STANDARD.encode(png.into_inner());
    Ok(format!("data:image/png;base64,{text}"))
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

    #[test]
    fn lines_of_a_stream_are_read_and_noise_is_passed_over() {
        assert_eq!(parse(""), Event::Nothing);
        assert_eq!(parse(": keep-alive"), Event::Nothing);
        assert_eq!(parse("data: [DONE]"), Event::Done);
        let line = r#"data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}"#;
        let Event::Chunk(chunk) = parse(line) else { panic!("no chunk") };
        assert_eq!(chunk.choices[0].delta.as_ref().and_then(|d| d.content.as_deref()), Some("Hi"));
        assert!(
            matches!(parse(r#"data: {"error":{"message":"full"}}"#), Event::Broken(r) if r == "full")
        );
        assert!(matches!(parse("data: {"), Event::Broken(_)));
    }
}
