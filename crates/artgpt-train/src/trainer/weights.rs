//! The weights that a run leaves.

use candle_core::DType;

use artgpt_rundir::best_weights;

use super::steps::StepLoop;
use crate::{Result, io, outcome, unwritten};

impl StepLoop<'_, '_> {
    /// Writes the run's weights: those of the best validation if early stopping kept them, or else
    /// the last ones.
    pub(super) fn write_final_weights(&self) -> Result<()> {
        if self.run.follows() {
            return Ok(());
        }
        let best = self.position.best.map(|best| self.run.path.join(best_weights(best.step)));
        match best.filter(|path| path.is_file()) {
            Some(best) => {
                let target = self.run.path.join(outcome::WEIGHTS);
                let partial = target.with_extension("partial");
                std::fs::copy(&best, &partial).map_err(io(&partial))?;
                std::fs::rename(&partial, &target).map_err(io(&target))
            }
            None => self.save_weights(outcome::WEIGHTS),
        }
    }

    /// Writes the present weights, or their moving average, in f16 to the file `name` of the run.
    pub(super) fn save_weights(&self, name: &str) -> Result<()> {
        if self.run.follows() {
            return Ok(());
        }
        let path = self.run.path.join(name);
        let partial = path.with_extension("partial");
        let params = &self.trainer.params;
        let saved = self.learner.with_ema(|| params.save(&partial, DType::F16));
        saved.map_err(unwritten(&partial)).inspect_err(|_| {
            let _ = std::fs::remove_file(&partial);
        })?;
        let sync = |file: std::fs::File| file.sync_all();
        std::fs::File::open(&partial).and_then(sync).map_err(io(&partial))?;
        std::fs::rename(&partial, &path).map_err(io(&path))?;
        artgpt_base::files::sync_folder(&self.run.path).map_err(io(&path))
    }
}
