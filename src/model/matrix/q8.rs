//! Q8_0 (GGML): blocks of an f16 scale and 32 signed bytes; a value is scale times byte.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, Device, Result, Storage, Tensor};
use half::f16;
use rayon::prelude::*;

/// Values in one block, and its bytes.
pub const BLOCK: usize = 32;
pub const BLOCK_BYTES: usize = 34;

/// Shape of a product: `x` (rows, width) times the transpose of W (out, width).
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub width: usize,
    pub out: usize,
}

/// Runs `product(W, x, shape)`, which fills (rows, out), on a tensor of contiguous f32 rows.
pub fn on_rows(
    q: &QTensor,
    x: &Tensor,
    product: fn(&[u8], &[f32], Shape) -> Vec<f32>,
) -> Result<Tensor> {
    let (out, width) = q.shape().dims2()?;
    let (rows, x_width) = x.dims2()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(all)) = &*storage else {
        candle_core::bail!("a product with Q8_0 needs f32 on the CPU")
    };
    let Some(x) = layout.contiguous_offsets().and_then(|(start, end)| all.get(start..end)) else {
        candle_core::bail!("a product with Q8_0 needs contiguous rows")
    };
    let data = q.data()?;
    if x_width != width || data.len() != out * width / BLOCK * BLOCK_BYTES {
        candle_core::bail!("rows of {x_width} do not go through a matrix of width {width}");
    }
    let shape = Shape { rows, width, out };
    Tensor::from_vec(product(&data, x, shape), (rows, out), &Device::Cpu)
}

/// Output rows unpacked at a time: a tile and its operands stay in the second-level cache, so the
/// unpacked matrix never goes through memory.
const TILE: usize = 128;

/// The product in f32.
pub fn product(w: &[u8], x: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { rows, width, out } = shape;
    let mut y = vec![0f32; rows * out];
    let columns = Columns { y: y.as_mut_ptr(), shape };
    w.par_chunks(width / BLOCK * BLOCK_BYTES * TILE).enumerate().for_each_init(
        || vec![0f32; TILE * width],
        |tile, (index, data)| {
            let first = index * TILE;
            let count = TILE.min(out - first);
            let tile = &mut tile[..count * width];
            unpack_blocks(data, tile);
            // SAFETY: each tile is one task and has its own columns.
            unsafe { columns.multiply(first, count, tile, x) };
        },
    );
    y
}

/// (rows, out) results that tasks fill side by side, each its own columns.
struct Columns {
    y: *mut f32,
    shape: Shape,
}

// SAFETY: `multiply` writes only the columns that its caller says are its own.
unsafe impl Sync for Columns {}

impl Columns {
    /// Columns `first..first + count` become `x · tileᵀ`, on this thread.
    ///
    /// # Safety
    /// No one else reads or writes these columns, and the memory behind `y` is still there.
    unsafe fn multiply(&self, first: usize, count: usize, tile: &[f32], x: &[f32]) {
        let Shape { rows, width, out } = self.shape;
        assert!(first + count <= out && tile.len() == count * width && x.len() == rows * width);
        let (width_stride, out_stride) = (width as isize, out as isize);
        // SAFETY: the lengths checked above are those that the shapes and strides reach; the
        // columns are this call's own, so they overlap neither operand.
        unsafe {
            gemm::gemm(
                rows,
                count,
                width,
                self.y.add(first),
                1,
                out_stride,
                false,
                x.as_ptr(),
                1,
                width_stride,
                tile.as_ptr(),
                width_stride,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

/// The whole matrix in f32, (out, width); other types by candle.
pub fn unpack(q: &QTensor, device: &Device) -> Result<Tensor> {
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

/// Rows of an embedding table by index, (ids, width).
pub fn embedding_rows(q: &QTensor, ids: &[u32]) -> Result<Tensor> {
    let (count, width) = q.shape().dims2()?;
    let data = q.data()?;
    let bytes = width / BLOCK * BLOCK_BYTES;
    let mut out = vec![0f32; ids.len() * width];
    for (id, row) in ids.iter().zip(out.chunks_mut(width)) {
        let id = *id as usize;
        if id >= count {
            candle_core::bail!("token id {id} is outside the vocabulary of {count}");
        }
        unpack_blocks(&data[id * bytes..][..bytes], row);
    }
    Tensor::from_vec(out, (ids.len(), width), &Device::Cpu)
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
