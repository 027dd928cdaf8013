//! Models: list, show, verify, install, remove, convert.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

use super::{App, Event, Result};
use crate::catalogue::names;
use artgpt_chat::Tokenizer;
use artgpt_engine::{Engine, Picture, Prompt, SCHEME, VocabularyRows};
use artgpt_fetch::{check_installed, install as fetch_files, is_installed};
use artgpt_model::checkpoint::{LanguageFile, tokenizer_data};
use artgpt_model::convert::{self, FloatType, LanguageType};
use artgpt_model::inspect::{Inspection, inspect};
use artgpt_model::manifest::{BUILTIN, Model};
use artgpt_model::peft::merge::Delta;
use artgpt_model::verify::first_damaged;
use artgpt_rundir::job::{RecordError, named};
use artgpt_rundir::run_id;

/// What is wrong with a model or a data set.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// There is no data set of this name.
    #[error("{0}: there is no data set of this name")]
    NoDataSet(String),
    /// A tensor is missing or has the wrong shape.
    #[error("{}: {problem}", path.display())]
    BadTensor {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor holds wrong numbers.
    #[error("{problem}")]
    Damaged {
        /// What is wrong, with the file and the tensor.
        problem: String,
        /// The model's name if it is an installed one.
        installed: Option<String>,
    },
    /// A run has left no weights yet.
    #[error("the run {0} has no model yet")]
    Untrained(String),
    /// A forward pass gives numbers that are not finite.
    #[error("{model} computes numbers that are not finite")]
    NotFinite {
        /// The model's name.
        model: String,
        /// Its name again if it is an installed one.
        installed: Option<String>,
    },
}

/// A model as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its license.
    pub license: String,
    /// Whether its files are here.
    pub installed: bool,
}

/// All that is known of one model.
#[derive(Debug)]
pub struct Shown {
    /// The model.
    pub model: Model,
    /// Whether its files are here.
    pub installed: bool,
    /// What is in its files; `None` where they are not here, or where it has no language model.
    pub weights: Option<Inspection>,
    /// The rows of the vocabulary, where its tokenizer can be read.
    pub vocabulary: Option<VocabularyRows>,
    /// The device it would run on, and why.
    pub device: String,
}

/// What a LoRA does to the matrices of a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeRequest {
    /// It stays a package of its own.
    Keep,
    /// The model's own is added.
    Own,
    /// The LoRA in this directory is added.
    Add(PathBuf),
    /// The LoRA in this directory is subtracted.
    Subtract(PathBuf),
}

/// A model that becomes safetensors (or GGUF) and a manifest.
#[derive(Debug, Clone)]
pub struct ConvertRequest {
    /// A name, a manifest or a directory.
    pub source: String,
    /// The directory to write; it must not exist.
    pub target: PathBuf,
    /// Type of the language model's matrices.
    pub language: LanguageType,
    /// Type of all other tensors.
    pub rest: FloatType,
    /// What happens to a LoRA.
    pub merge: MergeRequest,
}

/// Built-in and installed models, data sets among them.
pub fn list(app: &App) -> Result<Vec<Listed>> {
    let folder = app.paths.models();
    let listed = |name: &String| {
        let model = Model::find(name, &folder)?;
        let installed = is_installed(&model);
        let manifest = model.manifest;
        let (description, license) = (manifest.description, manifest.license);
        Ok(Listed { name: manifest.name, description, license, installed })
    };
    names(&folder).iter().map(listed).collect()
}

/// The manifest, and what is in the files where they are installed.
pub fn show(app: &App, name: &str) -> Result<Shown> {
    let model = find(app, name)?;
    let installed = is_installed(&model);
    let device = artgpt_model::device::open(&app.settings.device)?;
    let weights = match installed && model.manifest.language.is_some() {
        true => Some(inspect(&model, &device)?),
        false => None,
    };
    let device = artgpt_model::device::reason(&app.settings.device, &device);
    // A model without its tokenizer can still be shown.
    let vocabulary = weights.as_ref().and_then(|_| VocabularyRows::of(&model).ok().flatten());
    Ok(Shown { model, installed, weights, vocabulary, device })
}

/// Fetches, checks and converts a model's files.
pub fn install(app: &App, name: &str) -> Result<Model> {
    let model = find(app, name)?;
    fetch(app, &model)?;
    Ok(model)
}

/// Compares every file's sha256, looks at every tensor, and computes one pass. Returns the model, and what
/// its files hold and nothing uses.
pub fn verify(app: &App, name: &str) -> Result<(Model, Vec<String>)> {
    let model = find(app, name)?;
    check_installed(&model)?;
    let mut notices = Vec::new();
    if model.manifest.language.is_some() {
        let device = artgpt_model::device::open(&app.settings.device)?;
        notices = check_numbers(&model, &device)?;
    }
    Ok((model, notices))
}

/// Deletes a model's files.
pub fn remove(app: &App, name: &str) -> Result<Model> {
    let model = find(app, name)?;
    artgpt_fetch::remove(&model)?;
    Ok(model)
}

/// Writes a model of any layout as safetensors or GGUF with a manifest, and returns the new model.
pub fn convert(app: &App, request: &ConvertRequest) -> Result<Model> {
    let model = ready(app, &request.source)?;
    let fold = match &request.merge {
        MergeRequest::Keep => convert::Fold::No,
        MergeRequest::Own => convert::Fold::Own,
        MergeRequest::Add(folder) => convert::Fold::Other(Delta::open(folder)?),
        MergeRequest::Subtract(folder) => convert::Fold::Other(Delta::open(folder)?.negated()),
    };
    let tokenizer = |json: &Path| {
        let path = model.language_path().unwrap_or_default();
        let mut file = LanguageFile::open(&path).map_err(std::io::Error::other)?;
        let tokenizer =
            Tokenizer::new(&tokenizer_data(&model, &mut file)).map_err(std::io::Error::other)?;
        tokenizer.save(json).map_err(std::io::Error::other)?;
        Ok((tokenizer.bos, tokenizer.eos.clone()))
    };
    let (target, language, rest) = (&request.target, request.language, request.rest);
    let progress = &mut |part: &str| app.tell(&Event::Writing(part));
    convert::convert(&model, target, language, rest, fold, &tokenizer, progress)?;
    find(app, &target.display().to_string())
}

/// A model whose files are here; they are fetched first where they are missing.
pub fn ready(app: &App, name: &str) -> Result<Model> {
    let model = find(app, name)?;
    if !is_installed(&model) {
        fetch(app, &model)?;
    }
    Ok(model)
}

/// The directory of a data set: a manifest's, or the user's own.
pub fn data_folder(app: &App, data: &str) -> Result<PathBuf> {
    if Path::new(data).join("objects.json").is_file() {
        return Ok(PathBuf::from(data));
    }
    match ready(app, data) {
        Ok(set) => Ok(set.dir.join("files")),
        Err(_) if find(app, data).is_err() => Err(ModelsError::NoDataSet(data.into()).into()),
        Err(error) => Err(error),
    }
}

/// What [`Model::find`] takes: the name as it is where it names a model, a server or a path, else the
/// directory of the run that has this ID, unique ID prefix or name.
pub fn reference(app: &App, name: &str) -> Result<String> {
    let is_path = name.contains(std::path::MAIN_SEPARATOR) || Path::new(name).exists();
    let manifest = app.paths.models().join(name).join("manifest.toml");
    let built_in = || BUILTIN.iter().any(|(known, _)| *known == name);
    if name.starts_with(SCHEME) || is_path || built_in() || manifest.is_file() {
        return Ok(name.to_string());
    }
    match named(&app.paths.runs(), name) {
        Ok(run) if run.join("manifest.toml").is_file() => Ok(run.display().to_string()),
        Ok(run) => Err(ModelsError::Untrained(run_id(&run)).into()),
        Err(RecordError::NoRun { .. }) => Ok(name.to_string()),
        Err(several) => Err(several.into()),
    }
}

fn find(app: &App, name: &str) -> Result<Model> {
    Ok(Model::find(&reference(app, name)?, &app.paths.models())?)
}

fn fetch(app: &App, model: &Model) -> Result<()> {
    let fetched =
        fetch_files(model, &app.settings.network, |progress| app.tell(&Event::Fetching(&progress)));
    app.tell(&Event::Fetched);
    Ok(fetched?)
}

/// Every tensor is finite and has the expected shape, and one forward pass gives finite numbers.
/// Returns what the files hold and nothing uses.
fn check_numbers(model: &Model, device: &Device) -> Result<Vec<String>> {
    let weights = inspect(model, device)?;
    if let Some((path, problem)) = weights.first_problem() {
        let path = path.to_path_buf();
        return Err(ModelsError::BadTensor { path, problem }.into());
    }
    if let Some(problem) = first_damaged(&weights, model)? {
        let installed = installed_name(model);
        return Err(ModelsError::Damaged { problem, installed }.into());
    }
    let mut engine = Engine::load(model, device, |_, _| {})?;
    let mut prompts = vec![(Prompt::Raw("a".into()), Vec::new())];
    if engine.sees() {
        let grey = image::RgbImage::from_pixel(64, 64, image::Rgb([128, 128, 128]));
        let picture = Picture { key: "grey".into(), image: Arc::new(grey) };
        prompts.push((Prompt::Raw("a <image>".into()), vec![picture]));
    }
    for (prompt, pictures) in prompts {
        let score = engine.score(&prompt, &pictures, "a")?;
        if !score.logprobs.iter().all(|l| l.is_finite()) {
            let (model, installed) = (model.manifest.name.clone(), installed_name(model));
            return Err(ModelsError::NotFinite { model, installed }.into());
        }
    }
    Ok(engine.notices().to_vec())
}

/// The name of a model whose files `models install` fetches; `None` for the user's own.
fn installed_name(model: &Model) -> Option<String> {
    (!model.manifest.source.is_empty()).then(|| model.manifest.name.clone())
}
