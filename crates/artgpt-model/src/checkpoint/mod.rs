//! Readers of weights on disk, one file a layout. Checkpoints are data: nothing in them runs.

pub mod audit;
mod gguf;
mod gguf_tensors;
pub mod hf;
mod language;
mod layout;
mod pth;
mod safetensors;
mod tensors;
mod tokenizer;

use std::path::Path;

pub use gguf::{EOS_IDS, GgufFile, gguf_name, requantise};
pub use hf::HfLanguage;
pub use language::{BLOCKS, Extras, LanguageWeights, copy_trained, read_llama, replaces_base};
pub use layout::{of_gguf, recognise, vit_config};
pub use tensors::{TensorInfo, Tensors};
pub use tokenizer::{gguf_tokenizer_data, tokenizer_data};

use super::Result;

/// An open language model.
pub enum LanguageFile {
    Gguf(GgufFile),
    HuggingFace(HfLanguage),
}

impl LanguageFile {
    /// A `.gguf` file, a Hugging Face folder, or a `.safetensors` file with its `config.json`
    /// beside it.
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

    pub fn weights(&mut self) -> &mut dyn LanguageWeights {
        match self {
            Self::Gguf(file) => file,
            Self::HuggingFace(folder) => folder,
        }
    }
}
