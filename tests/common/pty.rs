//! The program in a pseudo-terminal, and its screen.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::wait;

pub(crate) struct Pty {
    pub(crate) child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<Mutex<Recorded>>,
    /// Ends when the last process that has the terminal open ends.
    reader: JoinHandle<()>,
}

struct Recorded {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// How the other side of the line behaves when it is asked what it is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Terminal {
    /// Never answers.
    Silent,
    /// Answers as a terminal without pictures.
    Plain,
    /// Answers as kitty does over SSH, and says its cell size.
    Kitty,
}

impl Pty {
    pub(crate) fn start(data: &Path, size: (u16, u16), terminal: Terminal, args: &[&str]) -> Self {
        Self::start_with(data, size, terminal, args, &[])
    }

    pub(crate) fn start_with(
        data: &Path,
        size: (u16, u16),
        terminal: Terminal,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(pty_size(size)).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(assert_cmd::cargo::cargo_bin("artgpt-tui"));
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        for name in ["TMUX", "STY", "NO_COLOR", "LC_TERMINAL", "TERM_PROGRAM", "KONSOLE_VERSION"] {
            command.env_remove(name);
        }
        // What it writes to its working folder stays out of others'.
        command.cwd(data);
        command.env("XDG_CONFIG_HOME", data.join("config"));
        for (name, value) in env {
            command.env(name, value);
        }
        command.args(["--device", "cpu", "--data-dir"]);
        command.arg(data);
        command.args(args);
        let child = pair.slave.spawn_command(command).expect("starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = Arc::new(Mutex::new(pair.master.take_writer().expect("a writer")));
        let parser = vt100::Parser::new(cells(size.1), cells(size.0), 0);
        let screen = Arc::new(Mutex::new(Recorded { parser, bytes: Vec::new() }));
        let (seen, answers) = (screen.clone(), writer.clone());
        let reader = std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            let mut answered = 0;
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let mut recorded = seen.lock().expect("no panic");
                recorded.parser.process(&buffer[..n]);
                recorded.bytes.extend_from_slice(&buffer[..n]);
                let reply = answer(&recorded.bytes[answered..], terminal);
                if !reply.is_empty() {
                    answered = recorded.bytes.len();
                    drop(recorded);
                    answers.lock().expect("no panic").write_all(&reply).ok();
                }
            }
        });
        Self { child, master: pair.master, writer, screen, reader }
    }

    pub(crate) fn send(&self, text: &str) {
        let mut writer = self.writer.lock().expect("no panic");
        writer.write_all(text.as_bytes()).expect("the program reads");
        writer.flush().expect("the program reads");
    }

    pub(crate) fn text(&self) -> String {
        self.screen.lock().expect("no panic").parser.screen().contents()
    }

    /// Everything that the program wrote.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.screen.lock().expect("no panic").bytes.clone()
    }

    pub(crate) fn on_alternate_screen(&self) -> bool {
        self.screen.lock().expect("no panic").parser.screen().alternate_screen()
    }

    pub(crate) fn resize(&self, size: (u16, u16)) {
        self.screen
            .lock()
            .expect("no panic")
            .parser
            .screen_mut()
            .set_size(cells(size.1), cells(size.0));
        self.master.resize(pty_size(size)).expect("resizes");
    }

    /// Waits until the screen satisfies `wanted`.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        wait::until(what, || {
            let text = self.text();
            if wanted(&text) { Ok(text) } else { Err(text) }
        })
    }

    pub(crate) fn until_shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits for the program's end and for what it wrote last; its exit code.
    pub(crate) fn ends(&mut self) -> u32 {
        let status = wait::until("its end", || {
            self.child.try_wait().expect("waits").ok_or_else(|| self.text())
        });
        wait::until("the end of its output", || {
            if self.reader.is_finished() { Ok(()) } else { Err(self.text()) }
        });
        status.exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

fn cells(n: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(n).expect("a screen has cells")
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn answer(asked: &[u8], terminal: Terminal) -> Vec<u8> {
    let has = |part: &[u8]| asked.windows(part.len()).any(|w| w == part);
    let mut reply = Vec::new();
    if terminal == Terminal::Silent || !has(b"\x1b[c") {
        return reply;
    }
    if terminal == Terminal::Kitty {
        if has(b"\x1b_Gi=31") {
            reply.extend_from_slice(b"\x1b_Gi=31;OK\x1b\\");
        }
        if has(b"\x1b[16t") {
            reply.extend_from_slice(b"\x1b[6;20;10t");
        }
    }
    reply.extend_from_slice(b"\x1b[?62;22c");
    reply
}
