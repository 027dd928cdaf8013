//! The terminal as it is drawn: text by ratatui, images over the cells that it leaves alone.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use image::RgbImage;
use ratatui::Terminal as Ratatui;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::app::App;
use super::chat;
use super::graphics::{Environment, PicturePrinter, Protocol, choose, probe};
use super::guard::TerminalGuard;
use super::panel::ChartPicture;
use super::ring::ring;
use super::ui::{DEFAULT_CELL, Terminal};
use artgpt_app::settings::{GraphicsChoice, NoticeSettings};

/// Draws the interface, and restores the terminal when it is dropped.
pub(crate) struct Display {
    terminal: Ratatui<CrosstermBackend<io::Stdout>>,
    printer: PicturePrinter,
    chart: ChartPicture,
    /// The next frame draws every cell and image.
    redraw: bool,
    // Last, so that it restores the terminal after all else.
    _guard: TerminalGuard,
}

impl Display {
    /// Takes over the terminal. Images are text until [`Self::probe`].
    pub(crate) fn enter(guard: TerminalGuard, chart: ChartPicture) -> io::Result<Self> {
        let terminal = Ratatui::new(CrosstermBackend::new(io::stdout()))?;
        let (printer, _) = PicturePrinter::new(Protocol::Blocks);
        Ok(Self { terminal, printer, chart, redraw: false, _guard: guard })
    }

    pub(crate) fn screen(&self) -> io::Result<Rect> {
        let size = self.terminal.size()?;
        Ok(Rect::new(0, 0, size.width, size.height))
    }

    /// Asks the terminal what it can show; keys typed meanwhile are not lost. Call it before
    /// anything reads events.
    pub(crate) fn probe(
        &mut self,
        choice: GraphicsChoice,
        env: &Environment,
    ) -> (Terminal, Vec<KeyEvent>) {
        let replies = env.wants_probe(choice).then(|| probe().unwrap_or_default());
        let wanted = choose(choice, env, replies.as_ref());
        let (printer, protocol) = PicturePrinter::new(wanted);
        self.printer = printer;
        let replies = replies.unwrap_or_default();
        let cell = replies.cell.unwrap_or(DEFAULT_CELL);
        (Terminal { protocol, colours: env.colours(), cell }, typed_keys(&replies.typed))
    }

    /// Draws one frame, inside a synchronised update.
    pub(crate) fn draw(&mut self, app: &App) -> io::Result<()> {
        let mut out = io::stdout();
        crossterm::queue!(out, BeginSynchronizedUpdate)?;
        if std::mem::take(&mut self.redraw) {
            self.printer.forget()?;
            // Not `Terminal::clear`, which asks the terminal where its cursor is and waits.
            self.terminal.resize(app.screen())?;
        }
        self.terminal.draw(|frame| app.view(frame))?;
        let curves = app.panel.as_ref().map(|panel| self.chart.of(panel));
        let wanted: Option<(&str, &Arc<RgbImage>, Rect)> = match (&curves, &app.chat) {
            // The panel covers all else.
            (Some(curves), _) => curves.as_ref().map(|(key, image, at)| (key.as_str(), image, *at)),
            (None, Some(chat)) => chat::picture(chat),
            (None, None) => None,
        };
        let began = Instant::now();
        let view = |frame: &mut ratatui::Frame| app.view(frame);
        if self.printer.over(&mut self.terminal, app.screen(), wanted, view)? {
            self.chart.took(began.elapsed());
        }
        crossterm::execute!(out, EndSynchronizedUpdate)
    }

    /// Has the next frame draw every cell and image.
    pub(crate) fn redraw(&mut self) {
        self.redraw = true;
    }

    /// Rings the bell, or what the settings say instead.
    pub(crate) fn ring(&self, settings: &NoticeSettings, text: &str) {
        let mut out = io::stdout().lock();
        // The notice is on the screen, too.
        let _ = ring(settings, text, &mut out).and_then(|()| out.flush());
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.printer.forget();
    }
}

/// Keys typed while the terminal was asked: plain characters, Enter and Backspace.
fn typed_keys(bytes: &[u8]) -> Vec<KeyEvent> {
    let text = String::from_utf8_lossy(bytes);
    let codes = text.chars().filter_map(|c| match c {
        '\r' | '\n' => Some(KeyCode::Enter),
        '\u{7f}' => Some(KeyCode::Backspace),
        c if c.is_control() => None,
        c => Some(KeyCode::Char(c)),
    });
    codes.map(|code| KeyEvent::new(code, KeyModifiers::NONE)).collect()
}
