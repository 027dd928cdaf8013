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
        enable_raw_mode()?;
        let guard = Self(());
        let mut out = io::stdout();
        execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        // Not every terminal gives an empty one. (ratatui's own clearing asks where the cursor is,
        // which a silent terminal does not answer.)
        execute!(out, Clear(ClearType::All))?;
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
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

/// Ignores errors: the terminal may be gone.
fn restore() {
    let mut out = io::stdout();
    // A frame may have failed half-way.
    let _ = execute!(out, EndSynchronizedUpdate);
    let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}
