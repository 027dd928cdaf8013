//! The loss on held-out views, the best weights so far, and early stopping.

use artgpt_rundir::{Best, Metrics, best_weights};

use super::Trainer;
use super::steps::StepLoop;
use crate::Result;
use crate::task::{Share, StepContext};

impl StepLoop<'_, '_> {
    /// Logs the held-out loss. With early stopping, keeps the best weights and decides whether the
    /// run ends. `train` is the metrics of the step before.
    pub(super) fn validate(&mut self, context: StepContext, train: Metrics) -> Result<()> {
        let trainer = self.trainer;
        let found = self.learner.with_ema(|| trainer.held_out_loss(context))?;
        let Some(HeldOutLoss { means, remarks }) = found else { return Ok(()) };
        self.note_left_out("validation", &remarks);
        let Some((loss, accuracy)) = means else { return Ok(()) };
        let split = "held_out".into();
        let metrics = Metrics { split, loss, accuracy, update_ratio: None, system: None, ..train };
        self.log(&metrics)?;
        if trainer.config.early_stop.is_some() {
            self.keep_best(context.step + 1, loss)?;
            self.ends_early = self.is_stale();
        }
        Ok(())
    }

    /// Saves the weights if this validation is the best so far; counts it as stale otherwise. A loss
    /// that is not finite never is the best.
    fn keep_best(&mut self, step: usize, loss: f64) -> Result<()> {
        match &mut self.position.best {
            Some(best) if !loss.is_finite() || loss >= best.loss => best.stale += 1,
            None if !loss.is_finite() => {}
            _ => {
                self.position.best = Some(Best { step, loss, stale: 0 });
                self.save_weights(&best_weights(step))?;
            }
        }
        Ok(())
    }

    /// Whether as many validations as `early_stop` allows brought no better loss.
    pub(super) fn is_stale(&self) -> bool {
        let patience = self.trainer.config.early_stop;
        patience.zip(self.position.best).is_some_and(|(patience, best)| best.stale >= patience)
    }
}

/// What a validation finds.
struct HeldOutLoss {
    /// Loss and accuracy; `None` if no view can be used.
    means: Option<(f64, Option<f64>)>,
    /// Omitted samples and why.
    remarks: Vec<String>,
}

impl Trainer<'_> {
    /// Loss and accuracy on fixed held-out views; `None` if nothing is held out.
    fn held_out_loss(&self, context: StepContext) -> Result<Option<HeldOutLoss>> {
        // Every process computes all of them, because all must take the same decisions.
        let context = StepContext { share: Share::ALL, ..context };
        let task = self.task;
        let Some(batch) = self.threads.install(|| task.held_out(context))? else {
            return Ok(None);
        };
        let remarks = batch.remarks().to_vec();
        if batch.units() == 0 {
            return Ok(Some(HeldOutLoss { means: None, remarks }));
        }
        let mut total = 0.0;
        let mut accuracy = None;
        for unit in 0..batch.units() {
            let found = batch.loss(unit)?;
            total += f64::from(found.loss.to_scalar::<f32>()?) * batch.weight(unit);
            accuracy = found.accuracy;
        }
        Ok(Some(HeldOutLoss { means: Some((total, accuracy)), remarks }))
    }
}
