//! The order of a projection's rows.

use candle_core::Tensor;

/// Rows of q or k from Hugging Face's order (a head's first half, then its second) to GGUF's
/// (neighbours rotate together).
pub fn interleave(rows: &Tensor, head_dim: usize) -> candle_core::Result<Tensor> {
    let (out, width) = rows.dims2()?;
    rows.reshape((out / head_dim, 2, head_dim / 2, width))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((out, width))
}
