//! Several questions about one view in one sequence.
//!
//! The model processes the system text, the image and what several questions have behind it (its label and
//! measured features) once. Each question, or each conversation with all its answers, attends to them and to
//! itself, not to the others. Loss and gradients equal those of separate sequences, for a third of the work (a
//! test compares them).

use std::ops::Range;

use super::Example;
use artgpt_chat::{ChatError, Piece, PromptStyle, Tokenizer};
use artgpt_kernels::ops::attention::{Sight, Span};
use artgpt_rundir::Weigh;

/// One packed sequence.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Tokens before the image.
    pub before: Vec<u32>,
    /// Tokens after the image, all segments.
    pub after: Vec<u32>,
    /// Rotary position of each token of the sequence: before, image, after.
    pub positions: Vec<u32>,
    /// Indices in `after` at which the tokens of the second picture start, one for each segment that
    /// shows it; `after` holds zeros there.
    pub second: Vec<usize>,
    /// Positions in the whole sequence whose next token is scored, and that token.
    pub targets: Vec<(u32, u32)>,
    /// Tokens of each answer, in the order of `targets`.
    answers: Vec<usize>,
    /// Length of each segment, and the positions of the shared prefix that it attends to.
    segments: Vec<(usize, usize)>,
    image_tokens: usize,
    /// Tokens of `after` that several segments have behind the image: label and measured features.
    pub(crate) head: usize,
}

/// A conversation as tokens: what is read, and which of it is scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// All tokens but those of the first picture; zeros where the second one is.
    tokens: Vec<u32>,
    /// Tokens before the first picture; `None` without a picture.
    before_image: Option<usize>,
    /// Indices in `tokens` at which the second picture starts.
    second: Vec<usize>,
    /// Ranges of `tokens` that are scored.
    scored: Vec<Range<usize>>,
}

impl Segment {
    /// A rendered prompt, in which nothing is scored yet.
    pub(crate) fn of(prompt: &[Piece], image_tokens: usize) -> Self {
        let mut segment =
            Self { tokens: Vec::new(), before_image: None, second: Vec::new(), scored: Vec::new() };
        for piece in prompt {
            match piece {
                Piece::Tokens(ids) => segment.tokens.extend(ids),
                Piece::Image(0) => segment.before_image = Some(segment.tokens.len()),
                Piece::Image(_) => {
                    segment.second.push(segment.tokens.len());
                    segment.tokens.resize(segment.tokens.len() + image_tokens, 0);
                }
            }
        }
        segment
    }

    /// Adds an answer, which is scored.
    pub(crate) fn answer(&mut self, answer: &[u32]) {
        let start = self.tokens.len();
        self.tokens.extend(answer);
        self.scored.push(start..self.tokens.len());
    }

    /// The same conversation up to its next question, if `next` begins with all of this one.
    pub(crate) fn continued(&self, next: Self) -> Option<Self> {
        let same = next.tokens.starts_with(&self.tokens)
            && next.before_image == self.before_image
            && next.second.starts_with(&self.second);
        same.then(|| Self { scored: self.scored.clone(), ..next })
    }

    /// What a segment that shows the first picture, after `text` tokens, reads behind it before the first
    /// token that is scored or belongs to a second picture; at least one token stays in the segment.
    fn own(&self, text: usize) -> Option<&[u32]> {
        let scored = self.scored.first().map_or(self.tokens.len(), |range| range.start);
        let end = self.second.first().map_or(scored, |at| scored.min(*at)).saturating_sub(1);
        self.tokens.get(self.before_image.filter(|at| *at == text)?..end)
    }

    /// Whether it shows the first picture.
    pub(crate) fn sees(&self) -> bool {
        self.before_image.is_some()
    }

    /// Positions of the sequence alone, with its pictures.
    pub(crate) fn length(&self, image_tokens: usize) -> usize {
        self.tokens.len() + self.before_image.map_or(0, |_| image_tokens)
    }
}

/// Packs the examples of one view. All share the text before the image; an example without a picture
/// is omitted if the template has another text there. Image 0 of an example is that view; image 1 is
/// a second picture later in the conversation.
///
/// # Errors
/// [`ChatError`] if the template or the tokenizer fails.
pub fn pack(
    examples: &[Example],
    image_tokens: usize,
    style: &PromptStyle,
    tokenizer: &Tokenizer,
) -> std::result::Result<Packed, ChatError> {
    let end = end_of(style.template.stop_strings()[0], tokenizer)?;
    let mut rendered = Vec::new();
    for example in examples {
        let pieces = style.render(None, &example.turns, &[], tokenizer)?;
        let mut answer = tokenizer.encode(&example.answer)?;
        answer.extend(&end);
        rendered.push((pieces, answer));
    }
    pack_pieces(rendered, image_tokens)
}

/// The tokens that end an answer.
pub(crate) fn end_of(
    symbol: &str,
    tokenizer: &Tokenizer,
) -> std::result::Result<Vec<u32>, ChatError> {
    match tokenizer.special(symbol) {
        Some(id) => Ok(vec![id]),
        None => tokenizer.encode(symbol),
    }
}

/// Packs rendered prompts with the tokens of their answers; see [`pack`].
pub(crate) fn pack_pieces(
    prompts: Vec<(Vec<Piece>, Vec<u32>)>,
    image_tokens: usize,
) -> std::result::Result<Packed, ChatError> {
    let segments = prompts.into_iter().map(|(pieces, answer)| {
        let mut segment = Segment::of(&pieces, image_tokens);
        segment.answer(&answer);
        segment
    });
    pack_segments(&segments.collect::<Vec<_>>(), image_tokens, Apart::Omit)
}

/// How to pack a segment without a picture that does not begin as those with the picture do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// It is omitted.
    Omit,
    /// It attends to itself alone.
    Alone,
}

/// Packs conversations about one view; those with the picture must begin alike.
pub(crate) fn pack_segments(
    segments: &[Segment],
    image_tokens: usize,
    apart: Apart,
) -> std::result::Result<Packed, ChatError> {
    let seeing = segments.iter().rev().find_map(|s| Some(&s.tokens[..s.before_image?]));
    let before = seeing.unwrap_or_default().to_vec();
    let text = before.len();
    let mut packed = Packed {
        positions: (0..(text + image_tokens) as u32).collect(),
        before,
        after: Vec::new(),
        second: Vec::new(),
        targets: Vec::new(),
        answers: Vec::new(),
        segments: Vec::new(),
        image_tokens,
        head: 0,
    };
    let head = common_head(segments, text);
    packed.head = head.len();
    packed.positions.extend((text + image_tokens..).take(head.len()).map(|p| p as u32));
    packed.after.extend(head);
    for segment in segments {
        let sees = segment.before_image.is_some();
        // A template gives the same tokens up to the image in every conversation.
        let alike = segment.tokens.starts_with(&packed.before)
            && segment.before_image.is_none_or(|at| at == text);
        let continues = segment.own(text).is_some_and(|own| own.starts_with(head));
        match (alike, sees, apart) {
            (true, true, _) if continues => {
                packed.add(segment, text + head.len(), text + image_tokens + head.len());
            }
            (true, true, _) => packed.add(segment, text, text + image_tokens),
            (true, false, _) => packed.add(segment, text, text),
            (false, false, Apart::Alone) => packed.add(segment, 0, 0),
            (false, false, Apart::Omit) => {} // MiniGPT-4's opens the image's tag before it
            (false, true, _) => {
                return Err(ChatError::Encode(
                    "the questions of one view differ before its image".into(),
                ));
            }
        }
    }
    Ok(packed)
}

/// The tokens behind the image that several segments share, where that saves most; `text` is the length of
/// the text before the image.
fn common_head(segments: &[Segment], text: usize) -> &[u32] {
    let owns: Vec<&[u32]> = segments.iter().filter_map(|segment| segment.own(text)).collect();
    let mut best: (usize, &[u32]) = (0, &[]);
    for (i, one) in owns.iter().enumerate() {
        for other in &owns[i + 1..] {
            let length = one.iter().zip(*other).take_while(|(a, b)| a == b).count();
            let head = &one[..length];
            let others = owns.iter().filter(|own| own.starts_with(head)).count() - 1;
            if others * length > best.0 {
                best = (others * length, head);
            }
        }
    }
    best.1
}

impl Packed {
    /// Adds what a segment has after its first `shared` tokens; it attends to the first `prefix`
    /// positions of the sequence.
    fn add(&mut self, segment: &Segment, shared: usize, prefix: usize) {
        // The token after the last answer is only a target, not an input.
        let read = segment.tokens[shared..].split_last().map_or(&[][..], |(_, read)| read);
        let start = self.before.len() + self.image_tokens + self.after.len();
        for at in segment.scored.iter().cloned().flatten() {
            self.targets.push(((start + at - shared - 1) as u32, segment.tokens[at]));
        }
        self.answers.extend(segment.scored.iter().map(Range::len));
        let second = segment.second.iter().map(|at| self.after.len() + at - shared);
        self.second.extend(second);
        self.positions.extend((prefix..).take(read.len()).map(|p| p as u32));
        self.after.extend(read);
        self.segments.push((read.len(), prefix));
    }

    /// The number of answers.
    pub fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Length of the sequence, in tokens.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether the sequence has no tokens.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The weight of each target; their sum is 1.
    pub fn weights(&self, weigh: Weigh) -> Vec<f32> {
        let of_token = |tokens: usize| match weigh {
            Weigh::Tokens => 1.0 / self.targets.len() as f32,
            Weigh::Answers => 1.0 / (self.answers.len() * tokens) as f32,
        };
        self.answers.iter().flat_map(|n| std::iter::repeat_n(of_token(*n), *n)).collect()
    }

    /// The attention mask: a question attends to the text before the image, to the image if it shows
    /// it, and causally to itself. `None` for an empty question.
    pub fn sight(&self) -> Option<Sight> {
        let shared = self.before.len() + self.image_tokens + self.head;
        let mut spans = vec![Span { places: 0..shared, prefix: 0 }];
        for (length, prefix) in &self.segments {
            let start = spans.last().map_or(0, |s| s.places.end);
            spans.push(Span { places: start..start + length, prefix: *prefix });
        }
        Sight::new(spans)
    }
}
