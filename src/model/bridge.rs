//! The bridge: standardised image tokens, Q-Former, projection. Together with the adapters it is
//! all that trains.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::mode::Mode;
use super::projection::Projection;
use super::qformer::{QFormer, QFormerConfig};

#[derive(Debug, Clone)]
pub struct Bridge {
    norm: ChannelNorm,
    qformer: QFormer,
    projection: Projection,
}

impl Bridge {
    pub fn load(config: &QFormerConfig, language_width: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            norm: ChannelNorm::load(config.encoder_width, vb.pp("vision_norm"))?,
            qformer: QFormer::load(config, vb.clone())?,
            projection: Projection::load(config.hidden_size, language_width, vb)?,
        })
    }

    /// (batch, image tokens, encoder width) to (batch, queries, LLM hidden).
    pub fn forward<M: Mode>(&self, image: &Tensor) -> Result<Tensor> {
        self.projection.forward(&self.qformer.forward::<M>(&self.norm.forward(image)?)?)
    }
}

/// Standardises each channel by its mean and deviation over the training views.
///
/// The channels of a convolutional encoder differ in scale by orders of magnitude, which a
/// LayerNorm over a token would keep.
#[derive(Debug, Clone)]
struct ChannelNorm {
    mean: Tensor,
    std: Tensor,
}

impl ChannelNorm {
    fn load(width: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            mean: vb.get_with_hints(width, "mean", Init::Const(0.0))?,
            std: vb.get_with_hints(width, "std", Init::Const(1.0))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_sub(&self.mean)?.broadcast_div(&self.std)
    }
}
