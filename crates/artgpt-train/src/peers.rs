//! Processes that train one run together: each takes its share of a batch, and the gradients of what
//! trains are summed.

use candle_core::Var;

use super::{Gradients, Result};

pub trait Peers {
    /// From 0; the first one writes the run's folder.
    fn rank(&self) -> usize;

    fn size(&self) -> usize;

    /// Sums gradients over all processes.
    fn sum(&self, grads: &mut Gradients, trainable: &[(String, Var)]) -> Result<()>;

    /// Sums a number over all processes.
    fn total(&self, value: f64) -> Result<f64>;

    /// Whether it is so in one of them.
    fn any(&self, here: bool) -> Result<bool> {
        Ok(self.total(f64::from(u8::from(here)))? > 0.0)
    }

    /// The number that the first one has.
    fn first(&self, value: usize) -> Result<usize> {
        let value = if self.rank() == 0 { value as f64 } else { 0.0 };
        Ok(self.total(value)? as usize)
    }
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
}
