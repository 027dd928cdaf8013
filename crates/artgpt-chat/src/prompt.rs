//! Prompt templates: a conversation becomes pieces, pieces become tokens and images.

use serde::{Deserialize, Serialize};

use super::{ChatError, Tokenizer};
use artgpt_manifest::Manifest;

/// Marks where an image's tokens go in a text.
pub const IMAGE_MARKER: &str = "<image>";

/// Who wrote a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions for the model.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// One turn as the template reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who wrote it.
    pub role: Role,
    /// The question or the answer.
    pub text: String,
    /// Each image, as an index into the request's, with the label text that follows it.
    pub images: Vec<(usize, String)>,
    /// What is told of a picture whether it is shown or not, so that an evaluation can compare both:
    /// it stands before the text of a turn without images, and its features replace those that are
    /// measured in the turn's images. Servers do not get it.
    pub caption: Option<Caption>,
}

/// A picture in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// The label, `none` where there is none.
    pub label: String,
    /// The line of measured features.
    pub measured: Option<String>,
}

impl Turn {
    /// A turn without images.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), images: Vec::new(), caption: None }
    }
}

/// A part of a prompt, ready for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Tokens of the vocabulary.
    Tokens(Vec<u32>),
    /// The tokens of an image, by its index in the request.
    Image(usize),
}

/// How a conversation is written for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Template {
    /// `<|im_start|>role\n…<|im_end|>\n`, SmolLM2's.
    ChatMl,
    /// `###Human: … ###Assistant: `, MiniGPT-4's and ArtGPT-4's.
    MiniGpt4,
    /// `USER: … ASSISTANT: `, Vicuna 1.1's.
    Vicuna,
}

impl Template {
    /// Finds a template by the name that a manifest uses.
    ///
    /// # Errors
    /// [`ChatError::Template`] for an unknown name.
    pub fn by_name(name: &str) -> Result<Self, ChatError> {
        match name {
            "chatml" => Ok(Self::ChatMl),
            "minigpt4" => Ok(Self::MiniGpt4),
            "vicuna" => Ok(Self::Vicuna),
            other => Err(ChatError::Template(other.to_string())),
        }
    }

    /// The name that a manifest uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatMl => "chatml",
            Self::MiniGpt4 => "minigpt4",
            Self::Vicuna => "vicuna",
        }
    }

    /// The manifest's template; without one, ChatML if the vocabulary has its tokens, else Vicuna.
    ///
    /// # Errors
    /// [`ChatError::Template`] for an unknown name.
    pub fn of(manifest: &Manifest, tokenizer: &Tokenizer) -> Result<Self, ChatError> {
        match &manifest.prompt {
            Some(prompt) => Self::by_name(&prompt.template),
            None if tokenizer.special("<|im_start|>").is_some() => Ok(Self::ChatMl),
            None => Ok(Self::Vicuna),
        }
    }

    /// Strings that end an answer, besides the end-of-sequence token.
    pub fn stop_strings(self) -> &'static [&'static str] {
        match self {
            Self::ChatMl => &["<|im_end|>"],
            Self::MiniGpt4 => &["###"],
            Self::Vicuna => &["</s>", "USER:"],
        }
    }

    /// The system prompt if the user gives none.
    pub(crate) fn default_system(self) -> &'static str {
        match self {
            Self::ChatMl => "You look at artworks and answer in few words.",
            Self::MiniGpt4 => {
                "Give the following image: <Img>ImageContent</Img>. You will be able to see the image once I provide it to you. Please answer my questions."
            }
            Self::Vicuna => {
                "A chat between a curious user and an assistant that looks at artworks and answers questions about them."
            }
        }
    }

    /// Renders the whole conversation up to where the assistant's next answer begins.
    ///
    /// # Errors
    /// [`ChatError::Encode`], if the vocabulary lacks a token of the template.
    pub fn render(
        self,
        system: Option<&str>,
        turns: &[Turn],
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Piece>, ChatError> {
        self.render_measured(system, turns, &[], tokenizer)
    }

    /// The same with a line of measured features behind the label of each image that has one;
    /// `measured` is indexed as the request's images.
    ///
    /// # Errors
    /// [`ChatError::Encode`], if the vocabulary lacks a token of the template.
    pub fn render_measured(
        self,
        system: Option<&str>,
        turns: &[Turn],
        measured: &[Option<String>],
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Piece>, ChatError> {
        let mut out = PieceWriter::new(tokenizer, measured);
        if let Some(bos) = tokenizer.bos {
            out.id(bos)?;
        }
        let system = system.unwrap_or(self.default_system());
        match self {
            Self::ChatMl => {
                out.special("<|im_start|>")?;
                out.text(&format!("system\n{system}"));
                out.special("<|im_end|>")?;
                out.text("\n");
            }
            Self::MiniGpt4 => out.text(&format!("{system}###")),
            Self::Vicuna => out.text(&format!("{system} ")),
        }
        for turn in turns {
            self.turn(turn, &mut out)?;
        }
        match self {
            Self::ChatMl => {
                out.special("<|im_start|>")?;
                out.text("assistant\n");
            }
            // No space behind it (`conversation.py`): the answer's first token brings its own.
            Self::MiniGpt4 => out.text("Assistant:"),
            Self::Vicuna => out.text("ASSISTANT:"),
        }
        out.finish()
    }

    fn turn(self, turn: &Turn, out: &mut PieceWriter) -> Result<(), ChatError> {
        match (self, turn.role) {
            (Self::ChatMl, role) => {
                let name = match role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                };
                out.special("<|im_start|>")?;
                out.text(&format!("{name}\n"));
                self.content(turn, out)?;
                out.special("<|im_end|>")?;
                out.text("\n");
            }
            (Self::MiniGpt4, Role::Assistant) => out.text(&format!("Assistant: {}###", turn.text)),
            (Self::MiniGpt4, _) => {
                out.text("Human: ");
                self.content(turn, out)?;
                out.text("###");
            }
            (Self::Vicuna, Role::Assistant) => {
                out.text(&format!("ASSISTANT: {}", turn.text));
                match out.tokenizer.eos.first() {
                    Some(eos) => out.id(*eos)?,
                    None => out.special("</s>")?,
                }
            }
            (Self::Vicuna, _) => {
                out.text("USER: ");
                self.content(turn, out)?;
                out.text(" ");
            }
        }
        Ok(())
    }

    /// A turn's images and text. Markers in the text place the images if there is one for each;
    /// otherwise the images come first, and a marker is plain text.
    fn content(self, turn: &Turn, out: &mut PieceWriter) -> Result<(), ChatError> {
        if !turn.images.is_empty() && count_markers(&turn.text) == turn.images.len() {
            for (i, part) in turn.text.split(IMAGE_MARKER).enumerate() {
                if i > 0 {
                    self.image(turn, &turn.images[i - 1], out)?;
                }
                out.text(part);
            }
            return Ok(());
        }
        for image in &turn.images {
            self.image(turn, image, out)?;
        }
        if let (true, Some(caption)) = (turn.images.is_empty(), &turn.caption) {
            out.text(&self.caption(&caption.label, caption.measured.as_deref()));
        }
        out.text(&turn.text);
        Ok(())
    }

    /// An image and its caption.
    fn image(
        self,
        turn: &Turn,
        (index, label): &(usize, String),
        out: &mut PieceWriter,
    ) -> Result<(), ChatError> {
        let told = turn.caption.as_ref().and_then(|caption| caption.measured.as_deref());
        let measured = told.or(out.measured.get(*index).and_then(Option::as_deref));
        let caption = self.caption(label, measured);
        if self == Self::MiniGpt4 {
            out.text("<Img>");
        }
        out.image(*index)?;
        out.text(if self == Self::MiniGpt4 { "</Img> " } else { "\n" });
        out.text(&caption);
        Ok(())
    }

    /// Label and measured features. The default model, which uses ChatML, was trained with `none`
    /// for a missing label; the other templates write a label only if there is one.
    fn caption(self, label: &str, measured: Option<&str>) -> String {
        let known = (label != "none").then_some(label);
        let lines = known.into_iter().chain(measured);
        match self {
            Self::ChatMl => {
                let measured = measured.map(|line| format!("Measured: {line}\n"));
                format!("Label: {label}\n{}", measured.unwrap_or_default())
            }
            Self::MiniGpt4 => lines.map(|line| format!("({line}) ")).collect(),
            Self::Vicuna => lines.map(|line| format!("({line})\n")).collect(),
        }
    }
}

/// How a model's conversations are written: its template, and what its manifest says beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptStyle {
    /// The template.
    pub template: Template,
    /// The system prompt if the user gives none; `None` is the template's.
    pub system: Option<String>,
    /// Whether a line of measured features stands behind each image's label.
    pub measured: bool,
}

impl From<Template> for PromptStyle {
    fn from(template: Template) -> Self {
        Self { template, system: None, measured: false }
    }
}

impl PromptStyle {
    /// The manifest's style.
    ///
    /// # Errors
    /// [`ChatError::Template`] for an unknown name.
    pub fn of(manifest: &Manifest, tokenizer: &Tokenizer) -> Result<Self, ChatError> {
        let prompt = manifest.prompt.as_ref();
        Ok(Self {
            template: Template::of(manifest, tokenizer)?,
            system: prompt.and_then(|p| p.system.clone()),
            measured: prompt.is_some_and(|p| p.measured),
        })
    }

    /// Renders a conversation; `system` replaces the style's own. See [`Template::render_measured`].
    ///
    /// # Errors
    /// [`ChatError::Encode`], if the vocabulary lacks a token of the template.
    pub fn render(
        &self,
        system: Option<&str>,
        turns: &[Turn],
        measured: &[Option<String>],
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Piece>, ChatError> {
        let system = system.or(self.system.as_deref());
        self.template.render_measured(system, turns, measured, tokenizer)
    }
}

/// Renders a raw prompt: BOS where the model has one, then the text as given, around its images.
///
/// # Errors
/// [`ChatError::Markers`], unless there is one marker for each of `images`.
pub fn raw_prompt(
    text: &str,
    images: usize,
    tokenizer: &Tokenizer,
) -> Result<Vec<Piece>, ChatError> {
    let markers = count_markers(text);
    if markers != images {
        return Err(ChatError::Markers { markers, images });
    }
    let mut out = PieceWriter::new(tokenizer, &[]);
    if let Some(bos) = tokenizer.bos {
        out.id(bos)?;
    }
    for (i, part) in text.split(IMAGE_MARKER).enumerate() {
        if i > 0 {
            out.image(i - 1)?;
        }
        for id in tokenizer.encode_with_special(part)? {
            out.id(id)?;
        }
    }
    out.finish()
}

/// The number of image markers in a text.
pub fn count_markers(text: &str) -> usize {
    text.matches(IMAGE_MARKER).count()
}

/// Builds pieces. Text between two images or special tokens is tokenised as one string, as in the
/// reference.
struct PieceWriter<'a> {
    tokenizer: &'a Tokenizer,
    /// A line for each image that has one.
    measured: &'a [Option<String>],
    pieces: Vec<Piece>,
    text: String,
}

impl<'a> PieceWriter<'a> {
    fn new(tokenizer: &'a Tokenizer, measured: &'a [Option<String>]) -> Self {
        Self { tokenizer, measured, pieces: Vec::new(), text: String::new() }
    }

    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn id(&mut self, id: u32) -> Result<(), ChatError> {
        self.flush()?;
        self.push(id);
        Ok(())
    }

    fn special(&mut self, token: &str) -> Result<(), ChatError> {
        let id = self
            .tokenizer
            .special(token)
            .ok_or_else(|| ChatError::Encode(format!("the model has no token {token}")))?;
        self.id(id)
    }

    fn image(&mut self, index: usize) -> Result<(), ChatError> {
        self.flush()?;
        self.pieces.push(Piece::Image(index));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Piece>, ChatError> {
        self.flush()?;
        Ok(self.pieces)
    }

    fn flush(&mut self) -> Result<(), ChatError> {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            for id in self.tokenizer.encode(&text)? {
                self.push(id);
            }
        }
        Ok(())
    }

    fn push(&mut self, id: u32) {
        match self.pieces.last_mut() {
            Some(Piece::Tokens(ids)) => ids.push(id),
            _ => self.pieces.push(Piece::Tokens(vec![id])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_writes_label_and_features_in_its_form() {
        for (template, both, label, features) in [
            (
                Template::ChatMl,
                "Label: a\nMeasured: b\n",
                "Label: a\n",
                "Label: none\nMeasured: b\n",
            ),
            (Template::MiniGpt4, "(a) (b) ", "(a) ", "(b) "),
            (Template::Vicuna, "(a)\n(b)\n", "(a)\n", "(b)\n"),
        ] {
            assert_eq!(template.caption("a", Some("b")), both);
            assert_eq!(template.caption("a", None), label);
            assert_eq!(template.caption("none", Some("b")), features);
        }
    }
}
