//! Tensors as slices, and loops over them for the widest registers of the processor.

use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor};

/// The values of a contiguous f32 tensor on the CPU.
pub struct Values<'a> {
    /// A lock, whose type candle does not name.
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    range: Range<usize>,
}

impl<'a> Values<'a> {
    /// Borrows the values of a tensor.
    ///
    /// # Errors
    /// The tensor is not on the CPU, not contiguous, or not f32.
    pub fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cpu(cpu) = &*storage else {
            candle_core::bail!("the tensor is not on the CPU")
        };
        slice(cpu, layout)?;
        let range = range(layout)?;
        Ok(Self { storage: Box::new(storage), range })
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(all)) => all.get(self.range.clone()).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// The values of a custom operation's input.
///
/// # Errors
/// The input is not contiguous, or not f32.
pub fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match storage.as_slice::<f32>()?.get(range(layout)?) {
        Some(values) => Ok(values),
        None => candle_core::bail!("the tensor reaches past its storage"),
    }
}

fn range(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => candle_core::bail!("the tensor is not contiguous"),
    }
}

/// Compiles `f` for the processor's widest registers and runs it.
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Partial sums that the compiler may keep in one register.
const LANES: usize = 16;

/// Sum of `f` over pairs of values.
#[inline(always)]
pub(crate) fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let mut sum: f32 = tail.map(|(a, b)| f(*a, *b)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f(*a, *b);
        }
    }
    sum += sums.iter().sum::<f32>();
    sum
}

/// Sum of `f` over values.
#[inline(always)]
pub fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum_pairs(values, values, |v, _| f(v))
}

#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail = chunks.remainder().iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    for chunk in chunks {
        for (m, v) in most.iter_mut().zip(chunk) {
            *m = if *v > *m { *v } else { *m };
        }
    }
    most.iter().fold(tail, |m, v| m.max(*v))
}

/// `e^x` with a relative error below 3e-7 for `x` in -87..88; `x` is clamped to that range. It has no
/// branch and no call, so the compiler vectorises loops over it. (Range reduction by ln 2 in two
/// parts, and a polynomial.)
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds a number to an integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// A matrix in a slice, with the strides of its rows and columns.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> View<'a> {
    pub(crate) fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, row: width, column: 1 }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    fn reaches(&self, rows: usize, columns: usize) -> usize {
        (rows.max(1) - 1) * self.row + (columns.max(1) - 1) * self.column + 1
    }
}

/// `out`, (m, n), becomes `a · b` of (m, k) and (k, n) times `scale`, on this thread.
pub(crate) fn multiply(
    out: &mut [f32],
    (m, n, k): (usize, usize, usize),
    a: View,
    b: View,
    scale: f32,
) {
    assert!(out.len() >= m * n);
    assert!(a.values.len() >= a.reaches(m, k) && b.values.len() >= b.reaches(k, n));
    // SAFETY: the shapes and strides stay inside the slices, as asserted; `out` is borrowed
    // mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            0.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
