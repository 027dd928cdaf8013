//! The terminal's modes, which are undone however the program ends.

use std::io::{self, IsTerminal, Write};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};

/// While it lives, the terminal is in raw mode on its alternate screen.
pub struct Screen(());

impl Screen {
    pub fn enter() -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other("stdin or stdout is not a terminal"));
        }
        enable_raw_mode()?;
        let screen = Self(());
        let mut out = io::stdout();
        execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        // Not every terminal gives an empty one. (ratatui's own clearing asks where the cursor is,
        // which a silent terminal does not answer.)
        execute!(out, Clear(ClearType::All))?;
        let before = std::panic::take_hook();
        let main = std::thread::current().id();
        std::panic::set_hook(Box::new(move |info| {
            // A worker's panic comes back as a message; only the loop's own ends the screen.
            if std::thread::current().id() == main {
                restore();
                before(info);
            }
        }));
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Errors are of no use here: the terminal may be gone.
fn restore() {
    let mut out = io::stdout();
    let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}
