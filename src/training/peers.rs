//! Processes that train one run together: each takes its share of a batch, and the gradients of what
//! trains are summed.

use candle_core::Var;

use super::{Gradients, Result};

pub trait Peers: Sync {
    /// From 0.
    fn rank(&self) -> usize;

    fn size(&self) -> usize;

    /// Sums gradients over all processes.
    fn sum(&self, grads: &mut Gradients, trainable: &[(String, Var)]) -> Result<()>;

    /// Sums a number over all processes.
    fn total(&self, value: f64) -> Result<f64>;

    /// Whether it is so in one of them.
    fn any(&self, here: bool) -> Result<bool>;
}

/// A run of one process.
pub struct Alone;

impl Peers for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _: &mut Gradients, _: &[(String, Var)]) -> Result<()> {
        Ok(())
    }

    fn total(&self, value: f64) -> Result<f64> {
        Ok(value)
    }

    fn any(&self, here: bool) -> Result<bool> {
        Ok(here)
    }
}
