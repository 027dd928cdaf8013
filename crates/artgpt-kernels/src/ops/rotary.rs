//! Rotary position embedding. Its backward pass is the rotation by the opposite angle.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::values::{Values, slice, wide};

/// Which pairs of a head's values rotate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeLayout {
    /// Adjacent values, as in GGUF files of LLaMA models (their q and k rows are permuted for it).
    Interleaved,
    /// First half with second half, as in Hugging Face checkpoints.
    Halves,
}

/// Rotary embedding: `x` is (batch, heads, tokens, width), `cos` and `sin` (tokens, width / 2).
pub fn rotary(x: &Tensor, cos: &Tensor, sin: &Tensor, pairs: RopeLayout) -> Result<Tensor> {
    let (cos, sin) = (cos.contiguous()?, sin.contiguous()?);
    x.contiguous()?.apply_op1(Rotary { cos, sin, pairs })
}

struct Rotary {
    cos: Tensor,
    sin: Tensor,
    pairs: RopeLayout,
}

impl Rotary {
    /// Rotates rows of `width`; `direction` is 1 or -1.
    fn rotate(&self, x: &[f32], width: usize, direction: f32) -> Result<Vec<f32>> {
        let (cos, sin) = (Values::of(&self.cos)?, Values::of(&self.sin)?);
        let half = width / 2;
        let tokens = cos.len() / half.max(1);
        if !width.is_multiple_of(2)
            || cos.len() != sin.len()
            || !x.len().is_multiple_of(tokens * width)
        {
            candle_core::bail!("rotary tables of {} values do not fit", cos.len());
        }
        let mut y = vec![0f32; x.len()];
        let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half)).cycle();
        wide(|| {
            for ((y, x), (cos, sin)) in
                y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(angles)
            {
                match self.pairs {
                    RopeLayout::Interleaved => {
                        let pairs = y.chunks_exact_mut(2).zip(x.chunks_exact(2));
                        for ((y, x), (c, s)) in pairs.zip(cos.iter().zip(sin)) {
                            let s = s * direction;
                            y[0] = x[0] * c - x[1] * s;
                            y[1] = x[0] * s + x[1] * c;
                        }
                    }
                    RopeLayout::Halves => {
                        let ((y0, y1), (x0, x1)) = (y.split_at_mut(half), x.split_at(half));
                        let outputs = y0.iter_mut().zip(y1);
                        for (((y0, y1), (x0, x1)), (c, s)) in
                            outputs.zip(x0.iter().zip(x1)).zip(cos.iter().zip(sin))
                        {
                            let s = s * direction;
                            *y0 = x0 * c - x1 * s;
                            *y1 = x0 * s + x1 * c;
                        }
                    }
                }
            }
        });
        Ok(y)
    }
}

impl CustomOp1 for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.dims().last().copied().unwrap_or(0);
        let y = self.rotate(slice(x, layout)?, width, 1.0)?;
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dims().last().copied().unwrap_or(0);
        let grad = grad.contiguous()?;
        let dx = self.rotate(&Values::of(&grad)?, width, -1.0)?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
