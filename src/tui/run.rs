//! Starts the interface: the chat, or the training panel alone (`watch`).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::app::App;
use super::chat::{self, Message as ChatMessage};
use super::display::Display;
use super::effect::{Effect, Ended};
use super::event_loop::{Events, event_loop};
use super::executor::{Executor, MAX_THREADS};
use super::graphics::{Environment, Protocol};
use super::guard::{TerminalGuard, restore};
use super::input::{Decoder, InputThread};
use super::keys::Keymap;
use super::message::Message;
use super::panel::{self, ChartPicture, MachineWatch, Panel, PanelPaths, Sight, Steer};
use super::reload::{Files, Reload, reload_on_change};
use super::services::{ChatServices, Services};
use super::theme::{Theme, ThemeError};
use super::ui::{DEFAULT_CELL, Terminal, Ui};
use artgpt_app::explain_inference;
use artgpt_app::settings::{GraphicsChoice, NoticeSettings, Paths, Settings};
use artgpt_engine::{Folders, Worker};
use artgpt_machine::signals::{self, ScreenSignal};
use artgpt_store::{Pictures, Store};

/// An image that is still being decoded must not delay the end.
const SHUTDOWN: Duration = Duration::from_millis(200);
/// A terminal that takes a frame takes it within this.
const STALLED: Duration = Duration::from_millis(500);

/// What the chat starts with.
pub struct Options {
    /// Settings with the flags on top.
    pub settings: Settings,
    /// The data folder and the configuration file.
    pub paths: Paths,
    /// Reads the settings again, with the flags on top.
    pub reload: Box<dyn Fn() -> Result<Settings, String> + Send>,
    /// Artworks to open.
    pub pictures: Vec<PathBuf>,
    /// A session to resume.
    pub session: Option<String>,
    /// Jobs, for the training panel.
    pub steer: Option<Arc<dyn Steer>>,
}

/// What `watch` starts with.
pub struct WatchOptions {
    /// The runs to follow, and where files go.
    pub paths: PanelPaths,
    /// A theme's name or file.
    pub theme: String,
    /// The user's own keys.
    pub keys_file: PathBuf,
    /// How images are drawn.
    pub graphics: GraphicsChoice,
    /// What news of a run does.
    pub notices: NoticeSettings,
    /// Jobs.
    pub steer: Option<Arc<dyn Steer>>,
}

/// Why the interface cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The theme cannot be used.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The terminal cannot be read or written.
    #[error("cannot use the terminal: {0}")]
    Terminal(io::Error),
    /// Signals cannot be handled.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// The system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Turns that could not be saved.
    #[error(transparent)]
    Store(artgpt_store::StoreError),
}

/// Runs the chat until the user quits.
pub fn run(options: Options) -> Result<Ended, TuiError> {
    on_runtime(run_chat(options))
}

/// Runs the training panel alone until the user quits.
pub fn watch(options: WatchOptions) -> Result<Ended, TuiError> {
    on_runtime(run_watch(options))
}

fn on_runtime(work: impl Future<Output = Result<Ended, TuiError>>) -> Result<Ended, TuiError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(MAX_THREADS)
        .enable_all()
        .build()
        .map_err(TuiError::Thread)?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

async fn run_chat(options: Options) -> Result<Ended, TuiError> {
    let Options { settings, paths, reload, pictures, session, steer } = options;
    let env = Environment::read();
    let theme = Theme::load(&settings.theme, !env.no_color)?;
    let (messages, inbox) = unbounded_channel::<Message>();
    let (terminal_messages, from_terminal) = unbounded_channel::<Message>();
    let begun = Arc::new(AtomicBool::new(false));
    listen(terminal_messages.clone(), begun.clone())?;
    let mut display = enter(&messages)?;
    let (keymap, wrong_keys) = Keymap::load_or_default(&paths.keys_file());
    let terminal =
        Terminal { protocol: Protocol::Blocks, colours: env.colours(), cell: DEFAULT_CELL };
    let screen = display.screen().map_err(TuiError::Terminal)?;
    let ui = Ui { screen, terminal, theme, keymap: Arc::new(keymap), zone: TimeZone::system() };
    let mut chat = chat::State::new(settings, ui);
    if let Some(error) = wrong_keys {
        chat.report_error(error.to_string());
    }
    let notices = chat.settings.notices.clone();
    let mut app = App { chat: Some(chat), panel: None, notices };
    // The first frame comes before the model, the store and the terminal's answers.
    display.draw(&app).map_err(TuiError::Terminal)?;

    let Some(chat) = &mut app.chat else { return Ok(Ended::BySystem) };
    let mut services = Services {
        executor: Executor::new(messages.clone()),
        messages: messages.clone(),
        steer,
        chat: Some(start_chat_services(&chat.settings, &paths, &messages)?),
        panel: None,
    };
    let (terminal, bytes) = display.probe(chat.settings.graphics, &env);
    chat.ui.terminal = terminal;
    let _input = read_terminal(&bytes, terminal_messages)?;
    let files = Files {
        config: paths.config_file.clone(),
        theme: PathBuf::from(&chat.settings.theme),
        keys: paths.keys_file(),
    };
    let _reload = reload_on_change(
        files,
        Reload { settings: reload, colour: !env.no_color },
        messages.clone(),
    );
    chat.artwork.waiting = pictures.into();
    services.run(Effect::FindPaintings)?;
    // The artworks join the session, so they wait for it.
    match session {
        Some(id) => services.run(Effect::LoadSession(id))?,
        None => chat.artwork.open_next().into_iter().try_for_each(|effect| services.run(effect))?,
    }
    let _machine = watch_machine(&paths.runs(), services.steer.clone(), &messages)?;
    event_loop(app, display, services, Events::new(from_terminal, inbox, begun)).await
}

async fn run_watch(options: WatchOptions) -> Result<Ended, TuiError> {
    let WatchOptions { paths, theme, keys_file, graphics, notices, steer } = options;
    let env = Environment::read();
    let theme = Theme::load(&theme, !env.no_color)?;
    let (messages, inbox) = unbounded_channel::<Message>();
    let (terminal_messages, from_terminal) = unbounded_channel::<Message>();
    let begun = Arc::new(AtomicBool::new(false));
    listen(terminal_messages.clone(), begun.clone())?;
    let mut display = enter(&messages)?;
    let screen = display.screen().map_err(TuiError::Terminal)?;
    let mut panel = Panel::new(theme, screen, artgpt_runs::steady_now());
    let (keymap, wrong_keys) = Keymap::load_or_default(&keys_file);
    panel.keymap = Arc::new(keymap);
    panel.zone = TimeZone::system();
    panel.notice = wrong_keys.map(|error| error.to_string());
    panel.steers = steer.is_some();
    let (terminal, bytes) = display.probe(graphics, &env);
    panel.colours = terminal.colours;
    panel.cell = (!terminal.protocol.in_buffer()).then_some(terminal.cell);
    let _input = read_terminal(&bytes, terminal_messages)?;
    let _machine = watch_machine(&paths.data.join("runs"), steer.clone(), &messages)?;
    let mut services = Services {
        executor: Executor::new(messages.clone()),
        messages: messages.clone(),
        steer,
        chat: None,
        panel: None,
    };
    services.follow(&paths)?;
    let app = App { chat: None, panel: Some(Box::new(panel)), notices };
    event_loop(app, display, services, Events::new(from_terminal, inbox, begun)).await
}

/// Takes over the terminal.
fn enter(messages: &UnboundedSender<Message>) -> Result<Display, TuiError> {
    let guard = TerminalGuard::enter().map_err(TuiError::Terminal)?;
    let painted = messages.clone();
    let chart = ChartPicture::spawn(move |result| {
        let _ = painted.send(panel::Message::Painted(result).into());
    });
    Display::enter(guard, chart.map_err(TuiError::Thread)?).map_err(TuiError::Terminal)
}

fn start_chat_services(
    settings: &Settings,
    paths: &Paths,
    messages: &UnboundedSender<Message>,
) -> Result<ChatServices, TuiError> {
    let folders = Folders { models: paths.models(), embeddings: paths.embeddings() };
    let sender = messages.clone();
    let on_event = move |event| drop(sender.send(ChatMessage::Model(event).into()));
    let (model, device) = (settings.model.clone(), settings.device.clone());
    let (network, explain) = (settings.network.clone(), explain_inference);
    let worker = Worker::spawn(model, folders, device, network, explain, on_event)
        .map_err(TuiError::Thread)?;
    let pictures = Pictures::new(paths.pictures());
    let sender = messages.clone();
    let on_event = move |event| drop(sender.send(ChatMessage::Store(event).into()));
    let store =
        Store::spawn(paths.sessions(), pictures.clone(), on_event).map_err(TuiError::Thread)?;
    Ok(ChatServices { worker, store, pictures, paths: paths.clone(), answering: None })
}

/// Watches the machine and our own runs.
fn watch_machine(
    runs: &std::path::Path,
    steer: Option<Arc<dyn Steer>>,
    messages: &UnboundedSender<Message>,
) -> Result<MachineWatch, TuiError> {
    let messages = messages.clone();
    let tell = move |sight| {
        let _ = messages.send(match sight {
            Sight::Load(load) => panel::Message::Load(load).into(),
            Sight::News(items) => Message::News(items),
        });
    };
    MachineWatch::spawn(runs, steer, tell).map_err(TuiError::Thread)
}

/// Reads the terminal from now on. `bytes` came from it before.
fn read_terminal(
    bytes: &[u8],
    messages: UnboundedSender<Message>,
) -> Result<InputThread, TuiError> {
    let mut decoder = Decoder::default();
    for input in decoder.feed(bytes) {
        let _ = messages.send(input.into());
    }
    InputThread::spawn(decoder, messages).map_err(TuiError::Thread)
}

/// Turns signals into messages. Before the loop has `begun`, nothing hears these.
fn listen(messages: UnboundedSender<Message>, begun: Arc<AtomicBool>) -> Result<(), TuiError> {
    let tell = move |signal| {
        let message = match signal {
            ScreenSignal::Terminate => {
                tokio::spawn(end_without_terminal(messages.clone(), begun.clone()));
                Some(Message::Terminate)
            }
            ScreenSignal::Suspend => Some(Message::Suspend),
            ScreenSignal::Resume => {
                let _ = messages.send(Message::Resume);
                // It may have another size since.
                resized()
            }
            ScreenSignal::Resize => resized(),
        };
        message.is_none_or(|message| messages.send(message).is_ok())
    };
    signals::on_screen_signals(tell).map_err(TuiError::Signals)
}

fn resized() -> Option<Message> {
    let (width, height) = crossterm::terminal::size().ok()?;
    Some(Message::Resize(width, height))
}

/// Lets the program end where it waits for the terminal: in a write that the terminal does not take, or
/// at the start for an answer that does not come.
async fn end_without_terminal(messages: UnboundedSender<Message>, begun: Arc<AtomicBool>) {
    tokio::select! {
        // The loop has given the terminal back.
        () = messages.closed() => {}
        () = tokio::time::sleep(STALLED) => match begun.load(Ordering::Relaxed) {
            true => drop(signals::abandon_stdout()),
            // There is nothing to save yet.
            false => {
                // A write that hangs holds stdout, so this may hang, too.
                std::thread::spawn(restore);
                tokio::time::sleep(SHUTDOWN).await;
                std::process::exit(Ended::BY_SYSTEM.into());
            }
        },
    }
}
