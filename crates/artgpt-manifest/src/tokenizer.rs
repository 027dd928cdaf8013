//! Where a model's tokenizer comes from, as data that a tokenizer is built from.

use std::path::{Path, PathBuf};

/// What a tokenizer is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenizerData {
    /// The language model, for error messages.
    pub path: PathBuf,
    /// Rows of the embedding table. Tokens beyond them are never used.
    pub rows: usize,
    /// The vocabulary.
    pub source: TokenizerSource,
}

impl TokenizerData {
    /// The file or folder that holds the vocabulary.
    pub fn source_path(&self) -> &Path {
        match &self.source {
            TokenizerSource::File { path, .. } => path,
            TokenizerSource::Gguf(_) => &self.path,
            TokenizerSource::HuggingFace { named: Some(path), .. } => path,
            TokenizerSource::HuggingFace { folder, .. } => folder,
        }
    }
}

/// The forms in which checkpoints hold a vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenizerSource {
    /// A `tokenizer.json` beside a GGUF file, which says which tokens begin and end a text.
    File {
        /// The file.
        path: PathBuf,
        /// The token that begins each prompt, where the model has one.
        bos: Option<u32>,
        /// Tokens that end an answer.
        eos: Vec<u32>,
    },
    /// The metadata of a GGUF file.
    Gguf(GgufVocabulary),
    /// A Hugging Face folder.
    HuggingFace {
        /// The folder.
        folder: PathBuf,
        /// The tokenizer file that the manifest names, instead of the folder's own.
        named: Option<PathBuf>,
    },
}

/// The metadata of a GGUF file under `tokenizer.ggml` (`ggml/docs/gguf.md`). A key that is missing or
/// of another type is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GgufVocabulary {
    /// `model`: `gpt2` (byte-level BPE) or `llama` (SentencePiece).
    pub model: Option<String>,
    /// `pre`: the pre-tokenizer's name in llama.cpp.
    pub pre: Option<String>,
    /// `tokens`, in the order of their ids.
    pub tokens: Option<Vec<String>>,
    /// `token_type`, one for each token; may be shorter.
    pub types: Vec<i64>,
    /// `scores` of a SentencePiece vocabulary, one for each token.
    pub scores: Vec<f32>,
    /// `merges` of a BPE vocabulary: two tokens with a space between them.
    pub merges: Option<Vec<String>>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`, and the other tokens that end a turn or a message: `eot_token_id`, `eom_token_id`.
    pub eos: Vec<u32>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
}
