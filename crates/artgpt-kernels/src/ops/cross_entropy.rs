//! Weighted cross-entropy with class indices.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};
use candle_nn::ops;

use super::values::{Values, exp, max, slice, sum, wide};

/// The weighted cross-entropy of (rows, classes) logits: the sum over rows of weight times
/// `-ln p(target)`, a scalar.
///
/// # Errors
/// The numbers of rows differ, or a target is no class.
pub fn cross_entropy(logits: &Tensor, targets: Vec<u32>, weights: Vec<f32>) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if targets.len() != rows || weights.len() != rows {
        candle_core::bail!("{rows} rows of logits for {} targets", targets.len());
    }
    if let Some(outside) = targets.iter().find(|t| **t as usize >= classes) {
        candle_core::bail!("class {outside} is outside the {classes} classes");
    }
    if logits.device().is_cpu() {
        return logits.contiguous()?.apply_op1(CrossEntropy { targets, weights });
    }
    composed(logits, &targets, &weights)
}

pub(super) fn composed(logits: &Tensor, targets: &[u32], weights: &[f32]) -> Result<Tensor> {
    let device = logits.device();
    let chosen = ops::log_softmax(logits, D::Minus1)?
        .gather(&Tensor::new(targets, device)?.unsqueeze(1)?, 1)?
        .squeeze(1)?;
    (chosen * Tensor::new(weights, device)?)?.sum_all()?.neg()
}

struct CrossEntropy {
    targets: Vec<u32>,
    weights: Vec<f32>,
}

impl CrossEntropy {
    fn rows<'a>(&'a self, logits: &'a [f32]) -> impl Iterator<Item = (&'a [f32], usize, f32)> {
        let classes = logits.len() / self.targets.len().max(1);
        let wanted = self.targets.iter().zip(&self.weights);
        logits.chunks_exact(classes.max(1)).zip(wanted).map(|(r, (t, w))| (r, *t as usize, *w))
    }
}

/// Largest logit, and the sum of exponentials relative to it.
#[inline(always)]
fn partition(row: &[f32]) -> (f32, f32) {
    let most = max(row);
    (most, sum(row, |v| exp(v - most)))
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = slice(logits, layout)?;
        let mut loss = 0f64;
        wide(|| {
            for (row, target, weight) in self.rows(logits) {
                let (most, z) = partition(row);
                loss += f64::from(weight) * f64::from(most + z.ln() - row[target]);
            }
        });
        Ok((CpuStorage::F32(vec![loss as f32]), ().into()))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.to_scalar::<f32>()?;
        let values = Values::of(logits)?;
        let mut d = vec![0f32; values.len()];
        let classes = logits.dim(D::Minus1)?.max(1);
        wide(|| {
            for ((row, target, weight), d) in self.rows(&values).zip(d.chunks_exact_mut(classes)) {
                let (most, z) = partition(row);
                let scale = grad * weight / z;
                for (d, v) in d.iter_mut().zip(row) {
                    *d = scale * exp(v - most);
                }
                d[target] -= grad * weight;
            }
        });
        Ok(Some(Tensor::from_vec(d, logits.shape(), logits.device())?))
    }
}
