//! Products with a frozen matrix that is unpacked to f32 a tile at a time.

use candle_core::{CpuStorage, Device, Result, Storage, Tensor};
use rayon::prelude::*;

/// Shape of a product: `x` (rows, width) times the transpose of W (out, width).
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub width: usize,
    pub out: usize,
}

/// Runs `product(x, shape)`, which fills (rows, out), on a tensor of contiguous f32 rows.
pub fn with_rows(
    x: &Tensor,
    out: usize,
    width: usize,
    product: impl FnOnce(&[f32], Shape) -> Vec<f32>,
) -> Result<Tensor> {
    let (rows, x_width) = x.dims2()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(all)) = &*storage else {
        candle_core::bail!("a product in tiles needs f32 on the CPU")
    };
    let Some(x) = layout.contiguous_offsets().and_then(|(start, end)| all.get(start..end)) else {
        candle_core::bail!("a product in tiles needs contiguous rows")
    };
    if x_width != width {
        candle_core::bail!("rows of {x_width} do not go through a matrix of width {width}");
    }
    Tensor::from_vec(product(x, Shape { rows, width, out }), (rows, out), &Device::Cpu)
}

/// Output rows unpacked at a time: a tile and its operands stay in the second-level cache, so the
/// unpacked matrix never goes through memory.
const TILE: usize = 128;

/// The product in f32. `unpack(first, tile)` writes rows of W from `first` on, as many as fit.
pub fn tiled_product(
    x: &[f32],
    shape: Shape,
    unpack: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let Shape { rows, width, out } = shape;
    let mut y = vec![0f32; rows * out];
    let columns = Columns { y: y.as_mut_ptr(), shape };
    (0..out.div_ceil(TILE)).into_par_iter().for_each_init(
        || vec![0f32; TILE * width],
        |tile, index| {
            let first = index * TILE;
            let count = TILE.min(out - first);
            let tile = &mut tile[..count * width];
            unpack(first, tile);
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
