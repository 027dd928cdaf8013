//! A server with the OpenAI chat interface whose answers never end.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A server that answers with numbered words until the other side goes away.
pub(crate) fn endless_answers() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_for_ever(stream));
        }
    });
    format!("openai:http://{address}#endless")
}

fn answer_for_ever(mut stream: TcpStream) -> std::io::Result<()> {
    let mut length = 0;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if let Some(value) = header.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap_or(0);
        }
        if header.trim_end().is_empty() {
            break;
        }
    }
    std::io::Read::read_exact(&mut reader, &mut vec![0; length])?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
    for word in 0.. {
        let delta = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"w{word}. "}}}}]}}"#);
        write!(stream, "data: {delta}\n\n")?;
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The number of the last whole word of the answer.
pub(crate) fn last_word(text: &str) -> Option<u64> {
    let words = text.split_whitespace().filter_map(|word| word.strip_prefix('w'));
    words.filter_map(|word| word.strip_suffix('.')?.parse().ok()).max()
}
