//! The training loop: prepares a run, then takes steps until the run finishes or stops.
//!
//! [`steps`] holds the loop and one step of it, [`guard`] what follows a bad step, [`validation`]
//! the held-out loss and early stopping, [`weights`] the weights that a run leaves, and
//! [`vision_norm`] the channel statistics of the vision tokens.

mod guard;
mod steps;
mod validation;
mod vision_norm;
mod weights;

use artgpt_rundir::{
    BridgeParts, MarkKind, Metrics, OnBad, Position, RunDir, RunState, TrainConfig,
};

use self::steps::StepLoop;
use super::Result;
use super::learner::{Ema, Learner};
use super::optimiser::AdamW;
use super::params::Params;
use super::peers::Peers;
use super::task::Task;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done, or the run stopped early because validation no longer improved.
    Finished,
    /// The caller requested a stop; the run wrote a checkpoint.
    Stopped,
}

/// What happens while a run trains.
#[derive(Debug, Clone, Copy)]
pub enum TrainEvent<'a> {
    /// A step or a validation has ended.
    Metrics(&'a Metrics),
    /// Something is wrong, and the run goes on.
    Warning {
        /// The step.
        step: usize,
        /// What is wrong.
        text: &'a str,
    },
}

/// One training run: its configuration, parameters, task and threads.
pub struct Trainer<'a> {
    /// The run's configuration.
    pub config: TrainConfig,
    /// The trainable parameters and the frozen ones beside them.
    pub params: Params,
    /// Draws the batches.
    pub task: &'a dyn Task,
    /// Computes views and gradients; see [`crate::thread_pool`].
    pub threads: rayon::ThreadPool,
    /// The other processes of the same run.
    pub peers: &'a dyn Peers,
}

impl Trainer<'_> {
    /// Trains from the newest checkpoint of `run` to the last step, or until `stop` returns true.
    /// Calls `report` with the metrics of each step and each validation, and with warnings.
    ///
    /// # Errors
    /// - [`crate::TrainError::Run`] for a wrong configuration;
    /// - [`crate::TrainError::Diverged`] if the guard ends the run;
    /// - [`crate::TrainError::LostPeer`] if another process ended;
    /// - [`crate::TrainError::Picture`] if no picture of many consecutive batches can be read;
    /// - the errors of files and tensors.
    pub fn run(
        &self,
        run: &mut RunDir,
        stop: &dyn Fn() -> bool,
        mut report: impl FnMut(TrainEvent<'_>),
    ) -> Result<Outcome> {
        self.config.check()?;
        let total = self.config.total_steps();
        let trainable = self.params.trainable();
        let Some((learner, position)) = self.prepare(run, stop)? else {
            run.set_status(RunState::Stopped, 0, total, Some("asked to stop".into()))?;
            return Ok(Outcome::Stopped);
        };
        let process = std::process::id();
        let start = format!("begins after step {} of {total}, process {process}", position.step);
        run.mark(position.step, MarkKind::Turn, &start);
        run.set_status(RunState::Running, position.step, total, None)?;
        let steps = StepLoop::new(self, run, &mut report, trainable, learner, position);
        if self.config.guard.on_bad == OnBad::Rollback && steps.position.step == 0 {
            // A rollback needs a checkpoint, also before the first regular one.
            steps.save()?;
        }
        steps.run(stop)
    }

    /// Restores the newest checkpoint, or initialises the parameters of a new run. Returns `None` if
    /// `stop` returns true before the parameters are complete.
    fn prepare(
        &self,
        run: &mut RunDir,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<(Learner, Position)>> {
        let config = &self.config;
        let optimiser = AdamW::new(self.params.trainable(), config.betas, config.weight_decay)?;
        let ema = || config.ema.map(|decay| Ema::new(decay, &self.params)).transpose();
        let mut learner = Learner { params: self.params.clone(), optimiser, ema: ema()? };
        if let Some(position) = run.restore(&mut learner)? {
            return Ok(Some((learner, position)));
        }
        match &config.init {
            Some(path) => self.params.start_from(path)?,
            // A new bridge uses the channel statistics of its own data; a frozen one keeps the base's.
            None if config.bridge == BridgeParts::All || self.lacks_vision_norm()? => {
                run.set_phase(config.total_steps(), "measuring the pictures");
                if !self.measure_vision_norm(stop)? {
                    return Ok(None);
                }
            }
            None => {}
        }
        // The average starts at the weights that the run starts with.
        learner.ema = ema()?;
        Ok(Some((learner, Position::default())))
    }
}

#[cfg(test)]
mod tests;
