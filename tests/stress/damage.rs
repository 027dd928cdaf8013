//! Random damage to checkpoints, and to what a server sends: an answer or a sentence, never a panic or an endless
//! loop.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use artgpt_model::checkpoint::{GgufFile, Tensors};
use rand::Rng;
use rand::rngs::StdRng;

use crate::budget::Budget;
use crate::kills::command;

/// Changes a few places of a file.
fn spoil(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        // Mostly in the header, where the sizes are.
        let end = if random.random() { bytes.len().min(4096) } else { bytes.len() };
        let at = random.random_range(0..end);
        match random.random_range(0..5) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => {
                let extreme = [0, u64::MAX, 1 << 63, 1 << 32, 1 << 40][random.random_range(0..5)];
                for (place, value) in bytes[at..].iter_mut().zip(extreme.to_le_bytes()) {
                    *place = value;
                }
            }
            3 => bytes.truncate(at),
            _ => {
                let part = bytes[at..(at + 64).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

fn samples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    [
        "data/gguf/llama-bpe.gguf",
        "data/slurm/tiny.gguf",
        "data/vocabulary/model.safetensors",
        "reference/checkpoints/originals/ArtGPT-4.pth",
        "reference/checkpoints/originals/eva_vit_g.pth",
    ]
    .map(|name| root.join(name))
    .to_vec()
}

#[test]
fn a_damaged_checkpoint_is_read_or_refused() {
    let mut budget = Budget::new("checkpoints");
    let folder = tempfile::tempdir().expect("temp dir");
    let all: Vec<(String, Vec<u8>)> = samples()
        .iter()
        .map(|path| {
            let extension = path.extension().expect("has one").to_string_lossy();
            (format!("spoilt.{extension}"), std::fs::read(path).expect("reads"))
        })
        .collect();
    let (mut read, mut refused) = (0, 0);
    while budget.is_left() {
        let (name, bytes) = &all[budget.random.random_range(0..all.len())];
        let mut bytes = bytes.clone();
        spoil(&mut bytes, &mut budget.random);
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).expect("writes");
        let values = Tensors::open(&path)
            .map(|tensors| tensors.names().filter(|name| tensors.read(name).is_ok()).count());
        match values {
            Ok(_) => read += 1,
            Err(e) => {
                assert!(e.to_string().contains("spoilt"), "does not name its file: {e}");
                refused += 1;
            }
        }
        if name.ends_with("gguf") {
            let _ = GgufFile::open(&path).map(|file| file.names().count());
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 0 && refused > 0);
}

const ANSWER: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"A red \"}}]}\n\n\
    event: ping\ndata: {}\n\n: comment\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"square.\"},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";

#[test]
fn a_damaged_stream_is_an_answer_or_an_error() {
    let mut budget = Budget::new("streams");
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    let body = Arc::new(Mutex::new(Vec::new()));
    let sent = body.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 65536]);
            let body = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    let home = tempfile::tempdir().expect("temp dir");
    let model = format!("openai:http://{address}#m");
    let (mut answers, mut errors) = (0, 0);
    while budget.is_left() {
        let mut bytes = ANSWER.as_bytes().to_vec();
        spoil(&mut bytes, &mut budget.random);
        *body.lock().unwrap_or_else(PoisonError::into_inner) = bytes.clone();
        let output = command(home.path(), &["--json", "ask", "--model", &model, "What?"]).output();
        let output = output.expect("runs");
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let printed: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        let printed = printed.unwrap_or_else(|e| panic!("{e}: {shown}"));
        match output.status.code() {
            Some(0) => answers += 1,
            Some(1) => {
                let kind = printed["error"]["kind"].as_str();
                assert!(kind.is_some_and(|kind| kind != "internal"), "{printed}: {shown}");
                errors += 1;
            }
            code => panic!("{code:?}: {shown}"),
        }
    }
    println!("{answers} answers, {errors} errors");
    assert!(answers + errors > 0);
}
