//! `--model openai:URL#NAME`, against a small strict server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::common;

/// What a request brought.
pub(crate) struct Seen {
    path: String,
    key: Option<String>,
    pub(crate) body: Value,
}

pub(crate) type Reply = fn(usize, &mut TcpStream) -> std::io::Result<()>;

/// Serves `count` requests, each answered by `reply` with its number.
pub(crate) fn serve(count: usize, reply: Reply) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("openai:http://{}#art", listener.local_addr().expect("address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for number in 0..count {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let seen = read(&mut stream);
            // A client that has gone is no failure of the server.
            let _ = reply(number, &mut stream);
            let _ = sender.send(seen);
        }
    });
    (url, receiver)
}

fn read(stream: &mut TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request line");
    assert!(line.starts_with("POST ") && line.ends_with(" HTTP/1.1\r\n"), "{line:?}");
    let path = line.split(' ').nth(1).expect("a path").to_string();
    let (mut length, mut key) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ").expect("a header");
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "authorization" => key = Some(value.to_string()),
            "content-type" => assert_eq!(value, "application/json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    Seen { path, key, body: serde_json::from_slice(&body).expect("JSON") }
}

fn stream(out: &mut TcpStream, events: &[Value]) -> std::io::Result<()> {
    out.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
    )?;
    for event in events {
        write!(out, "data: {event}\n\n")?;
        out.flush()?;
    }
    Ok(())
}

fn piece(text: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
}

pub(crate) fn good(_: usize, out: &mut TcpStream) -> std::io::Result<()> {
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {
        "prompt_tokens": 31, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 7}
    }});
    stream(out, &[piece("A red "), piece("field."), end, usage])?;
    out.write_all(b"data: [DONE]\n\n")
}

fn ask(url: &str) -> assert_cmd::Command {
    let mut program = common::program(common::bare_data());
    program.env("OPENAI_API_KEY", "secret").args(["ask", "--model", url]);
    program
}

#[test]
fn a_picture_goes_as_a_data_uri_and_the_answer_streams_back() {
    let (url, seen) = serve(1, good);
    let dir = tempfile::tempdir().expect("temp dir");
    let picture = dir.path().join("red.png");
    let image = image::RgbImage::from_pixel(30, 20, image::Rgb([200, 10, 10]));
    image.save(&picture).expect("saves");
    std::fs::write(dir.path().join("red.toml"), "title = \"Field\"").expect("writes");
    let out = ask(&url)
        .args(["--json", "--system", "Be brief.", "--seed", "4", "--stop", "END", "--image"])
        .arg(&picture)
        .arg("What is it?")
        .assert()
        .success();
    let out: Value = serde_json::from_slice(&out.get_output().stdout).expect("JSON");
    assert_eq!(out["text"], "A red field.");
    assert_eq!((&out["prompt_tokens"], &out["cached_tokens"]), (&json!(31), &json!(7)));
    assert_eq!(out["finish_reason"], "stop");
    let seen = seen.recv().expect("a request");
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.key.as_deref(), Some("Bearer secret"));
    let body = seen.body;
    assert_eq!((&body["model"], &body["stream"]), (&json!("art"), &json!(true)));
    assert_eq!((&body["seed"], &body["stop"]), (&json!(4), &json!(["END"])));
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be brief."}));
    let content = &body["messages"][1]["content"];
    let uri = content[0]["image_url"]["url"].as_str().expect("a URI");
    let data = uri.strip_prefix("data:image/png;base64,").expect("a PNG");
    let data = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
    assert_eq!(image::load_from_memory(&data).expect("a picture").to_rgb8(), image);
    assert!(content[1]["text"].as_str().expect("text").contains("title: Field"));
    assert_eq!(content[2]["text"], "What is it?");
}

#[test]
fn a_connection_lost_before_the_answer_is_tried_again() {
    let (url, seen) = serve(3, |number, out| match number {
        0 => Ok(()), // hangs up
        1 => stream(out, &[]),
        _ => good(number, out),
    });
    ask(&url).arg("What is it?").assert().success().stdout(contains("A red field."));
    assert_eq!(seen.iter().count(), 3);
}

#[test]
fn a_connection_lost_in_the_answer_is_an_error_after_what_came() {
    let (url, _seen) = serve(1, |_, out| stream(out, &[piece("A red ")]));
    ask(&url)
        .arg("What is it?")
        .assert()
        .code(1)
        .stdout(contains("A red"))
        .stderr(contains("closed the answer early"));
}

#[test]
fn what_came_before_a_loss_is_kept_in_the_session() {
    let (url, _seen) = serve(1, |_, out| stream(out, &[piece("A red ")]));
    let data = tempfile::tempdir().expect("temp dir");
    let program = || common::program(data.path());
    program().args(["ask", "--session", "new", "--model", &url, "What is it?"]).assert().code(1);
    let out = program().args(["sessions", "list", "--json"]).output().expect("runs");
    let list: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id");
    program()
        .args(["sessions", "export", id, "--format", "json"])
        .assert()
        .success()
        .stdout(contains("A red"));
}

#[test]
fn refusals_are_told_in_the_servers_words() {
    let (url, _seen) = serve(1, |_, out| {
        let body = r#"{"error": {"message": "no such key", "type": "auth"}}"#;
        write!(
            out,
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    });
    ask(&url)
        .arg("What is it?")
        .assert()
        .code(1)
        .stderr(contains("HTTP 401: no such key").and(contains("OPENAI_API_KEY")));
    let nobody = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("address");
    ask(&format!("openai:http://{nobody}#art"))
        .arg("x")
        .assert()
        .code(1)
        .stderr(contains("gave no answer"));
    ask("openai:box#art").arg("x").assert().code(1).stderr(contains("openai:http(s)://HOST"));
    let mut score = common::program(common::bare_data());
    score
        .args(["score", "--model", "openai:http://box#art", "--prompt", "a", "--answer", "b"])
        .assert()
        .code(2)
        .stderr(contains("name a local model"));
}

fn plain(out: &mut TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_server_that_is_loading_is_asked_again_and_one_that_does_not_stream_is_understood() {
    let (url, seen) = serve(2, |number, out| match number {
        0 => plain(out, "503 Service Unavailable", &json!({"error": {"message": "loading model"}})),
        _ => plain(
            out,
            "200 OK",
            &json!({"choices": [{
                "index": 0, "message": {"role": "assistant", "content": "A whole answer."},
                "finish_reason": "stop"
            }]}),
        ),
    });
    ask(&url).arg("What is it?").assert().success().stdout(contains("A whole answer."));
    assert_eq!(seen.iter().count(), 2);
}

/// Answers with the bytes of a stream, in parts of one byte.
fn drip(out: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    out.set_nodelay(true)?;
    out.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
    )?;
    body.iter().try_for_each(|byte| out.write_all(&[*byte]))
}

fn json_of(url: &str) -> Value {
    let out = ask(url).args(["--json", "What colour is it?"]).assert().success();
    serde_json::from_slice(&out.get_output().stdout).expect("JSON")
}

#[test]
fn events_without_data_or_of_other_types_are_passed_over() {
    let (url, _seen) = serve(1, |_, out| drip(out, include_bytes!("../data/sse/empty-data.sse")));
    let out = json_of(&url);
    assert_eq!((&out["text"], &out["prompt_tokens"]), (&json!("It is blue."), &json!(9)));
    assert_eq!((&out["cached_tokens"], &out["image_tokens"]), (&Value::Null, &Value::Null));
}

#[test]
fn counts_that_the_server_does_not_tell_are_null_and_give_no_rate() {
    let (url, _seen) = serve(1, |_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        out.write_all(include_bytes!("../data/sse/no-usage.sse"))
    });
    let out = json_of(&url);
    assert_eq!((&out["text"], &out["finish_reason"]), (&json!("It is blue."), &json!("stop")));
    for key in ["prompt_tokens", "cached_tokens", "image_tokens"] {
        assert_eq!(out[key], Value::Null, "{key}");
    }
    assert_eq!(out["timings"]["tokens_per_second"], Value::Null);
    assert_eq!(out["timings"]["load_ms"], Value::Null);
}

#[test]
fn every_form_of_stream_gives_the_same_answer() {
    fn all(number: usize, out: &mut TcpStream) -> std::io::Result<()> {
        let piece = |text: &str| piece(text).to_string();
        let (a, b) = (piece("It "), piece("is blue."));
        let end = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#;
        let streams = [
            format!(
                "\u{feff}data:{a}\r\n\r\ndata:{b}\r\n\r\ndata:{end}\r\n\r\ndata:[DONE]\r\n\r\n"
            ),
            format!(
                "data: {a}\r\rdata: {b}\r\r: comment\r\rid: 7\rdata: {end}\r\rdata:  [DONE] \r\r"
            ),
            // One event over several lines, and no blank line at the end.
            format!(
                "retry: 10\n\nevent: message\ndata: {}\n\ndata: {b}\n\ndata: {end}",
                a.replacen(',', ",\ndata: ", 1)
            ),
            format!("event: ping\ndata: now\n\ndata: {a}\n\ndata: {b}\n\ndata: {end}\n\n"),
        ];
        drip(out, streams[number].as_bytes())
    }
    let (url, seen) = serve(4, all);
    for _ in 0..4 {
        ask(&url).arg("What colour is it?").assert().success().stdout("It is blue.\n");
    }
    assert_eq!(seen.iter().count(), 4);
}

#[test]
fn a_packed_reply_is_unpacked() {
    let (url, _seen) = serve(1, |_, out| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(include_bytes!("../data/sse/no-usage.sse"))?;
        let packed = packer.finish()?;
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n")?;
        out.write_all(&packed)
    });
    assert_eq!(json_of(&url)["text"], "It is blue.");
}

#[test]
fn an_error_event_is_told_without_the_key() {
    let (url, _seen) = serve(1, |_, out| {
        stream(out, &[piece("It ")])?;
        out.write_all(b"event: error\ndata: {\"message\":\"secret-key: no more\"}\n\n")
    });
    ask(&url)
        .env("OPENAI_API_KEY", "secret-key")
        .arg("x")
        .assert()
        .code(1)
        .stderr(contains("***: no more").and(contains("secret-key").not()));
}

#[test]
fn an_endless_answer_is_cut_off() {
    fn endless(number: usize, out: &mut TcpStream) -> std::io::Result<()> {
        out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        let text = match number {
            0 => format!("data: {}\n\n", piece(&"a".repeat(1000))),
            1 => "data: aaaaaaaaaaaaaaaaaaaa".into(),
            _ => "data: a\n".into(),
        };
        // Until the client hangs up.
        loop {
            out.write_all(text.repeat(64).as_bytes())?;
        }
    }
    let (url, _seen) = serve(3, endless);
    for what in ["an answer of more than", "an event of more than", "an event of more than"] {
        ask(&url).arg("x").assert().code(1).stderr(contains(what));
    }
}

/// Redirects to the address in its first argument.
fn redirect_to(target: String, status: u16) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("openai:http://{}#art", listener.local_addr().expect("address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let seen = read(&mut stream);
        let _ = write!(
            stream,
            "HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let _ = sender.send(seen);
    });
    (url, receiver)
}

#[test]
fn a_redirect_to_another_server_carries_no_key() {
    for status in [302, 307, 308] {
        let (there, seen_there) = serve(1, good);
        let target = there.trim_start_matches("openai:").trim_end_matches("#art");
        let (here, seen_here) = redirect_to(format!("{target}/v1/chat/completions"), status);
        ask(&here).arg("x").assert().success().stdout(contains("A red field."));
        assert_eq!(seen_here.recv().expect("a request").key.as_deref(), Some("Bearer secret"));
        let seen = seen_there.recv().expect("a request");
        assert_eq!((seen.path.as_str(), seen.key), ("/v1/chat/completions", None));
        assert_eq!(seen.body["model"], "art");
    }
}

#[test]
fn a_password_in_the_address_is_sent_and_never_shown_or_stored() {
    let (url, seen) = serve(1, good);
    let url = url.replace("http://", "http://me:open-sesame@");
    let data = tempfile::tempdir().expect("temp dir");
    let program = || common::program(data.path());
    let out = program()
        .args(["ask", "--json", "--session", "new", "--model", &url, "What is it?"])
        .assert()
        .success();
    let said = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    assert!(said.contains("***@") && !said.contains("open-sesame"), "{said}");
    // "me:open-sesame"
    let key = seen.recv().expect("a request").key;
    assert_eq!(key.as_deref(), Some("Basic bWU6b3Blbi1zZXNhbWU="));
    let list = program().args(["sessions", "list", "--json"]).output().expect("runs");
    assert!(!String::from_utf8_lossy(&list.stdout).contains("open-sesame"));
    for file in ["sessions.jsonl", "logs/artgpt-tui.log", "sessions.sled/db"] {
        let bytes = std::fs::read(data.path().join(file)).expect("reads");
        assert!(!String::from_utf8_lossy(&bytes).contains("open-sesame"), "{file}");
    }
}
