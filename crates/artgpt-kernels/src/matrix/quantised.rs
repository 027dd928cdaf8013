//! Operations on any of GGML's types, through candle's blocks.

use std::borrow::Cow;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Result, Tensor};

use super::tiles::{tiled_product, with_rows};
use crate::ops::Values;

/// `count` rows from `first` on, in f32: (count, width).
fn rows(q: &QTensor, data: &[u8], first: usize, count: usize) -> Result<Tensor> {
    let (out, width) = q.shape().dims2()?;
    let bytes = width / q.dtype().block_size() * q.dtype().type_size();
    let part = match data.get(first * bytes..(first + count) * bytes) {
        Some(part) if first + count <= out => part,
        _ => candle_core::bail!("row {first} is outside the {out} rows of the matrix"),
    };
    let storage = QStorage::from_data(Cow::Borrowed(part), &Device::Cpu, q.dtype())?;
    QTensor::new(storage, (count, width))?.dequantize(&Device::Cpu)
}

/// Rows of an embedding table by index, (ids, width), on the CPU.
pub(crate) fn embedding_rows(q: &QTensor, ids: &[u32]) -> Result<Tensor> {
    let data = q.data()?;
    let rows = ids.iter().map(|id| rows(q, &data, *id as usize, 1)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&rows, 0)
}

/// `x · Wᵀ` in f32 for contiguous rows on the CPU; W is unpacked a tile at a time.
pub(crate) fn product(q: &QTensor, x: &Tensor) -> Result<Tensor> {
    let (out, width) = q.shape().dims2()?;
    let data = q.data()?;
    let failed = std::sync::Mutex::new(None);
    let y = with_rows(x, out, width, |x, shape| {
        tiled_product(x, shape, |first, tile| {
            let unpacked = rows(q, &data, first, tile.len() / width).and_then(|rows| {
                tile.copy_from_slice(&Values::of(&rows)?);
                Ok(())
            });
            if let Err(e) = unpacked {
                *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
            }
        })
    })?;
    match failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(e) => Err(e),
        None => Ok(y),
    }
}
