//! All that changes from step to step: weights, their moments, and their running mean.

use std::collections::BTreeMap;
use std::path::Path;

use artgpt_rundir::LearnerState;
use candle_core::{DType, Result, Tensor};

use super::optimiser::AdamW;
use super::params::Params;
use super::{TrainError, unwritten};

pub struct Learner {
    pub params: Params,
    pub optimiser: AdamW,
    pub mean: Option<RunningMean>,
}

const WEIGHTS: &str = "weights.safetensors";
const MOMENTS: &str = "optimiser.safetensors";
const MEAN: &str = "ema.safetensors";

impl Learner {
    fn write(&self, folder: &Path) -> Result<()> {
        self.params.save(&folder.join(WEIGHTS), DType::F32)?;
        self.optimiser.save(&folder.join(MOMENTS))?;
        match &self.mean {
            Some(mean) => candle_core::safetensors::save(&mean.values(), folder.join(MEAN)),
            None => Ok(()),
        }
    }

    fn read(&mut self, folder: &Path) -> Result<()> {
        self.params.load(&folder.join(WEIGHTS))?;
        self.optimiser.load(&folder.join(MOMENTS), &self.params)?;
        if let Some(mean) = &mut self.mean {
            let device = self.params.device().clone();
            let values = candle_core::safetensors::load(folder.join(MEAN), &device)?;
            mean.values = values.into_iter().collect();
        }
        Ok(())
    }

    /// Runs with the mean in the place of the weights, where there is one.
    pub fn with_mean<T, E: From<candle_core::Error>>(
        &self,
        run: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let Some(mean) = &self.mean else { return run() };
        let own: Vec<Tensor> = self
            .params
            .trainable()
            .iter()
            .map(|(_, var)| var.as_detached_tensor().copy())
            .collect::<Result<_>>()?;
        for (name, var) in self.params.trainable() {
            if let Some(value) = mean.values.get(&name) {
                var.set(value)?;
            }
        }
        let out = run();
        for ((_, var), value) in self.params.trainable().iter().zip(&own) {
            var.set(value)?;
        }
        out
    }
}

impl LearnerState for Learner {
    type Error = TrainError;

    fn save(&self, folder: &Path) -> std::result::Result<(), TrainError> {
        self.write(folder).map_err(unwritten(folder))
    }

    fn load(&mut self, folder: &Path) -> std::result::Result<(), TrainError> {
        Ok(self.read(folder)?)
    }
}

/// An exponential moving average of the weights.
pub struct RunningMean {
    keep: f64,
    values: BTreeMap<String, Tensor>,
}

impl RunningMean {
    /// Begins at the weights as they are.
    pub fn new(keep: f64, params: &Params) -> Result<Self> {
        let values = params
            .trainable()
            .into_iter()
            .map(|(name, var)| Ok((name, var.as_detached_tensor().copy()?)))
            .collect::<Result<_>>()?;
        Ok(Self { keep, values })
    }

    pub fn update(&mut self, params: &Params) -> Result<()> {
        for (name, var) in params.trainable() {
            if let Some(value) = self.values.get_mut(&name) {
                let new = (var.as_detached_tensor() * (1.0 - self.keep))?;
                *value = ((&*value * self.keep)? + new)?;
            }
        }
        Ok(())
    }

    fn values(&self) -> std::collections::HashMap<String, Tensor> {
        self.values.clone().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_mean_lags_behind_and_survives_a_checkpoint() -> Result<()> {
        let params = Params::new(1, &Device::Cpu);
        let set = |v: f32| params.set("w", &Tensor::new(&[v], &Device::Cpu)?);
        set(1.0)?;
        let optimiser = AdamW::new(params.trainable(), (0.9, 0.99), 0.0)?;
        let mean = Some(RunningMean::new(0.75, &params)?);
        let mut learner = Learner { params: params.clone(), optimiser, mean };
        set(5.0)?;
        learner.mean.as_mut().expect("is kept").update(&params)?;
        let seen = |learner: &Learner| {
            learner.with_mean(|| params.all()[0].1.flatten_all()?.to_vec1::<f32>())
        };
        assert_eq!(seen(&learner)?, [2.0]);
        assert_eq!(params.all()[0].1.to_vec1::<f32>()?, [5.0]);
        let folder = tempfile::tempdir().map_err(candle_core::Error::wrap)?;
        learner.write(folder.path())?;
        set(9.0)?;
        learner.mean.as_mut().expect("is kept").update(&params)?;
        learner.read(folder.path())?;
        assert_eq!(seen(&learner)?, [2.0]);
        assert_eq!(params.all()[0].1.to_vec1::<f32>()?, [5.0]);
        Ok(())
    }
}
