//! The tokenizer in the metadata of a GGUF file (`ggml/docs/gguf.md`).

use std::path::Path;

use artgpt_base::text::printable;
use artgpt_manifest::GgufVocabulary;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::pre_tokenizer::Rule;
use super::sentencepiece::{self, Piece};
use super::{ChatError, Tokenizer};

/// `tokenizer.ggml.token_type` of special tokens, and of tokens that a text may name.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// What the user can do about a tokenizer that cannot be built.
const OTHER_TOKENIZER: &str =
    "put the model's tokenizer.json beside it and name it under [language] in a manifest";

/// Builds the tokenizer that the GGUF file at `path` describes: byte-level BPE (`gpt2`) or LLaMA's
/// SentencePiece vocabulary (`llama`).
pub(super) fn open(path: &Path, vocabulary: &GgufVocabulary) -> Result<Tokenizer, ChatError> {
    let missing = |key: &str| damaged(path, format!("`tokenizer.ggml.{key}` is missing"));
    let unsupported = |what: String| ChatError::unsupported(path, what, OTHER_TOKENIZER);
    let tokens = vocabulary.tokens.as_deref().ok_or_else(|| missing("tokens"))?;
    let eos = vocabulary.eos.clone();
    match vocabulary.model.as_deref().ok_or_else(|| missing("model"))? {
        "gpt2" => {
            let name = vocabulary.pre.as_deref().unwrap_or("default");
            let rule = Rule::named(name)
                .ok_or_else(|| unsupported(format!("the pre-tokenizer `{}`", printable(name))))?;
            let merges = vocabulary.merges.as_deref().ok_or_else(|| missing("merges"))?;
            let inner = byte_level(path, vocabulary, tokens, merges, &rule)?;
            let adds = vocabulary.add_bos.unwrap_or(rule.adds_bos);
            Ok(Tokenizer::wrap(inner, vocabulary.bos.filter(|_| adds), eos))
        }
        "llama" => {
            let inner = sentencepiece(path, vocabulary, tokens)?;
            // LLaMA's own tokenizer adds BOS unless it is told not to.
            let bos = vocabulary.bos.filter(|_| vocabulary.add_bos != Some(false));
            Ok(Tokenizer::wrap(inner, bos, eos))
        }
        other => {
            let kind = match other {
                "bert" => " (WordPiece)",
                "t5" => " (Unigram)",
                "rwkv" => " (RWKV's trie)",
                _ => "",
            };
            Err(unsupported(format!("the vocabulary type `{}`{kind}", printable(other))))
        }
    }
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> ChatError {
    ChatError::tokenizer_with_hint(path, reason, OTHER_TOKENIZER)
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
    rule: &Rule,
) -> Result<Inner, ChatError> {
    // A token may begin with the space itself.
    let pair = |merge: &String| {
        let at = merge.char_indices().skip(1).find(|(_, c)| *c == ' ')?.0;
        Some((merge[..at].to_string(), merge[at + 1..].to_string()))
    };
    let merges = merges
        .iter()
        .map(|merge| {
            pair(merge).ok_or_else(|| {
                let merge = printable(merge);
                damaged(path, format!("`tokenizer.ggml.merges`: `{merge}` has no space"))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let vocab: Vocab = tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(rule.ignores_merges)
        .build()
        .map_err(|e| damaged(path, format!("`tokenizer.ggml.merges`: {e}")))?;
    let mut inner = Inner::new(bpe);
    inner.with_pre_tokenizer(Some(rule.pre_tokenizer().map_err(|e| damaged(path, e))?));
    inner.with_decoder(Some(ByteLevel::default()));
    let of_kind = |kind: i64, special: bool| -> Vec<AddedToken> {
        let typed = vocabulary.types.iter().zip(tokens).filter(|(t, _)| **t == kind);
        typed.map(|(_, token)| AddedToken::from(token.clone(), special).normalized(false)).collect()
    };
    let added = inner.add_special_tokens(of_kind(CONTROL, true));
    added.map_err(|e| damaged(path, e))?;
    inner.add_tokens(of_kind(USER_DEFINED, false)).map_err(|e| damaged(path, e))?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use artgpt_manifest::TokenizerSource;
    use artgpt_model::checkpoint::{GgufFile, gguf_tokenizer_data};

    /// What llama.cpp says (`tests/reference/make_pretokenizers.py`).
    #[derive(Deserialize)]
    struct Expected {
        texts: Vec<String>,
        rules: Vec<ExpectedRule>,
    }

    /// Names of one rule, and the ids of each text.
    #[derive(Deserialize)]
    struct ExpectedRule {
        names: Vec<String>,
        ids: Vec<Vec<u32>>,
    }

    fn vocabulary() -> GgufVocabulary {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
        let path = folder.join("pretokenizers/vocabulary.gguf");
        let mut file = GgufFile::open(&path).expect("opens");
        match gguf_tokenizer_data(&mut file).source {
            TokenizerSource::Gguf(vocabulary) => vocabulary,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_pre_tokenizer_gives_the_ids_of_llama_cpp() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
        let text = std::fs::read_to_string(folder.join("pretokenizers/expected.json"));
        let expected: Expected = serde_json::from_str(&text.expect("reads")).expect("parses");
        let mut vocabulary = vocabulary();
        let mut compared = 0;
        for rule in &expected.rules {
            for name in &rule.names {
                vocabulary.pre = Some(name.clone());
                let tokenizer = open(Path::new("m.gguf"), &vocabulary).expect("opens");
                for (text, ids) in expected.texts.iter().zip(&rule.ids) {
                    assert_eq!(&tokenizer.encode(text).expect("encodes"), ids, "{name} {text:?}");
                    assert_eq!(&tokenizer.decode(ids), text, "{name}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 2000, "{compared}");
    }

    #[test]
    fn unknown_kinds_of_vocabularies_are_refused_by_name() {
        let refused = |change: &dyn Fn(&mut GgufVocabulary)| {
            let mut vocabulary = vocabulary();
            change(&mut vocabulary);
            let error = open(Path::new("m.gguf"), &vocabulary).err().expect("is refused");
            error.to_string()
        };
        assert!(refused(&|v| v.pre = Some("gpt-9".into())).contains("`gpt-9`"));
        assert!(refused(&|v| v.model = Some("bert".into())).contains("`bert`"));
        assert!(refused(&|v| v.model = Some("t5".into())).contains("`t5`"));
        assert!(refused(&|v| v.model = None).contains("tokenizer.ggml.model"));
        let merges = |m: &str| refused(&|v| v.merges = Some(vec![m.into()]));
        assert!(merges("ab").contains("tokenizer.ggml.merges"));
        assert!(merges("a \u{1}").contains("tokenizer.ggml.merges"));
    }

    /// A token for a whole word wins over merges; BOS is added where the name says so.
    #[test]
    fn names_say_more_than_how_to_split() {
        let mut vocabulary = vocabulary();
        vocabulary.add_bos = None;
        let mut with = |pre: &str| {
            vocabulary.pre = Some(pre.into());
            let tokenizer = open(Path::new("m.gguf"), &vocabulary).expect("opens");
            (tokenizer.bos.is_some(), tokenizer.encode("HelloWorld").expect("encodes").len())
        };
        assert_eq!(with("llama-bpe"), (true, 1));
        let (bos, tokens) = with("smaug-bpe");
        assert!(!bos && tokens > 1);
    }
}
