//! Products with a frozen matrix that is dequantised to f32 a tile at a time.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use crate::ops::Values;

/// Shape of a product: `x` (rows, width) times the transpose of W (out, width).
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub width: usize,
    pub out: usize,
}

/// Runs `product(x, shape)`, which fills (rows, out), on a tensor of contiguous f32 rows.
pub(crate) fn with_rows(
    x: &Tensor,
    out: usize,
    width: usize,
    product: impl FnOnce(&[f32], Shape) -> Vec<f32>,
) -> Result<Tensor> {
    let (rows, x_width) = x.dims2()?;
    let x = Values::of(x)?;
    if x_width != width {
        candle_core::bail!("rows of {x_width} do not go through a matrix of width {width}");
    }
    Tensor::from_vec(product(&x, Shape { rows, width, out }), (rows, out), &Device::Cpu)
}

/// Output rows of a tile: it and its operands stay in the second-level cache, so the dequantised
/// matrix never goes through memory.
const TILE: usize = 128;

/// The product in f32. `unpack(first, tile)` writes rows of W from `first` on, as many as fit.
pub(crate) fn tiled_product(
    x: &[f32],
    shape: Shape,
    unpack: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let Shape { rows, width, out } = shape;
    let mut y = vec![0f32; rows * out];
    let columns = Columns { y: Results::of(&mut y), shape };
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

/// (rows, out) results that tasks fill in parallel, each its own columns.
pub(crate) struct Results(*mut f32);

// SAFETY: whoever calls `at` writes only what no other task reads or writes.
unsafe impl Sync for Results {}

impl Results {
    pub(crate) fn of(y: &mut [f32]) -> Self {
        Self(y.as_mut_ptr())
    }

    /// # Safety
    /// `offset` is inside the results, which are still there, and no other task reads or writes
    /// what is reached through the pointer.
    pub(crate) unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: by the caller.
        unsafe { self.0.add(offset) }
    }
}

/// Results of one shape.
struct Columns {
    y: Results,
    shape: Shape,
}

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
                self.y.at(first),
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
