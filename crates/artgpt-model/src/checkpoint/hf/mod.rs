//! Hugging Face folders: `config.json`, and a LLaMA under any of the name prefixes in use.

mod config;
mod language;
mod names;

use std::path::Path;

use crate::{Error, Result};
use artgpt_base::files::read_text;
use artgpt_manifest::QFormerConfig;

pub(crate) use config::HfConfig;
pub use language::HfLanguage;
pub(crate) use names::{bridge_name, vision_name};

/// Upper bounds of real models: blocks, widths, inner widths, and patches along a side for an encoder that
/// attends to all patches of an image (SigLIP at 896 pixels).
const MAX_LAYERS: usize = 1000;
const MAX_WIDTH: usize = 1 << 17;
const MAX_INNER: usize = 1 << 20;
const MAX_GRID: usize = 64;

/// Bytes of the largest JSON file of a model that is read.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// Reads a JSON file; `None` if it does not exist.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Corrupt`] if it does not hold a `T`.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match read_text(path, MAX_JSON_BYTES) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            // JSON of another form than expected is no foreign file.
            Err(e) if e.is_data() => Err(Error::corrupt(path, e)),
            Err(e) => Err(Error::unreadable_text(path, &text, e)),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.display().to_string(), source }),
    }
}

fn unsupported(path: &Path, what: String, hint: &str) -> Error {
    Error::Unsupported { path: path.display().to_string(), what, hint: hint.into() }
}

/// Checks sizes that the section `section` of `path` states, before anything is computed or allocated with
/// them: each is at least 1 and at most the number beside it.
pub(crate) fn check_sizes(
    path: &Path,
    section: &str,
    sizes: &[(&str, usize, usize)],
) -> Result<()> {
    match sizes.iter().find(|(_, value, most)| *value == 0 || value > most) {
        Some((name, value, most)) => {
            let reason = format!("{section}.{name} is {value}, and 1 to {most} are possible");
            Err(Error::corrupt(path, reason))
        }
        None => Ok(()),
    }
}

/// [`check_sizes`] for a Q-Former.
pub(crate) fn check_qformer(path: &Path, section: &str, config: &QFormerConfig) -> Result<()> {
    let mut sizes = vec![
        ("num_query_tokens", config.num_query_tokens, MAX_WIDTH),
        ("hidden_size", config.hidden_size, MAX_WIDTH),
        ("num_hidden_layers", config.num_hidden_layers, MAX_LAYERS),
        ("num_attention_heads", config.num_attention_heads, MAX_WIDTH),
        ("intermediate_size", config.intermediate_size, MAX_INNER),
        ("encoder_hidden_size", config.encoder_width, MAX_WIDTH),
    ];
    if let Some(text) = config.text {
        sizes.push(("vocab_size", text.vocab_size, MAX_INNER));
        sizes.push(("max_position_embeddings", text.max_position_embeddings, MAX_INNER));
    }
    check_sizes(path, section, &sizes)?;
    if !config.hidden_size.is_multiple_of(config.num_attention_heads)
        || config.image_grid > MAX_GRID
        || config.relation_channels > MAX_WIDTH
    {
        let reason = format!("heads, grid or channels in {section} do not fit");
        return Err(Error::corrupt(path, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_file_without_an_end_is_no_configuration() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("config.json");
        assert!(matches!(read_json::<u32>(&path), Ok(None)));
        std::fs::write(&path, "3").expect("writes");
        assert!(matches!(read_json(&path), Ok(Some(3))));
        let large = folder.path().join("large.json");
        let file = std::fs::File::create(&large).expect("creates");
        file.set_len(MAX_JSON_BYTES + 1).expect("grows");
        for wrong in [Path::new("/dev/zero"), &large] {
            assert!(matches!(read_json::<u32>(wrong), Err(Error::Io { .. })), "{wrong:?}");
        }
    }
}
