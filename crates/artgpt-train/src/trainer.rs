//! The step loop: stages in order, one checkpointed run.

use std::collections::HashSet;
use std::time::Instant;

use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

use super::learner::{Learner, RunningMean};
use super::meter::Meter;
use super::optimiser::{AdamW, Gradients};
use super::params::Params;
use super::peers::Peers;
use super::task::{At, Batch, Share, Task};
use super::{Result, Schedule, TrainError, outcome};
use artgpt_rundir::Look;
use artgpt_rundir::Update;
use artgpt_rundir::{Best, Position, best_weights};
use artgpt_rundir::{BridgeParts, MarkKind, Metrics, OnBad, RunDir, RunState, TrainConfig};

/// Steps between looks at how large the updates are.
pub const LOOK_EVERY: usize = 20;
/// Views over which the vision tokens are standardised, and how many are seen at once.
const NORM_VIEWS: (usize, usize) = (256, 16);
/// Steps in a row of which nothing can be read, after which a run ends.
const MOST_EMPTY: usize = 50;

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
    pub params: Params,
    pub task: &'a dyn Task,
    /// See [`TrainConfig::thread_pool`].
    pub threads: rayon::ThreadPool,
    /// Other processes of the same run.
    pub peers: &'a dyn Peers,
}

/// What the loss of a step was made of.
#[derive(Default)]
struct Summed {
    loss: f64,
    /// Of this process.
    tokens: usize,
    /// Of all processes.
    units: usize,
    accuracy: Option<f64>,
}

impl Trainer<'_> {
    /// Runs from the newest checkpoint of `run` to the end, or until `stop` says so.
    pub fn run(
        &self,
        run: &mut RunDir,
        stop: &dyn Fn() -> bool,
        mut report: impl FnMut(&Metrics),
    ) -> Result<Outcome> {
        let config = &self.config;
        config.check()?;
        let total = config.total_steps();
        let trainable = self.params.trainable();
        let optimiser = AdamW::new(trainable.clone(), config.betas, config.weight_decay)?;
        let mut learner = Learner { params: self.params.clone(), optimiser, mean: None };
        let mean = || config.ema.map(|keep| RunningMean::new(keep, &self.params)).transpose();
        learner.mean = mean()?;
        let restored = run.restore(&mut learner)?;
        if restored.is_none() {
            match &config.init {
                Some(path) => self.params.start_from(path)?,
                // A new bridge learns with norms of its own data; what is frozen keeps the base's.
                None if config.bridge == BridgeParts::All || self.norms_are_new()? => {
                    run.set_phase(total, "measuring the pictures");
                    if !self.measure_channels(stop)? {
                        run.set_status(RunState::Stopped, 0, total, Some("asked to stop".into()))?;
                        return Ok(Outcome::Stopped);
                    }
                }
                None => {}
            }
            // It begins at the weights that the run begins with.
            learner.mean = mean()?;
        }
        let mut here = restored.unwrap_or_default();
        let process = std::process::id();
        let begins = format!("begins after step {} of {total}, process {process}", here.step);
        run.mark(here.step, MarkKind::Turn, &begins);
        run.set_status(RunState::Running, here.step, total, None)?;
        let (spent, started) = (here.elapsed_s, Instant::now());
        let elapsed = || spent + started.elapsed().as_secs_f64();
        let mut meter = Meter::start(self.params.device());
        let mut empty = 0;
        let mut remarked = HashSet::new();
        if config.guard.on_bad == OnBad::Rollback && here.step == 0 {
            self.save(run, &learner, &here)?;
        }
        let waited_enough = |best: &Option<Best>| {
            config.early_stop.zip(*best).is_some_and(|(patience, best)| best.stale >= patience)
        };
        // One that ended early and is resumed has nothing to do.
        let mut ends = waited_enough(&here.best);
        while here.step < total && !ends {
            let step = here.step;
            here.elapsed_s = elapsed();
            let stopping = match self.peers.any(stop()) {
                Err(TrainError::LostPeer) => return self.lost(run, &learner, &here),
                stopping => stopping?,
            };
            if stopping {
                self.save(run, &learner, &here)?;
                run.set_status(RunState::Stopped, step, total, Some("asked to stop".into()))?;
                run.mark(
                    step,
                    MarkKind::Turn,
                    &format!("was asked to stop; stands after step {step}"),
                );
                return Ok(Outcome::Stopped);
            }
            let Some((index, stage, within)) = config.stage_at(step) else { break };
            let share = Share { rank: self.peers.rank(), of: self.peers.size() };
            let at = At { stage, index, step, share };
            if within == 0 {
                learner.optimiser.reset()?;
                here.watch.begin_stage();
            }
            let clock = Instant::now();
            let mut waited = 0.0;
            let mut grads = Gradients::default();
            let mut summed = Summed::default();
            for micro in 0..stage.accumulate {
                let clock = Instant::now();
                let task = self.task;
                let batch = self.threads.install(|| task.draw(at, micro))?;
                waited += clock.elapsed().as_secs_f64();
                for remark in batch.remarks().iter().filter(|r| remarked.insert((*r).clone())) {
                    run.note(&format!("step {}: left out: {remark}", step + 1));
                }
                summed.units += batch.units();
                self.learn(batch.as_ref(), at, &trainable, &mut grads, &mut summed)?;
            }
            if summed.units == 0 {
                empty += 1;
                if empty >= MOST_EMPTY {
                    let reason = remarked.into_iter().next().unwrap_or_default();
                    return Err(TrainError::Picture(reason));
                }
                here.step += 1;
                continue;
            }
            empty = 0;
            let shared = self.peers.sum(&mut grads, &trainable);
            let loss = match shared.and_then(|()| self.peers.total(summed.loss)) {
                // The step changed nothing yet.
                Err(TrainError::LostPeer) => return self.lost(run, &learner, &here),
                loss => loss?,
            };
            let grad_norm = self.threads.install(|| learner.optimiser.norm(&grads))?;
            if let Some(reason) = here.watch.judge(&config.guard, loss, grad_norm) {
                run.mark(step + 1, MarkKind::Warning, &reason);
                let guard = &config.guard;
                if guard.on_bad == OnBad::Stop || here.watch.is_out_of_patience(guard) {
                    return Err(TrainError::Diverged { step: step + 1, reason });
                }
                eprintln!("artgpt-tui: step {}: {reason}", step + 1);
                let trusted = !here.watch.distrusts_checkpoint();
                if guard.on_bad == OnBad::Rollback
                    && let Some(back) = self.go_back(run, trusted, &mut learner)?
                {
                    let before = std::mem::replace(&mut here, back);
                    here.watch.after_rollback(&before.watch, guard);
                    let rate = here.watch.rate;
                    let text = format!("back after step {}, rates times {rate}", here.step);
                    run.mark(step + 1, MarkKind::Rollback, &text);
                    continue;
                }
                if guard.on_bad == OnBad::Slow {
                    here.watch.slow_down(guard);
                    run.note(&format!("the step is skipped, rates times {}", here.watch.rate));
                } else {
                    run.note("the step is skipped");
                }
                here.step += 1;
                continue;
            }
            if let Some(warning) = here.watch.warning(grad_norm) {
                run.mark(step + 1, MarkKind::Warning, &warning);
            }
            let lr = Schedule::of(stage).at(within) * here.watch.rate;
            let rate = |name: &str| {
                if name.starts_with("llama_model.") { lr } else { lr * stage.bridge_lr_scale }
            };
            let done = step + 1;
            let look = done.is_multiple_of(LOOK_EVERY);
            let optimiser = &mut learner.optimiser;
            let updates = self
                .threads
                .install(|| optimiser.step(&grads, grad_norm, config.clip, look, rate))?;
            if let Some(mean) = &mut learner.mean {
                mean.update(&self.params)?;
            }
            if look {
                run.look(&Look::of(done, &updates));
            }
            for name in here.watch.dead(&updates) {
                run.mark(done, MarkKind::Warning, &format!("{name} does not change: it is dead"));
                eprintln!("artgpt-tui: step {done}: {name} does not change");
            }
            let took = clock.elapsed().as_secs_f64();
            let samples = stage.batch * stage.accumulate;
            let metrics = Metrics {
                step: done,
                epoch: self.task.epoch(config.samples_before(done)),
                stage: stage.kind.name().into(),
                split: "train".into(),
                loss,
                lr,
                grad_norm,
                tokens_per_second: self.peers.total(summed.tokens as f64)? / took,
                samples_per_second: samples as f64 / took,
                elapsed_s: elapsed(),
                wall_time: jiff::Timestamp::now().as_millisecond() as f64 / 1e3,
                data_share: waited / took,
                peak_memory: artgpt_machine::peak_memory(),
                update_ratio: ratio(&updates),
                system: Some(meter.read()),
                accuracy: summed.accuracy,
            };
            run.log(&metrics)?;
            report(&metrics);
            here.step = done;
            let due = config.validate_every > 0 && done.is_multiple_of(config.validate_every);
            if due && let Some((loss, accuracy)) = learner.with_mean(|| self.validate(at))? {
                let split = "held_out".into();
                let metrics =
                    Metrics { split, loss, accuracy, update_ratio: None, system: None, ..metrics };
                run.log(&metrics)?;
                report(&metrics);
                if config.early_stop.is_some() {
                    self.weigh_validation(run, &learner, &mut here.best, (done, loss))?;
                    ends = waited_enough(&here.best);
                }
            }
            if done.is_multiple_of(config.checkpoint_every) || done == total || ends {
                here.elapsed_s = elapsed();
                self.save(run, &learner, &here)?;
                self.keep_samples(run, &learner, at)?;
                run.mark(done, MarkKind::Checkpoint, &format!("checkpoint, loss {loss:.4}"));
                run.drop_old_best(config.checkpoints_kept + 1)?;
            }
            run.set_status(RunState::Running, done, total, None)?;
        }
        if ends {
            let best = here.best.map_or(here.step, |best| best.step);
            run.note(&format!("ends early: no validation was better than that of step {best}"));
        }
        self.finish(run, &learner, here.best)?;
        run.mark(here.step, MarkKind::Turn, "finished");
        run.set_status(RunState::Finished, here.step, total, None)?;
        Ok(Outcome::Finished)
    }

    fn save(&self, run: &RunDir, learner: &Learner, position: &Position) -> Result<()> {
        let kept = (self.config.checkpoint_every, self.config.checkpoints_kept);
        run.save(position, learner, kept)
    }

    /// What the model says now about held-out pictures. Only the first process looks.
    fn keep_samples(&self, run: &RunDir, learner: &Learner, at: At) -> Result<()> {
        if run.follows() || self.config.samples == 0 {
            return Ok(());
        }
        let (task, count) = (self.task, self.config.samples);
        let asked = learner.with_mean(|| self.threads.install(|| task.samples(at.stage, count)))?;
        if !asked.is_empty() {
            let samples = asked.into_iter().map(|one| (one.sample, one.picture)).collect();
            run.keep_samples(at.step + 1, samples);
        }
        Ok(())
    }

    /// Keeps what is whole when another process has died.
    fn lost(&self, run: &RunDir, learner: &Learner, position: &Position) -> Result<Outcome> {
        self.save(run, learner, position)?;
        run.note(&format!("a process does not answer; stands after step {}", position.step));
        Err(TrainError::LostPeer)
    }

    /// Adds the gradients of this process's share of a batch.
    fn learn(
        &self,
        batch: &dyn Batch,
        at: At,
        trainable: &[(String, Var)],
        grads: &mut Gradients,
        summed: &mut Summed,
    ) -> Result<()> {
        let units: Vec<usize> = (0..batch.units()).filter(|unit| at.share.has(*unit)).collect();
        let micro_batches = at.stage.accumulate as f64;
        // The gradients are added in the order of the units, so that a run repeats.
        let learned: Vec<(f64, Gradients, usize, Option<f64>)> = self.threads.install(|| {
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
            self.threads.install(|| grads.merge(unit_grads))?;
            summed.loss += loss;
            summed.tokens += tokens;
            summed.accuracy = accuracy;
        }
        Ok(())
    }

    /// The first process chooses the checkpoint and drops the later ones; the others follow.
    fn go_back(
        &self,
        run: &mut RunDir,
        trusted: bool,
        learner: &mut Learner,
    ) -> Result<Option<Position>> {
        let every = self.config.checkpoint_every;
        let back = match self.peers.rank() {
            0 => run.go_back(every, trusted, learner)?,
            _ => None,
        };
        let step = self.peers.first(back.as_ref().map_or(usize::MAX >> 32, |back| back.step))?;
        match self.peers.rank() {
            0 => Ok(back),
            _ if step == usize::MAX >> 32 => Ok(None),
            _ => run.restore_step(step, learner).map(Some),
        }
    }

    /// Loss and accuracy on fixed held-out views; `None` where nothing is held out.
    fn validate(&self, at: At) -> Result<Option<(f64, Option<f64>)>> {
        // Every process looks at all of them: what follows must be the same everywhere.
        let at = At { share: Share::ALL, ..at };
        let task = self.task;
        let Some(batch) = self.threads.install(|| task.held_out(at))? else {
            return Ok(None);
        };
        if batch.units() == 0 {
            return Ok(None);
        }
        let mut total = 0.0;
        let mut accuracy = None;
        for unit in 0..batch.units() {
            let found = batch.loss(unit)?;
            total += f64::from(found.loss.to_scalar::<f32>()?) * batch.weight(unit);
            accuracy = found.accuracy;
        }
        Ok(Some((total, accuracy)))
    }

    /// Keeps the weights of the best validation. One that is no number is none.
    fn weigh_validation(
        &self,
        run: &RunDir,
        learner: &Learner,
        best: &mut Option<Best>,
        (step, loss): (usize, f64),
    ) -> Result<()> {
        match best {
            Some(best) if !loss.is_finite() || loss >= best.loss => best.stale += 1,
            None if !loss.is_finite() => {}
            _ => {
                *best = Some(Best { step, loss, stale: 0 });
                self.save_weights(run, learner, &best_weights(step))?;
            }
        }
        Ok(())
    }

    /// The run's weights: the best ones where it looked for them, or the last.
    fn finish(&self, run: &RunDir, learner: &Learner, best: Option<Best>) -> Result<()> {
        if run.follows() {
            return Ok(());
        }
        let kept = best.map(|best| run.path.join(best_weights(best.step)));
        match kept.filter(|path| path.is_file()) {
            Some(kept) => {
                let target = run.path.join(outcome::WEIGHTS);
                let partial = target.with_extension("partial");
                std::fs::copy(&kept, &partial).map_err(super::io(&partial))?;
                std::fs::rename(&partial, &target).map_err(super::io(&target))
            }
            None => self.save_weights(run, learner, outcome::WEIGHTS),
        }
    }

    fn save_weights(&self, run: &RunDir, learner: &Learner, name: &str) -> Result<()> {
        if run.follows() {
            return Ok(());
        }
        let path = run.path.join(name);
        let partial = path.with_extension("partial");
        let saved = learner.with_mean(|| self.params.save(&partial, DType::F16));
        saved.map_err(super::unwritten(&partial)).inspect_err(|_| {
            let _ = std::fs::remove_file(&partial);
        })?;
        std::fs::rename(&partial, &path).map_err(super::io(&path))
    }

    /// Whether the base model brought no channel means.
    fn norms_are_new(&self) -> Result<bool> {
        let all = self.params.all();
        let Some((_, std)) = all.iter().find(|(name, _)| name == "vision_norm.std") else {
            return Ok(false);
        };
        Ok(std.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| *v == 1.0))
    }

    /// Sets the channel means and deviations of the vision tokens from training views; not where `stop`
    /// says so.
    fn measure_channels(&self, stop: &dyn Fn() -> bool) -> Result<bool> {
        if !self.params.has("vision_norm.mean") {
            return Ok(true); // the encoder ends in a norm of its own
        }
        let (views, at_once) = NORM_VIEWS;
        let (mut sum, mut squares, mut count) = (Vec::new(), Vec::new(), 0usize);
        for i in 0..views / at_once {
            if self.peers.any(stop())? {
                return Ok(false);
            }
            let task = self.task;
            let tokens = self.threads.install(|| task.views(i, at_once))?;
            for token in tokens.flatten_to(1)?.to_vec2::<f32>()? {
                sum.resize(token.len(), 0f64);
                squares.resize(token.len(), 0f64);
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
        let (width, device) = (mean.len(), self.params.device());
        self.params.set("vision_norm.mean", &Tensor::from_vec(mean, width, device)?)?;
        self.params.set("vision_norm.std", &Tensor::from_vec(std, width, device)?)?;
        Ok(true)
    }
}

/// Of the update to the weights, over all tensors.
fn ratio(updates: &[Update]) -> Option<f64> {
    let (change, size) =
        updates.iter().fold((0.0, 0.0), |(c, s), update| (c + update.change, s + update.size));
    (size > 0.0).then(|| (change / size).sqrt())
}

#[cfg(test)]
mod tests;
