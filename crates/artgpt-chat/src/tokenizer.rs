//! Text to token ids and back.

use std::path::Path;
use std::sync::OnceLock;

use candle_core::quantized::gguf_file::Value;
use tokenizers::Tokenizer as Inner;

use super::ChatError;
use super::gguf_tokenizer::GgufVocabulary;
use artgpt_model::checkpoint::{EOS_IDS, LanguageFile};
use artgpt_model::manifest::Model;

/// A tokenizer with its special tokens. Text from a user never becomes a special token.
pub struct Tokenizer {
    inner: Inner,
    /// The same, but special tokens in a text are recognised; made when first needed.
    with_special: OnceLock<Inner>,
    /// Rows of the embedding table.
    rows: usize,
    special: Vec<(String, u32)>,
    /// The token that begins each prompt, where the model has one.
    pub bos: Option<u32>,
    /// Tokens that end an answer.
    pub eos: Vec<u32>,
}

impl Tokenizer {
    /// Reads a model's tokenizer: the file that its manifest names, else the one beside or in the
    /// language model.
    ///
    /// # Errors
    /// [`ChatError::Tokenizer`], also if it has more tokens than the embedding table has rows.
    pub fn of(model: &Model, file: &mut LanguageFile) -> Result<Self, ChatError> {
        let named = model.manifest.language.as_ref().and_then(|l| l.tokenizer.as_deref());
        let named = named.map(|name| model.path(name));
        let rows = file.weights().config().map(|c| c.vocab_size).unwrap_or(usize::MAX);
        let tokenizer = match (named, &*file) {
            (Some(path), LanguageFile::Gguf(file)) => {
                let id = |key: &str| file.metadata(key).and_then(|v| v.to_u32().ok());
                let all = file.metadata(EOS_IDS).and_then(|v| v.to_vec().ok());
                let mut eos: Vec<u32> =
                    all.into_iter().flatten().filter_map(|v| v.to_u32().ok()).collect();
                if eos.is_empty() {
                    eos.extend(id("tokenizer.ggml.eos_token_id"));
                }
                Self::from_file(&path, id("tokenizer.ggml.bos_token_id"), eos)?
            }
            (None, LanguageFile::Gguf(file)) => {
                Self::from_gguf(file.file_path(), |key| file.metadata(key))?
            }
            (named, LanguageFile::HuggingFace(folder)) => {
                super::hf_tokenizer::open(folder.dir(), named.as_deref())?
            }
        };
        // Added tokens that no row stands for (a processor's `<image>`) are never used.
        match tokenizer.inner.get_vocab_size(false) {
            tokens if tokens > rows => Err(ChatError::tokenizer(
                file.weights().path(),
                format!("it has {tokens} tokens, the embedding table has {rows} rows"),
            )),
            _ => Ok(tokenizer.within(rows)),
        }
    }

    /// Builds the tokenizer that a GGUF file describes: byte-level BPE (`gpt2`) or LLaMA's
    /// SentencePiece vocabulary (`llama`).
    ///
    /// # Errors
    /// [`ChatError::Tokenizer`], if the metadata is incomplete or of another kind.
    pub fn from_gguf<'a>(
        path: &Path,
        metadata: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<Self, ChatError> {
        GgufVocabulary::new(path, &metadata)?.tokenizer()
    }

    /// Reads a `tokenizer.json`.
    fn from_file(path: &Path, bos: Option<u32>, eos: Vec<u32>) -> Result<Self, ChatError> {
        let inner = Inner::from_file(path).map_err(|e| ChatError::tokenizer(path, e))?;
        Ok(Self::wrap(inner, bos, eos))
    }

    pub(super) fn wrap(mut inner: Inner, bos: Option<u32>, eos: Vec<u32>) -> Self {
        // Special tokens inside text are read as plain characters; see `encode_with_special`.
        inner.set_encode_special_tokens(true);
        // A fine-tune's file may pad or cut every text; a prompt is neither.
        inner.with_padding(None);
        let _ = inner.with_truncation(None);
        let mut special: Vec<(String, u32)> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, t)| t.special)
            .map(|(id, t)| (t.content, id))
            .collect();
        special.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { inner, with_special: OnceLock::new(), rows: usize::MAX, special, bos, eos }
    }

    /// Leaves out the special tokens for which an embedding table of `rows` has no row.
    fn within(mut self, rows: usize) -> Self {
        self.special.retain(|(_, id)| (*id as usize) < rows);
        self.rows = rows;
        self
    }

    /// Writes a `tokenizer.json`.
    ///
    /// # Errors
    /// [`ChatError::Tokenizer`], if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ChatError> {
        self.inner.save(path, false).map_err(|e| {
            let hint = "free some space, or make the folder writable";
            ChatError::tokenizer_with_hint(path, e, hint)
        })
    }

    /// Encodes plain text; a special token in it, such as `<|im_end|>`, is ordinary characters.
    ///
    /// # Errors
    /// [`ChatError::Encode`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let encoding =
            self.inner.encode_fast(text, false).map_err(|e| ChatError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Encodes text in which special tokens are recognised, as in a raw prompt.
    ///
    /// # Errors
    /// [`ChatError::Encode`].
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let inner = self.with_special.get_or_init(|| {
            let mut inner = self.inner.clone();
            inner.set_encode_special_tokens(false);
            inner
        });
        let encoding =
            inner.encode_fast(text, false).map_err(|e| ChatError::Encode(e.to_string()))?;
        match encoding.get_ids() {
            ids if ids.iter().all(|id| (*id as usize) < self.rows) => Ok(ids.to_vec()),
            // A token that no row stands for (a processor's `<image>`) is plain text here.
            _ => self.encode_around_special(text),
        }
    }

    /// Splits the text at the special tokens that the table has.
    fn encode_around_special(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let mut ids = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let next = self
                .special
                .iter()
                .filter_map(|(token, id)| rest.find(token.as_str()).map(|at| (at, token, *id)))
                .min_by_key(|(at, token, _)| (*at, std::cmp::Reverse(token.len())));
            let Some((at, token, id)) = next else {
                ids.extend(self.encode(rest)?);
                break;
            };
            if at > 0 {
                ids.extend(self.encode(&rest[..at])?);
            }
            ids.push(id);
            rest = &rest[at + token.len()..];
        }
        Ok(ids)
    }

    /// The id of a special token.
    pub fn special(&self, token: &str) -> Option<u32> {
        self.special.iter().find(|(t, _)| t == token).map(|(_, id)| *id)
    }

    /// The text of `ids` without special tokens; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, true).unwrap_or_default()
    }
}
