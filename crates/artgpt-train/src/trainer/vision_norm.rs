//! Mean and standard deviation of each channel of the vision tokens, measured before a new bridge
//! trains.

use candle_core::Tensor;

use super::Trainer;
use crate::Result;

const MEAN: &str = "vision_norm.mean";
const STD: &str = "vision_norm.std";
/// Training views that are measured.
const VIEWS: usize = 256;
/// Views that are encoded at once.
const BATCH: usize = 16;
/// The smallest standard deviation: a channel that never changes must not be divided by zero.
const MIN_STD: f32 = 1e-2;

impl Trainer<'_> {
    /// Whether the base model has no measured channel statistics: all deviations are 1.
    pub(super) fn lacks_vision_norm(&self) -> Result<bool> {
        let all = self.params.all();
        let Some((_, std)) = all.iter().find(|(name, _)| name == STD) else {
            return Ok(false);
        };
        Ok(std.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| *v == 1.0))
    }

    /// Sets mean and standard deviation of each channel from training views. Returns false if `stop`
    /// returns true before all views are measured.
    pub(super) fn measure_vision_norm(&self, stop: &dyn Fn() -> bool) -> Result<bool> {
        if !self.params.has(MEAN) {
            return Ok(true); // the encoder ends in a norm of its own
        }
        let (mut sum, mut squares, mut count) = (Vec::new(), Vec::new(), 0usize);
        for i in 0..VIEWS / BATCH {
            if self.peers.any(stop())? {
                return Ok(false);
            }
            let task = self.task;
            let tokens = self.threads.install(|| task.views(i, BATCH))?;
            for token in tokens.flatten_to(1)?.to_vec2::<f32>()? {
                sum.resize(token.len(), 0f64);
                squares.resize(token.len(), 0f64);
                for (c, v) in token.iter().enumerate() {
                    sum[c] += f64::from(*v);
                    squares[c] += f64::from(*v).powi(2);
                }
                count += 1;
            }
        }
        let n = count.max(1) as f64;
        let mean: Vec<f32> = sum.iter().map(|s| (s / n) as f32).collect();
        let std: Vec<f32> = sum
            .iter()
            .zip(&squares)
            .map(|(s, q)| ((q / n - (s / n).powi(2)).max(0.0).sqrt() as f32).max(MIN_STD))
            .collect();
        let (width, device) = (mean.len(), self.params.device());
        self.params.set(MEAN, &Tensor::from_vec(mean, width, device)?)?;
        self.params.set(STD, &Tensor::from_vec(std, width, device)?)?;
        Ok(true)
    }
}
