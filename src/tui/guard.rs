//! The terminal's modes, which are restored however the program ends.

use std::io::{self, IsTerminal, Write};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};

/// While it lives, the terminal is in raw mode on its alternate screen.
pub(crate) struct TerminalGuard(());

impl TerminalGuard {
    pub(crate) fn enter() -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other("stdin or stdout is not a terminal"));
        }
        let guard = Self(());
        take()?;
        let before = std::panic::take_hook();
        let main = std::thread::current().id();
        std::panic::set_hook(Box::new(move |info| {
            // A worker's panic comes back as a message; only the loop's own ends the program.
            if std::thread::current().id() == main {
                restore();
                before(info);
            }
        }));
        Ok(guard)
    }

    /// Gives the terminal back for a while.
    #[allow(clippy::unused_self)]
    pub(crate) fn leave(&self) {
        restore();
    }

    /// Takes the terminal again, whatever modes the shell has left it in.
    #[allow(clippy::unused_self)]
    pub(crate) fn enter_again(&self) -> io::Result<()> {
        // crossterm knows its own changes only: where it believes in raw mode it would do nothing.
        disable_raw_mode()?;
        take()
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> io::Result<()> {
    // First, because a program in the background is stopped here, before it has written anything.
    enable_raw_mode()?;
    let mut out = io::stdout();
    execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
    // Not every terminal gives an empty one. (ratatui's own clearing asks where the cursor is,
    // which a silent terminal does not answer.)
    execute!(out, Clear(ClearType::All))
}

/// Gives the terminal back. Ignores errors: the terminal may be gone.
pub(crate) fn restore() {
    let mut out = io::stdout();
    // A frame may have failed half-way.
    let _ = execute!(out, EndSynchronizedUpdate);
    let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// Whether the terminal is closed, as opposed to one that refused something.
#[cfg(unix)]
pub(crate) fn is_gone() -> bool {
    rustix::termios::tcgetattr(rustix::stdio::stdin()).is_err()
}

/// A console does not go away.
#[cfg(not(unix))]
pub(crate) fn is_gone() -> bool {
    false
}
