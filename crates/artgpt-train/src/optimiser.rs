//! AdamW (arXiv 1711.05101) with access to its moments, which candle's own hides.

use artgpt_rundir::Update;
use std::collections::HashMap;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use rayon::prelude::*;

use super::params::Params;
use super::update::{Average, Move, squares};

/// A trained tensor and its moments.
struct ParamState {
    name: String,
    var: Var,
    first: Tensor,
    second: Tensor,
    decays: bool,
}

/// The optimiser AdamW.
pub struct AdamW {
    slots: Vec<ParamState>,
    betas: (f64, f64),
    weight_decay: f64,
    /// Updates made, for the bias correction.
    updates: usize,
}

impl AdamW {
    /// An optimiser with zero moments. Weight decay applies to tensors of two or more dimensions.
    ///
    /// # Errors
    /// Those of allocating the moments.
    pub fn new(vars: Vec<(String, Var)>, betas: (f64, f64), weight_decay: f64) -> Result<Self> {
        let slots = vars
            .into_iter()
            .map(|(name, var)| {
                // Separate tensors, because they change in place.
                let zeros = || Ok::<_, candle_core::Error>(var.as_tensor().zeros_like()?.detach());
                let (first, second) = (zeros()?, zeros()?);
                let decays = var.rank() >= 2;
                Ok(ParamState { name, first, second, decays, var })
            })
            .collect::<Result<_>>()?;
        Ok(Self { slots, betas, weight_decay, updates: 0 })
    }

    /// The global norm of all gradients. Uses the calling rayon pool, like [`Self::step`].
    ///
    /// # Errors
    /// Those of tensors.
    pub fn norm(&self, grads: &Gradients) -> Result<f64> {
        // Added in the order of the slots, so that a run is reproducible.
        let all: Vec<f64> = self
            .slots
            .par_iter()
            .filter_map(|slot| grads.get(&slot.name))
            .map(squares)
            .collect::<Result<_>>()?;
        Ok(all.iter().sum::<f64>().sqrt())
    }

    /// One update from gradients summed over micro-batches, whose [`Self::norm`] is `norm`, clipped to
    /// `clip`; `lr` gives each tensor's learning rate. With `measure`, returns the size of each update.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn step(
        &mut self,
        grads: &Gradients,
        norm: f64,
        clip: f64,
        measure: bool,
        lr: impl Fn(&str) -> f64 + Sync,
    ) -> Result<Vec<Update>> {
        let scale = if norm > clip { clip / norm } else { 1.0 };
        self.updates += 1;
        let ((b1, b2), weight_decay) = (self.betas, self.weight_decay);
        let power = self.updates as i32;
        let corrections = (1.0 - b1.powi(power), 1.0 - b2.powi(power));
        let updates = self.slots.par_iter_mut().map(|slot| {
            let Some(g) = grads.get(&slot.name) else { return Ok(None) };
            let lr = lr(&slot.name);
            Average { keep: b1, scale, squared: false }.update(&mut slot.first, g)?;
            Average { keep: b2, scale, squared: true }.update(&mut slot.second, g)?;
            let decay = if slot.decays { 1.0 - lr * weight_decay } else { 1.0 };
            let before = slot.var.as_detached_tensor();
            let before = if measure { Some(before.copy()?) } else { None };
            Move { decay, lr, corrections }.update(&slot.var, &slot.first, &slot.second)?;
            let Some(before) = before else { return Ok(None) };
            let change = squares(&(slot.var.as_detached_tensor() - &before)?)?;
            Ok(Some(Update { name: slot.name.clone(), change, size: squares(&before)? }))
        });
        let updates: Vec<Option<Update>> = updates.collect::<Result<_>>()?;
        Ok(updates.into_iter().flatten().collect())
    }

    /// Resets moments and step count, for a new stage.
    ///
    /// # Errors
    /// Those of allocating the moments.
    pub fn reset(&mut self) -> Result<()> {
        for slot in &mut self.slots {
            slot.first = slot.first.zeros_like()?;
            slot.second = slot.second.zeros_like()?;
        }
        self.updates = 0;
        Ok(())
    }

    /// Writes moments and step count as safetensors.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = HashMap::new();
        for slot in &self.slots {
            tensors.insert(format!("first.{}", slot.name), slot.first.clone());
            tensors.insert(format!("second.{}", slot.name), slot.second.clone());
        }
        tensors.insert(
            "updates".to_string(),
            Tensor::new(&[self.updates as i64], &candle_core::Device::Cpu)?,
        );
        candle_core::safetensors::save(&tensors, path)
    }

    /// Reads moments and step count that [`Self::save`] wrote.
    ///
    /// # Errors
    /// If the file cannot be read, or a moment is missing or has another shape.
    pub fn load(&mut self, path: &Path, params: &Params) -> Result<()> {
        let device = params.builder().device().clone();
        let mut tensors = candle_core::safetensors::load(path, &device)?;
        let mut take = |key: String| match tensors.remove(&key) {
            Some(t) => Ok(t),
            None => candle_core::bail!("{key} is missing"),
        };
        for slot in &mut self.slots {
            slot.first = take(format!("first.{}", slot.name))?;
            slot.second = take(format!("second.{}", slot.name))?;
            if slot.first.shape() != slot.var.shape() || slot.second.shape() != slot.var.shape() {
                candle_core::bail!("the moments of {} have another shape", slot.name);
            }
        }
        let updates: Vec<i64> = take("updates".into())?.to_vec1()?;
        self.updates = updates.first().copied().unwrap_or(0).max(0) as usize;
        Ok(())
    }
}

/// Gradients by name, summed over the micro-batches of a step.
#[derive(Default)]
pub struct Gradients(HashMap<String, Tensor>);

impl Gradients {
    /// The gradients of `vars`, without graph.
    pub fn of(store: &GradStore, vars: &[(String, Var)]) -> Self {
        let of_var = |(name, var): &(String, Var)| Some((name.clone(), store.get(var)?.detach()));
        Self(vars.iter().filter_map(of_var).collect())
    }

    /// Adds the gradients of another micro-batch.
    ///
    /// # Errors
    /// If two gradients have different shapes.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        let pairs: Vec<(String, Option<Tensor>, Tensor)> =
            other.0.into_iter().map(|(name, g)| (name.clone(), self.0.remove(&name), g)).collect();
        let summed: Vec<(String, Tensor)> = pairs
            .into_par_iter()
            .map(|(name, old, g)| match old {
                Some(old) => Ok((name, (old + g)?)),
                None => Ok((name, g)),
            })
            .collect::<Result<_>>()?;
        self.0.extend(summed);
        Ok(())
    }

    /// Replaces a gradient.
    pub fn set(&mut self, name: &str, gradient: Tensor) {
        self.0.insert(name.to_string(), gradient);
    }

    /// The gradient of a tensor, if it has one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn moments_survive_a_save_and_the_next_step_is_the_same() -> Result<()> {
        let dir = tempfile::tempdir().map_err(candle_core::Error::wrap)?;
        let path = dir.path().join("o.safetensors");
        let run = |stop_at: Option<usize>| -> Result<Vec<f32>> {
            let params = Params::new(1, &Device::Cpu);
            params.set("w", &Tensor::new(&[[1f32, -2.0]], &Device::Cpu)?)?;
            let mut opt = AdamW::new(params.trainable(), (0.9, 0.99), 0.1)?;
            for i in 0..6 {
                if stop_at == Some(i) {
                    opt.save(&path)?;
                    opt = AdamW::new(params.trainable(), (0.9, 0.99), 0.1)?;
                    opt.load(&path, &params)?;
                }
                let vars = params.trainable();
                let loss = vars[0].1.as_tensor().powf(4.0)?.sum_all()?;
                let grads = Gradients::of(&loss.backward()?, &vars);
                opt.step(&grads, opt.norm(&grads)?, 1.0, false, |_| 0.1)?;
            }
            params.all()[0].1.flatten_all()?.to_vec1()
        };
        assert_eq!(run(None)?, run(Some(3))?);
        Ok(())
    }
}
