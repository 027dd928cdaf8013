//! Vision encoders, one file each. All are frozen: they compute no gradients.

mod depthwise;
pub mod efficientnet_lite;
pub mod vit;

use candle_core::{DType, Device, Result, Tensor};

use artgpt_art::{VIEW_SIZE, View};

/// The interface of an encoder.
pub trait VisionEncoder: Send + Sync {
    /// Encodes `pixels`, (batch, 3, side, side) from [`Self::pixels`], as (batch, tokens, width).
    fn encode(&self, pixels: &Tensor) -> Result<Tensor>;

    /// Width of a token.
    fn width(&self) -> usize;

    /// Side of the square input in pixels.
    fn side(&self) -> usize {
        VIEW_SIZE as usize
    }

    /// Per-channel mean and standard deviation on the 0 to 255 scale.
    fn normalisation(&self) -> ([f32; 3], [f32; 3]);

    /// The normalised pixels of square views: (batch, 3, side, side), f32.
    fn pixels(&self, views: &[&View], device: &Device) -> Result<Tensor> {
        let side = self.side();
        let (mean, std) = self.normalisation();
        let mut data = Vec::with_capacity(views.len() * 3 * side * side);
        for view in views {
            for c in 0..3 {
                data.extend(view.pixels().pixels().map(|p| (f32::from(p.0[c]) - mean[c]) / std[c]));
            }
        }
        Tensor::from_vec(data, (views.len(), 3, side, side), device)?.to_dtype(DType::F32)
    }
}
