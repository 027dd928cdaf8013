//! The panel's loop.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use futures_util::StreamExt;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use tokio::sync::mpsc::unbounded_channel;

use super::state::{Board, began};
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
    tokio::spawn(async move {
        crate::signals::terminate().await;
        let _ = messages.send(Message::Terminate);
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
                        let told = export(&board, &metric, &options.exports)
                            .unwrap_or_else(|e| format!("cannot write: {e}"));
                        board.notice = Some(told);
                    }
                }
            }
            handled += 1;
            next = if handled < BATCH { inbox.try_recv().ok() } else { None };
        }
    }
}

/// Writes what the chart shows: a line a point.
fn export(board: &Board, metric: &str, folder: &Path) -> io::Result<String> {
    let plain = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    let path = folder.join(format!("{}.csv", metric.chars().map(plain).collect::<String>()));
    let mut writer = csv::Writer::from_path(&path)?;
    writer.write_record(["run", "step", "wall_time", "value"])?;
    let mut points = 0;
    for i in board.drawn() {
        let run = board.run(i);
        let Some((series, began)) = run.curves.get(metric).zip(began(&run)) else { continue };
        let Some((low, high)) = board.seen(metric) else { continue };
        for at in series.within(board.scale.axis, began, low, high.next_up()) {
            let Some(point) = series.get(at) else { continue };
            let wall = if point.wall.is_finite() { point.wall.to_string() } else { String::new() };
            let path = run.path.display().to_string();
            writer.write_record([path, point.step.to_string(), wall, point.value.to_string()])?;
            points += 1;
        }
    }
    writer.flush()?;
    Ok(format!("{points} points are in {}", path.display()))
}
