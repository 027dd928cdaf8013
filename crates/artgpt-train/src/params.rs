//! The trainable tensors of a run: named, seeded, saved and restored.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use artgpt_model::checkpoint::Tensors;
use artgpt_rundir::VISION_NORM;

/// Creates each tensor when the network first asks for it, from a seed and its own name, so that
/// neither the order of creation nor the machine changes a run. (candle's `VarMap` draws from an
/// unseeded generator on the CPU.)
#[derive(Clone)]
pub struct Params {
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
    trains: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    seed: u64,
    device: Device,
}

impl Params {
    /// All of them train, but those that are measured.
    pub fn new(seed: u64, device: &Device) -> Self {
        let trains = Arc::new(|name: &str| !name.starts_with(VISION_NORM));
        Self { vars: Arc::default(), trains, seed, device: device.clone() }
    }

    /// Those that `trains` names train; others stay as they are, and no gradient is computed for
    /// them.
    pub fn training(self, trains: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { trains: Arc::new(trains), ..self }
    }

    pub fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, self.device.clone())
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn has(&self, name: &str) -> bool {
        self.contains_tensor(name)
    }

    /// All tensors by name, in alphabetical order.
    pub fn all(&self) -> Vec<(String, Var)> {
        let vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        vars.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    pub fn trainable(&self) -> Vec<(String, Var)> {
        self.all().into_iter().filter(|(name, _)| (self.trains)(name)).collect()
    }

    /// Puts `value` under `name`, whether or not it is there.
    pub fn set(&self, name: &str, value: &Tensor) -> Result<()> {
        let mut vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        match vars.get(name) {
            Some(var) => var.set(&value.to_device(&self.device)?),
            None => {
                vars.insert(name.to_string(), Var::from_tensor(&value.to_device(&self.device)?)?);
                Ok(())
            }
        }
    }

    /// Writes all tensors as `dtype`.
    pub fn save(&self, path: &Path, dtype: DType) -> Result<()> {
        let tensors: HashMap<String, Tensor> = self
            .all()
            .into_iter()
            .map(|(name, var)| Ok((name, var.as_tensor().to_dtype(dtype)?)))
            .collect::<Result<_>>()?;
        candle_core::safetensors::save(&tensors, path)
    }

    /// Restores what `path` holds.
    pub fn load(&self, path: &Path) -> Result<()> {
        for (name, tensor) in candle_core::safetensors::load(path, &self.device)? {
            self.set(&name, &tensor.to_dtype(DType::F32)?)?;
        }
        Ok(())
    }

    /// Takes what the network has from a file of tensors of any kind; one that holds nothing of it
    /// is an error.
    pub fn start_from(&self, path: &Path) -> super::Result<()> {
        let same = |name: &str| name.to_string();
        match self.take(&Tensors::open(path)?, same, |_| true)? {
            1.. => Ok(()),
            0 => Err(super::TrainError::Config(format!(
                "init: {} holds no tensor of this model and method",
                path.display()
            ))),
        }
    }

    /// Gives what does not train the values that it has in the base model, `from`.
    pub fn freeze_from(
        &self,
        from: &Tensors,
        rename: impl Fn(&str) -> String,
    ) -> super::Result<()> {
        self.take(from, rename, |name| !(self.trains)(name)).map(|_| ())
    }

    /// How many tensors were taken.
    fn take(
        &self,
        from: &Tensors,
        rename: impl Fn(&str) -> String,
        wanted: impl Fn(&str) -> bool,
    ) -> super::Result<usize> {
        let mut taken = 0;
        for (name, var) in self.all().into_iter().filter(|(name, _)| wanted(name)) {
            let theirs = rename(&name);
            if from.info(&theirs).is_some() {
                let tensor = from.read_shaped(&theirs, var.dims())?;
                var.set(&tensor.to_dtype(DType::F32)?.to_device(&self.device)?)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// What the network gets: the variable, or its values alone, which change with it.
    fn shown(&self, name: &str, var: &Var) -> Tensor {
        match (self.trains)(name) {
            true => var.as_tensor().clone(),
            false => var.as_detached_tensor(),
        }
    }

    fn create(&self, name: &str, shape: &Shape, init: Init) -> Result<Var> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ name_hash(name));
        let n = shape.elem_count();
        let values: Vec<f32> = match init {
            Init::Const(c) => vec![c as f32; n],
            Init::Randn { mean, stdev } => {
                (0..n).map(|_| (mean + stdev * normal(&mut rng)) as f32).collect()
            }
            Init::Uniform { lo, up } => (0..n).map(|_| rng.random_range(lo..up) as f32).collect(),
            // PyTorch's Linear: uniform within 1 / sqrt(inputs).
            Init::Kaiming { .. } => {
                let bound = 1.0 / (shape.dims().last().copied().unwrap_or(1) as f64).sqrt();
                (0..n).map(|_| rng.random_range(-bound..bound) as f32).collect()
            }
        };
        Var::from_vec(values, shape.clone(), &self.device)
    }
}

impl SimpleBackend for Params {
    fn get(&self, s: Shape, name: &str, h: Init, dtype: DType, _: &Device) -> Result<Tensor> {
        let mut vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(var) = vars.get(name) {
            if var.shape() != &s {
                candle_core::bail!("{name} has shape {:?}, not {s:?}", var.shape());
            }
            return self.shown(name, var).to_dtype(dtype);
        }
        let var = self.create(name, &s, h)?;
        let tensor = self.shown(name, &var);
        vars.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        let vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        match vars.get(name) {
            Some(var) => Ok(self.shown(name, var)),
            None => candle_core::bail!("no tensor {name}"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.vars.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

/// FNV-1a: stable between versions of Rust, unlike `DefaultHasher`.
pub fn name_hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// Box and Muller.
fn normal(rng: &mut impl Rng) -> f64 {
    let u: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
