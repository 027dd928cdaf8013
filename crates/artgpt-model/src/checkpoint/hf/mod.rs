//! Hugging Face folders: `config.json`, and a LLaMA under any of the name prefixes in use.

mod config;
mod language;
mod names;

use std::path::Path;

use crate::{Error, Result};

pub(crate) use config::HfConfig;
pub use language::HfLanguage;
pub(crate) use names::{bridge_name, vision_name};

/// Upper bounds of real models: blocks, width of a head, and patches along a side for an encoder that
/// attends to all patches of an image (SigLIP at 896 pixels).
const MAX_LAYERS: usize = 1000;
const MAX_HEAD: usize = 1024;
const MAX_GRID: usize = 64;

/// Reads a JSON file; `None` if it does not exist.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Corrupt`] if it does not hold a `T`.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| Error::corrupt(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.display().to_string(), source }),
    }
}

fn unsupported(path: &Path, what: String, hint: &str) -> Error {
    Error::Unsupported { path: path.display().to_string(), what, hint: hint.into() }
}

/// Checks the sizes by which a configuration makes the program allocate memory: blocks, tokens of the
/// context, width of a head.
pub(crate) fn check_size(path: &Path, layers: usize, context: usize, head: usize) -> Result<()> {
    const MAX_CONTEXT: usize = 1 << 20;
    let fits = (1..=MAX_LAYERS).contains(&layers) && (16..=MAX_CONTEXT).contains(&context);
    if !fits || head > MAX_HEAD {
        let reason = format!(
            "{layers} layers, a context of {context} tokens or heads {head} wide cannot be true"
        );
        return Err(Error::corrupt(path, reason));
    }
    Ok(())
}
