//! Softmax over the last dimension.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::values::{Values, exp, max, slice, sum, sum_pairs, wide};

/// Softmax over the last dimension, f32 on the CPU.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Softmax)
}

/// Turns a row of logits into probabilities.
#[inline(always)]
pub(crate) fn softmax_row(row: &mut [f32]) {
    /// Exponents below this vanish in the sum. They become zeros instead of denormal numbers, with
    /// which a product takes ten times as long. Masked keys are among them.
    const LOST: f32 = -60.0;
    let most = max(row);
    for v in row.iter_mut() {
        let below = *v - most;
        *v = if below < LOST { 0.0 } else { exp(below) };
    }
    let scale = 1.0 / sum(row, |v| v);
    for v in row.iter_mut() {
        *v *= scale;
    }
}

/// Turns the gradient of a row of probabilities into that of its logits.
#[inline(always)]
pub(crate) fn softmax_row_backward(probabilities: &[f32], grad: &mut [f32]) {
    let along = sum_pairs(probabilities, grad, |p, g| p * g);
    for (g, p) in grad.iter_mut().zip(probabilities) {
        *g = p * (*g - along);
    }
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.dims().last().copied().unwrap_or(1).max(1);
        let mut y = slice(x, layout)?.to_vec();
        wide(|| y.chunks_exact_mut(width).for_each(softmax_row));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let width = y.dims().last().copied().unwrap_or(1).max(1);
        let mut dx = Values::of(&grad)?.to_vec();
        let p = Values::of(y)?;
        wide(|| {
            for (p, d) in p.chunks_exact(width).zip(dx.chunks_exact_mut(width)) {
                softmax_row_backward(p, d);
            }
        });
        Ok(Some(Tensor::from_vec(dx, y.shape(), y.device())?))
    }
}
