//! AdamW (arXiv 1711.05101) whose moments can be saved; candle's own hides them.

use std::collections::HashMap;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use super::params::Params;

struct Slot {
    name: String,
    var: Var,
    first: Tensor,
    second: Tensor,
    decays: bool,
}

pub struct AdamW {
    slots: Vec<Slot>,
    betas: (f64, f64),
    weight_decay: f64,
    /// Updates made, for the bias correction.
    updates: usize,
}

const EPS: f64 = 1e-8;

/// What a step did to a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub name: String,
    /// Sum of the squares of its change.
    pub change: f64,
    /// Sum of the squares of its values before.
    pub size: f64,
}

fn squares(t: &Tensor) -> Result<f64> {
    Ok(f64::from(t.sqr()?.sum_all()?.to_scalar::<f32>()?))
}

impl AdamW {
    /// Weight decay is for tensors of two or more dimensions.
    pub fn new(vars: Vec<(String, Var)>, betas: (f64, f64), weight_decay: f64) -> Result<Self> {
        let slots = vars
            .into_iter()
            .map(|(name, var)| {
                let zero = var.as_tensor().zeros_like()?.detach();
                let decays = var.rank() >= 2;
                Ok(Slot { name, first: zero.clone(), second: zero, decays, var })
            })
            .collect::<Result<_>>()?;
        Ok(Self { slots, betas, weight_decay, updates: 0 })
    }

    /// The norm of all gradients together.
    pub fn norm(&self, grads: &Gradients) -> Result<f64> {
        let mut total = 0f64;
        for slot in &self.slots {
            if let Some(g) = grads.get(&slot.name) {
                total += squares(g)?;
            }
        }
        Ok(total.sqrt())
    }

    /// One update from gradients summed over micro-batches, whose [`Self::norm`] is `norm`, cut to
    /// `clip`; `lr` gives each tensor's rate. With `look`, tells how large each tensor's update was.
    pub fn step(
        &mut self,
        grads: &Gradients,
        norm: f64,
        clip: f64,
        look: bool,
        lr: impl Fn(&str) -> f64,
    ) -> Result<Vec<Update>> {
        let mut updates = Vec::new();
        let scale = if norm > clip { clip / norm } else { 1.0 };
        self.updates += 1;
        let (b1, b2) = self.betas;
        let (c1, c2) = (1.0 - b1.powi(self.updates as i32), 1.0 - b2.powi(self.updates as i32));
        for slot in &mut self.slots {
            let Some(g) = grads.get(&slot.name) else { continue };
            let lr = lr(&slot.name);
            let g = (g * scale)?;
            slot.first = ((&slot.first * b1)? + (&g * (1.0 - b1))?)?;
            slot.second = ((&slot.second * b2)? + (g.sqr()? * (1.0 - b2))?)?;
            let step = ((&slot.first / c1)? / ((&slot.second / c2)?.sqrt()? + EPS)?)?;
            let decay = if slot.decays { 1.0 - lr * self.weight_decay } else { 1.0 };
            let before = slot.var.as_detached_tensor();
            let after = ((&before * decay)? - (step * lr)?)?;
            if look {
                updates.push(Update {
                    name: slot.name.clone(),
                    change: squares(&(&after - &before)?)?,
                    size: squares(&before)?,
                });
            }
            slot.var.set(&after)?;
        }
        Ok(updates)
    }

    /// Forgets the moments, for a new stage.
    pub fn reset(&mut self) -> Result<()> {
        for slot in &mut self.slots {
            slot.first = slot.first.zeros_like()?;
            slot.second = slot.second.zeros_like()?;
        }
        self.updates = 0;
        Ok(())
    }

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
    pub fn add(&mut self, store: &GradStore, vars: &[(String, Var)], weight: f64) -> Result<()> {
        for (name, var) in vars {
            let Some(g) = store.get(var) else { continue };
            let g = (g.detach() * weight)?;
            let sum = match self.0.remove(name) {
                Some(old) => (old + g)?,
                None => g,
            };
            self.0.insert(name.clone(), sum);
        }
        Ok(())
    }

    /// Adds the sums of another micro-batch.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        for (name, g) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(old) => (old + g)?,
                None => g,
            };
            self.0.insert(name, sum);
        }
        Ok(())
    }

    pub fn set(&mut self, name: &str, gradient: Tensor) {
        self.0.insert(name.to_string(), gradient);
    }

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
                let mut grads = Gradients::default();
                grads.add(&loss.backward()?, &vars, 1.0)?;
                opt.step(&grads, opt.norm(&grads)?, 1.0, false, |_| 0.1)?;
            }
            params.all()[0].1.flatten_all()?.to_vec1()
        };
        assert_eq!(run(None)?, run(Some(3))?);
        Ok(())
    }
}
