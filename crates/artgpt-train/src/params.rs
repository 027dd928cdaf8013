//! The parameters of a run: named tensors with seeded initial values, saved and restored.

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
    /// An empty set in which all tensors train, except measured ones ([`VISION_NORM`]).
    pub fn new(seed: u64, device: &Device) -> Self {
        let trains = Arc::new(|name: &str| !name.starts_with(VISION_NORM));
        Self { vars: Arc::default(), trains, seed, device: device.clone() }
    }

    /// Makes only the tensors trainable for which `trains` returns true; the others get no gradients.
    pub fn training(self, trains: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { trains: Arc::new(trains), ..self }
    }

    /// A [`VarBuilder`] that creates missing tensors.
    pub fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, self.device.clone())
    }

    /// The device of all tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether a tensor exists.
    pub fn has(&self, name: &str) -> bool {
        self.contains_tensor(name)
    }

    /// All tensors by name, in alphabetical order.
    pub fn all(&self) -> Vec<(String, Var)> {
        let vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        vars.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The trainable tensors by name, in alphabetical order.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        self.all().into_iter().filter(|(name, _)| (self.trains)(name)).collect()
    }

    /// Sets or adds a tensor.
    ///
    /// # Errors
    /// If the tensor exists with another shape.
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

    /// Writes all tensors as `dtype` into a safetensors file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path, dtype: DType) -> Result<()> {
        let tensors: HashMap<String, Tensor> = self
            .all()
            .into_iter()
            .map(|(name, var)| Ok((name, var.as_tensor().to_dtype(dtype)?)))
            .collect::<Result<_>>()?;
        candle_core::safetensors::save(&tensors, path)
    }

    /// Reads all tensors of a safetensors file.
    ///
    /// # Errors
    /// If the file cannot be read, or a tensor has another shape.
    pub fn load(&self, path: &Path) -> Result<()> {
        for (name, tensor) in candle_core::safetensors::load(path, &self.device)? {
            self.set(&name, &tensor.to_dtype(DType::F32)?)?;
        }
        Ok(())
    }

    /// Initialises the network's tensors from a file that holds some of them.
    ///
    /// # Errors
    /// If the file cannot be read, a shape differs, or no tensor matches.
    pub fn start_from(&self, path: &Path) -> super::Result<()> {
        let same = |name: &str| name.to_string();
        match self.copy_from(&Tensors::open(path)?, same, |_| true)? {
            1.. => Ok(()),
            0 => Err(crate::config_error(format!(
                "init: {} holds no tensor of this model and method",
                path.display()
            ))),
        }
    }

    /// Sets all frozen tensors to their values in the base model, `from`; `rename` maps names.
    ///
    /// # Errors
    /// If a tensor cannot be read or has another shape.
    pub fn freeze_from(
        &self,
        from: &Tensors,
        rename: impl Fn(&str) -> String,
    ) -> super::Result<()> {
        self.copy_from(from, rename, |name| !(self.trains)(name)).map(|_| ())
    }

    /// Copies the wanted tensors that `from` has; returns their number.
    fn copy_from(
        &self,
        from: &Tensors,
        rename: impl Fn(&str) -> String,
        wanted: impl Fn(&str) -> bool,
    ) -> super::Result<usize> {
        let mut copied = 0;
        for (name, var) in self.all().into_iter().filter(|(name, _)| wanted(name)) {
            let theirs = rename(&name);
            if from.info(&theirs).is_some() {
                let tensor = from.read_shaped(&theirs, var.dims())?;
                var.set(&tensor.to_dtype(DType::F32)?.to_device(&self.device)?)?;
                copied += 1;
            }
        }
        Ok(copied)
    }

    /// The tensor that the network uses: the variable, or for a frozen one its detached values, which
    /// share its memory.
    fn network_tensor(&self, name: &str, var: &Var) -> Tensor {
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
            return self.network_tensor(name, var).to_dtype(dtype);
        }
        let var = self.create(name, &s, h)?;
        let tensor = self.network_tensor(name, &var);
        vars.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        let vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        match vars.get(name) {
            Some(var) => Ok(self.network_tensor(name, var)),
            None => candle_core::bail!("no tensor {name}"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.vars.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

/// FNV-1a hash: stable between versions of Rust, unlike `DefaultHasher`.
pub fn name_hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// A standard normal number, by Box and Muller.
fn normal(rng: &mut impl Rng) -> f64 {
    let u: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
