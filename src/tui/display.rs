//! The terminal as it is drawn: text by ratatui, images over the cells that it leaves alone.

use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Instant;

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
use artgpt_machine::signals;

/// Draws the interface, and restores the terminal when it is dropped.
pub(crate) struct Display {
    /// Never dropped: its end shows the cursor, which the guard does, and reports on stderr where that
    /// fails, which panics where the terminal is gone.
    terminal: ManuallyDrop<Ratatui<CrosstermBackend<io::Stdout>>>,
    printer: PicturePrinter,
    chart: ChartPicture,
    /// The next frame draws every cell and image.
    redraw: bool,
    /// The terminal is the shell's until the program is continued.
    suspended: bool,
    // Last, so that it restores the terminal after all else.
    guard: TerminalGuard,
}

impl Display {
    /// Takes over the terminal. Images are text until [`Self::probe`].
    pub(crate) fn enter(guard: TerminalGuard, chart: ChartPicture) -> io::Result<Self> {
        let terminal = ManuallyDrop::new(Ratatui::new(CrosstermBackend::new(io::stdout()))?);
        let (printer, _) = PicturePrinter::new(Protocol::Blocks);
        Ok(Self { terminal, printer, chart, redraw: false, suspended: false, guard })
    }

    pub(crate) fn screen(&self) -> io::Result<Rect> {
        let size = self.terminal.size()?;
        Ok(Rect::new(0, 0, size.width, size.height))
    }

    /// Asks the terminal what it can show; returns what it sent meanwhile, keys and replies alike.
    /// Call it before anything reads the terminal.
    pub(crate) fn probe(
        &mut self,
        choice: GraphicsChoice,
        env: &Environment,
    ) -> (Terminal, Vec<u8>) {
        let replies = env.wants_probe(choice).then(|| probe().unwrap_or_default());
        let wanted = choose(choice, env, replies.as_ref());
        let (printer, protocol) = PicturePrinter::new(wanted);
        self.printer = printer;
        let replies = replies.unwrap_or_default();
        let cell = replies.cell.unwrap_or(DEFAULT_CELL);
        (Terminal { protocol, colours: env.colours(), cell }, replies.bytes)
    }

    /// Draws one frame, inside a synchronised update. Draws nothing while the program is suspended.
    pub(crate) fn draw(&mut self, app: &App) -> io::Result<()> {
        if self.suspended {
            return Ok(());
        }
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

    /// Gives the terminal back and stops the program, until somebody continues it. Nothing is drawn
    /// before [`Self::resume`].
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        // The terminal may be gone; the next read says so.
        let _ = self.printer.forget();
        self.guard.leave();
        self.suspended = true;
        match signals::stop_group() {
            Ok(()) => Ok(()),
            // Nothing will continue what has not stopped.
            Err(_) => self.resume(),
        }
    }

    /// Takes the terminal again, also where the program was stopped without a warning.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.guard.enter_again()?;
        self.suspended = false;
        self.redraw = true;
        Ok(())
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
