//! The step loop: stages in order, one checkpointed run.

use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::align::AlignTargets;
use super::optimiser::{AdamW, Gradients};
use super::params::{Params, name_hash};
use super::run_dir::Position;
use super::view_pool::ViewPool;
use super::{
    Metrics, OnBad, Result, RunDir, RunState, Schedule, Stage, StageKind, TrainConfig, TrainError,
    answer_loss, examples, outcome, pack,
};
use crate::art::{FormalFeatures, Painting, Paintings, Split, VIEW_SIZE, View, ViewJitter};
use crate::chat::{Template, Tokenizer};
use crate::model::bridge::Bridge;
use crate::model::llama::Llama;
use crate::model::mode::Differentiable;
use crate::model::vision::VisionEncoder;
use crate::runtime;

/// Paintings looked at for a held-out loss.
const VALIDATION_VIEWS: usize = 8;
/// Views over which the vision tokens are standardised.
const NORM_VIEWS: usize = 256;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Finished,
    /// Asked to stop; a checkpoint was written.
    Stopped,
}

/// All that a run needs.
pub struct Trainer<'a> {
    pub config: TrainConfig,
    pub vision: &'a dyn VisionEncoder,
    pub bridge: &'a Bridge,
    pub language: &'a Llama<Differentiable>,
    pub params: Params,
    pub tokenizer: &'a Tokenizer,
    pub template: Template,
    pub paintings: &'a Paintings,
    pub split: Split,
    pub device: Device,
    /// See [`TrainConfig::thread_pool`].
    pub threads: rayon::ThreadPool,
    /// See [`TrainConfig::view_pool`].
    pub views: ViewPool,
}

/// Views with what is known of them.
struct Batch<'a> {
    /// (views, tokens, width)
    tokens: Tensor,
    truth: Vec<(&'a Painting, FormalFeatures)>,
}

/// One view to look at.
struct Draw {
    id: u64,
    jitter: ViewJitter,
    /// Its place in the pool.
    slot: Option<usize>,
}

impl<'a> Trainer<'a> {
    /// Runs from the newest checkpoint of `run` to the end, or until `stop` says so.
    pub fn run(
        &self,
        run: &mut RunDir,
        stop: &dyn Fn() -> bool,
        mut report: impl FnMut(&Metrics),
    ) -> Result<Outcome> {
        self.config.check()?;
        let total = self.config.total_steps();
        let trainable = self.params.trainable();
        let mut optimiser =
            AdamW::new(trainable.clone(), self.config.betas, self.config.weight_decay)?;
        let tags = self.paintings.common_tags(&self.split);
        // From the base model's table, also where that trains: a resumed run has the same.
        let align =
            AlignTargets::new(&self.language.embed_tokens, self.tokenizer, &tags, &self.device)?;
        let restored = run.restore(&self.params, &mut optimiser)?;
        if restored.is_none() {
            match &self.config.init {
                Some(path) => self.params.start_from(path)?,
                None => self.measure_channels()?,
            }
        }
        let kept = (self.config.checkpoint_every, self.config.checkpoints_kept);
        let Position { step: first, elapsed_s: spent, mut watch } = restored.unwrap_or_default();
        run.note(&format!("begins after step {first} of {total}"));
        let shown = || self.split.train.iter().filter_map(|id| self.paintings.get(*id));
        let museum = examples::Museum {
            labels: shown().map(|p| &p.label).collect(),
            things: shown().flat_map(|p| &p.tags).filter(|t| tags.contains(t)).collect(),
        };
        run.set_status(RunState::Running, first, total, None)?;
        let started = Instant::now();
        let mut step = first;
        if self.config.guard.on_bad == OnBad::Rollback && first == 0 {
            run.save(&Position::default(), &self.params, &optimiser, kept)?;
        }
        while step < total {
            let elapsed = || spent + started.elapsed().as_secs_f64();
            if stop() {
                let position = Position { step, elapsed_s: elapsed(), watch };
                run.save(&position, &self.params, &optimiser, kept)?;
                run.set_status(RunState::Stopped, step, total, Some("asked to stop".into()))?;
                run.note(&format!("was asked to stop; stands after step {step}"));
                return Ok(Outcome::Stopped);
            }
            let Some((index, stage, within)) = self.config.stage_at(step) else { break };
            if within == 0 {
                optimiser.reset()?;
                watch.begin_stage();
            }
            let clock = Instant::now();
            let batch = self.batch(index, stage, step, &self.split.train, true)?;
            let waited = clock.elapsed().as_secs_f64();
            let (loss, grads, tokens, accuracy) =
                self.gradients(stage, step, &batch, &align, &museum, &trainable)?;
            let grad_norm = optimiser.norm(&grads)?;
            if let Some(reason) = watch.judge(&self.config.guard, f64::from(loss), grad_norm) {
                run.note(&format!("step {}: {reason}", step + 1));
                let guard = &self.config.guard;
                if guard.on_bad == OnBad::Stop || watch.is_out_of_patience(guard) {
                    return Err(TrainError::Diverged { step: step + 1, reason });
                }
                eprintln!("artgpt-tui: step {}: {reason}", step + 1);
                let trusted = !watch.distrusts_checkpoint();
                let every = self.config.checkpoint_every;
                if guard.on_bad == OnBad::Rollback
                    && let Some(back) = run.go_back(every, trusted, &self.params, &mut optimiser)?
                {
                    let before = std::mem::replace(&mut watch, back.watch);
                    watch.after_rollback(&before, guard);
                    run.note(&format!("back after step {}, rates times {}", back.step, watch.rate));
                    step = back.step;
                    continue;
                }
                run.note("the step is skipped");
                step += 1;
                continue;
            }
            if let Some(warning) = watch.warning(grad_norm) {
                run.note(&format!("step {}: {warning}", step + 1));
            }
            let lr = Schedule::of(stage).at(within) * watch.rate;
            let rate = |name: &str| {
                if name.starts_with("llama_model.") { lr } else { lr * stage.bridge_lr_scale }
            };
            optimiser.step(&grads, grad_norm, self.config.clip, rate)?;
            let took = clock.elapsed().as_secs_f64();
            let metrics = Metrics {
                step: step + 1,
                epoch: self.epoch(step + 1),
                stage: stage_name(stage.kind).into(),
                split: "train".into(),
                loss: f64::from(loss),
                lr,
                grad_norm,
                tokens_per_second: tokens as f64 / took,
                samples_per_second: stage.batch as f64 / took,
                elapsed_s: elapsed(),
                data_share: waited / took,
                peak_memory: runtime::peak_memory(),
                accuracy,
            };
            run.log(&metrics)?;
            report(&metrics);
            let done = step + 1;
            let due =
                self.config.validate_every > 0 && done.is_multiple_of(self.config.validate_every);
            if due && !self.split.held_out.is_empty() {
                let held_out = self.validate(index, stage, &align, &museum)?;
                let metrics = Metrics {
                    split: "held_out".into(),
                    loss: held_out.0,
                    accuracy: held_out.1,
                    ..metrics
                };
                run.log(&metrics)?;
                report(&metrics);
            }
            step = done;
            if done.is_multiple_of(self.config.checkpoint_every) || done == total {
                let position = Position { step, elapsed_s: elapsed(), watch: watch.clone() };
                run.save(&position, &self.params, &optimiser, kept)?;
                run.note(&format!("checkpoint after step {done}, loss {loss:.4}"));
            }
            run.set_status(RunState::Running, done, total, None)?;
        }
        run.note("finished");
        self.params.save(&run.path.join(outcome::WEIGHTS), DType::F16)?;
        run.set_status(RunState::Finished, total, total, None)?;
        Ok(Outcome::Finished)
    }

    /// Loss, gradients, tokens read and accuracy of one step.
    fn gradients(
        &self,
        stage: &Stage,
        step: usize,
        batch: &Batch,
        align: &AlignTargets,
        museum: &examples::Museum,
        trainable: &[(String, Var)],
    ) -> Result<(f32, Gradients, usize, Option<f64>)> {
        let mut grads = Gradients::default();
        match stage.kind {
            StageKind::Align => {
                let projected = self.bridge.forward::<Differentiable>(&batch.tokens, &[])?;
                let (loss, accuracy) = align.loss(&projected, &batch.truth)?;
                grads.add(&loss.backward()?, trainable, 1.0)?;
                let tokens = batch.tokens.elem_count() / self.vision.width();
                Ok((loss.to_scalar()?, grads, tokens, Some(accuracy)))
            }
            StageKind::Answer => {
                let weight = 1.0 / batch.truth.len() as f64;
                // One view a thread: a graph is small, and nothing waits for a neighbour. The
                // gradients are added in the order of the views, so that a run repeats.
                let views: Vec<(f32, Gradients, usize)> = self.threads.install(|| {
                    batch
                        .truth
                        .par_iter()
                        .enumerate()
                        .with_max_len(1)
                        .map(|(row, _)| {
                            let (loss, read) = self.view_loss(stage, batch, row, step, museum)?;
                            let mut grads = Gradients::default();
                            grads.add(&loss.backward()?, trainable, weight)?;
                            Ok((loss.to_scalar::<f32>()?, grads, read))
                        })
                        .collect::<Result<_>>()
                })?;
                let (mut total, mut tokens) = (0f32, 0);
                for (loss, view_grads, read) in views {
                    grads.merge(view_grads)?;
                    total += loss * weight as f32;
                    tokens += read;
                }
                Ok((total, grads, tokens, None))
            }
        }
    }

    fn view_loss(
        &self,
        stage: &Stage,
        batch: &Batch,
        row: usize,
        step: usize,
        museum: &examples::Museum,
    ) -> Result<(Tensor, usize)> {
        let mut rng = self.rng("questions", step * 1009 + row);
        // The next view of the batch is the second picture of conversations that have two.
        let next = (row + 1) % batch.truth.len();
        let second = (next != row).then(|| &batch.truth[next]);
        let drawn = examples::draw(&batch.truth[row], second, museum, stage, &mut rng);
        let see =
            |row| self.bridge.forward::<Differentiable>(&batch.tokens.narrow(0, row, 1)?, &[]);
        let image = see(row)?;
        let packed = pack(&drawn, image.dim(1)?, self.template, self.tokenizer)?;
        let (longest, context) =
            (packed.positions.iter().max(), self.language.config.context_length);
        if let Some(last) = longest.filter(|last| **last as usize >= context) {
            return Err(TrainError::Config(format!(
                "an example takes {} tokens, and the model's context is {context}",
                last + 1
            )));
        }
        let second = (!packed.second.is_empty()).then(|| see(next)).transpose()?;
        Ok((
            answer_loss(self.language, &packed, &image, second.as_ref(), stage.weigh)?,
            packed.len(),
        ))
    }

    /// Loss and accuracy on fixed views of held-out paintings.
    fn validate(
        &self,
        index: usize,
        stage: &Stage,
        align: &AlignTargets,
        museum: &examples::Museum,
    ) -> Result<(f64, Option<f64>)> {
        let fixed = Stage { batch: VALIDATION_VIEWS, ..stage.clone() };
        let batch = self.batch(index, &fixed, usize::MAX >> 32, &self.split.held_out, false)?;
        match stage.kind {
            StageKind::Align => {
                let projected = self.bridge.forward::<Differentiable>(&batch.tokens, &[])?.detach();
                let (loss, accuracy) = align.loss(&projected, &batch.truth)?;
                Ok((f64::from(loss.to_scalar::<f32>()?), Some(accuracy)))
            }
            StageKind::Answer => {
                let mut total = 0.0;
                for row in 0..batch.truth.len() {
                    let (loss, _) = self.view_loss(&fixed, &batch, row, 0, museum)?;
                    total += f64::from(loss.to_scalar::<f32>()?);
                }
                Ok((total / batch.truth.len() as f64, None))
            }
        }
    }

    /// Draws a batch of views from paintings; the draw depends on the step alone.
    fn batch(
        &self,
        index: usize,
        stage: &Stage,
        step: usize,
        ids: &[u64],
        jitter: bool,
    ) -> Result<Batch<'a>> {
        let mut rng = self.rng(&format!("views {index}"), step);
        let drawn: Vec<Draw> = (0..stage.batch)
            .map(|i| match (jitter, self.views.len()) {
                (false, _) => Draw { id: ids[i % ids.len()], jitter: ViewJitter::NONE, slot: None },
                (true, 0) => {
                    let id = ids[rng.random_range(0..ids.len())];
                    Draw { id, jitter: ViewJitter::random(&mut rng), slot: None }
                }
                (true, pool) => {
                    let slot = rng.random_range(0..pool);
                    // A slot's view depends on its number alone, so a resumed run has the same.
                    let jitter = ViewJitter::random(&mut self.rng("view pool", slot));
                    Draw { id: ids[slot % ids.len()], jitter, slot: Some(slot) }
                }
            })
            .collect();
        // One view a task: its intermediate tensors stay in the cache, a batch's would not.
        let views: Vec<(Tensor, FormalFeatures)> = self.threads.install(|| {
            drawn
                .par_iter()
                .map(|draw| {
                    let painting = self.painting(draw.id)?;
                    let look = || -> Result<(Tensor, FormalFeatures)> {
                        let view = View::jittered(&painting.image, &draw.jitter);
                        let side = self.vision.side() as u32;
                        let resized = (side != VIEW_SIZE).then(|| View::sized(view.pixels(), side));
                        let seen = resized.as_ref().unwrap_or(&view);
                        let pixels = self.vision.pixels(&[seen], &self.device)?;
                        Ok((self.vision.encode(&pixels)?, FormalFeatures::measure(&view)))
                    };
                    match draw.slot {
                        Some(slot) => self.views.get(slot, look),
                        None => look(),
                    }
                })
                .collect::<Result<_>>()
        })?;
        let (tokens, features): (Vec<_>, Vec<_>) = views.into_iter().unzip();
        let tokens = Tensor::cat(&tokens, 0)?;
        let truth = drawn
            .iter()
            .zip(features)
            .map(|(draw, features)| Ok((self.painting(draw.id)?, features)))
            .collect::<Result<_>>()?;
        Ok(Batch { tokens: tokens.detach(), truth })
    }

    fn painting(&self, id: u64) -> Result<&'a Painting> {
        self.paintings
            .get(id)
            .ok_or_else(|| TrainError::Config(format!("the data set has no painting {id}")))
    }

    /// Sets the channel means and deviations of the vision tokens from training views.
    fn measure_channels(&self) -> Result<()> {
        let width = self.vision.width();
        let (mut sum, mut squares, mut count) = (vec![0f64; width], vec![0f64; width], 0usize);
        let stage = Stage { batch: 16, ..self.config.stage[0].clone() };
        for i in 0..NORM_VIEWS / stage.batch {
            let batch = self.batch(usize::MAX, &stage, i, &self.split.train, true)?;
            for token in batch.tokens.flatten_to(1)?.to_vec2::<f32>()? {
                for (c, v) in token.iter().enumerate() {
                    sum[c] += f64::from(*v);
                    squares[c] += f64::from(*v).powi(2);
                }
                count += 1;
            }
        }
        let n = count.max(1) as f64;
        let mean: Vec<f32> = sum.iter().map(|s| (s / n) as f32).collect();
        let std: Vec<f32> = sum
            .iter()
            .zip(&squares)
            .map(|(s, q)| ((q / n - (s / n).powi(2)).max(0.0).sqrt() as f32).max(1e-2))
            .collect();
        self.params.set("vision_norm.mean", &Tensor::from_vec(mean, width, &self.device)?)?;
        self.params.set("vision_norm.std", &Tensor::from_vec(std, width, &self.device)?)?;
        Ok(())
    }

    /// Passes over the training paintings after `steps` steps.
    fn epoch(&self, steps: usize) -> f64 {
        let mut left = steps;
        let mut views = 0;
        for stage in &self.config.stage {
            let here = left.min(stage.steps);
            views += here * stage.batch;
            left -= here;
        }
        views as f64 / self.split.train.len().max(1) as f64
    }

    fn rng(&self, what: &str, position: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed ^ name_hash(what));
        rng.set_stream(position as u64);
        rng
    }
}

fn stage_name(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Align => "align",
        StageKind::Answer => "answer",
    }
}
