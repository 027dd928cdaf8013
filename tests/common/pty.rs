//! The program in a pseudo-terminal, and its screen.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use filedescriptor::{POLLIN, poll, pollfd};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::wait;

pub(crate) struct Pty {
    pub(crate) child: Box<dyn Child + Send + Sync>,
    line: Option<Line>,
    screen: Arc<Mutex<Recorded>>,
    /// The terminal's modes before the program changed them.
    modes: String,
}

/// The other side of the terminal.
struct Line {
    master: Box<dyn MasterPty + Send>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    /// Ends when the last process that has the terminal open ends, or when it is told to.
    reader: JoinHandle<()>,
    stop: Arc<AtomicBool>,
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
    /// The same, but falls silent after its first answer.
    KittyOnce,
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
        let modes = modes(&*pair.master);
        let child = pair.slave.spawn_command(command).expect("starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = Arc::new(Mutex::new(pair.master.take_writer().expect("a writer")));
        let parser = vt100::Parser::new(cells(size.1), cells(size.0), 0);
        let screen = Arc::new(Mutex::new(Recorded { parser, bytes: Vec::new() }));
        let (seen, answers) = (screen.clone(), writer.clone());
        let fd = pair.master.as_raw_fd().expect("a terminal");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            let mut answered = 0;
            while readable(fd, &stopped)
                && let Ok(n @ 1..) = reader.read(&mut buffer)
            {
                let mut recorded = seen.lock().expect("no panic");
                recorded.parser.process(&buffer[..n]);
                recorded.bytes.extend_from_slice(&buffer[..n]);
                let reply = answer(&recorded.bytes[answered..], terminal);
                let silent = terminal == Terminal::KittyOnce && answered > 0;
                if !reply.is_empty() && !silent {
                    answered = recorded.bytes.len();
                    drop(recorded);
                    answers.lock().expect("no panic").write_all(&reply).ok();
                }
            }
        });
        let line = Some(Line { master: pair.master, writer, reader, stop });
        Self { child, line, screen, modes }
    }

    pub(crate) fn send(&self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        let mut writer = self.line().writer.lock().expect("no panic");
        writer.write_all(bytes).expect("the program reads");
        writer.flush().expect("the program reads");
    }

    fn line(&self) -> &Line {
        self.line.as_ref().expect("the terminal is open")
    }

    /// Closes the terminal, as a lost connection does.
    pub(crate) fn hang_up(&mut self) {
        let Line { master, writer, reader, stop } = self.line.take().expect("the terminal is open");
        stop.store(true, Ordering::SeqCst);
        reader.join().expect("no panic");
        drop((writer, master));
    }

    /// Takes nothing of what the program writes from now on.
    pub(crate) fn stop_reading(&self) {
        self.line().stop.store(true, Ordering::SeqCst);
        wait::until("the reader ends", || {
            if self.line().reader.is_finished() { Ok(()) } else { Err(self.text()) }
        });
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it is there");
    }

    fn pid(&self) -> rustix::process::Pid {
        let pid = self.child.process_id().expect("it was started");
        rustix::process::Pid::from_raw(pid.try_into().expect("a number")).expect("a number")
    }

    /// Whether the program is stopped, as Ctrl-Z stops it.
    pub(crate) fn is_stopped(&self) -> bool {
        let pid = self.pid().as_raw_nonzero();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
        // After the command's name in parentheses.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Whether the terminal has the modes that it had before the program.
    pub(crate) fn has_first_modes(&self) -> bool {
        modes(&*self.line().master) == self.modes
    }

    pub(crate) fn cursor_is_hidden(&self) -> bool {
        self.screen.lock().expect("no panic").parser.screen().hide_cursor()
    }

    /// Shows what another program writes to the terminal.
    pub(crate) fn show(&self, bytes: &[u8]) {
        self.screen.lock().expect("no panic").parser.process(bytes);
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
        self.line().master.resize(pty_size(size)).expect("resizes");
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
            if self.line().reader.is_finished() { Ok(()) } else { Err(self.text()) }
        });
        status.exit_code()
    }

    /// Waits for the program's end, at most for `time`. Its exit code.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Result<u32, String> {
        let deadline = std::time::Instant::now() + time;
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return Ok(status.exit_code());
            }
            if std::time::Instant::now() > deadline {
                return Err(format!("it still runs; its screen was\n{}", self.text()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Waits until there is something to read; false once the reader is to stop.
fn readable(fd: std::os::fd::RawFd, stopped: &AtomicBool) -> bool {
    while !stopped.load(Ordering::SeqCst) {
        let mut polled = [pollfd { fd, events: POLLIN, revents: 0 }];
        if poll(&mut polled, Some(Duration::from_millis(10))).is_ok_and(|ready| ready > 0) {
            return true;
        }
    }
    false
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().expect("a terminal"))
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
    if matches!(terminal, Terminal::Kitty | Terminal::KittyOnce) {
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
