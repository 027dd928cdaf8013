//! What a step changes: weights, the optimiser's moments, and the moving average of the weights.

use std::collections::BTreeMap;
use std::path::Path;

use artgpt_rundir::LearnerState;
use candle_core::{DType, Result, Tensor};

use super::optimiser::AdamW;
use super::params::Params;
use super::{TrainError, unwritten};

/// Weights, optimiser and moving average of a run; a checkpoint holds all three.
pub(crate) struct Learner {
    pub params: Params,
    pub optimiser: AdamW,
    /// Where the configuration sets `ema`.
    pub ema: Option<Ema>,
}

const WEIGHTS: &str = "weights.safetensors";
const MOMENTS: &str = "optimiser.safetensors";
const EMA: &str = "ema.safetensors";

impl Learner {
    fn write(&self, folder: &Path) -> Result<()> {
        self.params.save(&folder.join(WEIGHTS), DType::F32)?;
        self.optimiser.save(&folder.join(MOMENTS))?;
        match &self.ema {
            Some(ema) => candle_core::safetensors::save(&ema.values(), folder.join(EMA)),
            None => Ok(()),
        }
    }

    fn read(&mut self, folder: &Path) -> Result<()> {
        self.params.load(&folder.join(WEIGHTS))?;
        self.optimiser.load(&folder.join(MOMENTS), &self.params)?;
        if let Some(ema) = &mut self.ema {
            let device = self.params.device().clone();
            let values = candle_core::safetensors::load(folder.join(EMA), &device)?;
            ema.values = values.into_iter().collect();
        }
        Ok(())
    }

    /// Calls `run` while the parameters hold the moving average, if there is one, and restores the
    /// weights afterwards.
    pub(crate) fn with_ema<T, E: From<candle_core::Error>>(
        &self,
        run: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let Some(ema) = &self.ema else { return run() };
        let own: Vec<Tensor> = self
            .params
            .trainable()
            .iter()
            .map(|(_, var)| var.as_detached_tensor().copy())
            .collect::<Result<_>>()?;
        for (name, var) in self.params.trainable() {
            if let Some(value) = ema.values.get(&name) {
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
pub(crate) struct Ema {
    /// Weight of the old value in an update, 0 to 1.
    decay: f64,
    values: BTreeMap<String, Tensor>,
}

impl Ema {
    /// Starts at the present weights.
    pub(crate) fn new(decay: f64, params: &Params) -> Result<Self> {
        let values = params
            .trainable()
            .into_iter()
            .map(|(name, var)| Ok((name, var.as_detached_tensor().copy()?)))
            .collect::<Result<_>>()?;
        Ok(Self { decay, values })
    }

    /// `decay * average + (1 - decay) * weights`, tensor by tensor.
    pub(crate) fn update(&mut self, params: &Params) -> Result<()> {
        for (name, var) in params.trainable() {
            if let Some(value) = self.values.get_mut(&name) {
                let new = (var.as_detached_tensor() * (1.0 - self.decay))?;
                *value = ((&*value * self.decay)? + new)?;
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
    fn the_average_lags_behind_and_survives_a_checkpoint() -> Result<()> {
        let params = Params::new(1, &Device::Cpu);
        let set = |v: f32| params.set("w", &Tensor::new(&[v], &Device::Cpu)?);
        set(1.0)?;
        let optimiser = AdamW::new(params.trainable(), (0.9, 0.99), 0.0)?;
        let ema = Some(Ema::new(0.75, &params)?);
        let mut learner = Learner { params: params.clone(), optimiser, ema };
        set(5.0)?;
        learner.ema.as_mut().expect("an average").update(&params)?;
        let seen = |learner: &Learner| {
            learner.with_ema(|| params.all()[0].1.flatten_all()?.to_vec1::<f32>())
        };
        assert_eq!(seen(&learner)?, [2.0]);
        assert_eq!(params.all()[0].1.to_vec1::<f32>()?, [5.0]);
        let folder = tempfile::tempdir().map_err(candle_core::Error::wrap)?;
        learner.write(folder.path())?;
        set(9.0)?;
        learner.ema.as_mut().expect("an average").update(&params)?;
        learner.read(folder.path())?;
        assert_eq!(seen(&learner)?, [2.0]);
        assert_eq!(params.all()[0].1.to_vec1::<f32>()?, [5.0]);
        Ok(())
    }
}
