//! The held-out conversations, and the model's answers to the first of them.

use std::collections::BTreeMap;

use super::TalkTask;
use super::plan::{Group, fixed};
use super::view::ViewPlan;
use super::words::{Shown, Writer};
use crate::Result;
use crate::samples::SampledAnswer;
use artgpt_art::{Label, View, ViewJitter};
use artgpt_chat::{Role, Turn};
use artgpt_kernels::mode::Differentiable;
use artgpt_rundir::{Sample, Stage};

/// Max conversations of a validation, spread over the pictures.
const CONVERSATIONS: usize = 192;
/// Longest sample answer, in tokens.
const ANSWER_TOKENS: usize = 96;

impl TalkTask<'_> {
    /// The views of a validation: whole pictures, with all their conversations up to a limit.
    pub(super) fn validation(&self, stage: &Stage) -> Vec<ViewPlan> {
        let chosen = self.spread();
        let groups = fixed(&self.data.all, &chosen, stage.questions);
        let plan = |(i, group): (usize, Group)| ViewPlan {
            stage: 0,
            number: u64::MAX - i as u64,
            group,
            texts: Vec::new(),
            formal: 0,
            fixed: true,
        };
        groups.into_iter().enumerate().map(plan).collect()
    }

    /// Up to [`CONVERSATIONS`] held-out conversations, as many of each picture.
    fn spread(&self) -> Vec<usize> {
        let mut by_picture: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in &self.held_out {
            let picture = self.data.all[*at].pictures.first().copied().unwrap_or_default();
            by_picture.entry(picture).or_default().push(*at);
        }
        let most = by_picture.values().map(Vec::len).max().unwrap_or(0);
        let rounds = (0..most).flat_map(|i| by_picture.values().filter_map(move |all| all.get(i)));
        let mut chosen: Vec<usize> = rounds.take(CONVERSATIONS).copied().collect();
        chosen.sort_unstable();
        chosen
    }

    /// Answers to the first question about each of the first held-out pictures, with its label. A question
    /// that fills the context window is passed over.
    pub(super) fn sample_answers(&self, count: usize) -> Result<Vec<SampledAnswer>> {
        let network = &self.network;
        let writer = Writer::new(network)?;
        let mut seen = Vec::new();
        let mut out = Vec::new();
        for at in &self.held_out {
            let dialogue = &self.data.all[*at];
            let [picture] = dialogue.pictures[..] else { continue };
            if out.len() == count {
                break;
            }
            if seen.contains(&picture) {
                continue;
            }
            let shown = &self.data.pictures[picture];
            // A training step reports unreadable pictures.
            let Ok(loaded) = self.pictures.get(picture, shown) else { continue };
            let question = dialogue.rounds[0].asked.clone();
            let mut turn = Turn::new(Role::User, question.as_str());
            turn.images.push((0, Label::as_prompt(loaded.label.as_ref())));
            let line = network.style.measured.then(|| loaded.measured().to_string());
            let form = Shown { measured: vec![line], ..Shown::default() };
            let prompt = writer.prompt(&[turn], &form, dialogue.system.as_deref())?;
            let most = writer.room(&prompt).min(ANSWER_TOKENS);
            if most == 0 {
                continue;
            }
            seen.push(picture);
            let view = View::jittered(loaded.image(), &ViewJitter::NONE);
            let tokens = network.encode(view.pixels())?;
            let image = network.bridge.forward::<Differentiable>(&tokens, &[])?;
            let title = loaded.label.as_ref().and_then(|label| label.title.clone());
            let sample = Sample {
                artwork: title.unwrap_or_else(|| shown.key.clone()),
                question,
                answer: network.greedy_answer(&prompt, &image, writer.end(), most)?,
            };
            out.push(SampledAnswer { sample, picture: view.pixels().clone() });
        }
        Ok(out)
    }
}
