//! The bridge: standardised image tokens, Q-Former, projection. Together with the adapters it is
//! all that trains.

use candle_core::{Device, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::mode::Mode;
use super::projection::Projection;
use super::qformer::{QFormer, QFormerConfig};

#[derive(Debug, Clone)]
pub struct Bridge {
    /// Our own layout's; the references' encoders end in a norm of their own.
    norm: Option<ChannelNorm>,
    /// Marks of the tokens' places, (image tokens, encoder width); fixed.
    position: Option<Tensor>,
    qformer: QFormer,
    projection: Projection,
}

impl Bridge {
    pub fn load(config: &QFormerConfig, language_width: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            norm: match config.standardise {
                true => Some(ChannelNorm::load(config.encoder_width, vb.pp("vision_norm"))?),
                false => None,
            },
            position: match config.image_grid {
                0 => None,
                side => Some(grid_positions(side, config.encoder_width, vb.device())?),
            },
            qformer: QFormer::load(config, vb.clone())?,
            projection: Projection::load(config.hidden_size, language_width, vb)?,
        })
    }

    /// Tokens of an instruction that the Q-Former can read; `None` if it reads none.
    pub fn instruction_limit(&self) -> Option<usize> {
        self.qformer.instruction_limit()
    }

    /// (batch, image tokens, encoder width) to (batch, queries, LLM hidden). `instruction` is in
    /// the tokens of the Q-Former's own tokenizer.
    pub fn forward<M: Mode>(&self, image: &Tensor, instruction: &[u32]) -> Result<Tensor> {
        let mut image = match &self.norm {
            Some(norm) => norm.forward(image)?,
            None => image.clone(),
        };
        if let Some(position) = &self.position {
            image = image.broadcast_add(position)?;
        }
        self.projection.forward(&self.qformer.forward::<M>(&image, instruction)?)
    }
}

/// Sines and cosines of a cell's column, then of its row, in (side * side, width); the tokens are
/// row by row. Frequencies fall from 1 to 1/100, as a grid is small.
fn grid_positions(side: usize, width: usize, device: &Device) -> Result<Tensor> {
    let quarter = width / 4;
    let mut out = vec![0f32; side * side * width];
    for (cell, mark) in out.chunks_mut(width).enumerate() {
        for (axis, place) in [cell % side, cell / side].into_iter().enumerate() {
            for i in 0..quarter {
                let angle = place as f32 * 100f32.powf(-(i as f32) / quarter as f32);
                mark[(2 * axis) * quarter + i] = angle.sin();
                mark[(2 * axis + 1) * quarter + i] = angle.cos();
            }
        }
    }
    Tensor::from_vec(out, (side * side, width), device)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_own_mark_and_mirrored_cells_share_their_row() -> Result<()> {
        let marks = grid_positions(3, 16, &Device::Cpu)?.to_vec2::<f32>()?;
        assert_eq!(marks.len(), 9);
        for (i, a) in marks.iter().enumerate() {
            assert!(marks[..i].iter().all(|b| b != a), "cell {i}");
        }
        // The second half of a mark is the row's.
        assert_eq!(marks[3][8..], marks[5][8..]);
        assert_ne!(marks[3][..8], marks[5][..8]);
        Ok(())
    }
}
