//! Questions about a museum's paintings: the align and the answer stage.

use candle_core::Tensor;
use rand::Rng;
use rayon::prelude::*;

use super::align::AlignTargets;
use super::cache::FrozenCache;
use super::samples::SampledAnswer;
use super::task::{Batch, Network, StepContext, Task, UnitLoss};
use super::{Result, answer_loss, examples, pack};
use artgpt_art::{FormalFeatures, Painting, Paintings, Split, View, ViewJitter};
use artgpt_chat::{Role, Turn};
use artgpt_kernels::mode::Differentiable;
use artgpt_rundir::Sample;
use artgpt_rundir::{Stage, StageKind};

/// Longest sample answer, in tokens.
const ANSWER_TOKENS: usize = 48;
/// Held-out views of a validation.
const VALIDATION_VIEWS: usize = 8;
/// The question of sample answers, unless a stage trains single question types.
const DESCRIBE: &str = "Describe this painting.";

/// Learns answers to questions about paintings: the align and the answer stage.
pub struct MuseumTask<'a> {
    network: Network<'a>,
    paintings: &'a Paintings,
    split: Split,
    museum: examples::Museum<'a>,
    align: AlignTargets,
    /// See [`artgpt_rundir::TrainConfig::view_pool`].
    pool: usize,
    views: FrozenCache<FormalFeatures>,
}

impl<'a> MuseumTask<'a> {
    /// With `pool` above 0 that many views are drawn once and reused; their encoder outputs take up to
    /// `cache` bytes.
    ///
    /// # Errors
    /// Those of the tokenizer and of tensors.
    pub fn new(
        network: Network<'a>,
        paintings: &'a Paintings,
        split: Split,
        pool: usize,
        cache: usize,
    ) -> Result<Self> {
        let tags = paintings.common_tags(&split);
        // From the base model's table, also where that trains: a resumed run has the same.
        let (language, device) = (network.language, &network.device);
        let align = AlignTargets::new(&language.embed_tokens, network.tokenizer, &tags, device)?;
        let shown = || split.train.iter().filter_map(|id| paintings.get(*id));
        let museum = examples::Museum {
            labels: shown().map(|p| &p.label).collect(),
            things: shown().flat_map(|p| &p.tags).filter(|t| tags.contains(t)).collect(),
            manner: examples::Manner::Terse,
        };
        Ok(Self { network, paintings, split, museum, align, pool, views: FrozenCache::new(cache) })
    }

    /// Draws and encodes `count` views: tokens (count, tokens, width), and each view's painting and
    /// features. The draw depends on stage and step alone.
    fn encode_views(
        &self,
        (index, step): (usize, usize),
        count: usize,
        ids: &[u64],
        jitter: bool,
    ) -> Result<(Tensor, Vec<Seen<'a>>)> {
        let mut rng = self.network.rng(&format!("views {index}"), step as u64);
        let drawn: Vec<ViewDraw> = (0..count)
            .map(|i| match (jitter, self.pool) {
                (false, _) => {
                    ViewDraw { id: ids[i % ids.len()], jitter: ViewJitter::NONE, slot: None }
                }
                (true, 0) => {
                    let id = ids[rng.random_range(0..ids.len())];
                    ViewDraw { id, jitter: ViewJitter::random(&mut rng), slot: None }
                }
                (true, pool) => {
                    let slot = rng.random_range(0..pool);
                    // A slot's view depends on its number alone, so a resumed run has the same.
                    let mut rng = self.network.rng("view pool", slot as u64);
                    let jitter = ViewJitter::random(&mut rng);
                    ViewDraw { id: ids[slot % ids.len()], jitter, slot: Some(slot) }
                }
            })
            .collect();
        // One view per rayon task: its intermediate tensors fit into the CPU's cache, a batch's do not.
        let views: Vec<(Tensor, Seen)> = drawn
            .par_iter()
            .map(|draw| {
                let painting = self.painting(draw.id)?;
                let compute = || -> Result<(Tensor, FormalFeatures)> {
                    let view = View::jittered(&painting.image, &draw.jitter);
                    Ok((self.network.encode(view.pixels())?, FormalFeatures::measure(&view)))
                };
                let (tokens, features) = match draw.slot {
                    Some(slot) => self.views.get(&slot.to_string(), compute)?,
                    None => compute()?,
                };
                Ok((tokens, (painting, features)))
            })
            .collect::<Result<_>>()?;
        let (tokens, seen): (Vec<_>, Vec<_>) = views.into_iter().unzip();
        Ok((Tensor::cat(&tokens, 0)?.detach(), seen))
    }

    fn painting(&self, id: u64) -> Result<&'a Painting> {
        self.paintings
            .get(id)
            .ok_or_else(|| crate::config_error(format!("the data set has no painting {id}")))
    }

    fn batch<'s>(
        &'s self,
        stage: &'s Stage,
        step: usize,
        (tokens, seen): (Tensor, Vec<Seen<'a>>),
    ) -> Result<Box<dyn Batch + 's>> {
        match stage.kind {
            StageKind::Align => Ok(Box::new(AlignBatch { task: self, tokens, seen })),
            StageKind::Answer => {
                Ok(Box::new(AnswerBatch { task: self, stage, step, tokens, seen }))
            }
            StageKind::Caption | StageKind::Talk => Err(crate::config_error(
                "a caption or talk stage needs a table [data], not a museum",
            )),
        }
    }
}

/// A painting and the formal features of its view.
type Seen<'a> = (&'a Painting, FormalFeatures);

/// The draw of one view.
struct ViewDraw {
    id: u64,
    jitter: ViewJitter,
    /// Its place in the pool.
    slot: Option<usize>,
}

impl Task for MuseumTask<'_> {
    fn draw<'s>(&'s self, context: StepContext<'s>, micro: usize) -> Result<Box<dyn Batch + 's>> {
        let step = context.step * context.stage.accumulate + micro;
        let seen =
            self.encode_views((context.index, step), context.stage.batch, &self.split.train, true)?;
        self.batch(context.stage, step, seen)
    }

    fn held_out<'s>(&'s self, context: StepContext<'s>) -> Result<Option<Box<dyn Batch + 's>>> {
        if self.split.held_out.is_empty() {
            return Ok(None);
        }
        let ids = &self.split.held_out;
        let seen =
            self.encode_views((context.index, usize::MAX >> 32), VALIDATION_VIEWS, ids, false)?;
        self.batch(context.stage, 0, seen).map(Some)
    }

    fn samples(&self, stage: &Stage, count: usize) -> Result<Vec<SampledAnswer>> {
        if stage.kind != StageKind::Answer {
            return Ok(Vec::new());
        }
        let network = &self.network;
        let question = match stage.only.first() {
            // In a wording that training does not use.
            Some(question) => question.wordings().last().copied().unwrap_or(DESCRIBE),
            None => DESCRIBE,
        };
        let end = pack::end_of(network.style.template.stop_strings()[0], network.tokenizer)?;
        let ids = self.split.held_out.iter().take(count);
        ids.map(|id| {
            let painting = self.painting(*id)?;
            let view = View::jittered(&painting.image, &ViewJitter::NONE);
            let tokens = network.encode(view.pixels())?;
            let image = network.bridge.forward::<Differentiable>(&tokens, &[])?;
            let mut turn = Turn::new(Role::User, question);
            turn.images.push((0, "none".into()));
            let prompt = network.style.render(None, &[turn], &[], network.tokenizer)?;
            let sample = Sample {
                artwork: painting.label.title.clone().unwrap_or_else(|| id.to_string()),
                question: question.to_string(),
                answer: network.greedy_answer(&prompt, &image, &end, ANSWER_TOKENS)?,
            };
            Ok(SampledAnswer { sample, picture: view.pixels().clone() })
        })
        .collect()
    }

    fn views(&self, number: usize, count: usize) -> Result<Tensor> {
        Ok(self.encode_views((usize::MAX, number), count, &self.split.train, true)?.0)
    }

    fn epoch(&self, samples: usize) -> f64 {
        samples as f64 / self.split.train.len().max(1) as f64
    }
}

/// One graph for all views: the language model does not run.
struct AlignBatch<'s> {
    task: &'s MuseumTask<'s>,
    tokens: Tensor,
    seen: Vec<Seen<'s>>,
}

impl Batch for AlignBatch<'_> {
    fn units(&self) -> usize {
        1
    }

    fn weight(&self, _: usize) -> f64 {
        1.0
    }

    fn loss(&self, _: usize) -> Result<UnitLoss> {
        let network = &self.task.network;
        let projected = network.bridge.forward::<Differentiable>(&self.tokens, &[])?;
        let (loss, accuracy) = self.task.align.loss(&projected, &self.seen)?;
        let tokens = self.tokens.elem_count() / network.vision.width();
        Ok(UnitLoss { loss, tokens, accuracy: Some(accuracy) })
    }
}

/// One graph a view: it is small, and nothing waits for a neighbour.
struct AnswerBatch<'s> {
    task: &'s MuseumTask<'s>,
    stage: &'s Stage,
    step: usize,
    tokens: Tensor,
    seen: Vec<Seen<'s>>,
}

impl Batch for AnswerBatch<'_> {
    fn units(&self) -> usize {
        self.seen.len()
    }

    fn weight(&self, _: usize) -> f64 {
        1.0 / self.seen.len() as f64
    }

    fn loss(&self, row: usize) -> Result<UnitLoss> {
        let (task, network) = (self.task, &self.task.network);
        let mut rng = network.rng("questions", (self.step * 1009 + row) as u64);
        // The next view of the batch is the second picture of conversations that have two.
        let next = (row + 1) % self.seen.len();
        let second = (next != row).then(|| &self.seen[next]);
        let drawn = examples::draw(&self.seen[row], second, &task.museum, self.stage, &mut rng);
        let project =
            |row| network.bridge.forward::<Differentiable>(&self.tokens.narrow(0, row, 1)?, &[]);
        let image = project(row)?;
        let packed = pack(&drawn, image.dim(1)?, &network.style, network.tokenizer)?;
        network.check_fits(&packed)?;
        let second = (!packed.second.is_empty()).then(|| project(next)).transpose()?;
        let weigh = self.stage.weigh;
        let loss = answer_loss(network.language, &packed, &image, second.as_ref(), weigh)?;
        Ok(UnitLoss { loss, tokens: packed.len(), accuracy: None })
    }
}
