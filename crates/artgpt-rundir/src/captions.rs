//! `[stage.caption]` of a configuration.

use serde::{Deserialize, Serialize};

/// Stands for the image in a prompt.
const IMAGE_MARKER: &str = "<image>";

/// `[stage.caption]`: how a picture and its caption become a training example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Captions {
    /// Complete prompts with `<image>`, used verbatim; each example draws one at random. Without
    /// prompts and instructions the caption directly follows the picture.
    pub prompts: Vec<String>,
    /// Questions that the model's own template wraps, drawn at random; excludes `prompts`.
    pub instructions: Vec<String>,
    /// End symbol of a caption; by default the stop string of the model's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Longest caption with its end symbol, in tokens; longer ones are truncated.
    pub answer_length: usize,
    /// Convert captions to lower case without punctuation, at most `words` words (BLIP's caption
    /// processor).
    pub clean: bool,
    /// Longest cleaned caption, in words.
    pub words: usize,
    /// Min and max share of the picture's area in a random crop; by default the whole picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<(f32, f32)>,
    /// Crops of each picture that are drawn once and reused, so that later passes find the encoder's
    /// output in the cache; 0 draws a new crop each time.
    pub variants: usize,
}

impl Default for Captions {
    fn default() -> Self {
        Self {
            prompts: Vec::new(),
            instructions: Vec::new(),
            end: None,
            answer_length: 160,
            clean: false,
            words: 50,
            crop: None,
            variants: 0,
        }
    }
}

impl Captions {
    /// The first problem of the settings, if there is one.
    pub fn problem(&self) -> Option<String> {
        if !self.prompts.is_empty() && !self.instructions.is_empty() {
            return Some("either prompts or instructions stand before a caption".into());
        }
        if let Some(prompt) = self.prompts.iter().find(|p| p.matches(IMAGE_MARKER).count() != 1) {
            return Some(format!("the prompt {prompt:?} needs {IMAGE_MARKER} once"));
        }
        if self.end.as_ref().is_some_and(String::is_empty) {
            return Some("end must not be empty".into());
        }
        if self.answer_length < 2 || self.words == 0 {
            return Some("answer_length must be above 1 and words above 0".into());
        }
        match self.crop {
            Some((least, most)) if !(0.0 < least && least <= most && most <= 1.0) => {
                Some("crop is two shares of the picture, such as [0.5, 1.0]".into())
            }
            _ => None,
        }
    }
}
