//! Readers of checkpoints, one file per layout. Checkpoints are data: nothing in them runs.

pub(crate) mod audit;
mod gguf;
mod gguf_tensors;
pub mod hf;
mod language;
mod layout;
mod pickle;
mod pth;
mod safetensors;
mod tensors;
mod tokenizer;

use std::path::Path;

pub use audit::Stored;
pub use gguf::{EOS_IDS, GgufFile, requantise};
pub(crate) use gguf::{gguf_name, join, split_files};
pub use hf::HfLanguage;
pub(crate) use language::{BLOCKS, Extras, read_llama, replaces_base};
pub use language::{LanguageWeights, copy_trained};
pub(crate) use layout::{of_gguf, recognise, vit_config};
pub use tensors::{TensorInfo, Tensors};
pub use tokenizer::{gguf_tokenizer_data, tokenizer_data};

use super::Result;

/// An open language model.
pub enum LanguageFile {
    /// A GGUF file.
    Gguf(GgufFile),
    /// A Hugging Face folder.
    HuggingFace(HfLanguage),
}

impl LanguageFile {
    /// Opens a `.gguf` file, a Hugging Face folder, or a `.safetensors` file beside its `config.json`.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds no plain LLaMA.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => Self::HuggingFace(HfLanguage::open(path, path)?),
            Some("safetensors") => {
                let dir = path.parent().unwrap_or(Path::new("."));
                Self::HuggingFace(HfLanguage::open(dir, path)?)
            }
            _ => Self::Gguf(GgufFile::open(path)?),
        })
    }

    /// The weights, whatever the layout.
    pub fn weights(&mut self) -> &mut dyn LanguageWeights {
        match self {
            Self::Gguf(file) => file,
            Self::HuggingFace(folder) => folder,
        }
    }
}
