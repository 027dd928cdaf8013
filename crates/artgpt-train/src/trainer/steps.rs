//! The step loop: gradients, the update, metrics, validation and checkpoints.

use std::collections::HashSet;
use std::time::Instant;

use artgpt_rundir::{Look, MarkKind, Metrics, Position, RunDir, RunState, Update};
use candle_core::Var;
use rayon::prelude::*;

use super::{Outcome, TrainEvent, Trainer};
use crate::learner::Learner;
use crate::meter::Meter;
use crate::optimiser::Gradients;
use crate::task::{Batch, Share, StepContext};
use crate::{Result, Schedule, TrainError};

/// Steps between measurements of the size of each tensor's update.
const UPDATE_INTERVAL: usize = artgpt_rundir::LOOK_EVERY;
/// Consecutive steps without a readable picture after which a run ends.
const MAX_EMPTY_STEPS: usize = 50;

/// A run between two steps.
pub(super) struct StepLoop<'t, 'p> {
    pub(super) trainer: &'t Trainer<'p>,
    pub(super) run: &'t mut RunDir,
    report: &'t mut dyn FnMut(TrainEvent<'_>),
    trainable: Vec<(String, Var)>,
    pub(super) learner: Learner,
    pub(super) position: Position,
    /// Seconds that the run took before this process started.
    elapsed_before: f64,
    started: Instant,
    meter: Meter,
    empty_steps: usize,
    /// Remarks that the log already holds.
    noted_remarks: HashSet<String>,
    /// Early stopping ended the run.
    pub(super) ends_early: bool,
}

/// What one step summed over its micro-batches.
#[derive(Default)]
struct StepSums {
    grads: Gradients,
    loss: f64,
    /// Tokens of this process.
    tokens: usize,
    /// Units of all processes.
    units: usize,
    accuracy: Option<f64>,
    /// Seconds that the step waited for its batches.
    waited: f64,
}

/// A step that changed the weights.
struct FinishedStep {
    sums: StepSums,
    /// The loss over all processes.
    loss: f64,
    lr: f64,
    grad_norm: f64,
    updates: Vec<Update>,
    /// When the step started.
    started: Instant,
}

impl<'t, 'p> StepLoop<'t, 'p> {
    pub(super) fn new(
        trainer: &'t Trainer<'p>,
        run: &'t mut RunDir,
        report: &'t mut dyn FnMut(TrainEvent<'_>),
        trainable: Vec<(String, Var)>,
        learner: Learner,
        position: Position,
    ) -> Self {
        let mut steps = Self {
            trainer,
            run,
            report,
            trainable,
            learner,
            elapsed_before: position.elapsed_s,
            position,
            started: Instant::now(),
            meter: Meter::start(trainer.params.device()),
            empty_steps: 0,
            noted_remarks: HashSet::new(),
            ends_early: false,
        };
        // A run that ended early and is resumed has nothing to do.
        steps.ends_early = steps.is_stale();
        steps
    }

    /// Takes steps until the last one, an early stop, or a requested stop.
    pub(super) fn run(mut self, stop: &dyn Fn() -> bool) -> Result<Outcome> {
        let trainer = self.trainer;
        let total = trainer.config.total_steps();
        while self.position.step < total && !self.ends_early {
            self.position.elapsed_s = self.elapsed();
            let stopping = match trainer.peers.any(stop()) {
                Err(TrainError::LostPeer) => return self.lose_peer(),
                stopping => stopping?,
            };
            if stopping {
                return self.stop();
            }
            let step = self.position.step;
            let Some((index, stage, within)) = trainer.config.stage_at(step) else { break };
            let share = Share { rank: trainer.peers.rank(), of: trainer.peers.size() };
            let context = StepContext { stage, index, step, share };
            if within == 0 {
                self.learner.optimiser.reset()?;
                self.position.guard.begin_stage();
            }
            let started = Instant::now();
            let mut sums = self.accumulate(context)?;
            if sums.units == 0 {
                self.skip_empty_step()?;
                continue;
            }
            self.empty_steps = 0;
            let shared = trainer.peers.sum(&mut sums.grads, &self.trainable);
            let loss = match shared.and_then(|()| trainer.peers.total(sums.loss)) {
                // The step has changed nothing yet.
                Err(TrainError::LostPeer) => return self.lose_peer(),
                loss => loss?,
            };
            let optimiser = &self.learner.optimiser;
            let grad_norm = trainer.threads.install(|| optimiser.norm(&sums.grads))?;
            if let Some(reason) = self.position.guard.judge(&trainer.config.guard, loss, grad_norm)
            {
                self.handle_bad_step(reason)?;
                continue;
            }
            if let Some(warning) = self.position.guard.warning(grad_norm) {
                self.run.mark(step + 1, MarkKind::Warning, &warning);
            }
            let lr = Schedule::of(stage).at(within) * self.position.guard.rate;
            let updates = self.update_weights(context, &sums.grads, grad_norm, lr)?;
            let finished = FinishedStep { sums, loss, lr, grad_norm, updates, started };
            self.finish_step(context, &finished)?;
        }
        self.finish()
    }

    /// Draws the micro-batches of a step and sums their losses and gradients.
    fn accumulate(&mut self, context: StepContext) -> Result<StepSums> {
        let (task, threads) = (self.trainer.task, &self.trainer.threads);
        let mut sums = StepSums::default();
        for micro in 0..context.stage.accumulate {
            let clock = Instant::now();
            let batch = threads.install(|| task.draw(context, micro))?;
            sums.waited += clock.elapsed().as_secs_f64();
            self.note_left_out(&format!("step {}", context.step + 1), batch.remarks());
            sums.units += batch.units();
            self.backpropagate(batch.as_ref(), context, &mut sums)?;
        }
        Ok(sums)
    }

    /// Logs what a batch omits, each remark once.
    pub(super) fn note_left_out(&mut self, place: &str, remarks: &[String]) {
        for remark in remarks {
            if self.noted_remarks.insert(remark.clone()) {
                self.run.note(&format!("{place}: left out: {remark}"));
            }
        }
    }

    /// Adds the losses and gradients of this process's share of a batch.
    fn backpropagate(
        &self,
        batch: &dyn Batch,
        context: StepContext,
        sums: &mut StepSums,
    ) -> Result<()> {
        let (threads, trainable) = (&self.trainer.threads, &self.trainable);
        let units: Vec<usize> =
            (0..batch.units()).filter(|unit| context.share.has(*unit)).collect();
        let micro_batches = context.stage.accumulate as f64;
        // The gradients are added in the order of the units, so that a run is reproducible.
        let learned: Vec<(f64, Gradients, usize, Option<f64>)> = threads.install(|| {
            units
                .par_iter()
                .with_max_len(1)
                .map(|unit| {
                    let weight = batch.weight(*unit) / micro_batches;
                    let found = batch.loss(*unit)?;
                    let loss = (found.loss * weight)?;
                    let grads = Gradients::of(&loss.backward()?, trainable);
                    let loss = f64::from(loss.to_scalar::<f32>()?);
                    Ok((loss, grads, found.tokens, found.accuracy))
                })
                .collect::<Result<_>>()
        })?;
        for (loss, unit_grads, tokens, accuracy) in learned {
            threads.install(|| sums.grads.merge(unit_grads))?;
            sums.loss += loss;
            sums.tokens += tokens;
            sums.accuracy = accuracy;
        }
        Ok(())
    }

    /// Counts a step of which no picture can be read; too many in a row are an error.
    fn skip_empty_step(&mut self) -> Result<()> {
        self.empty_steps += 1;
        if self.empty_steps >= MAX_EMPTY_STEPS {
            let reason = self.noted_remarks.drain().next().unwrap_or_default();
            return Err(TrainError::Picture(reason));
        }
        self.position.step += 1;
        Ok(())
    }

    /// Updates weights and moving average. Returns the size of each tensor's update every
    /// [`UPDATE_INTERVAL`] steps, and nothing otherwise.
    fn update_weights(
        &mut self,
        context: StepContext,
        grads: &Gradients,
        grad_norm: f64,
        lr: f64,
    ) -> Result<Vec<Update>> {
        let (trainer, done) = (self.trainer, context.step + 1);
        let bridge_lr = lr * context.stage.bridge_lr_scale;
        let lr_of = |name: &str| if name.starts_with("llama_model.") { lr } else { bridge_lr };
        let measure = done.is_multiple_of(UPDATE_INTERVAL);
        let (optimiser, clip) = (&mut self.learner.optimiser, trainer.config.clip);
        let updates =
            trainer.threads.install(|| optimiser.step(grads, grad_norm, clip, measure, lr_of))?;
        if let Some(ema) = &mut self.learner.ema {
            ema.update(&trainer.params)?;
        }
        if measure {
            self.run.look(&Look::of(done, &updates));
        }
        for name in self.position.guard.dead(&updates) {
            self.warn(done, &format!("{name} does not change: it is dead"));
        }
        Ok(updates)
    }

    /// Logs the metrics of a step, then validates and writes a checkpoint where they are due.
    fn finish_step(&mut self, context: StepContext, finished: &FinishedStep) -> Result<()> {
        let (config, done) = (&self.trainer.config, context.step + 1);
        let metrics = self.measure(context, finished)?;
        self.log(&metrics)?;
        self.position.step = done;
        let due = config.validate_every > 0 && done.is_multiple_of(config.validate_every);
        if due {
            self.validate(context, metrics)?;
        }
        let total = config.total_steps();
        if done.is_multiple_of(config.checkpoint_every) || done == total || self.ends_early {
            self.checkpoint(context, finished.loss)?;
        }
        Ok(self.run.set_status(RunState::Running, done, total, None)?)
    }

    /// The metrics of a step.
    fn measure(&mut self, context: StepContext, finished: &FinishedStep) -> Result<Metrics> {
        let (trainer, stage, done) = (self.trainer, context.stage, context.step + 1);
        let FinishedStep { sums, loss, lr, grad_norm, updates, started } = finished;
        let seconds = started.elapsed().as_secs_f64();
        let samples = stage.batch * stage.accumulate;
        Ok(Metrics {
            step: done,
            epoch: trainer.task.epoch(trainer.config.samples_before(done)),
            stage: stage.kind.name().into(),
            split: "train".into(),
            loss: *loss,
            lr: *lr,
            grad_norm: *grad_norm,
            tokens_per_second: trainer.peers.total(sums.tokens as f64)? / seconds,
            samples_per_second: samples as f64 / seconds,
            elapsed_s: self.elapsed(),
            wall_time: jiff::Timestamp::now().as_millisecond() as f64 / 1e3,
            data_share: sums.waited / seconds,
            peak_memory: artgpt_machine::peak_memory(),
            update_ratio: update_ratio(updates),
            system: Some(self.meter.read()),
            accuracy: sums.accuracy,
        })
    }

    /// Writes a line of metrics and reports it.
    pub(super) fn log(&mut self, metrics: &Metrics) -> Result<()> {
        self.run.log(metrics)?;
        (self.report)(TrainEvent::Metrics(metrics));
        Ok(())
    }

    /// Marks what is wrong at a step and reports it.
    pub(super) fn warn(&mut self, step: usize, text: &str) {
        self.run.mark(step, MarkKind::Warning, text);
        (self.report)(TrainEvent::Warning { step, text });
    }

    /// Writes a checkpoint and the model's sample answers.
    fn checkpoint(&mut self, context: StepContext, loss: f64) -> Result<()> {
        self.position.elapsed_s = self.elapsed();
        self.save()?;
        self.keep_samples(context)?;
        let text = format!("checkpoint, loss {loss:.4}");
        self.run.mark(context.step + 1, MarkKind::Checkpoint, &text);
        Ok(self.run.drop_old_best(self.trainer.config.checkpoints_kept + 1)?)
    }

    /// Writes a checkpoint at the present position.
    pub(super) fn save(&self) -> Result<()> {
        let config = &self.trainer.config;
        let interval_and_count = (config.checkpoint_every, config.checkpoints_kept);
        self.run.save(&self.position, &self.learner, interval_and_count)
    }

    /// Records the model's present answers about held-out pictures. Only the first process does.
    fn keep_samples(&self, context: StepContext) -> Result<()> {
        let (task, threads) = (self.trainer.task, &self.trainer.threads);
        let count = self.trainer.config.samples;
        if self.run.follows() || count == 0 {
            return Ok(());
        }
        let answers =
            self.learner.with_ema(|| threads.install(|| task.samples(context.stage, count)))?;
        if !answers.is_empty() {
            let samples = answers.into_iter().map(|one| (one.sample, one.picture)).collect();
            self.run.keep_samples(context.step + 1, samples);
        }
        Ok(())
    }

    /// Ends the run at a requested stop.
    fn stop(self) -> Result<Outcome> {
        let (step, total) = (self.position.step, self.trainer.config.total_steps());
        self.save()?;
        self.run.set_status(RunState::Stopped, step, total, Some("asked to stop".into()))?;
        let text = format!("was asked to stop; stands after step {step}");
        self.run.mark(step, MarkKind::Turn, &text);
        Ok(Outcome::Stopped)
    }

    /// Saves the last complete step when another process has ended.
    fn lose_peer(self) -> Result<Outcome> {
        self.save()?;
        let step = self.position.step;
        self.run.note(&format!("a process does not answer; stands after step {step}"));
        Err(TrainError::LostPeer)
    }

    /// Writes the run's weights and marks it as finished.
    fn finish(self) -> Result<Outcome> {
        let (step, best) = (self.position.step, self.position.best);
        if self.ends_early {
            let best = best.map_or(step, |best| best.step);
            let text = format!("ends early: no validation was better than that of step {best}");
            self.run.note(&text);
        }
        self.write_final_weights()?;
        self.run.mark(step, MarkKind::Turn, "finished");
        let total = self.trainer.config.total_steps();
        self.run.set_status(RunState::Finished, step, total, None)?;
        Ok(Outcome::Finished)
    }

    /// Seconds that the run has taken, over all its processes.
    fn elapsed(&self) -> f64 {
        self.elapsed_before + self.started.elapsed().as_secs_f64()
    }
}

/// Norm of the update divided by the norm of the weights, over all tensors.
fn update_ratio(updates: &[Update]) -> Option<f64> {
    let (change, size) =
        updates.iter().fold((0.0, 0.0), |(c, s), update| (c + update.change, s + update.size));
    (size > 0.0).then(|| (change / size).sqrt())
}
