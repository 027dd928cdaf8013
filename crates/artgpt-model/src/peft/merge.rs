//! Merges a LoRA into the matrices of its base: a merged LoRA costs nothing at run time, and any program
//! reads the result. Subtracting it restores the base, up to the rounding of the file's type.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::package;
use crate::checkpoint::audit::Stored;
use crate::checkpoint::{BLOCKS, LanguageWeights, Tensors};
use crate::llama::LlamaConfig;
use crate::manifest::Model;
use crate::rows::interleave;
use crate::source::tuning_source;
use crate::{Error, Result};
use artgpt_kernels::matrix::Matrix;
use artgpt_manifest::{Method, Target};

/// The change `± alpha / rank · B A` of each matrix that a LoRA adapts.
pub struct Delta {
    factors: Tensors,
    scale: f64,
    targets: Vec<Target>,
}

impl Delta {
    /// The change of the model's own LoRA.
    ///
    /// # Errors
    /// The model has no LoRA, or its file cannot be read.
    pub fn of(model: &Model) -> Result<Self> {
        match tuning_source(model)? {
            Some((factors, method)) => Self::new(factors, &method),
            None => Err(unsupported(&model.dir, "a model with no fine-tuning")),
        }
    }

    /// The change of the LoRA in a folder of the package `peft`.
    ///
    /// # Errors
    /// The folder cannot be read, or holds another method.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::new(Tensors::open(folder)?, &package::read_config(folder)?)
    }

    fn new(factors: Tensors, method: &Method) -> Result<Self> {
        match method {
            Method::Lora { rank, alpha, targets } => {
                let scale = alpha / *rank as f64;
                Ok(Self { factors, scale, targets: targets.clone() })
            }
            other => Err(unsupported(&factors.path, &format!("the method {}", other.kind()))),
        }
    }

    /// The inverse change.
    pub fn negated(self) -> Self {
        Self { scale: -self.scale, ..self }
    }

    /// The change of the matrix `layers.{i}.{target}.weight`, (out, in) in Hugging Face's order of rows,
    /// f32; `None` if the LoRA does not adapt it.
    pub(crate) fn of_matrix(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(path) = name.strip_prefix("layers.").and_then(|n| n.strip_suffix(".weight"))
        else {
            return Ok(None);
        };
        if !self.targets.iter().any(|t| path.ends_with(&t.path())) {
            return Ok(None);
        }
        let factor = |which: &str| -> Result<Tensor> {
            let read = self.factors.read(&format!("{BLOCKS}.{path}.lora_{which}.weight"))?;
            Ok(read.to_dtype(DType::F32)?)
        };
        let fits = |e| Error::in_part(&self.factors.path, e);
        let product = factor("B")?.matmul(&factor("A")?).map_err(fits)?;
        Ok(Some((product * self.scale)?))
    }

    /// The matrices that change: from their names in `source` to Hugging Face's. A LoRA of another base
    /// is an error.
    pub(crate) fn stored_names(
        &self,
        source: &mut dyn LanguageWeights,
    ) -> Result<BTreeMap<String, String>> {
        let config = source.config()?;
        let misfit = |what: String| Error::Unsupported {
            path: self.factors.path.display().to_string(),
            what: format!("a LoRA whose {what}"),
            hint: format!("{} is not the base that it was trained on", source.path().display()),
        };
        let mut names = BTreeMap::new();
        let mut factors = 0;
        for i in 0..config.num_hidden_layers {
            for target in &self.targets {
                let (out, width) = config.dims(*target);
                for (factor, axis, wanted) in [("lora_A", 1, width), ("lora_B", 0, out)] {
                    let name = format!("{BLOCKS}.{i}.{}.{factor}.weight", target.path());
                    let shape = self.factors.info(&name).map(|info| info.shape.clone());
                    let shape = shape.ok_or_else(|| misfit(format!("{name} is missing")))?;
                    if shape.get(axis) != Some(&wanted) {
                        return Err(misfit(format!("{name} has the shape {shape:?}")));
                    }
                    factors += 1;
                }
                let name = format!("layers.{i}.{}.weight", target.path());
                names.insert(source.stored_name(&name), name);
            }
        }
        match self.factors.names().filter(|name| name.contains(".lora_")).count() {
            all if all == factors => Ok(names),
            all => Err(misfit(format!("{all} factors are not the {factors} of the base's blocks"))),
        }
    }
}

/// A language model that merges a LoRA while it reads matrices.
pub(crate) struct Merged<'a> {
    pub(crate) inner: &'a mut dyn LanguageWeights,
    pub(crate) delta: &'a Delta,
}

impl LanguageWeights for Merged<'_> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn config(&mut self) -> Result<LlamaConfig> {
        self.inner.config()
    }

    fn ties_output(&self) -> bool {
        self.inner.ties_output()
    }

    fn stored_name(&self, name: &str) -> String {
        self.inner.stored_name(name)
    }

    fn stored(&self) -> BTreeMap<String, Stored> {
        self.inner.stored()
    }

    fn matrix(&mut self, parts: &[(&str, usize)], width: usize, device: &Device) -> Result<Matrix> {
        let config = self.inner.config()?;
        let rows = parts.iter().map(|part| {
            let rows = self.inner.matrix(&[*part], width, device)?.to_f32(device)?;
            let Some(change) = self.delta.of_matrix(part.0)? else { return Ok(rows) };
            let target = Target::ALL.into_iter().find(|t| part.0.contains(&t.path()));
            let change = match target.and_then(|t| config.reordered(t)) {
                Some(head_dim) => interleave(&change, head_dim)?,
                None => change,
            };
            Ok((rows + change.to_device(device)?)?)
        });
        Ok(Matrix::stacked(&rows.collect::<Result<Vec<_>>>()?, device)?)
    }

    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor> {
        self.inner.vector(name, width, device)
    }
}

fn unsupported(path: &Path, what: &str) -> Error {
    Error::Unsupported {
        path: path.display().to_string(),
        what: format!("merging {what}"),
        hint: "only a LoRA is a change of the base's matrices".into(),
    }
}
