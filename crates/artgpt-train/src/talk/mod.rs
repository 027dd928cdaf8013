//! Conversations about pictures: the talk stage.
//!
//! A unit is one view of a picture with several conversations in one packed sequence. `plan` says which
//! conversations come when, `words` makes tokens of them, `pictures` holds the pixels, `view` joins the
//! three, and `validation` has the held-out ones.

mod labels;
mod objects;
mod pictures;
mod plan;
mod validation;
mod view;
mod words;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;

use self::pictures::Pictures;
use self::plan::{Order, Passes};
use self::view::{Item, ViewPlan};
use super::cache::FrozenCache;
use super::data::Conversations;
use super::data::conversations::Side;
use super::samples::SampledAnswer;
use super::task::{Batch, Network, StepContext, Task, UnitLoss};
use super::{Result, TrainError, answer_loss, examples};
use artgpt_art::{Paintings, Split};
use artgpt_kernels::mode::Differentiable;
use artgpt_rundir::{DataConfig, Mixture, Stage, TrainConfig, Weigh};

/// The part of `cache_mb` that holds vision tokens of a validation, as a divisor; pictures have the rest.
const VALIDATION_CACHE: usize = 4;

/// Learns to talk about pictures: the talk stage.
pub struct TalkTask<'a> {
    network: Network<'a>,
    config: TrainConfig,
    data: Conversations,
    museum: Option<examples::Museum<'a>>,
    pictures: Pictures<'a>,
    /// The vision tokens of whole pictures, which a validation shows.
    encoded: FrozenCache<()>,
    /// Conversations that train, and those of them without a picture.
    train: Vec<usize>,
    texts: Vec<usize>,
    /// Conversations of the validation.
    held_out: Vec<usize>,
    /// One for each stage.
    passes: Vec<Mutex<Passes>>,
}

impl<'a> TalkTask<'a> {
    /// `paintings` are those of the museum that the data names, with the run's split; without a museum
    /// pictures are held out by their names.
    ///
    /// # Errors
    /// [`TrainError::Run`] if no conversation trains, or if early stopping has none to validate.
    pub fn new(
        network: Network<'a>,
        config: &TrainConfig,
        data: Conversations,
        paintings: Option<&'a Paintings>,
        split: &Split,
    ) -> Result<Self> {
        let tags = paintings.map(|all| all.common_tags(split));
        let museum = paintings.map(|all| {
            let shown = || split.train.iter().filter_map(|id| all.get(*id));
            let is_common = |tag: &&String| tags.as_ref().is_some_and(|tags| tags.contains(tag));
            examples::Museum {
                labels: shown().map(|p| &p.label).collect(),
                things: shown().flat_map(|p| &p.tags).filter(is_common).collect(),
                manner: examples::Manner::Spoken,
            }
        });
        let share = match &config.data {
            DataConfig::Conversations(data) => data.held_out,
            DataConfig::Museum(_) | DataConfig::Pairs(_) => 0.0,
        };
        let side = |at| data.side(at, split, config.split_drawn_by(), share);
        let sides: Vec<Side> = (0..data.pictures.len()).map(side).collect();
        let (mut train, mut texts, mut held_out) = (Vec::new(), Vec::new(), Vec::new());
        for (at, dialogue) in data.all.iter().enumerate() {
            let all = |side| dialogue.pictures.iter().all(|p| sides.get(*p) == Some(&side));
            match () {
                () if dialogue.pictures.is_empty() => texts.push(at),
                () if all(Side::Train) => train.push(at),
                () if all(Side::validation(split)) => held_out.push(at),
                () => {}
            }
        }
        if train.is_empty() {
            return Err(crate::config_error(
                "no conversation is about a picture that trains: all are held out",
            ));
        }
        if held_out.is_empty() && config.early_stop.is_some() {
            return Err(crate::config_error(
                "early_stop needs conversations about held-out pictures, and there are none",
            ));
        }
        let limit = config.cache_mb << 20;
        let encoded = FrozenCache::new(limit / VALIDATION_CACHE);
        let limit = limit - limit / VALIDATION_CACHE;
        let mut pictures =
            Pictures::new(paintings, limit, network.style.measured, network.detector);
        // A validation sees what a chat sees.
        let trains = data.pictures.iter().zip(&sides).filter(|(_, side)| **side == Side::Train);
        let known = trains.filter_map(|(shown, _)| {
            Some((shown.key.clone(), data.contents.get(&shown.key)?.clone()))
        });
        pictures.contents = known.collect();
        let mut task = Self {
            network,
            config: config.clone(),
            data,
            museum,
            pictures,
            encoded,
            train,
            texts,
            held_out,
            passes: Vec::new(),
        };
        let orders = config.stage.iter().enumerate().map(|(index, stage)| task.order(stage, index));
        task.passes = orders.map(|order| Mutex::new(Passes::new(order))).collect();
        Ok(task)
    }

    /// The folder of the museum's files. In a chat the measured line is that of the file, not of the smaller
    /// copy in memory.
    #[must_use]
    pub fn with_museum_files(mut self, folder: Option<PathBuf>) -> Self {
        self.pictures.museum = folder;
        self
    }

    /// Questions of each sort about a view, on average.
    fn mixture(&self, stage: &Stage) -> Mixture {
        let given = stage.talk().mixture;
        let shares = given.unwrap_or_default();
        // A museum's record answers more than pixels do: without one, only who asks for it gets them.
        let formal = if self.museum.is_some() || given.is_some() { shares.formal } else { 0.0 };
        let text = if self.texts.is_empty() { 0.0 } else { shares.text };
        let each = stage.questions as f64 / (formal + text + shares.conversations);
        Mixture {
            formal: formal * each,
            conversations: shares.conversations * each,
            text: text * each,
        }
    }

    fn order(&self, stage: &Stage, index: usize) -> Order {
        let per_view = self.mixture(stage).conversations;
        Order { seed: self.config.seed, stage: index, per_view, join: stage.talk().join }
    }

    /// Calls `with` with the passes of a stage.
    fn passes<T>(&self, index: usize, with: impl FnOnce(&mut Passes) -> T) -> Option<T> {
        let passes = self.passes.get(index)?;
        Some(with(&mut passes.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What view `n` of a stage trains on.
    fn plan(&self, index: usize, n: u64) -> Result<ViewPlan> {
        let each = self.mixture(&self.config.stage[index]);
        let plan = self.passes(index, |passes| {
            let (group, talks) = passes.at(&self.data.all, &self.train, n)?;
            // In proportion to the conversations: a picture may have fewer of them than a view takes.
            let texts = plan::share_of(each.text / each.conversations, &talks)
                .filter_map(|k| self.texts.get(passes.text(self.texts.len(), k)?).copied())
                .collect();
            let formal = plan::share_of(each.formal / each.conversations, &talks).count();
            Some(ViewPlan { stage: index, number: n, group, texts, formal, fixed: false })
        });
        plan.flatten().ok_or_else(|| crate::config_error("no conversation trains"))
    }

    /// The number of a micro-batch's first view within its stage.
    fn first_view(&self, context: StepContext, micro: usize) -> u64 {
        let before: usize = self.config.stage[..context.index].iter().map(|s| s.steps).sum();
        let (stage, step) = (context.stage, context.step.saturating_sub(before));
        ((step * stage.accumulate + micro) * stage.batch) as u64
    }
}

impl Task for TalkTask<'_> {
    fn draw<'s>(&'s self, context: StepContext<'s>, micro: usize) -> Result<Box<dyn Batch + 's>> {
        let first = self.first_view(context, micro);
        let plans = (first..first + context.stage.batch as u64)
            .map(|n| self.plan(context.index, n))
            .collect::<Result<Vec<_>>>()?;
        self.batch(context, &plans)
    }

    fn held_out<'s>(&'s self, context: StepContext<'s>) -> Result<Option<Box<dyn Batch + 's>>> {
        match self.validation(context.stage) {
            plans if plans.is_empty() => Ok(None),
            plans => self.batch(context, &plans).map(Some),
        }
    }

    fn samples(&self, _: &Stage, count: usize) -> Result<Vec<SampledAnswer>> {
        self.sample_answers(count)
    }

    fn views(&self, number: usize, count: usize) -> Result<Tensor> {
        let first = (number * count) as u64;
        let mut views = Vec::new();
        for n in first..first + count as u64 {
            let plan = self.plan(0, n)?;
            if let Ok(view) = self.view(&plan, &self.config.stage[0]) {
                views.push(self.network.encode(view.first.pixels())?);
            }
        }
        if views.is_empty() {
            return Err(TrainError::Picture("none of the first pictures can be read".into()));
        }
        Ok(Tensor::cat(&views, 0)?)
    }

    fn epoch(&self, samples: usize) -> f64 {
        let mut left = samples;
        let mut passes = 0.0;
        for (index, stage) in self.config.stage.iter().enumerate() {
            let here = left.min(stage.steps * stage.batch * stage.accumulate);
            left -= here;
            let all = (&self.data.all, &self.train);
            let done = self.passes(index, |known| known.passes(all.0, all.1, here as u64));
            passes += done.unwrap_or(0.0);
            if left == 0 {
                break;
            }
        }
        passes
    }
}

struct TalkBatch<'s, 'a> {
    task: &'s TalkTask<'a>,
    items: Vec<Item>,
    left_out: Vec<String>,
    weigh: Weigh,
}

impl TalkBatch<'_, '_> {
    /// What an item counts for in the mean of the batch.
    fn count(&self, item: &Item) -> usize {
        match self.weigh {
            Weigh::Tokens => item.packed.targets.len(),
            Weigh::Answers => item.packed.answers(),
        }
    }
}

impl Batch for TalkBatch<'_, '_> {
    fn units(&self) -> usize {
        self.items.len()
    }

    fn weight(&self, unit: usize) -> f64 {
        let all: usize = self.items.iter().map(|item| self.count(item)).sum();
        self.count(&self.items[unit]) as f64 / all.max(1) as f64
    }

    fn loss(&self, unit: usize) -> Result<UnitLoss> {
        let item = &self.items[unit];
        let Some((first, second)) = &item.seen else {
            return Err(crate::config_error("another process trains on this picture"));
        };
        let network = &self.task.network;
        let project = |tokens: &Tensor| network.bridge.forward::<Differentiable>(tokens, &[]);
        let image = project(first)?;
        let second = second.as_ref().map(project).transpose()?;
        let packed = &item.packed;
        let loss = answer_loss(network.language, packed, &image, second.as_ref(), self.weigh)?;
        Ok(UnitLoss { loss, tokens: packed.len(), accuracy: None })
    }

    fn remarks(&self) -> &[String] {
        &self.left_out
    }
}
