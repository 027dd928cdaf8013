//! One network, two implementations of its norms, softmax and rotary embedding.
//!
//! candle's fused kernels have no backward pass and stop the gradient without an error, so training
//! uses our own kernels on the CPU and composed forms elsewhere. A type parameter selects them; the
//! network is written once.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{ops as nn, rotary_emb};

use super::ops;
pub use super::ops::RopeLayout;

/// The implementation, fixed per model: [`Fused`] for inference, [`Differentiable`] for training.
pub trait Mode: Send + Sync + 'static {
    /// RMSNorm over the last dimension; `weight` is (width).
    fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor>;
    /// LayerNorm over the last dimension; `weight` and `bias` are (width).
    fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor>;
    /// Softmax over the last dimension.
    fn softmax(x: &Tensor) -> Result<Tensor>;
    /// Rotary embedding: `x` is (batch, heads, tokens, head width), `cos` and `sin` (tokens, head width / 2).
    fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor>;
    /// SwiGLU: the SiLU of the first half of the last dimension times the second half.
    fn swiglu(both: &Tensor) -> Result<Tensor>;
}

/// Fast kernels, no gradient.
#[derive(Debug, Clone, Copy)]
pub enum Fused {}

/// Operations with a backward pass.
#[derive(Debug, Clone, Copy)]
pub enum Differentiable {}

impl Mode for Fused {
    fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
        nn::rms_norm(&x.contiguous()?, weight, eps as f32)
    }

    fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
        nn::layer_norm(&x.contiguous()?, weight, bias, eps as f32)
    }

    fn softmax(x: &Tensor) -> Result<Tensor> {
        nn::softmax_last_dim(&x.contiguous()?)
    }

    fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
        let x = x.contiguous()?;
        match layout {
            RopeLayout::Interleaved => rotary_emb::rope_i(&x, cos, sin),
            RopeLayout::Halves => rotary_emb::rope(&x, cos, sin),
        }
    }

    fn swiglu(both: &Tensor) -> Result<Tensor> {
        composed::swiglu(both)
    }
}

impl Mode for Differentiable {
    fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
        match x.device().is_cpu() {
            true => ops::rms_norm(x, weight, eps),
            false => composed::rms_norm(x, weight, eps),
        }
    }

    fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
        match x.device().is_cpu() {
            true => ops::layer_norm(x, weight, bias, eps),
            false => composed::layer_norm(x, weight, bias, eps),
        }
    }

    fn softmax(x: &Tensor) -> Result<Tensor> {
        match x.device().is_cpu() {
            true => ops::softmax(x),
            false => nn::softmax(x, D::Minus1),
        }
    }

    fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
        match x.device().is_cpu() {
            true => ops::rotary(x, cos, sin, layout),
            false => composed::rope(x, cos, sin, layout),
        }
    }

    fn swiglu(both: &Tensor) -> Result<Tensor> {
        match both.device().is_cpu() {
            true => ops::swiglu(both),
            false => composed::swiglu(both),
        }
    }
}

/// Forms composed of candle's operations, which have a backward pass on every device.
pub(super) mod composed {
    use super::*;

    pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        x.broadcast_div(&(variance + eps)?.sqrt()?)?.broadcast_mul(weight)
    }

    pub(crate) fn layer_norm(
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        eps: f64,
    ) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        centred
            .broadcast_div(&(variance + eps)?.sqrt()?)?
            .broadcast_mul(weight)?
            .broadcast_add(bias)
    }

    pub(crate) fn rope(
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        layout: RopeLayout,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        match layout {
            RopeLayout::Interleaved => rotary_emb::rope_i_slow(&x, cos, sin),
            RopeLayout::Halves => rotary_emb::rope_slow(&x, cos, sin),
        }
    }

    pub(crate) fn swiglu(both: &Tensor) -> Result<Tensor> {
        let inner = both.dim(D::Minus1)? / 2;
        both.narrow(D::Minus1, 0, inner)?.silu()? * both.narrow(D::Minus1, inner, inner)?
    }
}

/// The weight and bias of a LayerNorm, (width) each; a [`Mode`] computes it.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias`; new ones start at 1 and 0.
    pub fn load(width: usize, eps: f64, vb: candle_nn::VarBuilder) -> Result<Self> {
        use candle_nn::Init;
        Ok(Self {
            weight: vb.get_with_hints(width, "weight", Init::Const(1.0))?,
            bias: vb.get_with_hints(width, "bias", Init::Const(0.0))?,
            eps,
        })
    }

    /// Normalises the last dimension of `x`.
    pub fn forward<M: Mode>(&self, x: &Tensor) -> Result<Tensor> {
        M::layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

/// The causal attention mask, (queries, keys): 0 for keys up to the query's position, else minus
/// infinity. Query `i` has the position `past + i`; there are `past + queries` keys.
pub fn causal_mask(queries: usize, past: usize, device: &candle_core::Device) -> Result<Tensor> {
    let keys = past + queries;
    let data: Vec<f32> = (0..queries)
        .flat_map(|q| (0..keys).map(move |k| if k <= past + q { 0.0 } else { f32::NEG_INFINITY }))
        .collect();
    Tensor::from_vec(data, (queries, keys), device)?.to_dtype(DType::F32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_two_modes_compute_the_same() -> Result<()> {
        let d = &Device::Cpu;
        let x = Tensor::randn(0f32, 2.0, (1, 3, 5, 8), d)?;
        let (w, b) = (Tensor::randn(1f32, 0.2, 8, d)?, Tensor::randn(0f32, 0.2, 8, d)?);
        let (cos, sin) =
            (Tensor::randn(0f32, 1.0, (5, 4), d)?, Tensor::randn(0f32, 1.0, (5, 4), d)?);
        let pairs = [
            (Fused::rms_norm(&x, &w, 1e-5)?, Differentiable::rms_norm(&x, &w, 1e-5)?),
            (Fused::layer_norm(&x, &w, &b, 1e-5)?, Differentiable::layer_norm(&x, &w, &b, 1e-5)?),
            (Fused::softmax(&x)?, Differentiable::softmax(&x)?),
            (
                Fused::rope(&x, &cos, &sin, RopeLayout::Interleaved)?,
                Differentiable::rope(&x, &cos, &sin, RopeLayout::Interleaved)?,
            ),
            (
                Fused::rope(&x, &cos, &sin, RopeLayout::Halves)?,
                Differentiable::rope(&x, &cos, &sin, RopeLayout::Halves)?,
            ),
        ];
        for (i, (fused, composed)) in pairs.iter().enumerate() {
            let gap = (fused - composed)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(gap < 1e-5, "pair {i}: {gap}");
        }
        Ok(())
    }
}
