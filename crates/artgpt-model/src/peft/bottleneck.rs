//! The paper's image adapter (section 3.2): `Y = Linear2(GELU(Linear1(X))) + X`.

use candle_core::{Result, Tensor};
use candle_nn::{Init, Module, VarBuilder};

/// The adapter of one block. X is the residual stream after self-attention; the inner width is a quarter
/// of the hidden width.
#[derive(Debug, Clone)]
pub struct Bottleneck {
    down: candle_nn::Linear,
    up: candle_nn::Linear,
}

impl Bottleneck {
    /// Loads `down` (h/4, h) and `up` (h, h/4), both with bias.
    ///
    /// New variables start as PyTorch's Linear does; with `zero_up` the second Linear starts at
    /// zero, so that the adapter is the identity at step 0.
    pub fn load(hidden: usize, zero_up: bool, vb: VarBuilder) -> Result<Self> {
        let inner = hidden / 4;
        let up = if zero_up {
            let vb = vb.pp("up");
            let weight = vb.get_with_hints((hidden, inner), "weight", Init::Const(0.0))?;
            candle_nn::Linear::new(
                weight,
                Some(vb.get_with_hints(hidden, "bias", Init::Const(0.0))?),
            )
        } else {
            candle_nn::linear(inner, hidden, vb.pp("up"))?
        };
        Ok(Self { down: candle_nn::linear(hidden, inner, vb.pp("down"))?, up })
    }

    /// (batch, tokens, hidden) to the same shape. GELU is exact (erf).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x + self.up.forward(&self.down.forward(x)?.gelu_erf()?)?
    }
}
