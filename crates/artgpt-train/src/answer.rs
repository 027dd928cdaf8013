//! The answer stage: next-token cross-entropy on the answers' tokens.

use candle_core::{Result, Tensor};

use super::Packed;
use artgpt_kernels::matrix::Precision;
use artgpt_kernels::mode::Mode;
use artgpt_kernels::ops::cross_entropy::cross_entropy;
use artgpt_model::llama::Llama;
use artgpt_rundir::Weigh;

/// Mean loss (a scalar) over the answer tokens of a packed sequence, weighted by `weigh`. `image` and
/// `second` are (1, queries, hidden); a sequence with a second picture needs `second`.
///
/// # Errors
/// If `second` is missing, or the tensors' shapes do not fit.
pub fn answer_loss<M: Mode>(
    model: &Llama<M>,
    packed: &Packed,
    image: &Tensor,
    second: Option<&Tensor>,
    weigh: Weigh,
) -> Result<Tensor> {
    let device = model.device();
    let mut parts = Vec::new();
    if !packed.before.is_empty() {
        parts.push(model.embed(&packed.before)?);
    }
    parts.push(image.clone());
    let mut read = 0;
    for &start in &packed.second {
        let Some(second) = second else {
            candle_core::bail!("the sequence shows a second picture, and none is given")
        };
        parts.push(model.embed(&packed.after[read..start])?);
        parts.push(second.clone());
        read = start + second.dim(1)?;
    }
    if read < packed.after.len() {
        parts.push(model.embed(&packed.after[read..])?);
    }
    let x = Tensor::cat(&parts, 1)?; // (1, positions, hidden)
    let rotary = model.rotary_at(&packed.positions)?;
    let Some(sight) = packed.sight() else {
        candle_core::bail!("an empty question cannot be packed")
    };
    let hidden = model.forward(&x, &rotary, &sight)?;
    let (positions, tokens): (Vec<u32>, Vec<u32>) = packed.targets.iter().copied().unzip();
    // Only scored positions go through the large output matrix.
    let scored = hidden.squeeze(0)?.index_select(&Tensor::new(positions, device)?, 0)?;
    let logits = model.logits(&scored.unsqueeze(0)?, Precision::Exact)?.squeeze(0)?;
    cross_entropy(&logits, tokens, packed.weights(weigh))
}
