//! `[[stage]]` of a configuration.

use serde::{Deserialize, Serialize};

use crate::{Captions, DataConfig};
use artgpt_art::Question;

/// One stage: a loss, its length and its learning rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The loss.
    pub kind: StageKind,
    /// Optimiser steps.
    pub steps: usize,
    /// Views per micro-batch.
    pub batch: usize,
    /// Micro-batches whose gradients one step accumulates.
    #[serde(default = "one_batch")]
    pub accumulate: usize,
    /// Learning rate after the warm-up.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    #[serde(default)]
    pub min_lr: f64,
    /// Learning rate at the first step.
    #[serde(default)]
    pub warmup_lr: f64,
    /// Steps of linear warm-up.
    #[serde(default)]
    pub warmup_steps: usize,
    /// Factor on the learning rate of Q-Former and projection.
    #[serde(default = "one")]
    pub bridge_lr_scale: f64,
    /// Questions about one view (answer and talk stages).
    #[serde(default = "questions")]
    pub questions: usize,
    /// Ask only these question types, equally often (answer stage): a classification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Question>,
    /// Additional question types about every view (answer stage), for types that are hard to learn.
    #[serde(default)]
    pub always: Vec<Question>,
    /// Additional yes-or-no questions about things in every view (answer stage).
    #[serde(default)]
    pub presence: usize,
    /// Additional questions about the label of every view, most of them after other turns (answer
    /// stage).
    #[serde(default)]
    pub labels: usize,
    /// What the loss averages over (answer and talk stages).
    #[serde(default)]
    pub weigh: Weigh,
    /// How pictures and captions become examples (caption stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Captions>,
    /// Shares of the questions about a view (talk stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Mixture>,
    /// Probability that a conversation of one round goes on with one to three others about the same
    /// picture (talk stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<f64>,
    /// Min and max share of the picture's area in a view (talk stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<(f32, f32)>,
    /// Probability that the line of measured features is left out (talk stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_measured: Option<f64>,
}

impl Stage {
    /// The caption settings, or their defaults.
    pub fn captions(&self) -> Captions {
        self.caption.clone().unwrap_or_default()
    }

    /// The settings of conversations, or their defaults.
    pub fn talk(&self) -> Talk {
        let default = Talk::default();
        Talk {
            mixture: self.mixture,
            join: self.join.unwrap_or(default.join),
            crop: self.crop.unwrap_or(default.crop),
            drop_measured: self.drop_measured.unwrap_or(default.drop_measured),
        }
    }

    /// The first problem of the stage, if there is one.
    pub(crate) fn problem(&self, data: &DataConfig) -> Option<String> {
        if [self.batch, self.questions, self.steps, self.accumulate].contains(&0) {
            return Some("steps, batch, accumulate and questions must be above 0".into());
        }
        let rates = [("lr", self.lr), ("min_lr", self.min_lr), ("warmup_lr", self.warmup_lr)];
        if let Some((name, _)) = rates.iter().find(|(_, r)| !(0.0..=HIGHEST_LR).contains(r)) {
            return Some(format!("{name} must be from 0 to {HIGHEST_LR}"));
        }
        if self.lr == 0.0 {
            return Some("lr must be above 0".into());
        }
        let fits = match self.kind {
            StageKind::Talk => matches!(data, DataConfig::Conversations(_)),
            StageKind::Caption => matches!(data, DataConfig::Pairs(_)),
            StageKind::Align | StageKind::Answer => matches!(data, DataConfig::Museum(_)),
        };
        if !fits {
            return Some(
                "caption stages learn from [data] with pictures and captions, talk stages from \
                 [data] with kind = \"conversations\", align and answer stages from a \
                 museum"
                    .into(),
            );
        }
        if let Some(problem) = self.answer_problem() {
            return Some(problem);
        }
        if let Some(problem) = self.only_problem() {
            return Some(problem.into());
        }
        if let Some(problem) = self.captions().problem() {
            return Some(format!("caption: {problem}"));
        }
        self.talk_problem()
    }

    /// The first key of answer stages in a stage of another kind.
    fn answer_problem(&self) -> Option<String> {
        let keys = [
            ("only", !self.only.is_empty()),
            ("always", !self.always.is_empty()),
            ("presence", self.presence > 0),
            ("labels", self.labels > 0),
        ];
        let (key, _) = keys.iter().find(|(_, given)| *given)?;
        (self.kind != StageKind::Answer).then(|| format!("{key} is for answer stages"))
    }

    /// The first problem of `only`.
    fn only_problem(&self) -> Option<&'static str> {
        if self.only.is_empty() {
            return None;
        }
        // A museum does not know it of every painting, and a view that asks nothing has no loss.
        if self.only.iter().all(|q| *q == Question::Kind) {
            return Some("only needs a type beside kind");
        }
        if self.questions < self.only.len() {
            return Some("questions must be as many as the types of only");
        }
        if !self.always.is_empty() || self.presence + self.labels > 0 {
            return Some("only leaves no place for always, presence and labels");
        }
        None
    }

    /// The first problem of the keys for conversations.
    fn talk_problem(&self) -> Option<String> {
        let keys = [
            ("mixture", self.mixture.is_some()),
            ("join", self.join.is_some()),
            ("crop", self.crop.is_some()),
            ("drop_measured", self.drop_measured.is_some()),
        ];
        if self.kind != StageKind::Talk {
            let given = keys.iter().find(|(_, given)| *given);
            return given.map(|(key, _)| format!("{key} is for talk stages"));
        }
        let talk = self.talk();
        for (key, share) in [("join", talk.join), ("drop_measured", talk.drop_measured)] {
            if !(0.0..=1.0).contains(&share) {
                return Some(format!("{key} is a probability, from 0 to 1"));
            }
        }
        let (least, most) = talk.crop;
        if !(0.0 < least && least <= most && most <= 1.0) {
            return Some("crop is two shares of the picture, such as [0.85, 1.0]".into());
        }
        let Mixture { formal, conversations, text } = talk.mixture.unwrap_or_default();
        let shares = [formal, conversations, text];
        if !shares.iter().all(|s| (0.0..=1e6).contains(s)) || conversations == 0.0 {
            return Some("mixture is shares of 0 or more, and conversations is above 0".into());
        }
        None
    }
}

/// How conversations become examples: keys of a talk stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Talk {
    /// Shares of the questions about a view; by default those of [`Mixture`], without what the data
    /// lacks.
    pub mixture: Option<Mixture>,
    /// Probability that a conversation of one round goes on with others about the same picture.
    pub join: f64,
    /// Min and max share of the picture's area in a view.
    pub crop: (f32, f32),
    /// Probability that the line of measured features is left out.
    pub drop_measured: f64,
}

impl Default for Talk {
    fn default() -> Self {
        Self { mixture: None, join: 0.5, crop: (0.85, 1.0), drop_measured: 0.15 }
    }
}

/// `mixture` of a talk stage: shares of the questions about a view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mixture {
    /// Closed questions, answered from the pixels of the view and the museum's record.
    pub formal: f64,
    /// Conversations about the picture.
    pub conversations: f64,
    /// Conversations without a picture.
    pub text: f64,
}

impl Default for Mixture {
    fn default() -> Self {
        Self { formal: 1.0, conversations: 3.0, text: 1.0 }
    }
}

/// What the loss of a view averages over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weigh {
    /// Tokens: a long answer counts for more than a short one.
    #[default]
    Tokens,
    /// Answers: a word that decides a short answer is not lost among those of a long one.
    Answers,
}

/// The loss of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// Aligns the projected query tokens with the language model's embeddings of the true answers'
    /// words; the language model itself does not run.
    Align,
    /// Cross-entropy on the tokens of answers to questions about a museum's paintings.
    Answer,
    /// Cross-entropy on the tokens of a picture's caption.
    Caption,
    /// Cross-entropy on the tokens of all answers of conversations about pictures.
    Talk,
}

impl StageKind {
    /// Its name in metrics and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Align => "align",
            Self::Answer => "answer",
            Self::Caption => "caption",
            Self::Talk => "talk",
        }
    }
}

/// Max learning rate; above it AdamW diverges.
const HIGHEST_LR: f64 = 1.0;

fn one_batch() -> usize {
    1
}
fn one() -> f64 {
    1.0
}
fn questions() -> usize {
    8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(keys: &str) -> Option<String> {
        let text = format!("kind = \"talk\"\nsteps = 1\nbatch = 1\nlr = 0.1\n{keys}\n");
        let stage: Stage = toml::from_str(&text).expect("parses");
        #[derive(Deserialize)]
        struct Holder {
            data: DataConfig,
        }
        let data = "[data]\nkind = \"conversations\"\npath = \"c.jsonl\"";
        stage.problem(&toml::from_str::<Holder>(data).expect("parses").data)
    }

    #[test]
    fn shares_and_probabilities_of_a_talk_stage_are_checked() {
        assert_eq!(problem("mixture = { text = 0.0 }\njoin = 0.0\ncrop = [1.0, 1.0]"), None);
        for (keys, wanted) in [
            ("mixture = { conversations = 0.0 }", "conversations is above 0"),
            ("mixture = { formal = -1.0 }", "0 or more"),
            ("mixture = { formal = nan }", "0 or more"),
            ("join = 1.5", "join is a probability"),
            ("drop_measured = nan", "drop_measured is a probability"),
            ("crop = [0.9, 0.8]", "crop is two shares"),
            ("only = [\"symmetry\"]", "only is for answer stages"),
            ("always = [\"symmetry\"]", "always is for answer stages"),
            ("presence = 1", "presence is for answer stages"),
            ("labels = 1", "labels is for answer stages"),
        ] {
            assert!(problem(keys).is_some_and(|p| p.contains(wanted)), "{keys}");
        }
        let stage: Stage =
            toml::from_str("kind = \"answer\"\nsteps = 1\nbatch = 1\nlr = 0.1\njoin = 0.5")
                .expect("parses");
        let said = stage.problem(&DataConfig::Museum("m".into()));
        assert_eq!(said.as_deref(), Some("join is for talk stages"));
    }
}
