//! The tokenizer in the metadata of a GGUF file (`ggml/docs/gguf.md`).

use std::path::Path;

use artgpt_manifest::GgufVocabulary;
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

/// Builds the tokenizer that the GGUF file at `path` describes: byte-level BPE (`gpt2`) or LLaMA's
/// SentencePiece vocabulary (`llama`).
pub(super) fn open(path: &Path, vocabulary: &GgufVocabulary) -> Result<Tokenizer, ChatError> {
    let missing =
        |key: &str| ChatError::tokenizer(path, format!("`tokenizer.ggml.{key}` is missing"));
    let tokens = vocabulary.tokens.as_deref().ok_or_else(|| missing("tokens"))?;
    let eos: Vec<u32> = vocabulary.eos.into_iter().collect();
    match vocabulary.model.as_deref() {
        Some("gpt2") => {
            let merges = vocabulary.merges.as_deref().ok_or_else(|| missing("merges"))?;
            let inner = byte_level(path, vocabulary, tokens, merges)?;
            let bos = vocabulary.bos.filter(|_| vocabulary.add_bos == Some(true));
            Ok(Tokenizer::wrap(inner, bos, eos))
        }
        Some("llama") => {
            let inner = sentencepiece(path, vocabulary, tokens)?;
            // LLaMA's own tokenizer adds BOS unless it is told not to.
            let bos = vocabulary.bos.filter(|_| vocabulary.add_bos != Some(false));
            Ok(Tokenizer::wrap(inner, bos, eos))
        }
        _ => Err(ChatError::tokenizer_with_hint(
            path,
            "only byte-level BPE and LLaMA's vocabulary can be read from GGUF",
            "name a tokenizer.json in the manifest",
        )),
    }
}

fn sentencepiece(
    path: &Path,
    vocabulary: &GgufVocabulary,
    tokens: &[String],
) -> Result<Inner, ChatError> {
    if vocabulary.scores.len() != tokens.len() {
        return Err(ChatError::tokenizer(path, "`tokenizer.ggml.scores` is missing or too short"));
    }
    let types = vocabulary.types.iter().copied().chain(std::iter::repeat(1));
    let pieces = tokens.iter().zip(&vocabulary.scores).zip(types);
    let pieces = pieces.map(|((text, score), kind)| Piece {
        text: text.clone(),
        score: *score,
        kind: kind.into(),
    });
    sentencepiece::bpe(pieces.collect(), vocabulary.add_space_prefix.unwrap_or(true))
        .map_err(|e| ChatError::tokenizer(path, e))
}

fn byte_level(
    path: &Path,
    vocabulary: &GgufVocabulary,
    tokens: &[String],
    merges: &[String],
) -> Result<Inner, ChatError> {
    let merges = merges
        .iter()
        .map(|m| m.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| ChatError::tokenizer(path, "a merge has no space"))?;
    let vocab: Vocab = tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .build()
        .map_err(|e| ChatError::tokenizer(path, e))?;
    let mut inner = Inner::new(bpe);
    let byte_level = || ByteLevel::new(false, true, true);
    // llama.cpp calls these pre-tokenizers by the model's name (`llama-vocab.cpp`).
    match vocabulary.pre.as_deref() {
        Some("smollm") => inner.with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(byte_level()),
        ]))),
        Some("gpt-2" | "default") | None => inner.with_pre_tokenizer(Some(byte_level())),
        Some(other) => {
            return Err(ChatError::tokenizer(path, format!("unknown pre-tokenizer `{other}`")));
        }
    };
    inner.with_decoder(Some(ByteLevel::default()));
    let special: Vec<AddedToken> = vocabulary
        .types
        .iter()
        .zip(tokens)
        .filter(|(kind, _)| **kind == CONTROL)
        .map(|(_, token)| AddedToken::from(token.clone(), true))
        .collect();
    inner.add_special_tokens(special).map_err(|e| ChatError::tokenizer(path, e))?;
    Ok(inner)
}
