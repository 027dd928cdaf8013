//! Several questions about one view in one sequence.
//!
//! The model processes the system text and the image once; each question attends to them and to
//! itself, not to the other questions. Loss and gradients equal those of separate sequences, for a
//! third of the work (a test compares them).

use super::Example;
use artgpt_chat::{ChatError, Piece, Template, Tokenizer};
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
    /// Length of each segment, and whether it attends to the image.
    segments: Vec<(usize, bool)>,
    image_tokens: usize,
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
    template: Template,
    tokenizer: &Tokenizer,
) -> std::result::Result<Packed, ChatError> {
    let end = end_of(template.stop_strings()[0], tokenizer)?;
    let mut rendered = Vec::new();
    for example in examples {
        let pieces = template.render(None, &example.turns, tokenizer)?;
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
    let mut packed = Packed {
        before: Vec::new(),
        after: Vec::new(),
        positions: Vec::new(),
        second: Vec::new(),
        targets: Vec::new(),
        answers: Vec::new(),
        segments: Vec::new(),
        image_tokens,
    };
    let mut rendered = Vec::new();
    for (pieces, answer) in prompts {
        let sees = pieces.iter().any(|p| matches!(p, Piece::Image(_)));
        if let (true, Some(Piece::Tokens(ids))) = (sees, pieces.first()) {
            packed.before = ids.clone();
        }
        rendered.push((pieces, sees, answer));
    }
    let shared = packed.before.len();
    packed.positions = (0..(shared + image_tokens) as u32).collect();
    for (pieces, sees, answer) in rendered {
        let mut all: Vec<u32> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Tokens(ids) => all.extend(ids),
                Piece::Image(0) => {}
                Piece::Image(_) => {
                    packed.second.push(packed.after.len() + all.len().saturating_sub(shared));
                    all.resize(all.len() + image_tokens, 0);
                }
            }
        }
        // A template gives the same tokens up to the image in every conversation.
        let alike = all.get(..shared) == Some(&packed.before[..]);
        if !alike && !sees {
            continue; // MiniGPT-4's opens the image's tag before it
        }
        if !alike {
            return Err(ChatError::Encode(
                "the questions of one view differ before its image".into(),
            ));
        }
        let question = &all[shared..];
        let mut position = (shared + if sees { image_tokens } else { 0 }) as u32;
        let start = shared + image_tokens + packed.after.len();
        packed.answers.push(answer.len());
        for (i, id) in answer.iter().enumerate() {
            packed.targets.push(((start + question.len() + i - 1) as u32, *id));
        }
        // The last token of the answer is only a target, not an input.
        let read = question.iter().chain(&answer[..answer.len() - 1]);
        for id in read {
            packed.after.push(*id);
            packed.positions.push(position);
            position += 1;
        }
        packed.segments.push((question.len() + answer.len() - 1, sees));
    }
    Ok(packed)
}

impl Packed {
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
        let text = self.before.len();
        let shared = text + self.image_tokens;
        let mut spans = vec![Span { places: 0..shared, prefix: 0 }];
        for (length, sees) in &self.segments {
            let start = spans.last().map_or(0, |s| s.places.end);
            let prefix = if *sees { shared } else { text };
            spans.push(Span { places: start..start + length, prefix });
        }
        Sight::new(spans)
    }
}
