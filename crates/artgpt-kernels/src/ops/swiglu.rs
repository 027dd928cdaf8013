//! SwiGLU: the gate's SiLU times the other half.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use super::values::{Values, exp, slice, wide};

/// SwiGLU: (.., 2 n), gate first, to (.., n).
pub fn swiglu(both: &Tensor) -> Result<Tensor> {
    both.contiguous()?.apply_op1(SwiGlu)
}

struct SwiGlu;

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

impl CustomOp1 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, both: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let both = slice(both, layout)?;
        let mut dims = layout.dims().to_vec();
        let inner = match dims.last_mut() {
            Some(last) if last.is_multiple_of(2) && *last > 0 => {
                *last /= 2;
                *last
            }
            _ => candle_core::bail!("a gated layer has two halves"),
        };
        let mut y = vec![0f32; both.len() / 2];
        wide(|| {
            for (y, both) in y.chunks_exact_mut(inner).zip(both.chunks_exact(2 * inner)) {
                let (gate, up) = both.split_at(inner);
                for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
                    *y = g * sigmoid(*g) * u;
                }
            }
        });
        Ok((CpuStorage::F32(y), dims.into()))
    }

    fn bwd(&self, both: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let inner = both.dim(D::Minus1)? / 2;
        let (values, grad) = (Values::of(both)?, Values::of(&grad)?);
        let mut d = vec![0f32; values.len()];
        wide(|| {
            let rows = values.chunks_exact(2 * inner).zip(grad.chunks_exact(inner));
            for ((both, grad), d) in rows.zip(d.chunks_exact_mut(2 * inner)) {
                let (gate, up) = both.split_at(inner);
                let (d_gate, d_up) = d.split_at_mut(inner);
                let inputs = gate.iter().zip(up).zip(grad);
                for (((g, u), dy), (dg, du)) in inputs.zip(d_gate.iter_mut().zip(d_up)) {
                    let s = sigmoid(*g);
                    *dg = dy * u * s * (1.0 + g * (1.0 - s));
                    *du = dy * g * s;
                }
            }
        });
        Ok(Some(Tensor::from_vec(d, both.shape(), both.device())?))
    }
}
