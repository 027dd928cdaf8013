//! The loop: events become messages, messages change the state, effects go out, the screen
//! follows.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{Event as TermEvent, EventStream, KeyCode, KeyEvent, KeyModifiers};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use futures_util::StreamExt;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

use super::app::{State, Terminal};
use super::board::{self, ChartPicture, Lookout, Outside, Places, Sight, Steer};
use super::effect::{Effect, Ended};
use super::graphics::{Environment, PicturePrinter, Protocol, choose, probe};
use super::message::Message;
use super::ring::ring;
use super::runner::Runner;
use super::screen::Screen;
use super::theme::{Theme, ThemeError};
use super::update::{picture_cells, update};
use super::view::view;
use super::watch::Watch;
use artgpt_app::settings::{Paths, Settings};
use artgpt_engine::{Folders, Worker};
use artgpt_store::{Pictures, Store};

/// Where a terminal does not say how large its cells are.
pub const USUAL_CELL: (u16, u16) = (8, 16);
/// Messages handled before the screen is drawn again.
const BATCH: usize = 256;

/// What the interface starts with.
pub struct Options {
    pub settings: Settings,
    pub paths: Paths,
    /// Reads the settings again, with the flags on top.
    pub reload: Box<dyn Fn() -> Result<Settings, String> + Send>,
    pub image: Option<PathBuf>,
    pub session: Option<String>,
    /// Jobs, for the training panel.
    pub steer: Option<Arc<dyn Steer>>,
}

#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error(transparent)]
    Theme(#[from] ThemeError),
    #[error("the terminal cannot be used ({0}); run this in a terminal, or use `artgpt-tui ask`")]
    Terminal(io::Error),
    #[error("a thread cannot be started: {0}; close other programs")]
    Thread(io::Error),
    #[error(transparent)]
    Store(artgpt_store::StoreError),
}

type Backend = ratatui::Terminal<CrosstermBackend<io::Stdout>>;

/// Runs until the user quits.
pub fn run(options: Options) -> Result<Ended, TuiError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(TuiError::Thread)?;
    let result = runtime.block_on(main_loop(options));
    // A picture that is still being decoded must not keep the user.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn main_loop(options: Options) -> Result<Ended, TuiError> {
    let Options { settings, paths, reload, image, session, steer } = options;
    let env = Environment::read();
    let theme = Theme::load(&settings.theme, !env.no_color)?;
    let screen_guard = Screen::enter().map_err(TuiError::Terminal)?;
    let mut terminal =
        ratatui::Terminal::new(CrosstermBackend::new(io::stdout())).map_err(TuiError::Terminal)?;
    let size = terminal.size().map_err(TuiError::Terminal)?;
    let screen = Rect::new(0, 0, size.width, size.height);
    let graphics = settings.graphics;
    let unknown = Terminal { protocol: Protocol::Blocks, colours: env.colours(), cell: USUAL_CELL };
    let mut state = State::new(settings, theme, screen, unknown);
    let paintings = paths.models().join("met-paintings/files");
    if paintings.is_dir() {
        state.start_folder = format!("{}/", paintings.display());
    }
    // The first frame comes before the model, the store and the terminal's answers.
    terminal.draw(|frame| view(&state, frame)).map_err(TuiError::Terminal)?;

    let (messages, mut inbox) = unbounded_channel::<Message>();
    let worker = {
        let messages = messages.clone();
        Worker::spawn(
            state.settings.model.clone(),
            Folders { models: paths.models(), embeddings: paths.embeddings() },
            state.settings.device.clone(),
            move |event| drop(messages.send(Message::Model(event))),
        )
        .map_err(TuiError::Thread)?
    };
    let pictures = Pictures::new(paths.pictures());
    let store = {
        let messages = messages.clone();
        Store::spawn(paths.sessions(), pictures.clone(), move |event| {
            drop(messages.send(Message::Store(event)));
        })
        .map_err(TuiError::Thread)?
    };
    let runner =
        Runner { worker, store, pictures, paths: paths.clone(), messages: messages.clone() };

    let replies = env.wants_probe(graphics).then(|| probe().unwrap_or_default());
    let wanted = choose(graphics, &env, replies.as_ref());
    let (mut printer, protocol) = PicturePrinter::new(wanted);
    state.terminal.protocol = protocol;
    if let Some(cell) = replies.as_ref().and_then(|r| r.cell) {
        state.terminal.cell = cell;
    }
    for key in typed_keys(&replies.unwrap_or_default().typed) {
        let _ = messages.send(Message::Key(key));
    }
    // A folder that is made later could not be watched.
    if let Some(folder) = paths.config_file.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let _watch = Watch::start(
        &paths.config_file,
        &state.settings.theme,
        !env.no_color,
        reload,
        messages.clone(),
    );
    match (session, image) {
        // The picture joins the session, so it waits for it.
        (Some(id), image) => {
            state.open_after_loading = image;
            runner.run(Effect::LoadSession(id));
        }
        (None, Some(path)) => runner.run(Effect::OpenArtwork(path)),
        (None, None) => {}
    }
    let sights = messages.clone();
    let _lookout = Lookout::spawn(&paths.runs(), steer.clone(), move |sight| {
        let _ = sights.send(match sight {
            Sight::Gauges(load) => Message::Panel(Box::new(board::Message::Gauges(load))),
            Sight::News(items) => Message::News(items),
        });
    })
    .map_err(TuiError::Thread)?;
    let mut panel: Option<Outside> = None;
    let painted = messages.clone();
    let wake = move |told| {
        let _ = painted.send(Message::Panel(Box::new(board::Message::Painted(told))));
    };
    let mut chart = ChartPicture::spawn(wake).map_err(TuiError::Thread)?;
    listen_for_signals(messages.clone());

    let mut events = EventStream::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    // Hours without an answer must not be made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ticking = state.answer.is_some() || state.panel.is_some();
        let message = tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => from_terminal(event),
                // The terminal is gone: nothing more can come or be shown.
                Some(Err(_)) | None => Some(Message::Terminate),
            },
            message = inbox.recv() => message,
            _ = ticks.tick(), if ticking => Some(Message::Tick),
        };
        let mut next = message;
        let mut redraw_all = false;
        let mut handled = 0;
        while let Some(message) = next {
            for effect in update(&mut state, message) {
                match effect {
                    Effect::Quit(ended) => {
                        let saved = runner.store.close();
                        printer.forget().ok();
                        drop(screen_guard);
                        return saved.map(|()| ended).map_err(TuiError::Store);
                    }
                    Effect::Redraw => redraw_all = true,
                    Effect::OpenPanel => {
                        let places = Places {
                            paths: vec![paths.runs()],
                            pattern: None,
                            data: paths.data.clone(),
                            exports: std::env::current_dir().unwrap_or_default(),
                        };
                        let back = messages.clone();
                        let send = Arc::new(move |message| {
                            let _ = back.send(Message::Panel(Box::new(message)));
                        });
                        panel = Some(Outside::open(places, steer.clone(), send)?);
                    }
                    Effect::ClosePanel(change) => {
                        if let (Some(outside), Some(change)) = (panel.take(), change) {
                            outside.keep(*change);
                        }
                    }
                    Effect::Panel(effect) => {
                        if let (Some(outside), Some(board)) = (&panel, &state.panel) {
                            outside.run(board, effect);
                        }
                    }
                    Effect::Ring(text) => {
                        let mut out = io::stdout().lock();
                        // A notice that cannot be given is on the screen all the same.
                        let _ = ring(&state.settings.notices, &text, &mut out);
                        let _ = io::Write::flush(&mut out);
                    }
                    effect => runner.run(effect),
                }
            }
            handled += 1;
            next = if handled < BATCH { inbox.try_recv().ok() } else { None };
        }
        draw(&state, &mut terminal, (&mut printer, &mut chart), redraw_all)
            .map_err(TuiError::Terminal)?;
    }
}

/// One synchronised update: text by ratatui, then the picture over the cells it left alone.
fn draw(
    state: &State,
    terminal: &mut Backend,
    (printer, chart): (&mut PicturePrinter, &mut ChartPicture),
    redraw_all: bool,
) -> io::Result<()> {
    let mut out = io::stdout();
    crossterm::queue!(out, BeginSynchronizedUpdate)?;
    if redraw_all {
        printer.forget()?;
        blank(state, terminal)?;
    }
    terminal.draw(|frame| view(state, frame))?;
    let cells = picture_cells(state).filter(|_| state.popup.is_none());
    let wanted = cells.and_then(|cells| {
        let scaled = state.scaled.as_ref()?;
        let (key, _) = state.shown_picture()?;
        let current = state.scaling.as_ref()?;
        (scaled.sha256 == key && scaled.size == current.1).then_some((key, &scaled.image, cells))
    });
    // The training panel covers all else.
    let curves = state.panel.as_ref().map(|panel| chart.of(panel));
    let wanted = match &curves {
        Some(curves) => curves.as_ref().map(|(key, image, at)| (key.as_str(), image, *at)),
        None => wanted,
    };
    let began = Instant::now();
    if printer.over(terminal, state.screen, wanted, |frame| view(state, frame))? {
        chart.took(began.elapsed());
    }
    crossterm::execute!(out, EndSynchronizedUpdate)
}

/// Blanks the screen, so that the next frame draws every cell.
///
/// Not `Terminal::clear`, which asks the terminal where its cursor is and waits for the answer.
fn blank(state: &State, terminal: &mut Backend) -> io::Result<()> {
    terminal.resize(state.screen)
}

fn from_terminal(event: TermEvent) -> Option<Message> {
    match event {
        TermEvent::Key(key) => Some(Message::Key(key)),
        TermEvent::Paste(text) => Some(Message::Paste(text)),
        TermEvent::Resize(width, height) => Some(Message::Resize(width, height)),
        _ => None,
    }
}

/// Keys typed while the terminal was asked: plain characters, Enter and Backspace.
fn typed_keys(bytes: &[u8]) -> Vec<KeyEvent> {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter_map(|c| {
            let code = match c {
                '\r' | '\n' => KeyCode::Enter,
                '\u{7f}' => KeyCode::Backspace,
                c if c.is_control() => return None,
                c => KeyCode::Char(c),
            };
            Some(KeyEvent::new(code, KeyModifiers::NONE))
        })
        .collect()
}

fn listen_for_signals(messages: UnboundedSender<Message>) {
    tokio::spawn(async move {
        artgpt_machine::signals::terminate().await;
        let _ = messages.send(Message::Terminate);
    });
}
