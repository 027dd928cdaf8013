//! `[stage.caption]` of a configuration.

use serde::{Deserialize, Serialize};

/// Where a prompt has its image.
const IMAGE_MARKER: &str = "<image>";

/// `[stage.caption]`: what becomes of a picture and its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Captions {
    /// Whole prompts with `<image>`, as they stand; one is drawn at random each time. With none,
    /// and no instructions, the caption follows the picture with nothing between them.
    pub prompts: Vec<String>,
    /// Questions in the model's own template, drawn at random; instead of prompts.
    pub instructions: Vec<String>,
    /// Ends a caption. By default what ends an answer of the model's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Tokens of a caption with its end symbol; what is longer is cut.
    pub answer_length: usize,
    /// Lower case without punctuation, at most `words` words (BLIP's caption processor).
    pub clean: bool,
    pub words: usize,
    /// Least and largest share of the picture in a random crop. Left out, the whole is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<(f32, f32)>,
    /// Crops of each picture that are drawn once and then used again, so that later passes need not
    /// see it anew; 0 draws new ones always.
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
    /// What is wrong with it, in words.
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
