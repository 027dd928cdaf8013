//! The tokenizer of a Hugging Face folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::tokenizer::encode;
use super::{ChatError, Tokenizer, sentencepiece};
use artgpt_base::panics;

/// A tokenizer of 256,000 tokens with its merges takes 30 MB.
const MAX_JSON: u64 = 256 << 20;

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    add_bos_token: Option<bool>,
    bos_token: Option<TokenText>,
    eos_token: Option<TokenText>,
    #[serde(default)]
    tokenizer_class: String,
    /// Tokens by id; a `tokenizer.model` does not hold the added ones.
    #[serde(default)]
    added_tokens_decoder: BTreeMap<u32, AddedTokenConfig>,
}

#[derive(Deserialize)]
struct AddedTokenConfig {
    content: String,
    #[serde(default)]
    special: bool,
}

/// A token is written as its text, or as an object around it.
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenText {
    Plain(String),
    Object { content: String },
}

impl TokenText {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Object { content: text } => text,
        }
    }
}

#[derive(Deserialize, Default)]
struct ModelConfig {
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrManyIds>,
    text_config: Option<Box<ModelConfig>>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum OneOrManyIds {
    One(u32),
    Many(Vec<u32>),
}

impl OneOrManyIds {
    fn all(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        }
    }
}

/// Reads `tokenizer.json`, else `tokenizer.model`, and the tokens that begin and end a text.
///
/// `named` is the tokenizer that the manifest names.
pub(super) fn open(dir: &Path, named: Option<&Path>) -> Result<Tokenizer, ChatError> {
    let json = named.map_or_else(|| dir.join("tokenizer.json"), Path::to_path_buf);
    let model = dir.join("tokenizer.model");
    let (mut inner, sentencepiece) = if json.extension().is_some_and(|e| e == "model") {
        (sentencepiece::open(&json).map_err(|e| ChatError::unreadable(&json, e))?, true)
    } else if json.is_file() {
        (Inner::from_file(&json).map_err(|e| ChatError::unreadable(&json, e))?, false)
    } else if model.is_file() {
        (sentencepiece::open(&model).map_err(|e| ChatError::unreadable(&model, e))?, true)
    } else {
        return Err(ChatError::tokenizer_with_hint(
            dir,
            "the folder has neither tokenizer.json nor tokenizer.model",
            "copy one of them from the original model's folder",
        ));
    };
    let read = |name: &str| dir.join(name);
    let config: TokenizerConfig = json_or_default(&read("tokenizer_config.json"))?;
    let map: TokenizerConfig = json_or_default(&read("special_tokens_map.json"))?;
    let added: BTreeMap<String, u32> = json_or_default(&read("added_tokens.json"))?;
    let model: ModelConfig = json_or_default(&read("config.json"))?;
    let generation: ModelConfig = json_or_default(&read("generation_config.json"))?;
    if sentencepiece {
        // In the order of their ids, which go on where the pieces end. Files before transformers
        // 4.34 name them in added_tokens.json; those were all special.
        let mut all: BTreeMap<u32, (String, bool)> =
            added.into_iter().map(|(content, id)| (id, (content, true))).collect();
        let named = config.added_tokens_decoder.iter();
        all.extend(named.map(|(id, t)| (*id, (t.content.clone(), t.special))));
        for (id, (content, special)) in all {
            if id as usize == inner.get_vocab_size(true) {
                let token = AddedToken::from(content, special).normalized(false);
                inner.add_tokens([token]).map_err(|e| ChatError::tokenizer(&json, e))?;
            }
        }
    }
    let text = model.text_config.as_deref();
    let id_of = |token: &Option<TokenText>| inner.token_to_id(token.as_ref()?.text());
    // Before config.json, whose ids are wrong in the oldest conversions (BOS 0 and EOS 1).
    let own = |token: &str| sentencepiece.then(|| inner.token_to_id(token)).flatten();
    let bos = id_of(&config.bos_token)
        .or_else(|| id_of(&map.bos_token))
        .or_else(|| own("<s>"))
        .or(text.and_then(|t| t.bos_token_id))
        .or(model.bos_token_id)
        .or(generation.bos_token_id);
    let processor_adds = || {
        let encoded = inner.encode_fast("a", true).ok();
        bos.is_some() && encoded.is_some_and(|e| e.get_ids().first().copied() == bos)
    };
    // Byte-level tokenizers begin no text with a token, though they name one.
    let byte_level = ["GPT2", "Qwen2"].iter().any(|c| config.tokenizer_class.starts_with(c));
    let adds = config.add_bos_token.unwrap_or_else(|| !byte_level || processor_adds());
    let old = own("<s>").is_some_and(|own| model.bos_token_id.is_some_and(|id| id != own));
    let from_config = [
        generation.eos_token_id,
        text.and_then(|t| t.eos_token_id.clone()),
        model.eos_token_id.clone(),
    ];
    let mut eos: Vec<u32> = from_config
        .into_iter()
        .flatten()
        .filter(|_| !old)
        .flat_map(OneOrManyIds::all)
        .chain(id_of(&config.eos_token).or_else(|| id_of(&map.eos_token)))
        .chain(own("</s>"))
        .collect();
    if eos.is_empty() {
        // LLaMA's class has them, and a file may leave out a class's defaults.
        eos.extend(inner.token_to_id("</s>"));
    }
    eos.sort_unstable();
    eos.dedup();
    Ok(Tokenizer::wrap(inner, bos.filter(|_| adds), eos))
}

/// The values of a JSON file, or the defaults where the folder lacks it.
fn json_or_default<T: serde::de::DeserializeOwned + Default>(path: &Path) -> Result<T, ChatError> {
    match artgpt_base::files::read_text(path, MAX_JSON) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| ChatError::unreadable(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(e) => Err(ChatError::tokenizer(path, e)),
    }
}

/// BERT's tokenizer, for the instruction that a Q-Former with a text branch reads.
pub struct InstructionTokenizer(Inner);

impl InstructionTokenizer {
    /// Reads `qformer_tokenizer/` in a model's folder: `tokenizer.json`, else `vocab.txt`.
    ///
    /// # Errors
    /// [`ChatError::Tokenizer`], if neither file can be used.
    pub fn open(dir: &Path) -> Result<Self, ChatError> {
        let dir = dir.join("qformer_tokenizer");
        // The library panics on some vocabularies.
        panics::guarded(|| Self::read(&dir))
            .unwrap_or_else(|panic| Err(ChatError::tokenizer(&dir, panic)))
    }

    fn read(dir: &Path) -> Result<Self, ChatError> {
        let (json, vocab) = (dir.join("tokenizer.json"), dir.join("vocab.txt"));
        if json.is_file() {
            let mut inner = Inner::from_file(&json).map_err(|e| ChatError::unreadable(&json, e))?;
            inner.with_padding(None);
            let _ = inner.with_truncation(None);
            return Ok(Self(inner));
        }
        if !vocab.is_file() {
            return Err(ChatError::tokenizer_with_hint(
                dir,
                "the Q-Former's own tokenizer is missing",
                "copy the folder qformer_tokenizer from the original model's folder",
            ));
        }
        let words = WordPiece::from_file(&vocab.display().to_string())
            .unk_token("[UNK]".into())
            .build()
            .map_err(|e| ChatError::unreadable(&vocab, e))?;
        let mut inner = Inner::new(words);
        inner
            .with_normalizer(Some(BertNormalizer::default()))
            .map_err(|e| ChatError::tokenizer(&vocab, e))?;
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        let special = |token: &str| {
            inner
                .token_to_id(token)
                .map(|id| (token.to_string(), id))
                .ok_or_else(|| ChatError::tokenizer(&vocab, format!("it has no {token}")))
        };
        let processor = BertProcessing::new(special("[SEP]")?, special("[CLS]")?);
        inner.with_post_processor(Some(processor));
        Ok(Self(inner))
    }

    /// Encodes an instruction with its first and last special token. If it has more than `limit`
    /// tokens, its end is cut off, except for the last special token.
    ///
    /// # Errors
    /// [`ChatError::Encode`].
    pub fn encode(&self, text: &str, limit: usize) -> Result<Vec<u32>, ChatError> {
        let mut ids = encode(&self.0, text, true)?;
        if ids.len() > limit && limit > 0 {
            let last = ids[ids.len() - 1];
            ids.truncate(limit);
            ids[limit - 1] = last;
        }
        Ok(ids)
    }
}
