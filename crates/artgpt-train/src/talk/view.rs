//! One view of a picture and what is said about it.

use std::sync::Arc;

use candle_core::Tensor;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::labels::LabelRule;
use super::objects;
use super::pictures::Loaded;
use super::plan::Group;
use super::words::{Shown, Writer};
use super::{TalkBatch, TalkTask};
use crate::data::conversations::Round;
use crate::pack::{Apart, Segment, pack_segments};
use crate::task::{Batch, StepContext};
use crate::{Packed, Result, examples};
use artgpt_art::{FormalFeatures, Label, Question, View, ViewJitter, measured_view};
use artgpt_rundir::{Stage, StageKind};

/// Formal questions that are drawn at once, as an answer stage draws them.
const DRAWN: usize = 8;
/// Share of formal questions that ask what the detector found, where there is one.
const OBJECTS: f64 = 0.5;
/// Share of these that ask about made-up contents.
const MADE: f64 = 0.6;
/// Question types that pixels answer.
const OF_PIXELS: [Question; 7] = [
    Question::Palette,
    Question::LightKey,
    Question::Contrast,
    Question::Warmth,
    Question::Saturation,
    Question::Symmetry,
    Question::Composition,
];

/// What one view trains on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ViewPlan {
    /// The number of its stage.
    pub stage: usize,
    /// Its number in the stage.
    pub number: u64,
    pub group: Group,
    /// Conversations without a picture.
    pub texts: Vec<usize>,
    /// Formal questions.
    pub formal: usize,
    /// Shows the whole picture, and draws nothing: a validation.
    pub fixed: bool,
}

/// The pixels of a view, and the pictures that it comes from.
pub(super) struct ReadyView<'a> {
    pub first: View,
    pub second: Option<View>,
    pictures: Vec<Arc<Loaded<'a>>>,
    /// Whether conversations that may have the label or not have it, and whether the measured line is left
    /// out. Drawn once a view, so that its conversations begin alike.
    coin: bool,
    dropped: bool,
    /// Draws whatever follows.
    rng: ChaCha8Rng,
}

/// A view with its sequence.
pub(super) struct Item {
    /// The vision tokens of the first and the second picture, if this process trains on them.
    pub seen: Option<(Tensor, Option<Tensor>)>,
    pub packed: Packed,
}

impl<'a> TalkTask<'a> {
    pub(super) fn batch<'s>(
        &'s self,
        context: StepContext<'s>,
        plans: &[ViewPlan],
    ) -> Result<Box<dyn Batch + 's>> {
        let stage = context.stage;
        if stage.kind != StageKind::Talk {
            return Err(crate::config_error("only talk stages learn from conversations"));
        }
        let writer = Writer::new(&self.network)?;
        // Every process reads all pictures, as all must agree on which can be read.
        let views: Vec<_> = plans.par_iter().map(|plan| self.view(plan, stage)).collect();
        let (mut ready, mut left_out) = (Vec::new(), Vec::new());
        for (plan, view) in plans.iter().zip(views) {
            let mut view = match view {
                Ok(view) => view,
                Err(reason) => {
                    left_out.push(reason);
                    continue;
                }
            };
            let segments = self.segments(plan, &mut view, stage, &writer, &mut left_out)?;
            if segments.is_empty() {
                continue;
            }
            let queries = self.network.bridge.query_tokens();
            ready.push((plan, view, pack_segments(&segments, queries, Apart::Alone)?));
        }
        let encoded = ready.par_iter().enumerate().map(|(i, (plan, view, _))| {
            if !context.share.has(i) {
                return Ok(None);
            }
            let Group { picture, second, .. } = &plan.group;
            let second = second.zip(view.second.as_ref());
            let second = second.map(|(at, view)| self.encoded(plan, at, view)).transpose()?;
            Ok(Some((self.encoded(plan, *picture, &view.first)?, second)))
        });
        let encoded = encoded.collect::<Result<Vec<_>>>()?;
        let items = ready.into_iter().zip(encoded);
        let items = items.map(|((_, _, packed), seen)| Item { seen, packed });
        Ok(Box::new(TalkBatch { task: self, items: items.collect(), left_out, weigh: stage.weigh }))
    }

    /// The vision tokens of picture `at`, whose view this is.
    fn encoded(&self, plan: &ViewPlan, at: usize, view: &View) -> Result<Tensor> {
        let encode = || -> Result<(Tensor, ())> { Ok((self.network.encode(view.pixels())?, ())) };
        match plan.fixed {
            true => Ok(self.encoded.get(&at.to_string(), encode)?.0),
            false => Ok(encode()?.0),
        }
    }

    /// Reads and crops the pictures of a view.
    ///
    /// # Errors
    /// Why a picture cannot be read, for people.
    pub(super) fn view(
        &self,
        plan: &ViewPlan,
        stage: &Stage,
    ) -> std::result::Result<ReadyView<'a>, String> {
        let mut rng = self.network.rng(&format!("talk {}", plan.stage), plan.number);
        let (least, most) = stage.talk().crop;
        let mut pictures = Vec::new();
        let mut views = Vec::new();
        for at in std::iter::once(plan.group.picture).chain(plan.group.second) {
            let shown = self.data.pictures.get(at).ok_or("a picture is missing")?;
            let loaded = self.pictures.get(at, shown)?;
            let jitter = match plan.fixed {
                true => ViewJitter::NONE,
                false => ViewJitter::part(least, most, &mut rng),
            };
            views.push(View::jittered(loaded.image(), &jitter));
            pictures.push(loaded);
        }
        let mut views = views.into_iter();
        let first = views.next().ok_or("there is no picture")?;
        let coin = rng.random_bool(0.5);
        let dropped = rng.random_bool(stage.talk().drop_measured);
        Ok(ReadyView { first, second: views.next(), pictures, coin, dropped, rng })
    }

    /// All that is said about a view; what does not fit into the context window is named.
    pub(super) fn segments(
        &self,
        plan: &ViewPlan,
        view: &mut ReadyView,
        stage: &Stage,
        writer: &Writer,
        left_out: &mut Vec<String>,
    ) -> Result<Vec<Segment>> {
        let all = &self.data.all;
        let talks = &plan.group.talks;
        // The same for all conversations of the group.
        let system = talks.first().and_then(|talk| all[*talk.first()?].system.as_deref());
        let mut out = Vec::new();
        for (i, talk) in talks.iter().enumerate() {
            let shown = self.shown(talk, view, plan.fixed.then_some(i));
            let rounds: Vec<&Round> = talk.iter().flat_map(|at| &all[*at].rounds).collect();
            let written = writer.conversation(&rounds, &shown, system)?;
            if let [at] = talk[..] {
                keep(written, &all[at].place, writer, &mut out, left_out);
            } else if written.iter().all(|segment| writer.fits(segment)) {
                out.extend(written);
            } else {
                // Too long together.
                for at in talk {
                    let rounds: Vec<&Round> = all[*at].rounds.iter().collect();
                    let written = writer.conversation(&rounds, &shown, system)?;
                    keep(written, &all[*at].place, writer, &mut out, left_out);
                }
            }
        }
        for at in &plan.texts {
            let rounds: Vec<&Round> = all[*at].rounds.iter().collect();
            let own = all[*at].system.as_deref();
            let written = writer.conversation(&rounds, &Shown::default(), own)?;
            keep(written, &all[*at].place, writer, &mut out, left_out);
        }
        if plan.formal > 0 {
            let written = self.formal(plan.formal, view, stage, writer, system)?;
            let shown = self.data.pictures.get(plan.group.picture);
            let place = format!("a closed question about {}", shown.map_or("", |shown| &shown.key));
            keep(written, &place, writer, &mut out, left_out);
        }
        // Without any segment that shows the picture there is nothing to look at it for.
        if !out.iter().any(Segment::sees) {
            out.clear();
        }
        Ok(out)
    }

    /// Labels and measured lines of a conversation. `fixed` is its number in a validation, which draws
    /// nothing.
    fn shown(&self, talk: &[usize], view: &ReadyView, fixed: Option<usize>) -> Shown {
        let all = &self.data.all;
        let rules = talk.iter().map(|at| LabelRule::of(&all[*at]));
        let rule = rules.reduce(|a, b| a.with(b).unwrap_or(a)).unwrap_or(LabelRule::Either);
        let (coin, dropped) = fixed.map_or((view.coin, view.dropped), |i| (i % 2 == 0, false));
        let label = |picture: &Arc<Loaded>| {
            Label::as_prompt(picture.label.as_ref().filter(|_| rule.shows(coin)))
        };
        let measured = self.network.style.measured && !dropped;
        let line = |picture: &Arc<Loaded>| measured.then(|| picture.measured().to_string());
        let second_at = talk.first().map_or(0, |at| all[*at].second_at);
        Shown {
            label: view.pictures.first().map(label),
            second: view.pictures.get(1).map(|picture| (second_at, label(picture))),
            measured: view.pictures.iter().map(line).collect(),
        }
    }

    /// `count` formal questions about the view, with the line of its features.
    fn formal(
        &self,
        count: usize,
        view: &mut ReadyView,
        stage: &Stage,
        writer: &Writer,
        system: Option<&str>,
    ) -> Result<Vec<Segment>> {
        let features = FormalFeatures::measure(&view.first);
        let picture = view.pictures.first().cloned();
        let picture = picture.as_ref();
        let seen = picture.filter(|_| self.network.detector.is_some());
        let objects = seen.and_then(|picture| picture.objects());
        let line = self.network.style.measured.then(|| measured_view(&view.first, objects));
        let museum = picture.and_then(|picture| picture.painting).zip(self.museum.as_ref());
        let seen = museum.map(|(painting, museum)| ((painting, features.clone()), museum));
        let questions = Stage { kind: StageKind::Answer, questions: DRAWN, ..stage.clone() };
        let mut drawn = Vec::new();
        while drawn.len() < count {
            let mut more = match &seen {
                Some((seen, museum)) => {
                    examples::draw(seen, None, museum, &questions, &mut view.rng)
                }
                None => examples::of_pixels(&features, &OF_PIXELS, &mut view.rng),
            };
            if more.is_empty() {
                break;
            }
            more.shuffle(&mut view.rng);
            drawn.append(&mut more);
        }
        drawn.truncate(count);
        let mut out = Vec::new();
        for example in &drawn {
            // Without the line nothing says what the detector found.
            let found = objects.filter(|_| view.rng.random_bool(OBJECTS));
            if let Some(objects) = found {
                let made = view.rng.random_bool(MADE).then(|| objects::made(&mut view.rng));
                let of_made = made.as_ref().map(|made| measured_view(&view.first, Some(made)));
                let example = objects::draw(made.as_ref().unwrap_or(objects), &mut view.rng);
                out.push(writer.example(&example, of_made.or(line.clone()), system)?);
                continue;
            }
            let dropped = view.rng.random_bool(stage.talk().drop_measured);
            out.push(writer.example(example, line.clone().filter(|_| !dropped), system)?);
        }
        Ok(out)
    }
}

/// Keeps the segments that fit into the context window.
fn keep(
    written: Vec<Segment>,
    place: &str,
    writer: &Writer,
    out: &mut Vec<Segment>,
    left_out: &mut Vec<String>,
) {
    let all = written.len();
    let before = out.len();
    out.extend(written.into_iter().filter(|segment| writer.fits(segment)));
    if out.len() - before < all {
        left_out.push(format!("{place}: it does not fit into the model's context window"));
    }
}
