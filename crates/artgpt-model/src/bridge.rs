//! The bridge: standardised image tokens, Q-Former, projection. Only it and the adapters train.

use candle_core::{Device, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::projection::Projection;
use super::qformer::{QFormer, QFormerConfig};
use super::relations::Relations;
use artgpt_kernels::mode::Mode;

/// Everything between the vision encoder and the language model.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// Only in our own layout; the references' encoders end in a norm.
    norm: Option<ChannelNorm>,
    /// Fixed position embeddings, (image tokens, encoder width).
    position: Option<Tensor>,
    relations: Option<Relations>,
    qformer: QFormer,
    projection: Projection,
}

impl Bridge {
    /// Loads Q-Former and projection; `language_width` is the hidden width of the language model.
    ///
    /// # Errors
    /// A tensor is missing or misshaped, or the configuration contradicts itself.
    pub fn load(config: &QFormerConfig, language_width: usize, vb: VarBuilder) -> Result<Self> {
        let (channels, width) = (config.relation_channels, config.encoder_width);
        if channels > 0 && (config.image_grid < 2 || channels > width) {
            candle_core::bail!(
                "relation_channels = {channels} needs image_grid (the side of the grid of tokens) \
                 and at most the encoder's {width} channels"
            )
        }
        Ok(Self {
            norm: match config.standardise {
                true => Some(ChannelNorm::load(width, vb.pp("vision_norm"))?),
                false => None,
            },
            position: match config.image_grid {
                0 => None,
                side => Some(grid_positions(side, width, vb.device())?),
            },
            relations: match channels {
                0 => None,
                _ => {
                    let (side, hidden) = (config.image_grid, config.hidden_size);
                    Some(Relations::load(side, channels, hidden, vb.pp("relations"))?)
                }
            },
            qformer: QFormer::load(config, vb.clone())?,
            projection: Projection::load(config.hidden_size, language_width, vb)?,
        })
    }

    /// The longest instruction in tokens; `None` if the Q-Former has no text branch.
    pub fn instruction_limit(&self) -> Option<usize> {
        self.qformer.instruction_limit()
    }

    /// Tokens per image.
    pub fn query_tokens(&self) -> usize {
        self.qformer.query_tokens()
    }

    /// Both steps: (batch, image tokens, encoder width) to (batch, queries, LLM hidden).
    /// `instruction` is in tokens of the Q-Former's own tokenizer.
    pub fn forward<M: Mode>(&self, image: &Tensor, instruction: &[u32]) -> Result<Tensor> {
        self.project(&self.query::<M>(image, instruction)?)
    }

    /// The projection: (batch, queries, Q-Former hidden) to (batch, queries, LLM hidden).
    pub fn project(&self, queries: &Tensor) -> Result<Tensor> {
        self.projection.forward(queries)
    }

    /// The Q-Former: (batch, image tokens, encoder width) to (batch, queries, Q-Former hidden).
    pub fn query<M: Mode>(&self, image: &Tensor, instruction: &[u32]) -> Result<Tensor> {
        let relations = self.relations.as_ref().map(|r| r.forward(image)).transpose()?;
        let mut image = match &self.norm {
            Some(norm) => norm.forward(image)?,
            None => image.clone(),
        };
        if let Some(position) = &self.position {
            image = image.broadcast_add(position)?;
        }
        self.qformer.forward::<M>(&image, instruction, relations.as_ref())
    }
}

/// Sinusoidal position embeddings, (side * side, width), tokens row by row: sines and cosines of the
/// column, then of the row. Frequencies fall from 1 to 1/100, as a grid is small.
fn grid_positions(side: usize, width: usize, device: &Device) -> Result<Tensor> {
    let quarter = width / 4;
    let cells = side * side;
    let mut out = vec![0f32; cells * width];
    for (cell, embedding) in out.chunks_mut(width).enumerate() {
        for (axis, position) in [cell % side, cell / side].into_iter().enumerate() {
            for i in 0..quarter {
                let angle = position as f32 * 100f32.powf(-(i as f32) / quarter as f32);
                embedding[(2 * axis) * quarter + i] = angle.sin();
                embedding[(2 * axis + 1) * quarter + i] = angle.cos();
            }
        }
    }
    Tensor::from_vec(out, (cells, width), device)
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
    fn every_cell_has_its_own_embedding_and_cells_of_a_row_share_half() -> Result<()> {
        let embeddings = grid_positions(3, 16, &Device::Cpu)?.to_vec2::<f32>()?;
        assert_eq!(embeddings.len(), 9);
        for (i, a) in embeddings.iter().enumerate() {
            assert!(embeddings[..i].iter().all(|b| b != a), "cell {i}");
        }
        // The second half of an embedding belongs to the row.
        assert_eq!(embeddings[3][8..], embeddings[5][8..]);
        assert_ne!(embeddings[3][..8], embeddings[5][..8]);
        Ok(())
    }
}
