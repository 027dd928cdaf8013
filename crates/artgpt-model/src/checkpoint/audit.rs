//! Compares the tensors that the network requests with those of a checkpoint. It loads nothing: the
//! loaders run on zeros that take no memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::language::LanguageWeights;
use crate::llama::LlamaConfig;
use crate::{Error, Result};
use artgpt_kernels::matrix::Matrix;

/// A tensor in a file: its shape, the name of its type, its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// The name of its type: `F16`, `Q4K`.
    pub dtype: String,
    /// Its size in the file.
    pub bytes: u64,
}

/// Requested shapes by tensor name, in the checkpoint's own names.
pub(crate) type Requested = BTreeMap<String, Vec<usize>>;

/// The result of the comparison for one part of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fit {
    pub(crate) missing: Vec<String>,
    /// Name, shape found, shape expected.
    pub(crate) misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Number of values in the requested tensors.
    pub(crate) parameters: u64,
    /// Number of them by type.
    pub(crate) dtypes: BTreeMap<String, usize>,
    pub(crate) bytes: u64,
}

impl Fit {
    pub(crate) fn of(requested: &Requested, stored: &BTreeMap<String, Stored>) -> Self {
        let mut fit = Self::default();
        for (name, shape) in requested {
            fit.parameters += shape.iter().map(|d| *d as u64).product::<u64>();
            match stored.get(name) {
                None => fit.missing.push(name.clone()),
                Some(found) => {
                    if found.shape != *shape {
                        fit.misshaped.push((name.clone(), found.shape.clone(), shape.clone()));
                    }
                    *fit.dtypes.entry(found.dtype.clone()).or_default() += 1;
                    fit.bytes += found.bytes;
                }
            }
        }
        fit
    }
}

/// Groups names that differ only in numbers of layers: `layers.*.mlp.up_proj (40)`.
pub(crate) fn grouped<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut groups: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in names {
        let folded: Vec<&str> = name
            .split('.')
            .map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "*" } else { part })
            .collect();
        groups.entry(folded.join(".")).or_default().insert(name);
    }
    groups
        .into_iter()
        .map(|(folded, names)| match names.len() {
            1 => names.into_iter().next().unwrap_or_default().to_string(),
            n => format!("{folded} ({n})"),
        })
        .collect()
}

/// Records the tensors that modules request and returns zeros.
#[derive(Clone)]
pub(crate) struct Recorder {
    requested: Arc<Mutex<Requested>>,
    /// Values of the largest request that a configuration can mean.
    limit: usize,
}

impl Recorder {
    /// For requests of the tensors in `stored`. A configuration that requests a tensor much larger than all
    /// of these is an error at once, before anything is computed with such a size.
    pub(crate) fn new(stored: &BTreeMap<String, Stored>) -> Self {
        const LEAST: usize = 1 << 24;
        let values = |t: &Stored| t.shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        let largest = stored.values().map(values).max().unwrap_or(0);
        let limit = largest.saturating_mul(4).max(LEAST);
        Self { requested: Arc::default(), limit }
    }

    /// A builder that records; `rename` maps a module's tensor name to the file's.
    pub(crate) fn builder(
        &self,
        rename: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> VarBuilder<'static> {
        let backend = RecordingBackend { recorder: self.clone(), rename: Box::new(rename) };
        VarBuilder::from_backend(Box::new(backend), DType::F32, Device::Cpu)
    }

    pub(crate) fn requested(&self) -> Requested {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: String, shape: &[usize]) -> candle_core::Result<()> {
        let values = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if values.is_none_or(|n| n > self.limit) {
            candle_core::bail!(
                "{name} would have the shape {shape:?}, and no tensor here is as large"
            )
        }
        let mut requested = self.requested.lock().unwrap_or_else(PoisonError::into_inner);
        requested.insert(name, shape.to_vec());
        Ok(())
    }
}

struct RecordingBackend {
    recorder: Recorder,
    rename: Box<dyn Fn(&str) -> String + Send + Sync>,
}

impl SimpleBackend for RecordingBackend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.recorder.note((self.rename)(name), shape.dims())?;
        zeros(shape.dims(), dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("{name} is requested without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        false
    }
}

/// A tensor of zeros that stores one number.
fn zeros(shape: &[usize], dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::zeros((), dtype, device)?.broadcast_as(shape)
}

/// A language model whose loader runs without reading tensors.
pub(crate) struct DryRun<'a> {
    pub(crate) inner: &'a mut dyn LanguageWeights,
    pub(crate) recorder: Recorder,
}

impl LanguageWeights for DryRun<'_> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn config(&mut self) -> Result<LlamaConfig> {
        // Only the rotary tables grow with the context, so the shortest will do.
        Ok(LlamaConfig { context_length: 1, ..self.inner.config()? })
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
        for (name, out) in parts {
            let stored = self.inner.stored_name(name);
            let noted = self.recorder.note(stored, &[*out, width]);
            noted.map_err(|e| Error::corrupt(self.inner.path(), e))?;
        }
        let out = parts.iter().map(|p| p.1).sum();
        Ok(Matrix::Dense(zeros(&[out, width], DType::F32, device)?))
    }

    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor> {
        let noted = self.recorder.note(self.inner.stored_name(name), &[width]);
        noted.map_err(|e| Error::corrupt(self.inner.path(), e))?;
        Ok(zeros(&[width], DType::F32, device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_lists_missing_tensors_and_groups_layers() {
        let requested: Requested = [("a.0.w", vec![2, 3]), ("a.1.w", vec![2, 3]), ("b", vec![4])]
            .map(|(n, s)| (n.to_string(), s))
            .into();
        let f16 = |shape: &[usize]| Stored {
            shape: shape.to_vec(),
            dtype: "F16".into(),
            bytes: 2 * shape.iter().product::<usize>() as u64,
        };
        let stored = [("a.0.w".to_string(), f16(&[2, 3])), ("b".to_string(), f16(&[5]))].into();
        let fit = Fit::of(&requested, &stored);
        assert_eq!(fit.missing, ["a.1.w"]);
        assert_eq!(fit.misshaped, [("b".to_string(), vec![5], vec![4])]);
        assert_eq!((fit.parameters, fit.bytes), (16, 22));
        assert_eq!(grouped(["a.0.w", "a.1.w", "b"]), ["a.*.w (2)", "b"]);
    }
}
