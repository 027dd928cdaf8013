//! The thread that owns the model.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::{Backend, Cancel, Engine, GenerateEvent, InferenceError, Remote, Request};
use artgpt_chat::{Answer, Usage};
use artgpt_fetch::{self as fetch, Progress};
use artgpt_model::LoadStage;
use artgpt_model::manifest::Model;

/// What the thread tells.
#[derive(Debug)]
pub enum Event {
    /// Files of the model are being fetched.
    Fetching(Progress),
    Loading(LoadStage, f32),
    Ready(ModelInfo),
    /// The model cannot be used; the text says why and what to do.
    Unusable(String),
    /// Another model cannot be used, so the one before it still is; the text says why.
    Kept(ModelInfo, String),
    Prefilled(u64, Usage),
    /// New text, the answer's tokens so far, and tokens per second.
    Text(u64, String, usize, f64),
    Finished(u64, Box<Answer>),
    Failed(u64, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// What it was found by: a name or a path.
    pub reference: String,
    pub name: String,
    pub sees: bool,
}

enum Command {
    Generate(u64, Request, Cancel),
    /// This model takes the place of the one that is there; `None` is the same one again.
    Load(Option<String>),
}

/// Where the thread finds things.
#[derive(Debug, Clone)]
pub struct Folders {
    pub models: PathBuf,
    pub embeddings: PathBuf,
}

/// The handle. Dropping it ends the thread after its current answer.
pub struct Worker(Sender<Command>);

impl Worker {
    /// Starts the thread, which fetches what is missing and loads the model at once.
    pub fn spawn(
        model: String,
        folders: Folders,
        device: String,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let _ = sender.send(Command::Load(None));
        std::thread::Builder::new()
            .name("inference".into())
            .spawn(move || run(model, &folders, &device, &receiver, on_event))?;
        Ok(Self(sender))
    }

    /// Asks for an answer; its events carry `id`.
    pub fn generate(&self, id: u64, request: Request, cancel: Cancel) {
        // A thread that has ended has told why.
        let _ = self.0.send(Command::Generate(id, request, cancel));
    }

    /// Goes on with another model. One of the same base costs only its trained parts.
    pub fn use_model(&self, reference: String) {
        let _ = self.0.send(Command::Load(Some(reference)));
    }

    /// Tries again after [`Event::Unusable`].
    pub fn reload(&self) {
        let _ = self.0.send(Command::Load(None));
    }
}

fn run(
    mut name: String,
    folders: &Folders,
    device: &str,
    commands: &Receiver<Command>,
    mut on_event: impl FnMut(Event),
) {
    let mut backend: Option<Backend> = None;
    let mut unusable = String::from("the model is not loaded; Ctrl-R tries again");
    while let Ok(command) = commands.recv() {
        match command {
            Command::Load(other) => {
                let other = other.unwrap_or_else(|| name.clone());
                let before = backend.as_ref().map(|b| ModelInfo::of(b, &name));
                let mut changed =
                    caught(|| change(&mut backend, &other, folders, device, &mut on_event));
                // Another base took the place of the first one before it failed.
                if let (Err(reason), Some(info), None) = (&changed, &before, &backend) {
                    let back =
                        caught(|| change(&mut backend, &name, folders, device, &mut on_event));
                    if let Err(again) = back {
                        changed = Err(format!("{reason}; and {}: {again}", info.name));
                    }
                }
                match (changed, before.filter(|_| backend.is_some())) {
                    (Ok(info), _) => {
                        name = other;
                        on_event(Event::Ready(info));
                    }
                    (Err(reason), Some(info)) => on_event(Event::Kept(info, reason)),
                    (Err(reason), None) => {
                        name = other;
                        unusable.clone_from(&reason);
                        on_event(Event::Unusable(reason));
                    }
                }
            }
            Command::Generate(id, request, cancel) => {
                let Some(loaded) = &mut backend else {
                    on_event(Event::Failed(id, unusable.clone()));
                    continue;
                };
                let mut decoding = Instant::now();
                let result = caught(|| {
                    loaded.generate(&request, &cancel, |e| match e {
                        GenerateEvent::Prefilled(usage) => {
                            decoding = Instant::now();
                            on_event(Event::Prefilled(id, usage));
                        }
                        GenerateEvent::Text(text, n) => {
                            let rate = n as f64 / decoding.elapsed().as_secs_f64().max(1e-6);
                            on_event(Event::Text(id, text.to_string(), n, rate));
                        }
                    })
                });
                match result {
                    Ok(answer) => on_event(Event::Finished(id, Box::new(answer))),
                    Err(reason) => on_event(Event::Failed(id, reason)),
                }
            }
        }
    }
}

/// An error's or a panic's words. A panic in a tensor library must not leave the screen waiting.
fn caught<T>(work: impl FnOnce() -> Result<T, InferenceError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the model crashed; choose it again (F2) or load it again (Ctrl-R), and please report this".into()),
    }
}

impl ModelInfo {
    fn of(backend: &Backend, reference: &str) -> Self {
        let (name, sees) = (backend.name().to_string(), backend.sees());
        Self { reference: reference.to_string(), name, sees }
    }
}

/// Puts the model `name` into `backend`. One of another base is loaded when the first one is gone, as
/// memory may not hold both.
fn change(
    backend: &mut Option<Backend>,
    name: &str,
    folders: &Folders,
    device: &str,
    on_event: &mut impl FnMut(Event),
) -> Result<ModelInfo, InferenceError> {
    if let Some(remote) = Remote::parse(name) {
        let remote = Backend::Remote(remote?);
        return Ok(ModelInfo::of(backend.insert(remote), name));
    }
    let model = Model::find(name, &folders.models)?;
    if !fetch::is_installed(&model) {
        fetch::install(&model, |p| on_event(Event::Fetching(p)))?;
    }
    if let Some(loaded) = backend
        && let Backend::Local(engine) = loaded
        && engine.switch(&model)?
    {
        return Ok(ModelInfo::of(loaded, name));
    }
    *backend = None;
    let device = artgpt_model::device::open(device)?;
    let engine =
        Engine::load(&model, &device, |stage, part| on_event(Event::Loading(stage, part)))?
            .keep_embeddings(&folders.embeddings);
    Ok(ModelInfo::of(backend.insert(Backend::Local(Box::new(engine))), name))
}
