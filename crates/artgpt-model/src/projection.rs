//! The projection from the Q-Former's width to the language model's: one Linear, `llama_proj` in the
//! reference.

use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};

#[derive(Debug, Clone)]
pub(crate) struct Projection(Linear);

impl Projection {
    pub(crate) fn load(input: usize, output: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self(linear(input, output, vb.pp("llama_proj"))?))
    }

    /// (batch, queries, Q-Former hidden) to (batch, queries, LLM hidden).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}
