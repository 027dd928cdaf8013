//! The tokenizer in the metadata of a GGUF file (`ggml/docs/gguf.md`).

use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::sentencepiece::{self, Piece};
use super::{ChatError, Tokenizer};

/// `tokenizer.ggml.token_type` of special tokens.
const CONTROL: i64 = 3;

/// The metadata under `tokenizer.ggml`.
pub(super) struct GgufVocabulary<'a, F> {
    path: &'a Path,
    metadata: &'a F,
    tokens: Vec<String>,
    /// One for each token; may be missing.
    types: Vec<i64>,
}

impl<'a, 'v, F: Fn(&str) -> Option<&'v Value>> GgufVocabulary<'a, F> {
    pub(super) fn new(path: &'a Path, metadata: &'a F) -> Result<Self, ChatError> {
        let mut vocabulary = Self { path, metadata, tokens: Vec::new(), types: Vec::new() };
        vocabulary.tokens = vocabulary.strings("tokenizer.ggml.tokens")?;
        let types = metadata("tokenizer.ggml.token_type").and_then(|v| v.to_vec().ok());
        vocabulary.types = types
            .into_iter()
            .flatten()
            .map(|t| t.to_i32().map(i64::from).or_else(|_| t.to_u32().map(i64::from)).unwrap_or(1))
            .collect();
        Ok(vocabulary)
    }

    pub(super) fn tokenizer(self) -> Result<Tokenizer, ChatError> {
        let metadata = self.metadata;
        let bos = self.id("tokenizer.ggml.bos_token_id");
        let eos: Vec<u32> = self.id("tokenizer.ggml.eos_token_id").into_iter().collect();
        let adds_bos = metadata("tokenizer.ggml.add_bos_token").and_then(|v| v.to_bool().ok());
        match self.text("tokenizer.ggml.model") {
            Some("gpt2") => {
                let bos = bos.filter(|_| adds_bos == Some(true));
                Ok(Tokenizer::wrap(self.byte_level()?, bos, eos))
            }
            Some("llama") => {
                // LLaMA's own tokenizer adds BOS unless it is told not to.
                let bos = bos.filter(|_| adds_bos != Some(false));
                Ok(Tokenizer::wrap(self.sentencepiece()?, bos, eos))
            }
            _ => Err(ChatError::tokenizer_with_hint(
                self.path,
                "only byte-level BPE and LLaMA's vocabulary can be read from GGUF",
                "name a tokenizer.json in the manifest",
            )),
        }
    }

    fn sentencepiece(self) -> Result<Inner, ChatError> {
        let metadata = self.metadata;
        let scores = metadata("tokenizer.ggml.scores").and_then(|v| v.to_vec().ok());
        let scores = scores.into_iter().flatten().map(|s| s.to_f32().unwrap_or(0.0));
        let scores: Vec<f32> = scores.collect();
        if scores.len() != self.tokens.len() {
            return Err(self.error("`tokenizer.ggml.scores` is missing or too short"));
        }
        let space = metadata("tokenizer.ggml.add_space_prefix").and_then(|v| v.to_bool().ok());
        let path = self.path;
        let types = self.types.into_iter().chain(std::iter::repeat(1));
        let pieces = self.tokens.into_iter().zip(scores).zip(types);
        let pieces = pieces.map(|((text, score), kind)| Piece { text, score, kind: kind.into() });
        sentencepiece::bpe(pieces.collect(), space.unwrap_or(true))
            .map_err(|e| ChatError::tokenizer(path, e))
    }

    fn byte_level(&self) -> Result<Inner, ChatError> {
        let merges = self
            .strings("tokenizer.ggml.merges")?
            .iter()
            .map(|m| m.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string())))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.error("a merge has no space"))?;
        let vocab: Vocab =
            self.tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
        let bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .build()
            .map_err(|e| ChatError::tokenizer(self.path, e))?;
        let mut inner = Inner::new(bpe);
        let byte_level = || ByteLevel::new(false, true, true);
        // llama.cpp calls these pre-tokenizers by the model's name (`llama-vocab.cpp`).
        match self.text("tokenizer.ggml.pre") {
            Some("smollm") => inner.with_pre_tokenizer(Some(Sequence::new(vec![
                PreTokenizerWrapper::Digits(Digits::new(true)),
                PreTokenizerWrapper::ByteLevel(byte_level()),
            ]))),
            Some("gpt-2" | "default") | None => inner.with_pre_tokenizer(Some(byte_level())),
            Some(other) => return Err(self.error(&format!("unknown pre-tokenizer `{other}`"))),
        };
        inner.with_decoder(Some(ByteLevel::default()));
        let special: Vec<AddedToken> = self
            .types
            .iter()
            .zip(&self.tokens)
            .filter(|(kind, _)| **kind == CONTROL)
            .map(|(_, token)| AddedToken::from(token.clone(), true))
            .collect();
        inner.add_special_tokens(&special);
        Ok(inner)
    }

    fn id(&self, key: &str) -> Option<u32> {
        (self.metadata)(key).and_then(|v| v.to_u32().ok())
    }

    fn text(&self, key: &str) -> Option<&'v str> {
        (self.metadata)(key).and_then(|v| v.to_string().ok()).map(String::as_str)
    }

    fn strings(&self, key: &str) -> Result<Vec<String>, ChatError> {
        (self.metadata)(key)
            .and_then(|v| v.to_vec().ok())
            .and_then(|v| v.iter().map(|s| s.to_string().ok().cloned()).collect())
            .ok_or_else(|| self.error(&format!("`{key}` is missing")))
    }

    fn error(&self, reason: &str) -> ChatError {
        ChatError::tokenizer(self.path, reason)
    }
}
