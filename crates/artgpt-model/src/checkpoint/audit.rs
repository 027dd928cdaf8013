//! What the network asks of a checkpoint, against what the checkpoint holds. Nothing is loaded:
//! the loaders run on zeros that take no memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::language::LanguageWeights;
use crate::Result;
use crate::llama::LlamaConfig;
use artgpt_kernels::matrix::Matrix;

/// A tensor in a file: its shape, the name of its type, its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub shape: Vec<usize>,
    pub dtype: String,
    pub bytes: u64,
}

/// Names and shapes that the network asks for, in the checkpoint's own names.
pub type Asked = BTreeMap<String, Vec<usize>>;

/// How a part fits its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    pub missing: Vec<String>,
    /// Name, shape found, shape expected.
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Values in the tensors that are asked for.
    pub parameters: u64,
    /// Tensors of each type among them.
    pub dtypes: BTreeMap<String, usize>,
    pub bytes: u64,
}

impl Fit {
    pub fn of(asked: &Asked, stored: &BTreeMap<String, Stored>) -> Self {
        let mut fit = Self::default();
        for (name, shape) in asked {
            fit.parameters += shape.iter().product::<usize>() as u64;
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

    pub fn is_good(&self) -> bool {
        self.missing.is_empty() && self.misshaped.is_empty()
    }
}

/// Folds the numbers of layers, so that 40 names become one: `layers.*.mlp.up_proj (40)`.
pub fn grouped<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
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

/// Notes what modules ask for and answers with zeros.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Asked>>);

impl Recorder {
    /// `rename` turns a module's name into the file's.
    pub fn builder(
        &self,
        rename: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> VarBuilder<'static> {
        let backend = Recording { asked: self.clone(), rename: Box::new(rename) };
        VarBuilder::from_backend(Box::new(backend), DType::F32, Device::Cpu)
    }

    pub fn asked(&self) -> Asked {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: String, shape: &[usize]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, shape.to_vec());
    }
}

struct Recording {
    asked: Recorder,
    rename: Box<dyn Fn(&str) -> String + Send + Sync>,
}

impl SimpleBackend for Recording {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.asked.note((self.rename)(name), shape.dims());
        zeros(shape.dims(), dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("{name} is asked for without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        false
    }
}

/// One number, seen as a whole tensor.
fn zeros(shape: &[usize], dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::zeros((), dtype, device)?.broadcast_as(shape)
}

/// A language model that is asked, but not read.
pub struct Unread<'a> {
    pub inner: &'a mut dyn LanguageWeights,
    pub recorder: Recorder,
}

impl LanguageWeights for Unread<'_> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn config(&mut self) -> Result<LlamaConfig> {
        // The rotary tables alone grow with the context.
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
            self.recorder.note(self.inner.stored_name(name), &[*out, width]);
        }
        let out = parts.iter().map(|p| p.1).sum();
        Ok(Matrix::Dense(zeros(&[out, width], DType::F32, device)?))
    }

    fn vector(&mut self, name: &str, width: usize, device: &Device) -> Result<Tensor> {
        self.recorder.note(self.inner.stored_name(name), &[width]);
        Ok(zeros(&[width], DType::F32, device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_told_what_it_lacks_and_layers_are_folded() {
        let asked: Asked = [("a.0.w", vec![2, 3]), ("a.1.w", vec![2, 3]), ("b", vec![4])]
            .map(|(n, s)| (n.to_string(), s))
            .into();
        let f16 = |shape: &[usize]| Stored {
            shape: shape.to_vec(),
            dtype: "F16".into(),
            bytes: 2 * shape.iter().product::<usize>() as u64,
        };
        let stored = [("a.0.w".to_string(), f16(&[2, 3])), ("b".to_string(), f16(&[5]))].into();
        let fit = Fit::of(&asked, &stored);
        assert_eq!(fit.missing, ["a.1.w"]);
        assert_eq!(fit.misshaped, [("b".to_string(), vec![5], vec![4])]);
        assert_eq!((fit.parameters, fit.bytes), (16, 22));
        assert!(!fit.is_good());
        assert_eq!(grouped(["a.0.w", "a.1.w", "b"]), ["a.*.w (2)", "b"]);
    }
}
