//! Products in bf16 with f32 sums, forward and backward, on processors that are faster with them than
//! with f32.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

use rayon::prelude::*;

use crate::ops::{Values, slice};

/// An implementation of the product of rows with a packed matrix.
pub trait Kernel: std::fmt::Debug + Send + Sync {
    /// Appends a row as pairs of rounded values.
    fn round(&self, row: &[f32], pairs: &mut Vec<u32>);

    /// (rows, depth) pairs to (rows, out). `x` has room for as many rows more as make a whole
    /// number of [`PANEL`]s.
    fn product(&self, w: &Panels, x: Vec<u32>) -> Vec<f32>;
}

/// The kernel that is faster than f32 on this processor, if there is one.
#[cfg(target_arch = "x86_64")]
pub(crate) fn fastest() -> Option<Arc<dyn Kernel>> {
    use super::{amx::Amx, avx512::Avx512};
    if let Some(kernel) = Amx::request() {
        return Some(Arc::new(kernel));
    }
    // Intel's AVX-512 BF16 is no faster than f32 (measured): only one port executes it.
    let kernel = Avx512::detect().filter(|_| !Avx512::of_intel())?;
    Some(Arc::new(kernel))
}

#[cfg(not(target_arch = "x86_64"))]
pub fn fastest() -> Option<Arc<dyn Kernel>> {
    None
}

/// A frozen (out, in) matrix, packed for `x · Wᵀ` and for `y · W`.
#[derive(Debug)]
pub struct Bf16 {
    forward: Panels,
    backward: Panels,
    kernel: Arc<dyn Kernel>,
}

impl Bf16 {
    /// From contiguous f32 values, (out, in).
    pub fn new(w: &Tensor, kernel: Arc<dyn Kernel>) -> Result<Self> {
        let (out, width) = w.dims2()?;
        if out == 0 || width == 0 {
            candle_core::bail!("a matrix of {out} by {width} has no values");
        }
        let values = Values::of(w)?;
        let values: &[f32] = &values;
        Ok(Self {
            forward: Panels::pack(out, width, |o, i| values[o * width + i]),
            backward: Panels::pack(width, out, |i, o| values[o * width + i]),
            kernel,
        })
    }

    /// (out, in)
    pub fn dims(&self) -> (usize, usize) {
        (self.forward.out, self.forward.width)
    }
}

/// `x · Wᵀ` for contiguous rows of `x`, (rows, in), with its gradient.
pub(crate) fn product(w: &Arc<Bf16>, x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Product(w.clone()))
}

struct Product(Arc<Bf16>);

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "bf16-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.0.forward.product(slice(x, layout)?, self.0.kernel.as_ref())?;
        let rows = layout.dims().first().copied().unwrap_or(0);
        Ok((CpuStorage::F32(y), (rows, self.0.forward.out).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let dx = self.0.backward.product(&Values::of(&grad)?, self.0.kernel.as_ref())?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

/// Outputs computed together.
pub(crate) const PANEL: usize = 32;

/// Pairs of values multiplied together; rows are filled up with zeros to a multiple of it.
pub(crate) const STEP: usize = 16;

/// A matrix as panels of [`PANEL`] rows: (panels, depth, PANEL) pairs of neighbouring values.
#[derive(Debug)]
pub struct Panels {
    pub out: usize,
    width: usize,
    /// Pairs of a row.
    pub depth: usize,
    pub pairs: Vec<u32>,
}

/// Two values in one number, the first one lowest.
pub(crate) fn pair(a: f32, b: f32) -> u32 {
    let bits = |v: f32| u32::from(half::bf16::from_f32(v).to_bits());
    bits(a) | bits(b) << 16
}

impl Panels {
    fn pack(out: usize, width: usize, at: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let depth = width.div_ceil(2).next_multiple_of(STEP);
        let value = |o: usize, i: usize| if o < out && i < width { at(o, i) } else { 0.0 };
        let mut pairs = vec![0; out.div_ceil(PANEL) * depth * PANEL];
        pairs.par_chunks_mut(depth * PANEL).enumerate().for_each(|(panel, pairs)| {
            for (k, pairs) in pairs.chunks_exact_mut(PANEL).enumerate().take(width.div_ceil(2)) {
                for (o, place) in (panel * PANEL..).zip(pairs) {
                    *place = pair(value(o, 2 * k), value(o, 2 * k + 1));
                }
            }
        });
        Self { out, width, depth, pairs }
    }

    /// (rows, width) to (rows, out).
    fn product(&self, x: &[f32], kernel: &dyn Kernel) -> Result<Vec<f32>> {
        if self.width == 0 || !x.len().is_multiple_of(self.width) {
            candle_core::bail!("rows of another width than {}", self.width);
        }
        let rows = x.chunks_exact(self.width);
        let mut pairs = Vec::with_capacity(rows.len().next_multiple_of(PANEL) * self.depth);
        for row in rows {
            let end = pairs.len() + self.depth;
            kernel.round(row, &mut pairs);
            pairs.resize(end, 0);
        }
        Ok(kernel.product(self, pairs))
    }

    /// Products of `rows` rows in blocks of `block` rows and one panel. `compute` gets the block's
    /// rows, the panel's pairs, the results from the block's first column on, and the number of
    /// columns of the panel. A core keeps some rows in its cache while it reads the matrix once.
    pub fn by_blocks(
        &self,
        x: &[u32],
        rows: usize,
        block: usize,
        compute: impl Fn(&[u32], &[u32], &mut [f32], usize) + Sync,
    ) -> Vec<f32> {
        /// Bytes of the second-level cache for rows.
        const CACHED: usize = 1 << 20;
        let (out, depth) = (self.out, self.depth);
        let mut y = vec![0f32; rows * out];
        if y.is_empty() {
            return y;
        }
        let chunk = (CACHED / (depth * 4) / block).max(1) * block;
        y.par_chunks_mut(chunk * out).zip(x.par_chunks(chunk * depth)).for_each(|(y, x)| {
            for (panel, pairs) in self.pairs.chunks_exact(depth * PANEL).enumerate() {
                let first = panel * PANEL;
                let columns = PANEL.min(out - first);
                for (y, x) in y.chunks_mut(block * out).zip(x.chunks(block * depth)) {
                    compute(x, pairs, &mut y[first..], columns);
                }
            }
        });
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    /// One number at a time.
    #[derive(Debug)]
    struct Plain;

    impl Kernel for Plain {
        fn round(&self, row: &[f32], pairs: &mut Vec<u32>) {
            pairs.extend(row.chunks(2).map(|p| pair(p[0], p.get(1).copied().unwrap_or(0.0))));
        }

        fn product(&self, w: &Panels, x: Vec<u32>) -> Vec<f32> {
            let low = |p: u32| f32::from_bits(p << 16);
            let high = |p: u32| f32::from_bits(p & 0xffff_0000);
            let mut y = Vec::new();
            for row in x.chunks_exact(w.depth) {
                for o in 0..w.out {
                    let panel = &w.pairs[o / PANEL * w.depth * PANEL + o % PANEL..];
                    let terms = row.iter().zip(panel.iter().step_by(PANEL));
                    y.push(terms.map(|(x, w)| low(*x) * low(*w) + high(*x) * high(*w)).sum());
                }
            }
            y
        }
    }

    /// All that run here; the last one stands for the fastest of any processor.
    fn kernels() -> Vec<Arc<dyn Kernel>> {
        let mut all: Vec<Arc<dyn Kernel>> = vec![Arc::new(Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            use super::super::{amx::Amx, avx512::Avx512};
            all.extend(Avx512::detect().map(|k| Arc::new(k) as Arc<dyn Kernel>));
            all.extend(Amx::request().map(|k| Arc::new(k) as Arc<dyn Kernel>));
        }
        all.extend(fastest());
        all
    }

    #[test]
    fn both_directions_agree_with_products_of_rounded_values() -> Result<()> {
        let d = &Device::Cpu;
        let sizes = [(1, 1, 1), (5, 33, 7), (29, 96, 64), (40, 50, 31), (70, 64, 1200)];
        for (kernel, (rows, out, width)) in
            kernels().iter().flat_map(|k| sizes.iter().map(move |s| (k, *s)))
        {
            let w = Tensor::randn(0f32, 1.0, (out, width), d)?;
            let x = Var::randn(0f32, 1.0, (rows, width), d)?;
            let round = |t: &Tensor| t.to_dtype(DType::BF16)?.to_dtype(DType::F32);
            let y = product(&Arc::new(Bf16::new(&w, kernel.clone())?), &x)?;
            let close = |a: &Tensor, b: &Tensor| -> Result<()> {
                let gap = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(
                    gap < 1e-4 * (out.max(width) as f32),
                    "{kernel:?} {rows} {out} {width}: {gap}"
                );
                Ok(())
            };
            close(&y, &round(&x)?.matmul(&round(&w)?.t()?)?)?;
            let seed = Tensor::randn(0f32, 1.0, (rows, out), d)?;
            let grads = (y * &seed)?.sum_all()?.backward()?;
            let dx = grads.get(&x).expect("has a gradient");
            close(dx, &round(&seed)?.matmul(&round(&w)?)?)?;
        }
        Ok(())
    }

    #[test]
    fn values_that_are_no_numbers_stay_so_and_none_are_lost() -> Result<()> {
        let w = Tensor::ones((40, 48), DType::F32, &Device::Cpu)?;
        for kernel in kernels() {
            let w = Arc::new(Bf16::new(&w, kernel)?);
            let mut x = vec![1f32; 3 * 48];
            (x[47], x[48]) = (f32::NAN, f32::INFINITY);
            let y = product(&w, &Tensor::from_vec(x, (3, 48), &Device::Cpu)?)?.to_vec2::<f32>()?;
            assert!(y[0].iter().all(|v| v.is_nan()), "{w:?}");
            assert!(y[1].iter().all(|v| *v == f32::INFINITY));
            assert!(y[2].iter().all(|v| *v == 48.0));
        }
        Ok(())
    }
}
