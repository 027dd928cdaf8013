//! A frozen Linear layer whose matrix keeps the type of the file.

use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::{Matrix, Precision};

/// `x · Wᵀ + b`. Vision encoders use it: 16-bit weights need half of the memory of f32.
#[derive(Debug, Clone)]
pub struct FrozenLinear {
    weight: Matrix,
    bias: Tensor,
}

impl FrozenLinear {
    /// Reads `weight`, (out, width), and `bias`, (out).
    pub fn load(width: usize, out: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self { bias: vb.get(out, "bias")?, weight: matrix((out, width), "weight", &vb)? })
    }

    /// Reads the matrix `name`, (out, width); `bias` is (out).
    pub fn with_bias(width: usize, bias: Tensor, name: &str, vb: &VarBuilder) -> Result<Self> {
        Ok(Self { weight: matrix((bias.dim(0)?, width), name, vb)?, bias })
    }

    /// (batch, tokens, in) to (batch, tokens, out).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.weight.forward(x, Precision::Exact)?.broadcast_add(&self.bias)
    }
}

/// On the CPU in the type of the file (a builder returns 16-bit floats only if the file has them); on
/// a GPU in 16 bits.
fn matrix(shape: (usize, usize), name: &str, vb: &VarBuilder) -> Result<Matrix> {
    let stored = vb.get_with_hints_dtype(shape, name, Init::Const(0.0), DType::F16)?;
    let stored = match (vb.device().is_cpu(), stored.dtype()) {
        (false, DType::F32) => stored.to_dtype(DType::F16)?,
        _ => stored,
    };
    Matrix::stacked(&[stored], vb.device())
}
