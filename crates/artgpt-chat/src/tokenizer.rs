//! Text to token ids and back.

use std::path::Path;
use std::sync::OnceLock;

use candle_core::quantized::gguf_file::Value;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::ChatError;
use super::sentencepiece::{self, Piece};
use artgpt_model::checkpoint::{EOS_IDS, LanguageFile};
use artgpt_model::manifest::Model;

/// A tokenizer with its special tokens. Text from a user never becomes a special token.
pub struct Tokenizer {
    inner: Inner,
    /// The same, reading added tokens in texts as transformers does; made when first needed.
    reading: OnceLock<Inner>,
    /// Rows of the embedding table.
    rows: usize,
    special: Vec<(String, u32)>,
    pub bos: Option<u32>,
    /// Any of them ends an answer.
    pub eos: Vec<u32>,
}

impl Tokenizer {
    /// A model's own: the file that its manifest names, else the one with the language model.
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
            tokens if tokens > rows => Err(ChatError::Tokenizer {
                path: file.weights().path().display().to_string(),
                reason: format!(
                    "the tokenizer has {tokens} tokens, the embedding table {rows} rows"
                ),
            }),
            _ => Ok(tokenizer.within(rows)),
        }
    }

    /// From the metadata of a GGUF file with a byte-level BPE vocabulary (`gpt2`).
    pub fn from_gguf<'a>(
        path: &Path,
        metadata: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<Self, ChatError> {
        let fail = |reason: &str| ChatError::Tokenizer {
            path: path.display().to_string(),
            reason: reason.to_string(),
        };
        let strings = |key: &str| -> Result<Vec<String>, ChatError> {
            metadata(key)
                .and_then(|v| v.to_vec().ok())
                .and_then(|v| v.iter().map(|s| s.to_string().ok().cloned()).collect())
                .ok_or_else(|| fail(&format!("`{key}` is missing")))
        };
        let kind = metadata("tokenizer.ggml.model").and_then(|v| v.to_string().ok());
        let tokens = strings("tokenizer.ggml.tokens")?;
        let id = |key: &str| metadata(key).and_then(|v| v.to_u32().ok());
        let adds_bos = metadata("tokenizer.ggml.add_bos_token").and_then(|v| v.to_bool().ok());
        let eos: Vec<u32> = id("tokenizer.ggml.eos_token_id").into_iter().collect();
        // Types as in `ggml/docs/gguf.md`.
        let types: Vec<i64> = metadata("tokenizer.ggml.token_type")
            .and_then(|v| v.to_vec().ok())
            .into_iter()
            .flatten()
            .map(|t| t.to_i32().map(i64::from).or_else(|_| t.to_u32().map(i64::from)).unwrap_or(1))
            .collect();
        match kind.map(String::as_str) {
            Some("gpt2") => {}
            Some("llama") => {
                let scores = metadata("tokenizer.ggml.scores").and_then(|v| v.to_vec().ok());
                let scores = scores.into_iter().flatten().map(|s| s.to_f32().unwrap_or(0.0));
                let dummy = metadata("tokenizer.ggml.add_space_prefix");
                let scores: Vec<f32> = scores.collect();
                if scores.len() != tokens.len() {
                    return Err(fail("`tokenizer.ggml.scores` is missing or too short"));
                }
                let pieces = tokens
                    .into_iter()
                    .zip(scores)
                    .zip(types.into_iter().chain(std::iter::repeat(1)))
                    .map(|((text, score), kind)| Piece { text, score, kind: kind.into() })
                    .collect();
                let prefix = dummy.and_then(|v| v.to_bool().ok()).unwrap_or(true);
                let inner = sentencepiece::bpe(pieces, prefix).map_err(|e| fail(&e))?;
                // LLaMA's own tokenizer adds BOS unless it is told not to.
                let bos = id("tokenizer.ggml.bos_token_id").filter(|_| adds_bos != Some(false));
                return Ok(Self::wrap(inner, bos, eos));
            }
            _ => {
                return Err(fail(
                    "only byte-level BPE and LLaMA's vocabulary can be read from GGUF; name a tokenizer.json in the manifest",
                ));
            }
        }
        let merges = strings("tokenizer.ggml.merges")?
            .iter()
            .map(|m| m.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string())))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| fail("a merge has no space"))?;
        let vocab: tokenizers::models::bpe::Vocab =
            tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
        let bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .build()
            .map_err(|e| fail(&e.to_string()))?;
        let mut inner = Inner::new(bpe);
        // llama.cpp calls these pre-tokenizers by the model's name (`llama-vocab.cpp`).
        let byte_level = || ByteLevel::new(false, true, true);
        match metadata("tokenizer.ggml.pre").and_then(|v| v.to_string().ok()).map(String::as_str) {
            Some("smollm") => inner.with_pre_tokenizer(Some(Sequence::new(vec![
                PreTokenizerWrapper::Digits(Digits::new(true)),
                PreTokenizerWrapper::ByteLevel(byte_level()),
            ]))),
            Some("gpt-2" | "default") | None => inner.with_pre_tokenizer(Some(byte_level())),
            Some(other) => return Err(fail(&format!("pre-tokenizer `{other}` is not known"))),
        };
        inner.with_decoder(Some(ByteLevel::default()));
        let special: Vec<AddedToken> = types
            .into_iter()
            .zip(&tokens)
            .filter(|(kind, _)| *kind == 3)
            .map(|(_, token)| AddedToken::from(token.clone(), true))
            .collect();
        inner.add_special_tokens(&special);
        let bos = id("tokenizer.ggml.bos_token_id").filter(|_| adds_bos == Some(true));
        Ok(Self::wrap(inner, bos, eos))
    }

    /// From a `tokenizer.json`.
    pub fn from_file(path: &Path, bos: Option<u32>, eos: Vec<u32>) -> Result<Self, ChatError> {
        let inner = Inner::from_file(path).map_err(|e| ChatError::Tokenizer {
            path: path.display().to_string(),
            reason: e.to_string(),
        })?;
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
        Self { inner, reading: OnceLock::new(), rows: usize::MAX, special, bos, eos }
    }

    /// Without the special tokens that an embedding table of `rows` lacks.
    fn within(mut self, rows: usize) -> Self {
        self.special.retain(|(_, id)| (*id as usize) < rows);
        self.rows = rows;
        self
    }

    /// Writes it as a `tokenizer.json`.
    pub fn save(&self, path: &Path) -> Result<(), ChatError> {
        self.inner.save(path, false).map_err(|e| ChatError::Tokenizer {
            path: path.display().to_string(),
            reason: e.to_string(),
        })
    }

    /// Plain text; `<|im_end|>` in it is ten ordinary characters.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let encoding =
            self.inner.encode_fast(text, false).map_err(|e| ChatError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text in which special tokens are meant, as in a raw prompt.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let reading = self.reading.get_or_init(|| {
            let mut inner = self.inner.clone();
            inner.set_encode_special_tokens(false);
            inner
        });
        let encoding =
            reading.encode_fast(text, false).map_err(|e| ChatError::Encode(e.to_string()))?;
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

    /// Text of `ids`, special tokens left out; bytes that are no UTF-8 yet become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, true).unwrap_or_default()
    }
}
