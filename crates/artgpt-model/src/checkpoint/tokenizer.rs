//! What a checkpoint says about its tokenizer.

use artgpt_manifest::{GgufVocabulary, TokenizerData, TokenizerSource};
use candle_core::quantized::gguf_file::Value;

use super::{EOS_IDS, GgufFile, LanguageFile, LanguageWeights};
use crate::manifest::Model;

/// The data of a model's tokenizer: the file that its manifest names, else what lies beside or in
/// the language model.
pub fn tokenizer_data(model: &Model, file: &mut LanguageFile) -> TokenizerData {
    let named = model.manifest.language.as_ref().and_then(|l| l.tokenizer.as_deref());
    let named = named.map(|name| model.path(name));
    let rows = file.weights().config().map(|c| c.vocab_size).unwrap_or(usize::MAX);
    let path = file.weights().path().to_path_buf();
    let source = match (named, &*file) {
        (Some(path), LanguageFile::Gguf(file)) => {
            let bos = id(file, "bos_token_id");
            TokenizerSource::File { path, bos, eos: end_ids(file) }
        }
        (None, LanguageFile::Gguf(file)) => TokenizerSource::Gguf(vocabulary(file)),
        (named, LanguageFile::HuggingFace(folder)) => {
            TokenizerSource::HuggingFace { folder: folder.dir().to_path_buf(), named }
        }
    };
    TokenizerData { path, rows, source }
}

/// The data of the tokenizer in the metadata of a GGUF file.
pub fn gguf_tokenizer_data(file: &mut GgufFile) -> TokenizerData {
    let rows = file.config().map(|c| c.vocab_size).unwrap_or(usize::MAX);
    let path = file.file_path().to_path_buf();
    TokenizerData { path, rows, source: TokenizerSource::Gguf(vocabulary(file)) }
}

fn vocabulary(file: &GgufFile) -> GgufVocabulary {
    let text = |key| value(file, key).and_then(|v| v.to_string().ok()).cloned();
    let flag = |key| value(file, key).and_then(|v| v.to_bool().ok());
    let integer = |v: &Value| v.to_i32().map(i64::from).or_else(|_| v.to_u32().map(i64::from));
    GgufVocabulary {
        model: text("model"),
        pre: text("pre"),
        tokens: strings(file, "tokens"),
        types: list(file, "token_type").map(|v| integer(v).unwrap_or(1)).collect(),
        scores: list(file, "scores").map(|v| v.to_f32().unwrap_or(0.0)).collect(),
        merges: strings(file, "merges"),
        bos: id(file, "bos_token_id"),
        eos: ["eos_token_id", "eot_token_id", "eom_token_id"]
            .into_iter()
            .filter_map(|key| id(file, key))
            .collect(),
        add_bos: flag("add_bos_token"),
        add_space_prefix: flag("add_space_prefix"),
    }
}

/// The tokens that end an answer, where a conversion has listed them, else the file's own.
fn end_ids(file: &GgufFile) -> Vec<u32> {
    let listed = file.metadata(EOS_IDS).and_then(|v| v.to_vec().ok());
    let mut ids: Vec<u32> = listed.into_iter().flatten().filter_map(|v| v.to_u32().ok()).collect();
    if ids.is_empty() {
        ids.extend(id(file, "eos_token_id"));
    }
    ids
}

fn value<'a>(file: &'a GgufFile, key: &str) -> Option<&'a Value> {
    file.metadata(&format!("tokenizer.ggml.{key}"))
}

fn id(file: &GgufFile, key: &str) -> Option<u32> {
    value(file, key).and_then(|v| v.to_u32().ok())
}

fn list<'a>(file: &'a GgufFile, key: &str) -> impl Iterator<Item = &'a Value> {
    value(file, key).and_then(|v| v.to_vec().ok()).into_iter().flatten()
}

/// `None` if an element is no text.
fn strings(file: &GgufFile, key: &str) -> Option<Vec<String>> {
    value(file, key)?.to_vec().ok()?.iter().map(|v| v.to_string().ok().cloned()).collect()
}
