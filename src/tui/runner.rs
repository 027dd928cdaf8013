//! Carries out effects on tokio and on the worker threads; answers come back as messages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::{FilterType, resize, thumbnail};
use tokio::sync::mpsc::UnboundedSender;

use super::effect::Effect;
use super::message::{Message, Opened, Scaled};
use artgpt_app::catalogue::choices;
use artgpt_app::settings::Paths;
use artgpt_art::{ArtError, Artwork, within};
use artgpt_engine::{Picture, Worker};
use artgpt_store::{Pictures, Store};

/// Pictures for the screen are kept no larger than this.
const SCREEN_SIDE: u32 = 1600;

pub struct Runner {
    pub worker: Worker,
    pub store: Store,
    pub pictures: Pictures,
    pub paths: Paths,
    pub messages: UnboundedSender<Message>,
}

impl Runner {
    /// Carries out one effect. Those of the screen and of the training panel belong to the loop.
    pub fn run(&self, effect: Effect) {
        match effect {
            Effect::OpenArtwork(path) => {
                self.blocking(move || opened(open(&path, &path, None)));
            }
            Effect::ResumeArtwork(artwork, session, number) => {
                let file = self.pictures.locate(&artwork);
                self.blocking(move || {
                    let read = open(&file, &artwork.path, Some((session, number)));
                    opened(read.and_then(|o| o.unchanged(&artwork.sha256)))
                });
            }
            Effect::Complete(text) => self.blocking(move || {
                let found = super::complete::candidates(&text);
                Message::Completed(text, found)
            }),
            Effect::Scale { sha256, image, size } => self.blocking(move || {
                let image = Arc::new(resize(&*image, size.0, size.1, FilterType::Triangle));
                Message::Scaled(Scaled { sha256, size, image })
            }),
            Effect::Generate(id, request, cancel) => self.worker.generate(id, *request, cancel),
            Effect::ReloadModel => self.worker.reload(),
            Effect::ListModels => {
                let (models, runs) = (self.paths.models(), self.paths.runs());
                self.blocking(move || Message::Models(choices(&models, &runs)));
            }
            Effect::UseModel(reference) => self.worker.use_model(reference),
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
            | Effect::Quit(_) => {}
        }
    }

    fn blocking(&self, work: impl FnOnce() -> Message + Send + 'static) {
        let messages = self.messages.clone();
        tokio::task::spawn_blocking(move || {
            // A decoder's panic is its picture's trouble, not the program's.
            let message = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                Message::NotOpened("the picture cannot be decoded; convert it to PNG".into())
            });
            // The loop has ended when nobody listens.
            let _ = messages.send(message);
        });
    }
}

impl Opened {
    /// Refuses a picture that is not the one a session talked about.
    fn unchanged(self, sha256: &str) -> Result<Self, ArtError> {
        match self.sha256 == sha256 {
            true => Ok(self),
            false => Err(ArtError::Changed(self.path.display().to_string())),
        }
    }
}

fn opened(result: Result<Opened, ArtError>) -> Message {
    match result {
        Ok(opened) => Message::Opened(Box::new(opened)),
        Err(e) => Message::NotOpened(e.to_string()),
    }
}

/// Reads the picture in `file`; `path` is where the user knows it.
fn open(file: &Path, path: &Path, resumed: Option<(String, usize)>) -> Result<Opened, ArtError> {
    let artwork = Artwork::open(file)?;
    let picture = Picture::of(&artwork);
    // A picture that fits the screen is shared with the model's request, not copied.
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
        resumed,
    })
}
