//! What a model's files hold and nothing uses, as sentences for whoever loads the model.

use candle_core::Device;
use serde::Serialize;

use artgpt_chat::Tokenizer;
use artgpt_model::checkpoint::{LanguageFile, tokenizer_data};
use artgpt_model::inspect::inspect;
use artgpt_model::manifest::Model;

use super::Result;

/// How many row numbers a sentence holds.
const NAMED: usize = 3;

/// The rows of the embedding table against the tokens and the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VocabularyRows {
    /// Rows of the embedding table.
    pub rows: usize,
    /// The vocabulary's size that the configuration states.
    pub stated: Option<usize>,
    /// The rows that stand for no token.
    pub without_token: Vec<u32>,
}

impl VocabularyRows {
    /// Compares a model's table with its tokenizer; `None` for a model without a language model.
    ///
    /// # Errors
    /// The language model or its tokenizer cannot be read.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let Some(path) = model.language_path() else { return Ok(None) };
        let mut file = LanguageFile::open(&path)?;
        file.weights().config()?;
        let tokenizer = Tokenizer::new(&tokenizer_data(model, &mut file))?;
        Self::with(&mut file, &tokenizer).map(Some)
    }

    pub(crate) fn with(file: &mut LanguageFile, tokenizer: &Tokenizer) -> Result<Self> {
        let weights = file.weights();
        Ok(Self {
            rows: weights.config()?.vocab_size,
            stated: weights.stated_vocabulary(),
            without_token: tokenizer.rows_without_token(),
        })
    }

    /// A sentence for each difference.
    pub fn differences(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(stated) = self.stated.filter(|n| *n != self.rows) {
            all.push(format!(
                "the embedding table has {} rows, and the configuration says vocab_size {stated}",
                self.rows
            ));
        }
        if !self.without_token.is_empty() {
            let names: Vec<String> =
                self.without_token.iter().take(NAMED).map(u32::to_string).collect();
            let more = if self.without_token.len() > NAMED { ", …" } else { "" };
            all.push(format!(
                "{} of the {} rows of the embedding table stand for no token ({}{more})",
                self.without_token.len(),
                self.rows,
                names.join(", ")
            ));
        }
        all
    }
}

/// What the files of `model` hold and nothing uses: tensors, and rows of the vocabulary. Reads headers only.
pub(crate) fn notices(model: &Model, rows: &VocabularyRows) -> Vec<String> {
    // What cannot be inspected is reported by the loader.
    let tensors = inspect(model, &Device::Cpu).map(|found| found.unused_tensors());
    tensors.unwrap_or_default().into_iter().chain(rows.differences()).collect()
}

/// What the files of `model` hold and nothing uses, for whoever loads its parts on their own. What cannot be
/// read is left to the loader.
pub fn unused(model: &Model) -> Vec<String> {
    let rows = VocabularyRows::of(model).ok().flatten();
    rows.map_or_else(Vec::new, |rows| notices(model, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_a_vocabulary_are_sentences() {
        let rows = |stated, without_token| VocabularyRows { rows: 258, stated, without_token };
        assert!(rows(Some(258), Vec::new()).differences().is_empty());
        assert!(rows(None, Vec::new()).differences().is_empty());
        let all = rows(Some(257), vec![257]).differences();
        assert!(all[0].contains("258 rows") && all[0].contains("vocab_size 257"), "{all:?}");
        assert!(all[1].starts_with("1 of the 258 rows") && all[1].ends_with("(257)"), "{all:?}");
        let many = rows(None, (250..258).collect()).differences();
        assert!(many[0].ends_with("(250, 251, 252, …)"), "{many:?}");
    }
}
