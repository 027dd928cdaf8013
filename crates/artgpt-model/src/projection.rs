//! From Q-Former width to the language model's: one Linear, `llama_proj` in the reference.

use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};

#[derive(Debug, Clone)]
pub struct Projection(Linear);

impl Projection {
    pub fn load(input: usize, output: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self(linear(input, output, vb.pp("llama_proj"))?))
    }

    /// (batch, queries, Q-Former hidden) to (batch, queries, LLM hidden).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}
