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
    /// (image tokens, encoder width)
    position: Option<Tensor>,
    qformer: QFormer,
    projection: Projection,
}

impl Bridge {
    pub fn load(config: &QFormerConfig, language_width: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            norm: ChannelNorm::load(config.encoder_width, vb.pp("vision_norm"))?,
            position: match config.image_positions {
                0 => None,
                n => {
                    let shape = (n, config.encoder_width);
                    Some(vb.get_with_hints(shape, "image_positions", Init::Const(0.0))?)
                }
            },
            qformer: QFormer::load(config, vb.clone())?,
            projection: Projection::load(config.hidden_size, language_width, vb)?,
        })
    }

    /// (batch, image tokens, encoder width) to (batch, queries, LLM hidden).
    pub fn forward<M: Mode>(&self, image: &Tensor) -> Result<Tensor> {
        let mut image = self.norm.forward(image)?;
        if let Some(position) = &self.position {
            image = image.broadcast_add(position)?;
        }
        self.projection.forward(&self.qformer.forward::<M>(&image)?)
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
