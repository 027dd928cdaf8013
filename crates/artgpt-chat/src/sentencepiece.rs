//! LLaMA's SentencePiece vocabulary as a BPE tokenizer, from `tokenizer.model` or from GGUF.
//!
//! SentencePiece stores scores, not merges: two pieces merge where their join is a piece, the best
//! score first (`SentencePieceExtractor` in transformers' `convert_slow_tokenizer.py`).

use std::path::Path;

use prost::Message;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Replace, Sequence as Normalizers};
use tokenizers::{AddedToken, Tokenizer as Inner};

/// A vocabulary of 256,000 tokens takes 5 MB.
const MAX_BYTES: u64 = 256 << 20;

/// How SentencePiece writes a space.
const SPACE: &str = "\u{2581}";

/// One entry of the vocabulary; its id is its index.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: PieceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    Normal,
    Unknown,
    /// `<s>`, `</s>`: never made from text.
    Control,
    UserDefined,
    Byte,
}

impl From<i64> for PieceKind {
    /// The numbers of `sentencepiece_model.proto`, which GGUF shares.
    fn from(number: i64) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// The part of `sentencepiece_model.proto` that is needed.
#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<PieceProto>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerProto>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerProto>,
}

#[derive(Clone, PartialEq, Message)]
struct PieceProto {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerProto {
    /// 1 is unigram (the default), 2 is BPE.
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerProto {
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
}

/// Reads a `tokenizer.model`.
pub(super) fn open(path: &Path) -> Result<Inner, String> {
    let bytes = artgpt_base::files::read_limited(path, MAX_BYTES).map_err(|e| e.to_string())?;
    let model = ModelProto::decode(bytes.as_slice()).map_err(|e| e.to_string())?;
    if model.trainer.and_then(|t| t.model_type) != Some(2) {
        return Err(
            "it is no BPE model; save the tokenizer as tokenizer.json with transformers".into()
        );
    }
    let prefix = model.normalizer.and_then(|n| n.add_dummy_prefix).unwrap_or(true);
    let pieces = model
        .pieces
        .into_iter()
        .map(|p| Piece {
            text: p.piece.unwrap_or_default(),
            score: p.score.unwrap_or(0.0),
            kind: i64::from(p.kind.unwrap_or(1)).into(),
        })
        .collect();
    bpe(pieces, prefix)
}

/// A BPE tokenizer with these pieces. `prefix` puts a space before each text.
pub(super) fn bpe(pieces: Vec<Piece>, prefix: bool) -> Result<Inner, String> {
    let vocab: Vocab =
        pieces.iter().enumerate().map(|(id, p)| (p.text.clone(), id as u32)).collect();
    let mut merges = Vec::new();
    for piece in &pieces {
        let cuts = piece.text.char_indices().skip(1).map(|(at, _)| piece.text.split_at(at));
        let mut here: Vec<_> =
            cuts.filter_map(|(a, b)| Some((*vocab.get(a)?, *vocab.get(b)?, a, b))).collect();
        here.sort_by_key(|(a, b, ..)| (*a, *b));
        merges.extend(
            here.into_iter().map(|(.., a, b)| (piece.score, (a.to_string(), b.to_string()))),
        );
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let unknown = pieces.iter().find(|p| p.kind == PieceKind::Unknown).map(|p| p.text.clone());
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges.into_iter().map(|(_, m)| m).collect::<Vec<_>>())
        .fuse_unk(true)
        .byte_fallback(true);
    if let Some(unknown) = unknown {
        builder = builder.unk_token(unknown);
    }
    let mut inner = Inner::new(builder.build().map_err(|e| e.to_string())?);
    let spaces = Replace::new(" ", SPACE).map_err(|e| e.to_string())?;
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    if prefix {
        normalizers.push(Prepend::new(SPACE.into()).into());
    }
    normalizers.push(spaces.into());
    inner.with_normalizer(Some(Normalizers::new(normalizers))).map_err(|e| e.to_string())?;
    let marks = Replace::new(SPACE, " ").map_err(|e| e.to_string())?;
    let mut decoders: Vec<DecoderWrapper> =
        vec![marks.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    inner.with_decoder(Some(Decoders::new(decoders)));
    let added = |kind: PieceKind, special: bool| -> Vec<AddedToken> {
        pieces
            .iter()
            .filter(|p| p.kind == kind)
            .map(|p| AddedToken::from(p.text.clone(), special).normalized(false))
            .collect()
    };
    inner.add_special_tokens(added(PieceKind::Control, true)).map_err(|e| e.to_string())?;
    inner.add_special_tokens(added(PieceKind::Unknown, true)).map_err(|e| e.to_string())?;
    inner.add_tokens(added(PieceKind::UserDefined, false)).map_err(|e| e.to_string())?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Tokenizer;
    use artgpt_model::checkpoint::{GgufFile, gguf_tokenizer_data};

    /// What SentencePiece says (`tests/reference/make_tokenizers.py`).
    #[derive(Deserialize)]
    struct Case {
        text: String,
        ids: Vec<u32>,
        decoded: String,
    }

    fn agrees(tokenizer: &Tokenizer, folder: &Path) {
        let text = std::fs::read_to_string(folder.join("expected.json")).expect("reads");
        let cases: Vec<Case> = serde_json::from_str(&text).expect("parses");
        for case in cases {
            assert_eq!(tokenizer.encode(&case.text).expect("encodes"), case.ids, "{:?}", case.text);
            assert_eq!(tokenizer.decode(&case.ids), case.decoded, "{:?}", case.text);
        }
    }

    #[test]
    fn both_forms_of_a_vocabulary_give_the_ids_of_sentencepiece() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tokenizers");
        let inner = open(&folder.join("tokenizer.model")).expect("opens");
        agrees(&Tokenizer::wrap(inner, None, Vec::new()), &folder);
        let path = folder.join("vocabulary.gguf");
        let mut file = GgufFile::open(&path).expect("opens");
        let tokenizer = Tokenizer::new(&gguf_tokenizer_data(&mut file)).expect("reads");
        agrees(&tokenizer, &folder);
    }
}
