//! What follows a bad step: end, skip, lower learning rates, or roll back.

use artgpt_rundir::{MarkKind, OnBad, Position};

use super::steps::StepLoop;
use crate::{Result, TrainError};

/// Sent in place of a step by a first process that found no checkpoint to roll back to.
const NO_CHECKPOINT: usize = usize::MAX >> 32;

impl StepLoop<'_, '_> {
    /// Does what `[guard]` asks for: rolls back to a checkpoint, or skips the step.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if the guard ends the run.
    pub(super) fn handle_bad_step(&mut self, reason: String) -> Result<()> {
        let (guard, failed) = (&self.trainer.config.guard, self.position.step + 1);
        if guard.on_bad == OnBad::Stop || self.position.guard.is_out_of_patience(guard) {
            self.run.mark(failed, MarkKind::Warning, &reason);
            return Err(TrainError::Diverged { step: failed, reason });
        }
        self.warn(failed, &reason);
        if guard.on_bad == OnBad::Rollback
            && let Some(restored) = self.restore_earlier()?
        {
            let before = std::mem::replace(&mut self.position, restored);
            self.position.guard.after_rollback(&before.guard, guard);
            let (step, rate) = (self.position.step, self.position.guard.rate);
            let text = format!("back after step {step}, rates times {rate}");
            self.run.mark(failed, MarkKind::Rollback, &text);
            return Ok(());
        }
        if guard.on_bad == OnBad::Slow {
            self.position.guard.slow_down(guard);
            let rate = self.position.guard.rate;
            self.run.note(&format!("the step is skipped, rates times {rate}"));
        } else {
            self.run.note("the step is skipped");
        }
        self.position.step += 1;
        Ok(())
    }

    /// Restores an earlier checkpoint. The first process chooses it and removes the later ones; the
    /// other processes restore the same one. Returns `None` if there is none.
    fn restore_earlier(&mut self) -> Result<Option<Position>> {
        let (peers, interval) = (self.trainer.peers, self.trainer.config.checkpoint_every);
        let trusted = !self.position.guard.distrusts_checkpoint();
        let (run, learner) = (&mut *self.run, &mut self.learner);
        let restored = match peers.rank() {
            0 => run.roll_back(interval, trusted, learner)?,
            _ => None,
        };
        let step = peers.first(restored.as_ref().map_or(NO_CHECKPOINT, |back| back.step))?;
        match peers.rank() {
            0 => Ok(restored),
            _ if step == NO_CHECKPOINT => Ok(None),
            _ => run.restore_step(step, learner).map(Some),
        }
    }
}
