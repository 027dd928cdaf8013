//! Q8_0 (GGML): blocks of an f16 scale and 32 signed bytes; a value is scale times byte.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor};
use half::f16;
use rayon::prelude::*;

use super::tiles::{Shape, tiled_product, with_rows};

/// Values in one block, and its bytes.
pub(crate) const BLOCK: usize = 32;
pub(crate) const BLOCK_BYTES: usize = 34;

/// Runs `product(W, x, shape)`, which fills (rows, out), on a tensor of contiguous f32 rows.
pub(crate) fn on_rows(
    q: &QTensor,
    x: &Tensor,
    product: fn(&[u8], &[f32], Shape) -> Vec<f32>,
) -> Result<Tensor> {
    let (out, width) = q.shape().dims2()?;
    let data = q.data()?;
    if data.len() != out * width / BLOCK * BLOCK_BYTES {
        candle_core::bail!("a matrix of width {width} does not fill its blocks");
    }
    with_rows(x, out, width, |x, shape| product(&data, x, shape))
}

/// The product in f32.
pub(crate) fn product(w: &[u8], x: &[f32], shape: Shape) -> Vec<f32> {
    let row_bytes = shape.width / BLOCK * BLOCK_BYTES;
    tiled_product(x, shape, |first, tile| {
        let count = tile.len() / shape.width;
        unpack_blocks(&w[first * row_bytes..][..count * row_bytes], tile);
    })
}

/// The whole matrix in f32, (out, width); other types by candle.
pub(crate) fn unpack(q: &QTensor, device: &Device) -> Result<Tensor> {
    if q.dtype() != GgmlDType::Q8_0 || !device.is_cpu() {
        return q.dequantize(device);
    }
    let (out, width) = q.shape().dims2()?;
    let data = q.data()?;
    let mut values = vec![0f32; out * width];
    let bytes = width / BLOCK * BLOCK_BYTES;
    values
        .par_chunks_mut(width * 32)
        .zip(data.par_chunks(bytes * 32))
        .for_each(|(values, data)| unpack_blocks(data, values));
    Tensor::from_vec(values, (out, width), device)
}

fn unpack_blocks(data: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the features.
        return unsafe { unpack_blocks_avx2(data, out) };
    }
    unpack_each(data, out);
}

/// The same code, compiled for wider registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
fn unpack_blocks_avx2(data: &[u8], out: &mut [f32]) {
    unpack_each(data, out);
}

#[inline(always)]
fn unpack_each(data: &[u8], out: &mut [f32]) {
    for (block, out) in data.chunks_exact(BLOCK_BYTES).zip(out.chunks_exact_mut(BLOCK)) {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (o, q) in out.iter_mut().zip(&block[2..]) {
            *o = scale * f32::from(*q as i8);
        }
    }
}
