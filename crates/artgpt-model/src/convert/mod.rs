//! Converts a model of any layout to ours (`models convert`): safetensors files and a manifest, with
//! the language model quantised to a GGUF file on request.
//!
//! Conversion writes into a staging folder beside the target and renames it at the end, so that a
//! target that exists is complete. It discards what an interrupted run left.

mod gguf;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::GgmlDType;

use super::checkpoint::{LanguageFile, join, split_files};
use super::inspect::inspect;
use super::manifest::{LanguagePart, Model, PeftMethod, check_name};
use super::peft::merge::{Delta, Merged};
use super::source::tuning_source;
use super::{Error, Result};
use artgpt_manifest::{Manifest, Method};
use gguf::write_gguf;
use writer::{Changes, Writer};

/// Names of files in the target.
const LANGUAGE_GGUF: &str = "language.gguf";
const TOKENIZER: &str = "tokenizer.json";

/// The type that conversion gives the language model's matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguageType {
    /// Each keeps its type.
    Keep,
    /// GGML's Q8_0.
    Q8_0,
    /// GGML's Q4_K; a matrix whose width is no multiple of 256 becomes Q8_0.
    Q4K,
}

/// The type that conversion gives the other parts' tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// Each keeps its type.
    Keep,
    /// 16-bit floats.
    F16,
    /// GGML's Q8_0 in a GGUF file, for matrices whose width the blocks divide; the others keep
    /// their type.
    Q8_0,
    /// GGML's Q4_K; a matrix whose width is no multiple of 256 becomes Q8_0.
    Q4K,
}

impl FloatType {
    /// The block type, if matrices become quantised.
    fn quantised(self) -> Option<GgmlDType> {
        match self {
            Self::Keep | Self::F16 => None,
            Self::Q8_0 => Some(GgmlDType::Q8_0),
            Self::Q4K => Some(GgmlDType::Q4K),
        }
    }

    /// The extension of its files.
    fn extension(self) -> &'static str {
        if self.quantised().is_some() { ".gguf" } else { ".safetensors" }
    }
}

/// The tokens that begin (BOS) and end (EOS) a text.
pub type Ends = (Option<u32>, Vec<u32>);

/// How conversion treats a LoRA.
pub enum Fold {
    /// Keep the model's LoRA beside the matrices.
    No,
    /// Merge the model's own LoRA into its matrices.
    Own,
    /// Add this LoRA to the matrices, or subtract it ([`Delta::negated`]).
    Other(Delta),
}

/// Converts `model` into the folder `target`, which must not exist. `tokenizer` writes the language
/// model's `tokenizer.json` to a path and returns its BOS and EOS tokens; `progress` gets the name
/// of each part before it is written.
///
/// # Errors
/// [`Error::Unsupported`] if `target` exists, its name cannot name a model, or the LoRA cannot be
/// merged; [`Error::Corrupt`] if the model's files are incomplete; [`Error::Io`] if a file cannot
/// be written.
pub fn convert(
    model: &Model,
    target: &Path,
    language: LanguageType,
    float: FloatType,
    fold: Fold,
    tokenizer: &dyn Fn(&Path) -> std::io::Result<Ends>,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let name = target_name(target)?;
    check_complete(model)?;
    let merges_own = matches!(fold, Fold::Own);
    let delta = match fold {
        Fold::No => None,
        Fold::Own => Some(Delta::of(model)?),
        Fold::Other(delta) => Some(delta),
    };
    let changes = match (&delta, model.language_path()) {
        (Some(delta), Some(path)) => Some(Changes::new(model, &path, delta)?),
        _ => None,
    };
    let staging = empty_staging(target, &name)?;
    let mut writer = Writer {
        model,
        dir: staging.clone(),
        float,
        separates_language: language != LanguageType::Keep,
        changes,
        drops_lora: merges_own,
        written: BTreeMap::new(),
    };
    let mut manifest = Manifest { name, source: Vec::new(), ..model.manifest.clone() };
    write_vision(&mut manifest, &mut writer, progress)?;
    write_adapters(&mut manifest, &mut writer, progress)?;
    if let (Some(part), Some(path)) = (&mut manifest.language, model.language_path()) {
        progress("language model");
        write_language(part, &path, language, &mut writer, tokenizer)?;
    }
    write_manifest(&manifest, &staging)?;
    publish(&staging, target)
}

/// The converted model's name, which is that of the target folder.
fn target_name(target: &Path) -> Result<String> {
    if target.exists() {
        return Err(Error::Unsupported {
            path: target.display().to_string(),
            what: "a target that is there already".into(),
            hint: "name another, or remove it first".into(),
        });
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    check_name(&name, target)?;
    Ok(name)
}

/// An error that names the first missing or misshaped tensor.
fn check_complete(model: &Model) -> Result<()> {
    match inspect(model, &Device::Cpu)?.first_problem() {
        Some((path, problem)) => Err(Error::corrupt(path, problem)),
        None => Ok(()),
    }
}

/// An empty folder beside the target.
fn empty_staging(target: &Path, name: &str) -> Result<PathBuf> {
    let staging = target.with_file_name(format!(".{name}.partial"));
    if staging.exists() {
        std::fs::remove_dir_all(&staging).map_err(io(&staging))?;
    }
    std::fs::create_dir_all(&staging).map_err(io(&staging))?;
    Ok(staging)
}

/// Vision encoder, Q-Former, projection and detector.
fn write_vision(
    manifest: &mut Manifest,
    writer: &mut Writer,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    if let Some(part) = &mut manifest.vision {
        progress("vision encoder");
        part.path = writer.part(&part.path)?;
    }
    if let Some(part) = &mut manifest.qformer {
        progress("Q-Former");
        part.path = writer.part(&part.path)?;
    }
    if let Some(part) = &mut manifest.projection {
        part.path = writer.part(&part.path)?;
    }
    if let Some(part) = &mut manifest.detector {
        progress("detector");
        part.path = writer.copy(&part.path)?;
    }
    Ok(())
}

fn write_adapters(
    manifest: &mut Manifest,
    writer: &mut Writer,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let tuning = tuning_source(writer.model)?;
    if writer.drops_lora {
        // Norms that were trained with the LoRA stay.
        let norms = tuning
            .as_ref()
            .is_some_and(|(t, _)| t.names().any(|n| n.ends_with("layernorm.weight")));
        manifest.adapters = manifest.adapters.take().filter(|_| norms);
        if let Some(part) = &mut manifest.adapters {
            (part.method, part.alpha) = (PeftMethod::Norms, None);
        }
    }
    let Some(part) = &mut manifest.adapters else { return Ok(()) };
    progress("adapters");
    if let (false, Some((_, Method::Lora { alpha, .. }))) = (writer.drops_lora, tuning) {
        part.alpha = Some(alpha); // otherwise only a folder of the package `peft` records it
    }
    part.path = writer.part(&part.path)?;
    Ok(())
}

/// The language model at `path`, in the form that `language` asks for.
fn write_language(
    part: &mut LanguagePart,
    path: &Path,
    language: LanguageType,
    writer: &mut Writer,
    tokenizer: &dyn Fn(&Path) -> std::io::Result<Ends>,
) -> Result<()> {
    let mut file = LanguageFile::open(path)?;
    part.requantise = None;
    match (language, &file) {
        (LanguageType::Keep, LanguageFile::Gguf(_)) if writer.changes.is_none() => {
            copy_gguf(part, path, writer)
        }
        (LanguageType::Keep, LanguageFile::HuggingFace(_)) => {
            part.path = writer.language(&part.path)?;
            if let Some(name) = &part.tokenizer {
                let named = writer.model.path(name);
                let to = writer.dir.join(named.file_name().unwrap_or_default());
                std::fs::copy(&named, &to).map_err(io(&to))?;
                part.tokenizer = Some(relative(&writer.dir, &to));
            }
            match writer.changes.as_ref().and_then(Changes::first_missed) {
                Some(name) => Err(Error::corrupt(path, format!("the LoRA did not reach {name}"))),
                None => Ok(()),
            }
        }
        (LanguageType::Q8_0 | LanguageType::Q4K, _) | (_, LanguageFile::Gguf(_)) => {
            part.path = LANGUAGE_GGUF.into();
            let json = writer.dir.join(TOKENIZER);
            let (bos, eos) = tokenizer(&json).map_err(io(&json))?;
            part.tokenizer = Some(TOKENIZER.into());
            let dtype = match language {
                LanguageType::Q4K => GgmlDType::Q4K,
                LanguageType::Q8_0 => GgmlDType::Q8_0,
                // The sum of a matrix and a LoRA's product has no blocks to keep.
                LanguageType::Keep => GgmlDType::F16,
            };
            let to = writer.dir.join(&part.path);
            match &writer.changes {
                Some(changes) => {
                    let mut merged = Merged { inner: file.weights(), delta: changes.delta };
                    write_gguf(&mut merged, dtype, (bos, &eos), &to)
                }
                None => write_gguf(file.weights(), dtype, (bos, &eos), &to),
            }
        }
    }
}

/// A GGUF file that does not change, and its tokenizer.
fn copy_gguf(part: &mut LanguagePart, path: &Path, writer: &Writer) -> Result<()> {
    part.path = LANGUAGE_GGUF.into();
    let to = writer.dir.join(&part.path);
    match split_files(path).len() {
        0 | 1 => std::fs::copy(path, &to).map(drop).map_err(io(&to))?,
        _ => join(path, &to)?,
    }
    sync(&to)?;
    if let Some(name) = &part.tokenizer {
        let to = writer.dir.join(TOKENIZER);
        std::fs::copy(writer.model.path(name), &to).map_err(io(&to))?;
        part.tokenizer = Some(TOKENIZER.into());
    }
    Ok(())
}

fn write_manifest(manifest: &Manifest, staging: &Path) -> Result<()> {
    let text = toml::to_string(manifest).map_err(|e| Error::corrupt(staging, e))?;
    let path = staging.join("manifest.toml");
    std::fs::write(&path, text).map_err(io(&path))?;
    sync(&path)
}

/// Reads the written model back, then gives it the target's name.
fn publish(staging: &Path, target: &Path) -> Result<()> {
    check_complete(&Model::find(&staging.display().to_string(), staging)?)?;
    std::fs::rename(staging, target).map_err(io(target))?;
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| Error::Io { path, source }
}

/// Waits until a file or folder is on the disk.
fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(io(path))
}

fn relative(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}
