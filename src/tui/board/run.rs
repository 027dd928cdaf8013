//! The panel's loop.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use futures_util::StreamExt;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use tokio::sync::mpsc::unbounded_channel;

use super::export::Export;
use super::state::Board;
use super::update::{Effect, Message, update};
use super::view::view;
use crate::runs::{Follower, Pattern};
use crate::tui::effect::Ended;
use crate::tui::graphics::Environment;
use crate::tui::run::TuiError;
use crate::tui::screen::Screen;
use crate::tui::theme::Theme;

/// Messages handled before the screen is drawn again.
const BATCH: usize = 256;

pub struct BoardOptions {
    pub paths: Vec<PathBuf>,
    pub pattern: Option<Pattern>,
    pub theme: String,
    /// Where exported files go.
    pub exports: PathBuf,
}

/// Runs until the user quits.
pub fn run_board(options: BoardOptions) -> Result<Ended, TuiError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(TuiError::Thread)?;
    runtime.block_on(main_loop(options))
}

async fn main_loop(options: BoardOptions) -> Result<Ended, TuiError> {
    let theme = Theme::load(&options.theme, !Environment::read().no_color)?;
    let screen_guard = Screen::enter().map_err(TuiError::Terminal)?;
    let mut terminal =
        ratatui::Terminal::new(CrosstermBackend::new(io::stdout())).map_err(TuiError::Terminal)?;
    let size = terminal.size().map_err(TuiError::Terminal)?;
    let mut board = Board::new(theme, Rect::new(0, 0, size.width, size.height));
    let (messages, mut inbox) = unbounded_channel();
    let changes = messages.clone();
    let follower = Follower::spawn(options.paths, options.pattern, move |change| {
        let _ = changes.send(Message::Runs(change));
    })
    .map_err(TuiError::Thread)?;
    let ended = messages.clone();
    tokio::spawn(async move {
        crate::signals::terminate().await;
        let _ = ended.send(Message::Terminate);
    });
    let mut events = EventStream::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut out = io::stdout();
        let drawn = crossterm::queue!(out, BeginSynchronizedUpdate)
            .and_then(|()| terminal.draw(|frame| view(&board, frame)).map(drop))
            .and_then(|()| crossterm::execute!(out, EndSynchronizedUpdate));
        drawn.map_err(TuiError::Terminal)?;
        let mut next = tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => Some(Message::Key(key)),
                Some(Ok(Event::Resize(width, height))) => Some(Message::Resize(width, height)),
                Some(Ok(_)) => None,
                // The terminal is gone.
                Some(Err(_)) | None => Some(Message::Terminate),
            },
            message = inbox.recv() => message,
            _ = ticks.tick() => Some(Message::Tick),
        };
        let mut handled = 0;
        while let Some(message) = next {
            for effect in update(&mut board, message) {
                match effect {
                    Effect::Quit { by_user } => {
                        drop(screen_guard);
                        drop(follower);
                        return Ok(if by_user { Ended::ByUser } else { Ended::BySystem });
                    }
                    Effect::Redraw => terminal.resize(board.screen).map_err(TuiError::Terminal)?,
                    Effect::Export(metric) => {
                        let export = Export::of(&board, &metric);
                        let (folder, messages) = (options.exports.clone(), messages.clone());
                        std::thread::spawn(move || {
                            let told = export.write(&folder);
                            let told = told.unwrap_or_else(|e| format!("cannot write: {e}"));
                            let _ = messages.send(Message::Notice(told));
                        });
                    }
                }
            }
            handled += 1;
            next = if handled < BATCH { inbox.try_recv().ok() } else { None };
        }
    }
}
