//! Products in bf16 with f32 sums, forward and backward, on processors that have the instruction
//! (AVX-512 BF16): three times the speed of f32.

#[cfg(not(target_arch = "x86_64"))]
pub fn available() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
pub use kernel::available;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

use crate::model::kernels::{Values, slice};

/// A frozen (out, in) matrix, packed for `x · Wᵀ` and for `y · W`.
#[derive(Debug)]
pub struct Bf16 {
    forward: Panels,
    backward: Panels,
}

impl Bf16 {
    /// From contiguous f32 values, (out, in).
    pub fn new(w: &Tensor) -> Result<Self> {
        let (out, width) = w.dims2()?;
        let values = Values::of(w)?;
        Ok(Self {
            forward: Panels::pack(out, width, |o, i| values[o * width + i]),
            backward: Panels::pack(width, out, |i, o| values[o * width + i]),
        })
    }

    /// (out, in)
    pub fn dims(&self) -> (usize, usize) {
        (self.forward.out, self.forward.width)
    }
}

/// `x · Wᵀ` for contiguous rows of `x`, (rows, in), with its gradient.
pub fn product(w: &Arc<Bf16>, x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Product(w.clone()))
}

struct Product(Arc<Bf16>);

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "bf16-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.0.forward.product(slice(x, layout)?)?;
        let rows = layout.dims().first().copied().unwrap_or(0);
        Ok((CpuStorage::F32(y), (rows, self.0.forward.out).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let dx = self.0.backward.product(&Values::of(&grad)?)?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

/// Outputs computed together: two registers of 16 sums.
const PANEL: usize = 32;

/// A matrix as panels of [`PANEL`] rows: (panels, pairs, PANEL) pairs of neighbouring values.
#[derive(Debug)]
struct Panels {
    out: usize,
    width: usize,
    pairs: Vec<u32>,
}

/// Two values in one number, the first one lowest.
fn pair(a: f32, b: f32) -> u32 {
    let bits = |v: f32| u32::from(half::bf16::from_f32(v).to_bits());
    bits(a) | bits(b) << 16
}

impl Panels {
    fn pack(out: usize, width: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let count = width.div_ceil(2);
        let value = |o: usize, i: usize| if o < out && i < width { at(o, i) } else { 0.0 };
        let mut pairs = Vec::with_capacity(out.div_ceil(PANEL) * count * PANEL);
        for panel in 0..out.div_ceil(PANEL) {
            for k in 0..count {
                let rows = panel * PANEL..(panel + 1) * PANEL;
                pairs.extend(rows.map(|o| pair(value(o, 2 * k), value(o, 2 * k + 1))));
            }
        }
        Self { out, width, pairs }
    }

    /// (rows, width) to (rows, out).
    fn product(&self, x: &[f32]) -> Result<Vec<f32>> {
        if self.width == 0 || !x.len().is_multiple_of(self.width) {
            candle_core::bail!("rows of another width than {}", self.width);
        }
        let count = self.width.div_ceil(2);
        let rows: Vec<u32> = x
            .chunks_exact(self.width)
            .flat_map(|row| row.chunks(2))
            .map(|p| pair(p[0], p.get(1).copied().unwrap_or(0.0)))
            .collect();
        #[cfg(target_arch = "x86_64")]
        if available() {
            return Ok(kernel::product(self, &rows, count));
        }
        Ok(self.plain(&rows, count))
    }

    /// The same arithmetic, one number at a time.
    fn plain(&self, rows: &[u32], count: usize) -> Vec<f32> {
        let low = |p: u32| f32::from_bits(p << 16);
        let high = |p: u32| f32::from_bits(p & 0xffff_0000);
        let mut y = Vec::with_capacity(rows.len() / count * self.out);
        for row in rows.chunks_exact(count) {
            for o in 0..self.out {
                let panel = &self.pairs[o / PANEL * count * PANEL + o % PANEL..];
                let terms = row.iter().zip(panel.iter().step_by(PANEL));
                y.push(terms.map(|(x, w)| low(*x) * low(*w) + high(*x) * high(*w)).sum());
            }
        }
        y
    }
}

#[cfg(target_arch = "x86_64")]
mod kernel {
    use std::arch::x86_64::*;

    use rayon::prelude::*;

    use super::{PANEL, Panels};

    pub fn available() -> bool {
        use std::arch::is_x86_feature_detected as has;
        has!("avx512f") && has!("avx512bf16")
    }

    /// Rows computed together: with two registers each, their sums stay in registers.
    const ROWS: usize = 12;

    pub fn product(w: &Panels, rows: &[u32], count: usize) -> Vec<f32> {
        assert!(available(), "the processor lacks AVX-512 BF16");
        assert!(w.pairs.len() == w.out.div_ceil(PANEL) * count * PANEL);
        assert!(count > 0 && rows.len().is_multiple_of(count));
        let mut y = vec![0f32; rows.len() / count * w.out];
        let blocks = y.par_chunks_mut(ROWS * w.out).zip(rows.par_chunks(ROWS * count));
        // A few blocks a task, each panel read once for all of them.
        blocks.with_min_len(8).for_each(|(y, x)| {
            for (panel, pairs) in w.pairs.chunks_exact(count * PANEL).enumerate() {
                let first = panel * PANEL;
                let columns = PANEL.min(w.out - first);
                let mut row = 0;
                while row < x.len() / count {
                    let left = x.len() / count - row;
                    let (x, y) = (&x[row * count..], &mut y[row * w.out + first..]);
                    // SAFETY: `available` was asserted; the slices hold as many rows as each arm
                    // takes, and `columns` more results after the start of each row.
                    row += unsafe {
                        match left {
                            ROWS.. => sums::<ROWS>(x, pairs, count, y, w.out, columns),
                            4.. => sums::<4>(x, pairs, count, y, w.out, columns),
                            _ => sums::<1>(x, pairs, count, y, w.out, columns),
                        }
                    };
                }
            }
        });
        y
    }

    /// Results of `N` rows and one panel; says how many rows that were.
    ///
    /// # Safety
    /// [`available`] is true.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn sums<const N: usize>(
        x: &[u32],
        w: &[u32],
        count: usize,
        y: &mut [f32],
        stride: usize,
        columns: usize,
    ) -> usize {
        assert!(x.len() >= N * count && w.len() == count * PANEL && columns <= PANEL);
        assert!(y.len() >= (N - 1) * stride + columns);
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        for k in 0..count {
            // SAFETY: k is below count, so all places are inside, as asserted.
            unsafe {
                let at = w.as_ptr().add(k * PANEL);
                let w = [
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.cast())),
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.add(16).cast())),
                ];
                for (n, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_epi32(*x.get_unchecked(n * count + k) as i32);
                    let x = std::mem::transmute::<__m512i, __m512bh>(x);
                    sum[0] = _mm512_dpbf16_ps(sum[0], x, w[0]);
                    sum[1] = _mm512_dpbf16_ps(sum[1], x, w[1]);
                }
            }
        }
        let masks = [columns.min(16), columns.saturating_sub(16)].map(|c| ((1u32 << c) - 1) as u16);
        for (n, sum) in sums.into_iter().enumerate() {
            // SAFETY: masked stores touch only the columns asserted to be there.
            unsafe {
                let y = y.as_mut_ptr().add(n * stride);
                _mm512_mask_storeu_ps(y, masks[0], sum[0]);
                if masks[1] != 0 {
                    _mm512_mask_storeu_ps(y.add(16), masks[1], sum[1]);
                }
            }
        }
        N
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn both_directions_agree_with_products_of_rounded_values() -> Result<()> {
        let d = &Device::Cpu;
        for (rows, out, width) in [(1, 1, 1), (5, 33, 7), (29, 96, 64), (40, 50, 31)] {
            let w = Tensor::randn(0f32, 1.0, (out, width), d)?;
            let x = Var::randn(0f32, 1.0, (rows, width), d)?;
            let round = |t: &Tensor| t.to_dtype(DType::BF16)?.to_dtype(DType::F32);
            let y = product(&Arc::new(Bf16::new(&w)?), &x)?;
            let close = |a: &Tensor, b: &Tensor| -> Result<()> {
                let gap = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(gap < 1e-4 * (out.max(width) as f32), "{rows} {out} {width}: {gap}");
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
    fn the_portable_product_is_the_same() -> Result<()> {
        let w = Tensor::randn(0f32, 1.0, (37, 19), &Device::Cpu)?;
        let packed = Bf16::new(&w)?.forward;
        let rows: Vec<u32> = (0..60).map(|i| pair(i as f32 * 0.1 - 2.0, 0.3)).collect();
        let fast = packed.product(&[0.5; 19])?;
        let plain = packed.plain(&[&[pair(0.5, 0.5); 9][..], &[pair(0.5, 0.0)]].concat(), 10);
        for (a, b) in fast.iter().zip(plain) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        assert_eq!(packed.plain(&rows, 10).len(), 6 * 37);
        Ok(())
    }
}
