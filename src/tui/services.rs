//! Carries out effects: on the executor, by the model's and the store's threads, or by the panel.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::{FilterType, resize, thumbnail};
use tokio::sync::mpsc::UnboundedSender;

use super::chat::{Message as ChatMessage, Opened, Scaled};
use super::effect::Effect;
use super::executor::{Executor, Queue};
use super::message::Message;
use super::panel::{self, FindRuns, PanelPaths, Steer};
use super::run::TuiError;
use artgpt_app::catalogue::choices;
use artgpt_app::explain;
use artgpt_app::settings::Paths;
use artgpt_art::{ArtError, Artwork, FormalFeatures, View, within};
use artgpt_engine::{Cancel, Picture, Worker};
use artgpt_store::{Pictures, Store};

/// Images for the screen are kept no larger than this.
const SCREEN_SIDE: u32 = 1600;
const NOT_DECODED: &str = "cannot decode the image; convert it to PNG";

/// What effects are carried out by.
pub(crate) struct Services {
    pub(crate) executor: Executor,
    pub(crate) messages: UnboundedSender<Message>,
    pub(crate) steer: Option<Arc<dyn Steer>>,
    /// `watch` has none.
    pub(crate) chat: Option<ChatServices>,
    /// While the panel is open.
    pub(crate) panel: Option<PanelServices>,
}

/// What is behind an open panel.
pub(crate) struct PanelServices {
    context: Arc<panel::effects::Context>,
    _runs: FindRuns,
}

/// The threads behind the chat.
pub(crate) struct ChatServices {
    pub(crate) worker: Worker,
    pub(crate) store: Store,
    pub(crate) pictures: Pictures,
    pub(crate) paths: Paths,
    /// Stops the answer with this id, the newest one.
    pub(crate) answering: Option<(u64, Cancel)>,
}

impl Services {
    /// Carries out one effect; the loop has carried out those of the screen.
    pub(crate) fn run(&mut self, effect: Effect) -> Result<(), TuiError> {
        match effect {
            Effect::OpenPanel => self.open_panel()?,
            Effect::ClosePanel(change) => {
                if let (Some(panel), Some(change)) = (self.panel.take(), change) {
                    panel.run(&self.executor, panel::Effect::SaveState(*change));
                }
            }
            Effect::Panel(effect) => {
                if let Some(panel) = &self.panel {
                    panel.run(&self.executor, effect);
                }
            }
            effect => {
                if let Some(chat) = &mut self.chat {
                    chat.run(&self.executor, effect);
                }
            }
        }
        Ok(())
    }

    /// Waits until the store, the panel's state and the notes are written.
    ///
    /// # Errors
    /// [`TuiError::Store`] names what was not saved.
    pub(crate) async fn finish(self) -> Result<(), TuiError> {
        let saved = self.chat.map_or(Ok(()), |chat| chat.store.close());
        self.executor.flush(Queue::SavedState).await;
        self.executor.flush(Queue::Notes).await;
        saved.map_err(TuiError::Store)
    }

    fn open_panel(&mut self) -> Result<(), TuiError> {
        let Some(chat) = &self.chat else { return Ok(()) };
        let paths = PanelPaths {
            paths: vec![chat.paths.runs()],
            pattern: None,
            data: chat.paths.data.clone(),
            exports: std::env::current_dir().unwrap_or_else(|_| ".".into()),
        };
        self.follow(&paths)
    }

    /// Follows runs for a panel.
    pub(crate) fn follow(&mut self, paths: &PanelPaths) -> Result<(), TuiError> {
        let messages = self.messages.clone();
        let runs = FindRuns::spawn(paths, move |change| {
            let _ = messages.send(panel::Message::Runs(change).into());
        });
        let context = panel::effects::Context::new(paths, self.steer.clone());
        let panel =
            PanelServices { context: Arc::new(context), _runs: runs.map_err(TuiError::Thread)? };
        for effect in panel::effects::initial() {
            panel.run(&self.executor, effect);
        }
        self.panel = Some(panel);
        Ok(())
    }
}

impl PanelServices {
    fn run(&self, executor: &Executor, effect: panel::Effect) {
        let context = self.context.clone();
        let queue = queue(&effect);
        let panicked = panel::Message::Notice("internal error: this effect failed".into());
        let work = move || panel::effects::perform(effect, &context);
        match queue {
            Some(queue) => executor.run_in_order(queue, panicked, work),
            None => executor.run(panicked, work),
        }
    }
}

/// Where the order of effects matters, because they change the same files.
fn queue(effect: &panel::Effect) -> Option<Queue> {
    use panel::Effect;
    match effect {
        Effect::ReadState | Effect::SaveState(_) => Some(Queue::SavedState),
        Effect::ReadNotes | Effect::SetNote(..) | Effect::AddNotes(..) => Some(Queue::Notes),
        Effect::RequestJobs(..) | Effect::RemoveRuns(_) | Effect::Submit(_) => Some(Queue::Jobs),
        _ => None,
    }
}

impl ChatServices {
    fn run(&mut self, executor: &Executor, effect: Effect) {
        let failed = |what: &str| ChatMessage::Error(format!("internal error: {what} failed"));
        match effect {
            Effect::OpenArtwork(path) => {
                let panicked = ChatMessage::NotOpened(NOT_DECODED.into());
                executor.run(panicked, move || opened(open(&path, &path, None)));
            }
            Effect::ResumeArtwork(artwork, session, index) => {
                let file = self.pictures.locate(&artwork);
                let panicked = ChatMessage::NotOpened(NOT_DECODED.into());
                executor.run(panicked, move || {
                    let read = open(&file, &artwork.path, Some((session, index)));
                    opened(read.and_then(|opened| unchanged(opened, &artwork.sha256)))
                });
            }
            Effect::Complete(text) => executor.run(failed("completion"), move || {
                let found = super::complete::candidates(&text);
                ChatMessage::Completed(text, found)
            }),
            Effect::Scale { sha256, image, size } => executor.run(failed("scaling"), move || {
                let image = Arc::new(resize(&*image, size.0, size.1, FilterType::Triangle));
                ChatMessage::Scaled(Scaled { sha256, size, image })
            }),
            Effect::ListModels => {
                let (models, runs) = (self.paths.models(), self.paths.runs());
                executor.run(failed("listing models"), move || {
                    ChatMessage::Models(choices(&models, &runs))
                });
            }
            Effect::FindPaintings => {
                let folder = self.paths.models().join("met-paintings/files");
                executor.run(failed("looking for paintings"), move || {
                    let found = folder.is_dir();
                    found.then(|| ChatMessage::Paintings(format!("{}/", folder.display())))
                });
            }
            Effect::Generate(id, request) => {
                let cancel = Cancel::default();
                self.answering = Some((id, cancel.clone()));
                self.worker.generate(id, *request, cancel);
            }
            Effect::StopAnswer(id) => {
                let stopped = self.answering.take_if(|(answering, _)| *answering == id);
                stopped.inspect(|(_, cancel)| cancel.cancel());
            }
            Effect::ReloadModel => self.worker.reload(),
            Effect::UseModel(reference) => self.worker.use_model(reference),
            // The store's own thread keeps their order.
            Effect::PutTurn(pair) => self.store.put_turn(pair.0, pair.1),
            Effect::BeginDraft(pair) => self.store.begin_draft(pair.0, pair.1),
            Effect::AppendDraft(text) => self.store.append_draft(text),
            Effect::KeepPicture(path, sha256) => self.store.keep_picture(path, sha256),
            Effect::ListSessions => self.store.list(),
            Effect::LoadSession(id) => self.store.load(id),
            Effect::RemoveSession(id) => self.store.remove(id),
            Effect::OpenPanel
            | Effect::ClosePanel(_)
            | Effect::Panel(_)
            | Effect::Ring(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Resume
            | Effect::Quit(_) => {}
        }
    }
}

/// Refuses an image that is not the one a session talked about.
fn unchanged(opened: Opened, sha256: &str) -> Result<Opened, ArtError> {
    match opened.sha256 == sha256 {
        true => Ok(opened),
        false => Err(ArtError::Changed(opened.path.display().to_string())),
    }
}

fn opened(result: Result<Opened, ArtError>) -> ChatMessage {
    match result {
        Ok(opened) => ChatMessage::Opened(Box::new(opened)),
        Err(e) => ChatMessage::NotOpened(explain(&e.into())),
    }
}

/// Reads the image in `file`; `path` is where the user knows it.
fn open(file: &Path, path: &Path, resumed: Option<(String, usize)>) -> Result<Opened, ArtError> {
    let artwork = Artwork::open(file)?;
    let picture = Picture::of(&artwork);
    // An image that fits the screen is shared with the model's request, not copied.
    let image = match within(artwork.image.dimensions(), SCREEN_SIDE) {
        Some((w, h)) => Arc::new(thumbnail(artwork.image.as_ref(), w, h)),
        None => artwork.image.clone(),
    };
    Ok(Opened {
        path: std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)),
        sha256: artwork.sha256,
        label: artwork.label,
        notes: artwork.notes,
        image,
        picture,
        features: FormalFeatures::measure(&View::whole(&artwork.image)),
        resumed,
    })
}
