//! Whether a model talks about the picture: questions with reference answers, asked with the right picture, a
//! wrong one and none, and with pixels, text or both.
//!
//! [`Plan`] says what is asked, [`ask`] asks it, and [`Report`] compares the answers with the references.

mod ask;
mod claims;
mod corpus;
mod facts;
mod plan;
mod prompt;
mod repeats;
mod report;
mod sources;
mod statistics;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub use ask::{Answered, LeftOut, Line, Scored, ask};
pub use corpus::{Conversation, Corpus, Round, Skipped};
pub use plan::{Extent, Plan, PlanError, Task};
pub use prompt::{Prompt, Talker};
pub use report::{CellMetrics, Report};
pub use sources::{Source, sources};

use serde::{Deserialize, Serialize};

/// Which picture the model is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The painting that the question is about.
    Right,
    /// Another painting.
    Wrong,
    /// No picture.
    None,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 3] = [Self::Right, Self::Wrong, Self::None];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::None => "none",
        }
    }
}

/// What the model is given of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Given {
    /// Image tokens alone.
    Pixels,
    /// The label and the measured facts as text.
    Text,
    /// Image tokens, label and measured facts.
    Both,
}

impl Given {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pixels, Self::Text, Self::Both];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Text => "text",
            Self::Both => "both",
        }
    }
}

/// A column of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The picture.
    pub condition: Condition,
    /// What is given of it.
    pub given: Given,
}

impl Cell {
    /// All nine.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |condition| Given::ALL.map(|given| Self { condition, given });
        Condition::ALL.into_iter().flat_map(of)
    }

    /// The cell whose prompts are the same: without a picture, text and both are the label alone.
    #[must_use]
    pub fn asked(self) -> Self {
        match self {
            Self { condition: Condition::None, given: Given::Both } => {
                Self { given: Given::Text, ..self }
            }
            cell => cell,
        }
    }

    /// Whether a model without vision can answer.
    pub(crate) fn has_pixels(self) -> bool {
        self.condition != Condition::None && self.given != Given::Text
    }
}
