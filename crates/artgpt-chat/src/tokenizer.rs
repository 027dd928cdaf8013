//! Text to token ids and back.

use std::path::Path;
use std::sync::OnceLock;

use tokenizers::Tokenizer as Inner;

use super::ChatError;
use artgpt_base::panics;
use artgpt_manifest::{TokenizerData, TokenizerSource};

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
    /// Builds a tokenizer from the data of a checkpoint.
    ///
    /// # Errors
    /// [`ChatError::Tokenizer`], if the data is incomplete, of an unknown kind, or has more tokens
    /// than the embedding table has rows.
    pub fn new(data: &TokenizerData) -> Result<Self, ChatError> {
        let build = || match &data.source {
            TokenizerSource::File { path, bos, eos } => Self::from_file(path, *bos, eos.clone()),
            TokenizerSource::Gguf(vocabulary) => {
                super::gguf_tokenizer::open(&data.path, vocabulary)
            }
            TokenizerSource::HuggingFace { folder, named } => {
                super::hf_tokenizer::open(folder, named.as_deref())
            }
        };
        // The library panics on some vocabularies.
        let tokenizer = panics::guarded(build)
            .unwrap_or_else(|panic| Err(ChatError::tokenizer(data.source_path(), panic)))?;
        // Added tokens that no row stands for (a processor's `<image>`) are never used.
        match tokenizer.inner.get_vocab_size(false) {
            tokens if tokens > data.rows => Err(ChatError::tokenizer(
                &data.path,
                format!("it has {tokens} tokens, the embedding table has {} rows", data.rows),
            )),
            _ => Ok(tokenizer.within(data.rows)),
        }
    }

    /// Reads a `tokenizer.json`.
    fn from_file(path: &Path, bos: Option<u32>, eos: Vec<u32>) -> Result<Self, ChatError> {
        let inner = Inner::from_file(path).map_err(|e| ChatError::unreadable(path, e))?;
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
        let save = || self.inner.save(path, false);
        let saved = panics::guarded(save).unwrap_or_else(|panic| Err(panic.into()));
        saved.map_err(|e| {
            let hint = "free some space, or make the folder writable";
            ChatError::tokenizer_with_hint(path, e, hint)
        })
    }

    /// Encodes plain text; a special token in it, such as `<|im_end|>`, is ordinary characters.
    ///
    /// # Errors
    /// [`ChatError::Encode`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        encode(&self.inner, text, false)
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
        let ids = encode(inner, text, false)?;
        match ids.iter().all(|id| (*id as usize) < self.rows) {
            true => Ok(ids),
            // A token that no row stands for (a processor's `<image>`) is plain text here.
            false => self.encode_around_special(text),
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
        let decode = || self.inner.decode(ids, true);
        panics::guarded(decode).ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The rows of the embedding table that stand for no token.
    pub fn rows_without_token(&self) -> Vec<u32> {
        let rows = u32::try_from(self.rows).unwrap_or(0);
        (0..rows).filter(|id| self.inner.id_to_token(*id).is_none()).collect()
    }
}

/// The ids of a text; the library panics on some texts with some vocabularies.
pub(super) fn encode(inner: &Inner, text: &str, ends: bool) -> Result<Vec<u32>, ChatError> {
    match panics::guarded(|| inner.encode_fast(text, ends)) {
        Ok(Ok(encoding)) => Ok(encoding.get_ids().to_vec()),
        Ok(Err(e)) => Err(ChatError::Encode(artgpt_base::text::first_line(&e))),
        Err(panic) => Err(ChatError::Encode(panic)),
    }
}
