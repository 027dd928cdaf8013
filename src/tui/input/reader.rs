//! The thread that reads the terminal. The event loop never waits for it.

use std::io::{self, PipeReader, PipeWriter};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::decoder::{Decoder, Input};
use crate::tui::message::Message;

/// Reads the terminal until it is dropped, or until the terminal is gone.
pub(crate) struct InputThread {
    /// Its end wakes the thread.
    _stop: PipeWriter,
}

impl InputThread {
    /// `decoder` has what the terminal sent before.
    pub(crate) fn spawn(decoder: Decoder, messages: UnboundedSender<Message>) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        std::thread::Builder::new()
            .name("input".into())
            .spawn(move || read(decoder, &stopped, &messages))?;
        Ok(Self { _stop: stop })
    }
}

impl From<Input> for Message {
    fn from(input: Input) -> Self {
        match input {
            Input::Key(key) => Self::Key(key),
            Input::Paste(text) => Self::Paste(text),
        }
    }
}

/// What a wait for the terminal ended with.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Bytes(usize),
    /// The time is up.
    Nothing,
    /// The terminal is closed, or cannot be read any more.
    HungUp,
    Stopped,
}

fn read(mut decoder: Decoder, stopped: &PipeReader, messages: &UnboundedSender<Message>) {
    let mut buffer = [0; 4096];
    let mut deadline = Deadline::default();
    loop {
        deadline.set(&decoder);
        let inputs = match wait(stopped, deadline.left(), &mut buffer) {
            Event::Bytes(count) => {
                deadline.bytes_came(&decoder);
                decoder.feed(&buffer[..count])
            }
            Event::Nothing => decoder.expire(),
            Event::HungUp => {
                let _ = messages.send(Message::Terminate);
                return;
            }
            Event::Stopped => return,
        };
        for input in inputs {
            // The loop has ended.
            if messages.send(input.into()).is_err() {
                return;
            }
        }
    }
}

/// When the decoder stops waiting for the rest of a sequence.
#[derive(Default)]
struct Deadline(Option<Wait>);

/// A wait for the rest of one sequence.
struct Wait {
    /// How many sequences came before it.
    before: u64,
    time: Duration,
    until: Instant,
}

impl Deadline {
    /// Counts from the first byte of a sequence.
    fn set(&mut self, decoder: &Decoder) {
        let before = decoder.ended();
        self.0 = decoder.wait().map(|time| match self.0.take() {
            Some(known) if known.time == time && known.before == before => known,
            _ => Wait { before, time, until: Instant::now() + time },
        });
    }

    /// In a paste it counts from the last byte.
    fn bytes_came(&mut self, decoder: &Decoder) {
        if decoder.is_pasting() {
            self.0 = None;
        }
    }

    fn left(&self) -> Option<Duration> {
        self.0.as_ref().map(|wait| wait.until.saturating_duration_since(Instant::now()))
    }
}

/// Waits for bytes, at most for `time`, and reads them.
#[cfg(unix)]
fn wait(stopped: &PipeReader, time: Option<Duration>, buffer: &mut [u8]) -> Event {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    let terminal = rustix::stdio::stdin();
    let time = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    let mut polled =
        [PollFd::new(&terminal, PollFlags::IN), PollFd::new(stopped, PollFlags::empty())];
    match poll(&mut polled, time.as_ref()) {
        Ok(0) => return Event::Nothing,
        Ok(_) => {}
        // A signal; what comes next says what to do.
        Err(Errno::INTR | Errno::AGAIN) => return Event::Bytes(0),
        Err(_) => return Event::HungUp,
    }
    let [events, stop] = polled.map(|one| one.revents());
    if !stop.is_empty() {
        return Event::Stopped;
    }
    if !events.contains(PollFlags::IN) {
        return Event::HungUp;
    }
    match rustix::io::read(terminal, &mut *buffer) {
        // The end of a file: no terminal in raw mode has one while it is there.
        Ok(0) => Event::HungUp,
        Ok(count) => Event::Bytes(count),
        Err(Errno::INTR | Errno::AGAIN) => Event::Bytes(0),
        Err(_) => Event::HungUp,
    }
}

/// Where there is no `poll`, the thread waits in the read itself.
#[cfg(not(unix))]
fn wait(_: &PipeReader, _: Option<Duration>, buffer: &mut [u8]) -> Event {
    match io::Read::read(&mut io::stdin(), buffer) {
        Ok(0) | Err(_) => Event::HungUp,
        Ok(count) => Event::Bytes(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_has_its_own_time() {
        let (mut decoder, mut deadline) = (Decoder::default(), Deadline::default());
        let mut until = |bytes: &[u8]| {
            decoder.feed(bytes);
            deadline.set(&decoder);
            deadline.0.as_ref().map(|wait| wait.until)
        };
        let first = until(b"\x1b");
        std::thread::sleep(Duration::from_millis(2));
        // Nothing new: the time counts from the first byte.
        assert!(first.is_some());
        assert_eq!(until(b""), first);
        // The end of one sequence and the start of the next.
        let second = until(b"[A\x1b");
        assert!(second > first);
        std::thread::sleep(Duration::from_millis(2));
        // A key that takes the Esc before it.
        assert_eq!(until(b"[A"), None);
        // Longer ones, too.
        let long = until(b"\x1b[1;");
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(until(b"5"), long);
        assert!(until(b"A\x1b[1;") > long);
    }
}
