//! Proxies, private certificate authorities and mirrors, against servers of this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use artgpt_base::hash::sha256;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::common;

const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"A red field."},"finish_reason":"stop"}]}"#;

/// The head of a request, in lower case but for its first line; its body is read and dropped.
fn head(stream: &mut impl Read) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim_end().is_empty() {
            break;
        }
        let line = if head.is_empty() { line } else { line.to_lowercase() };
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    head
}

fn reply(stream: &mut impl Write, body: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.flush();
}

/// Serves each connection by `answer`; the address, and what `answer` returned.
fn serve(answer: impl Fn(TcpStream) -> String + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address").to_string();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if sender.send(answer(stream)).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

/// A model server, or a proxy that answers for one.
fn answering() -> (String, Receiver<String>) {
    serve(|mut stream| {
        let head = head(&mut stream);
        reply(&mut stream, ANSWER);
        head
    })
}

/// A proxy that passes `CONNECT` on.
fn tunnel() -> (String, Receiver<String>) {
    serve(|mut stream| {
        let head = head(&mut stream);
        let target = head.split(' ').nth(1).expect("a target").to_string();
        let mut there = TcpStream::connect(target).expect("connects");
        let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
        let (mut from, mut to) =
            (stream.try_clone().expect("a handle"), there.try_clone().expect("a handle"));
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::thread::spawn(move || std::io::copy(&mut there, &mut stream));
        head
    })
}

fn tls_file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// A model server with a certificate of the private authority `ca.pem`.
fn answering_with_tls() -> (String, Receiver<String>) {
    let chain = CertificateDer::pem_file_iter(tls_file("server.pem")).expect("reads");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let config = Arc::new(config);
    serve(move |stream| {
        let connection = rustls::ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let head = head(&mut stream);
        if !head.is_empty() {
            reply(&mut stream, ANSWER);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        head
    })
}

/// The program in its own data folder, without the variables of this machine.
fn program(data: &Path) -> assert_cmd::Command {
    let mut program = common::program(data);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        program.env_remove(name).env_remove(name.to_lowercase());
    }
    for name in ["SSL_CERT_FILE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"] {
        program.env_remove(name);
    }
    program.env("HF_HOME", data.join("hf")).env("OPENAI_API_KEY", "secret");
    program
}

fn ask(data: &Path, url: &str) -> assert_cmd::Command {
    let mut program = program(data);
    program.args(["ask", "--model", &format!("openai:{url}#art"), "What is it?"]);
    program
}

#[test]
fn plain_requests_name_the_whole_address_to_the_proxy() {
    let data = tempfile::tempdir().expect("temp dir");
    let (proxy, seen) = answering();
    // The name is the proxy's business: no machine knows it.
    let url = "http://model.invalid:8000";
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "ARTGPT_NETWORK__PROXY"] {
        ask(data.path(), url)
            .env(variable, format!("http://me:open%20sesame@{proxy}"))
            .assert()
            .success()
            .stdout(contains("A red field."));
        let head = seen.recv().expect("a request");
        let first = "POST http://model.invalid:8000/v1/chat/completions HTTP/1.1\r\n";
        assert!(head.starts_with(first), "{variable}: {head}");
        assert!(head.contains("proxy-authorization: basic "), "{head}");
        assert!(head.contains("host: model.invalid:8000\r\n"), "{head}");
    }
}

#[test]
fn excluded_hosts_are_reached_without_the_proxy() {
    let data = tempfile::tempdir().expect("temp dir");
    let (server, seen) = answering();
    let url = format!("http://{server}");
    for (variable, value) in [("NO_PROXY", "example.com,127.0.0.0/8"), ("no_proxy", "*")] {
        ask(data.path(), &url)
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env(variable, value)
            .assert()
            .success();
        assert!(seen.recv().expect("a request").starts_with("POST /v1/chat/completions "));
    }
    // The setting wins over the variables.
    let config = data.path().join("config.toml");
    std::fs::write(&config, "[network]\nproxy = \"\"\n").expect("writes");
    ask(data.path(), &url)
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .arg("--config")
        .arg(&config)
        .assert()
        .success();
    ask(data.path(), &url)
        .env("HTTP_PROXY", "no proxy")
        .assert()
        .code(1)
        .stderr(contains("the proxy no proxy is not an address").and(contains("HTTPS_PROXY")));
}

#[test]
fn a_private_authority_is_trusted_only_where_it_is_named() {
    let data = tempfile::tempdir().expect("temp dir");
    let (server, seen) = answering_with_tls();
    let url = format!("https://{server}");
    ask(data.path(), &url).assert().code(1).stderr(contains("gave no answer"));
    for variable in ["SSL_CERT_FILE", "ARTGPT_NETWORK__CA_FILE"] {
        ask(data.path(), &url)
            .env(variable, tls_file("ca.pem"))
            .assert()
            .success()
            .stdout(contains("A red field."));
    }
    ask(data.path(), &url)
        .env("SSL_CERT_FILE", data.path().join("missing.pem"))
        .assert()
        .code(1)
        .stderr(contains("missing.pem"));
    let answered = seen.try_iter().filter(|head| head.contains("bearer secret")).count();
    assert_eq!(answered, 2);
}

#[test]
fn https_goes_through_the_proxy_unread() {
    let data = tempfile::tempdir().expect("temp dir");
    let (server, seen) = answering_with_tls();
    let (proxy, tunnelled) = tunnel();
    ask(data.path(), &format!("https://{server}"))
        .env("HTTPS_PROXY", format!("http://{proxy}"))
        .env("SSL_CERT_FILE", tls_file("ca.pem"))
        .assert()
        .success()
        .stdout(contains("A red field."));
    let head = tunnelled.recv().expect("a request");
    assert!(head.starts_with(&format!("CONNECT {server} HTTP/1.1")), "{head}");
    assert!(!head.contains("secret"), "{head}");
    assert!(seen.recv().expect("a request").contains("bearer secret"));
}

/// A manifest with one file from Hugging Face.
fn manifest(folder: &Path, bytes: &[u8]) -> String {
    let path = folder.join("tiny.toml");
    let text = format!(
        "name = \"tiny\"\n[[source]]\nfrom = \"hf:own/tiny/sub/weights.bin\"\nsha256 = \"{}\"\nbytes = {}\n",
        sha256(bytes),
        bytes.len()
    );
    std::fs::write(&path, text).expect("writes");
    path.display().to_string()
}

#[test]
fn a_mirror_serves_models_and_its_storage_gets_no_token() {
    let data = tempfile::tempdir().expect("temp dir");
    let (storage, stored) = serve(|mut stream| {
        let head = head(&mut stream);
        reply(&mut stream, "weights");
        head
    });
    let (mirror, seen) = serve(move |mut stream| {
        let head = head(&mut stream);
        let _ = write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: http://{storage}/blob\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        head
    });
    let manifest = manifest(data.path(), b"weights");
    program(data.path())
        .env("HF_ENDPOINT", format!("http://{mirror}/hub/"))
        .env("HF_TOKEN", "hf_token")
        .args(["models", "install", &manifest])
        .assert()
        .success();
    let head = seen.recv().expect("a request");
    assert!(head.starts_with("GET /hub/own/tiny/resolve/main/sub/weights.bin HTTP/1.1"), "{head}");
    assert!(head.contains("authorization: bearer hf_token"), "{head}");
    let head = stored.recv().expect("a request");
    assert!(head.starts_with("GET /blob ") && !head.contains("hf_token"), "{head}");
    let file = data.path().join("weights.bin");
    assert_eq!(std::fs::read(file).expect("reads"), b"weights");
}

#[test]
fn a_file_that_is_larger_than_its_manifest_says_is_refused() {
    let data = tempfile::tempdir().expect("temp dir");
    let (mirror, _seen) = serve(|mut stream| {
        let head = head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[0; 1 << 16]).is_ok() {}
        head
    });
    program(data.path())
        .env("HF_ENDPOINT", format!("http://{mirror}"))
        .args(["models", "install", &manifest(data.path(), b"weights")])
        .assert()
        .code(1)
        .stderr(contains("larger than the manifest's 7 bytes"));
}

#[test]
fn offline_models_come_from_the_local_cache() {
    let data = tempfile::tempdir().expect("temp dir");
    let manifest = manifest(data.path(), b"weights");
    let install = || {
        let mut program = program(data.path());
        program.env("HF_HUB_OFFLINE", "1").args(["models", "install", &manifest]);
        program
    };
    install()
        .assert()
        .code(1)
        .stderr(contains("own/tiny/sub/weights.bin is not in the local cache"));
    let repo = data.path().join("hf/hub/models--own--tiny");
    let snapshot = repo.join("snapshots/abc/sub");
    std::fs::create_dir_all(&snapshot).expect("makes");
    std::fs::create_dir_all(repo.join("refs")).expect("makes");
    std::fs::write(repo.join("refs/main"), "abc").expect("writes");
    std::fs::write(snapshot.join("weights.bin"), b"weights").expect("writes");
    install().assert().success();
    assert!(data.path().join("weights.bin").is_file());
}

#[test]
fn a_record_never_leads_out_of_its_folder() {
    let data = tempfile::tempdir().expect("temp dir");
    let manifest = manifest(data.path(), b"weights");
    let victim = tempfile::tempdir().expect("temp dir");
    let file = victim.path().join("precious");
    std::fs::write(&file, b"precious").expect("writes");
    let up = format!("../{}", victim.path().file_name().expect("a name").to_string_lossy());
    let name = |path: &Path| path.display().to_string();
    for named in [up, name(victim.path()), name(&file), "..".into()] {
        let record = serde_json::json!([{
            "name": named, "sha256": sha256(b"weights"), "bytes": 7,
            "from": "hf:own/tiny/sub/weights.bin", "converted": false,
        }]);
        std::fs::write(data.path().join("installed.json"), record.to_string()).expect("writes");
        for command in ["remove", "verify"] {
            program(data.path())
                .args(["models", command, &manifest])
                .assert()
                .code(1)
                .stderr(contains("which is no file of its folder"));
            assert_eq!(std::fs::read(&file).expect("is there"), b"precious");
        }
    }
    // A link is removed, and what it leads to stays.
    std::os::unix::fs::symlink(victim.path(), data.path().join("link")).expect("links");
    let record = serde_json::json!([{
        "name": "link", "sha256": "", "bytes": 0,
        "from": "hf:own/tiny/sub/weights.bin", "converted": false,
    }]);
    std::fs::write(data.path().join("installed.json"), record.to_string()).expect("writes");
    program(data.path()).args(["models", "remove", &manifest]).assert().success();
    assert!(!data.path().join("link").is_symlink() && file.is_file());
}
