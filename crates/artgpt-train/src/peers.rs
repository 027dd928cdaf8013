//! Data-parallel training: each process takes its share of a batch, and the gradients are summed.

use candle_core::Var;

use super::{Gradients, Result};

/// The processes of a run, from one of them.
pub trait Peers {
    /// The number of this process, from 0; process 0 writes the run's folder.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Sums gradients over all processes, in place.
    ///
    /// # Errors
    /// [`crate::TrainError::LostPeer`] if another process ended.
    fn sum(&self, grads: &mut Gradients, trainable: &[(String, Var)]) -> Result<()>;

    /// Sums a number over all processes.
    ///
    /// # Errors
    /// [`crate::TrainError::LostPeer`] if another process ended.
    fn total(&self, value: f64) -> Result<f64>;

    /// Whether `here` is true in any process.
    ///
    /// # Errors
    /// As [`Self::total`].
    fn any(&self, here: bool) -> Result<bool> {
        Ok(self.total(f64::from(u8::from(here)))? > 0.0)
    }

    /// The `value` of process 0.
    ///
    /// # Errors
    /// As [`Self::total`].
    fn first(&self, value: usize) -> Result<usize> {
        let value = if self.rank() == 0 { value as f64 } else { 0.0 };
        Ok(self.total(value)? as usize)
    }
}

/// A run with a single process.
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
