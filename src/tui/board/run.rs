//! The panel's loop, where it has the terminal to itself.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use futures_util::StreamExt;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use tokio::sync::mpsc::unbounded_channel;

use super::chart_picture::ChartPicture;
use super::lookout::{Lookout, Sight};
use super::outside::{Outside, Places};
use super::state::Board;
use super::steer::Steer;
use super::update::{Effect, Message, keep, update};
use super::view::view;
use crate::tui::effect::Ended;
use crate::tui::graphics::{Environment, PicturePrinter, choose, probe};
use crate::tui::ring::ring;
use crate::tui::run::TuiError;
use crate::tui::screen::Screen;
use crate::tui::theme::Theme;
use artgpt_app::settings::{GraphicsChoice, NoticeSettings};

/// Messages handled before the screen is drawn again.
const BATCH: usize = 256;

pub struct BoardOptions {
    pub places: Places,
    pub theme: String,
    pub graphics: GraphicsChoice,
    pub notices: NoticeSettings,
    pub steer: Option<Arc<dyn Steer>>,
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
    let env = Environment::read();
    let theme = Theme::load(&options.theme, !env.no_color)?;
    let screen_guard = Screen::enter().map_err(TuiError::Terminal)?;
    let mut terminal =
        ratatui::Terminal::new(CrosstermBackend::new(io::stdout())).map_err(TuiError::Terminal)?;
    let size = terminal.size().map_err(TuiError::Terminal)?;
    let mut board = Board::new(theme, Rect::new(0, 0, size.width, size.height));
    board.colours = env.colours();
    let replies = env.wants_probe(options.graphics).then(|| probe().unwrap_or_default());
    let wanted = choose(options.graphics, &env, replies.as_ref());
    let (mut printer, protocol) = PicturePrinter::new(wanted);
    if !protocol.in_buffer() {
        let usual = crate::tui::run::USUAL_CELL;
        board.cell = Some(replies.and_then(|r| r.cell).unwrap_or(usual));
    }
    let (messages, mut inbox) = unbounded_channel();
    let sender = messages.clone();
    let send = Arc::new(move |message| drop(sender.send(message)));
    let own_runs = options.places.data.join("runs");
    let sights = messages.clone();
    let lookout = Lookout::spawn(&own_runs, options.steer.clone(), move |sight| {
        let _ = sights.send(match sight {
            Sight::Gauges(load) => Message::Gauges(load),
            Sight::News(items) => Message::News(items),
        });
    })
    .map_err(TuiError::Thread)?;
    let outside = Outside::open(options.places, options.steer, send)?;
    board.steers = outside.steers();
    let ended = messages.clone();
    tokio::spawn(async move {
        artgpt_machine::signals::terminate().await;
        let _ = ended.send(Message::Terminate);
    });
    let mut events = EventStream::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let painted = messages.clone();
    let wake = move |told| drop(painted.send(Message::Painted(told)));
    let mut chart = ChartPicture::spawn(wake).map_err(TuiError::Thread)?;
    loop {
        let mut out = io::stdout();
        let drawn = crossterm::queue!(out, BeginSynchronizedUpdate)
            .and_then(|()| terminal.draw(|frame| view(&board, frame)).map(drop))
            .and_then(|()| {
                let wanted = chart.of(&board);
                let wanted = wanted.as_ref().map(|(key, image, at)| (key.as_str(), image, *at));
                let began = Instant::now();
                let printed = printer.over(&mut terminal, board.screen, wanted, |frame| {
                    view(&board, frame);
                })?;
                if printed {
                    chart.took(began.elapsed());
                }
                Ok(())
            })
            .and_then(|()| crossterm::execute!(out, EndSynchronizedUpdate));
        drawn.map_err(TuiError::Terminal)?;
        let mut next = tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => Some(Message::Key(key)),
                Some(Ok(Event::Paste(text))) => Some(Message::Paste(text)),
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
                match outside.run(&board, effect) {
                    Some(Effect::Quit { by_user }) => {
                        if let Some(change) = keep(&mut board) {
                            outside.keep(change);
                        }
                        printer.forget().ok();
                        drop(screen_guard);
                        drop(lookout);
                        outside.finish();
                        return Ok(if by_user { Ended::ByUser } else { Ended::BySystem });
                    }
                    Some(Effect::Redraw) => {
                        printer.forget().map_err(TuiError::Terminal)?;
                        terminal.resize(board.screen).map_err(TuiError::Terminal)?;
                    }
                    Some(Effect::Ring(text)) => {
                        let mut out = io::stdout().lock();
                        // A notice that cannot be given is on the screen all the same.
                        let _ = ring(&options.notices, &text, &mut out).and_then(|()| out.flush());
                    }
                    _ => {}
                }
            }
            handled += 1;
            next = if handled < BATCH { inbox.try_recv().ok() } else { None };
        }
    }
}
