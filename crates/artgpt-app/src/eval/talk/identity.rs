//! Which model answered which questions about which paintings: answers of different ones are not mixed.

use std::path::Path;

use candle_core::DType;
use serde::{Deserialize, Serialize};

use crate::eval::{EvalError, io};
use crate::{AppError, Result};
use artgpt_art::{Label, Paintings};
use artgpt_base::hash::{sha256, sha256_of_file};
use artgpt_chat::{Caption, PromptStyle, Role, Tokenizer, Turn};
use artgpt_model::checkpoint::{LanguageFile, tokenizer_data};
use artgpt_model::manifest::Model;

/// Larger files are known by size and time of change: reading them takes minutes.
const MAX_HASHED_BYTES: u64 = 1 << 30;

/// The first line of a file of answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename = "begin")]
pub(super) struct Identity {
    /// Version of the prompts and of the file's format.
    format: u32,
    /// The model's name.
    pub(super) model: String,
    /// Hash of its manifest, weights, configurations and tokenizers.
    weights: String,
    /// Hash of a fixed question as the model gets it.
    #[serde(default)]
    prompt: String,
    /// Hash of the conversations.
    conversations: String,
    /// Hash of labels and pictures.
    paintings: String,
}

impl Identity {
    pub(super) fn of(model: &Model, conversations: &str, museum: &Paintings) -> Result<Self> {
        Ok(Self {
            format: 2,
            model: model.manifest.name.clone(),
            weights: weights(model)?,
            prompt: prompt(model)?,
            conversations: sha256(conversations.as_bytes()),
            paintings: paintings(museum),
        })
    }
}

/// The hash of a question about a picture with a label, as template and tokenizer write it.
fn prompt(model: &Model) -> Result<String> {
    // Without a language model nothing can be asked: the engine says so.
    let Some(path) = model.language_path() else { return Ok(String::new()) };
    let tokenizer = Tokenizer::new(&tokenizer_data(model, &mut LanguageFile::open(&path)?))?;
    let mut turn = Turn::new(Role::User, "What is this?");
    turn.images = vec![(0, "title: The Sea".into())];
    turn.caption = Some(Caption {
        label: "title: The Sea".into(),
        measured: Some("mostly blue; low key, dark".into()),
    });
    let pieces =
        PromptStyle::of(&model.manifest, &tokenizer)?.render(None, &[turn], &[], &tokenizer)?;
    Ok(sha256(format!("{pieces:?}").as_bytes()))
}

fn paintings(museum: &Paintings) -> String {
    let all = museum.all.iter().map(|painting| {
        let label = Label::as_prompt(Some(&painting.label));
        format!("{} {label} {}\n", painting.id, sha256(painting.image.as_raw()))
    });
    sha256(all.collect::<String>().as_bytes())
}

fn weights(model: &Model) -> Result<String> {
    let m = &model.manifest;
    let unidentified = |e: toml::ser::Error| EvalError::Unidentified {
        path: model.dir.clone(),
        reason: e.to_string(),
    };
    let manifest = toml::to_string(m).map_err(unidentified)?;
    let mut all = format!("{manifest}\n{}\n", model.base_hash()?);
    let parts = [
        m.qformer.as_ref().map(|p| p.path.as_str()),
        m.projection.as_ref().map(|p| p.path.as_str()),
        m.adapters.as_ref().map(|p| p.path.as_str()),
    ];
    let mut parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.dedup();
    for part in parts {
        let hash = match model.is_inside(part) {
            true => of_tensors(model, part)?,
            false => {
                let path = model.path(part);
                of_path(&path).map_err(io(&path))?
            }
        };
        all.push_str(&format!("{part} {hash}\n"));
    }
    Ok(sha256(all.as_bytes()))
}

/// The hash of a built-in file.
fn of_tensors(model: &Model, part: &str) -> Result<String> {
    let tensors = model.tensors(part)?;
    let mut names: Vec<&str> = tensors.names().collect();
    names.sort_unstable();
    let mut all = String::new();
    for name in names {
        let values = tensors.read(name)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        all.push_str(&format!("{name} {}\n", sha256(&bytes)));
    }
    Ok(sha256(all.as_bytes()))
}

/// The hash of a file, or of the files in a folder.
fn of_path(path: &Path) -> std::io::Result<String> {
    if !path.is_dir() {
        let meta = path.metadata()?;
        return match meta.len() > MAX_HASHED_BYTES {
            true => Ok(format!("{} {:?}", meta.len(), meta.modified()?)),
            false => sha256_of_file(path),
        };
    }
    let mut files: Vec<_> = path.read_dir()?.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| {
        // Weights, configurations and tokenizers.
        let hashed = ["safetensors", "bin", "pth", "pt", "gguf", "json", "model"];
        file.extension().is_some_and(|e| hashed.iter().any(|known| e == *known))
    });
    files.sort();
    files.iter().map(|file| of_path(file)).collect()
}

/// Why answers in a file cannot be continued.
pub(super) fn refuse(path: &Path, kept: &Identity, wanted: &Identity) -> AppError {
    let what = match () {
        () if kept.format != wanted.format => "another version of this program".into(),
        () if kept.model != wanted.model => format!("the model {}", kept.model),
        () if kept.weights != wanted.weights => format!("other weights of {}", kept.model),
        () if kept.prompt != wanted.prompt => format!("other prompts of {}", kept.model),
        () if kept.conversations != wanted.conversations => "other conversations".into(),
        () if kept.paintings != wanted.paintings => "other paintings".into(),
        () => "something else".into(),
    };
    EvalError::OtherAnswers { path: path.to_path_buf(), what }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_manifest::PromptPart;

    fn model() -> Model {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/checkpoints");
        Model::find(&root.join("blip2").display().to_string(), &root).expect("finds")
    }

    #[test]
    fn tokenizers_and_configurations_in_a_folder_tell_models_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut known = vec![of_path(folder.path()).expect("hashes")];
        for name in ["a.safetensors", "tokenizer.json", "tokenizer.model"] {
            for text in ["a", "b"] {
                std::fs::write(folder.path().join(name), text).expect("writes");
                let hash = of_path(folder.path()).expect("hashes");
                assert!(!known.contains(&hash), "{name} {text}");
                known.push(hash);
            }
        }
        std::fs::write(folder.path().join("README.md"), "a").expect("writes");
        assert_eq!(of_path(folder.path()).ok().as_ref(), known.last());
    }

    #[test]
    fn templates_and_system_prompts_tell_models_apart() {
        let with = |template: &str, system: Option<&str>| {
            let mut model = model();
            let (template, system) = (template.into(), system.map(String::from));
            model.manifest.prompt = Some(PromptPart { template, system, ..PromptPart::default() });
            prompt(&model).expect("renders")
        };
        let all = [with("vicuna", None), with("minigpt4", None), with("vicuna", Some("a b"))];
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2], "{all:?}");
        assert_eq!(with("vicuna", None), all[0]);
    }
}
