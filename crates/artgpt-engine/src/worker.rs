//! The thread that owns the model.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::{Backend, Cancel, Engine, GenerateEvent, InferenceError, Remote, Request};
use artgpt_base::mask::mask_url;
use artgpt_chat::{Answer, Usage};
use artgpt_fetch::network::Network;
use artgpt_fetch::{self as fetch, Progress};
use artgpt_model::LoadStage;
use artgpt_model::manifest::Model;

/// What the thread reports. The events of an answer carry their request's id.
#[derive(Debug)]
pub enum WorkerEvent {
    /// The model's files are being installed.
    Fetching(Progress),
    /// The model is being loaded; the fraction of the stage that is done.
    Loading(LoadStage, f32),
    /// The model answers from now on.
    Ready(ModelInfo),
    /// What the model's files hold and nothing uses, after [`WorkerEvent::Ready`].
    Notice(String),
    /// The model cannot be used; the text says why and what to do.
    Unusable(String),
    /// Another model cannot be used (the text says why), so this one stays in use.
    SwitchFailed(ModelInfo, String),
    /// The KV cache holds the prompt of this request.
    Prefilled(u64, Usage),
    /// New text, and, if known, the answer's tokens so far and tokens per second.
    Text(u64, String, Option<usize>, Option<f64>),
    /// The answer is complete.
    Finished(u64, Box<Answer>),
    /// There is no answer, or no more of it; the text says why.
    Failed(u64, String),
}

/// What failed and what to do about it, in one line.
pub type Explain = fn(&InferenceError) -> String;

/// The model in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name, path or address that it was found by, without secrets.
    pub reference: String,
    /// The name in its manifest, or the server's address without secrets.
    pub name: String,
    /// Whether it takes images.
    pub sees: bool,
    /// The groups of suggested questions that it can answer; all if it is empty.
    pub questions: Vec<String>,
}

enum Command {
    Generate(u64, Request, Cancel),
    /// Replace the model by this one; `None` loads the same one again.
    Load(Option<String>),
}

/// The folders that the thread uses.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Installed models.
    pub models: PathBuf,
    /// Image tokens of earlier sessions.
    pub embeddings: PathBuf,
}

/// A handle of the thread. Dropping it ends the thread after its current answer.
pub struct Worker(Sender<Command>);

impl Worker {
    /// Starts the thread. It installs the model, if files are missing, and loads it at once.
    /// `explain` words the errors of its events.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn spawn(
        model: String,
        folders: Folders,
        device: String,
        network: Network,
        explain: Explain,
        on_event: impl FnMut(WorkerEvent) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let _ = sender.send(Command::Load(None));
        std::thread::Builder::new().name("inference".into()).spawn(move || {
            let place = Place { folders, device, network };
            run(model, &place, explain, &receiver, on_event);
        })?;
        Ok(Self(sender))
    }

    /// Asks for an answer; its events carry `id`.
    pub fn generate(&self, id: u64, request: Request, cancel: Cancel) {
        // A thread that has ended has reported why.
        let _ = self.0.send(Command::Generate(id, request, cancel));
    }

    /// Switches to another model. With the same base only the adapter set is read.
    pub fn use_model(&self, reference: String) {
        let _ = self.0.send(Command::Load(Some(reference)));
    }

    /// Tries again after [`WorkerEvent::Unusable`].
    pub fn reload(&self) {
        let _ = self.0.send(Command::Load(None));
    }
}

/// Where models are, where they run, and how they are fetched.
struct Place {
    folders: Folders,
    device: String,
    network: Network,
}

fn run(
    mut name: String,
    place: &Place,
    explain: Explain,
    commands: &Receiver<Command>,
    mut on_event: impl FnMut(WorkerEvent),
) {
    let configured = name.clone();
    let mut backend: Option<Backend> = None;
    let mut unusable = String::from("the model is not loaded; press Ctrl-R to load it");
    while let Ok(command) = commands.recv() {
        match command {
            Command::Load(other) => {
                let other = other.unwrap_or_else(|| name.clone());
                let other = with_secrets(other, &configured);
                let before = backend.as_ref().map(|b| ModelInfo::of(b, &name));
                let mut changed =
                    caught(explain, || change(&mut backend, &other, place, &mut on_event));
                // Another base took the place of the first one before it failed.
                if let (Err(reason), Some(info), None) = (&changed, &before, &backend) {
                    let back =
                        caught(explain, || change(&mut backend, &name, place, &mut on_event));
                    if let Err(again) = back {
                        changed = Err(format!("{reason}; and {}: {again}", info.name));
                    }
                }
                match (changed, before.filter(|_| backend.is_some())) {
                    (Ok(info), _) => {
                        name = other;
                        on_event(WorkerEvent::Ready(info));
                        if let Some(Backend::Local(engine)) = &backend
                            && !engine.notices().is_empty()
                        {
                            on_event(WorkerEvent::Notice(engine.notices().join("; ")));
                        }
                    }
                    (Err(reason), Some(info)) => on_event(WorkerEvent::SwitchFailed(info, reason)),
                    (Err(reason), None) => {
                        name = other;
                        unusable.clone_from(&reason);
                        on_event(WorkerEvent::Unusable(reason));
                    }
                }
            }
            Command::Generate(id, request, cancel) => {
                let Some(loaded) = &mut backend else {
                    on_event(WorkerEvent::Failed(id, unusable.clone()));
                    continue;
                };
                let mut decoding = Instant::now();
                let result = caught(explain, || {
                    loaded.generate(&request, &cancel, |e| match e {
                        GenerateEvent::Prefilled(usage) => {
                            decoding = Instant::now();
                            on_event(WorkerEvent::Prefilled(id, usage));
                        }
                        GenerateEvent::Text(text, n) => {
                            let seconds = decoding.elapsed().as_secs_f64().max(1e-6);
                            let rate = n.map(|n| n as f64 / seconds);
                            on_event(WorkerEvent::Text(id, text.to_string(), n, rate));
                        }
                    })
                });
                match result {
                    Ok(answer) => on_event(WorkerEvent::Finished(id, Box::new(answer))),
                    Err(reason) => on_event(WorkerEvent::Failed(id, reason)),
                }
            }
        }
    }
}

/// Turns an error or a panic into text. A panic in a tensor library must not leave the caller
/// waiting.
fn caught<T>(
    explain: Explain,
    work: impl FnOnce() -> Result<T, InferenceError>,
) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| explain(&e)),
        Err(_) => Err("the model crashed; load it again (Ctrl-R), or choose another (F2), and please report this".into()),
    }
}

/// A session stores a server's address with its secrets masked: the same server as the user named it.
fn with_secrets(reference: String, configured: &str) -> String {
    if mask_url(configured) == reference { configured.to_string() } else { reference }
}

impl ModelInfo {
    fn of(backend: &Backend, reference: &str) -> Self {
        let (name, sees) = (mask_url(backend.name()).into_owned(), backend.sees());
        let questions = backend.question_groups().to_vec();
        Self { reference: mask_url(reference).into_owned(), name, sees, questions }
    }
}

/// Puts the model `name` into `backend`. If it has another base, the model in `backend` is dropped
/// first, as memory may not hold both.
fn change(
    backend: &mut Option<Backend>,
    name: &str,
    place: &Place,
    on_event: &mut impl FnMut(WorkerEvent),
) -> Result<ModelInfo, InferenceError> {
    if let Some(remote) = Remote::parse(name, &place.network) {
        let remote = Backend::Remote(Box::new(remote?));
        return Ok(ModelInfo::of(backend.insert(remote), name));
    }
    let model = Model::find(name, &place.folders.models)?;
    if !fetch::is_installed(&model) {
        fetch::install(&model, &place.network, |p| on_event(WorkerEvent::Fetching(p)))?;
    }
    if let Some(loaded) = backend
        && let Backend::Local(engine) = loaded
        && engine.switch(&model)?
    {
        return Ok(ModelInfo::of(loaded, name));
    }
    *backend = None;
    let device = artgpt_model::device::open(&place.device)?;
    let engine =
        Engine::load(&model, &device, |stage, part| on_event(WorkerEvent::Loading(stage, part)))?
            .keep_embeddings(&place.folders.embeddings);
    Ok(ModelInfo::of(backend.insert(Backend::Local(Box::new(engine))), name))
}
