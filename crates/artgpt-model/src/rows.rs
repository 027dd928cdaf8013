//! The order of rows of q and k matrices.

use candle_core::Tensor;

/// Reorders rows of q or k, (out, width), from Hugging Face's order (a head's first half, then its second) to GGUF's
/// (neighbours rotate together).
pub(crate) fn interleave(rows: &Tensor, head_dim: usize) -> candle_core::Result<Tensor> {
    let (out, width) = rows.dims2()?;
    rows.reshape((out / head_dim, 2, head_dim / 2, width))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((out, width))
}
