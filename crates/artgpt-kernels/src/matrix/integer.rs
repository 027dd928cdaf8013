//! `x · Wᵀ` in 8-bit integers for a Q8_0 matrix W and many rows, on processors with AVX-512 VNNI.
//!
//! The rows of `x` are rounded to blocks of 32 signed bytes and a scale, as llama.cpp rounds them
//! (`ggml-quants.c`); each pair of blocks is an exact integer dot product times both scales.

#[cfg(not(target_arch = "x86_64"))]
pub fn available() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
pub use super::q8::product;

#[cfg(target_arch = "x86_64")]
pub(crate) use vnni::{available, product};

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::*;

    use half::f16;
    use rayon::prelude::*;

    use super::super::q8::{BLOCK, BLOCK_BYTES};
    use super::super::rounding;
    use super::super::tiles::{Results, Shape};

    pub(crate) fn available() -> bool {
        use std::arch::is_x86_feature_detected as has;
        has!("avx512f") && has!("avx512vnni")
    }

    /// Outputs computed together: the 32-bit lanes of a register.
    const PANEL: usize = 16;
    /// Rows computed together: their sums stay in registers.
    const ROWS: usize = 8;
    /// Four values of each of 16 outputs fill a register; a block has eight of them.
    const QUADS: usize = BLOCK / 4;

    /// Fills (rows, out). `w` is (out, width) in Q8_0 blocks, `x` (rows, width).
    pub(crate) fn product(w: &[u8], x: &[f32], shape: Shape) -> Vec<f32> {
        let Shape { rows, width, out } = shape;
        assert!(available(), "the processor lacks AVX-512 VNNI");
        assert!(width.is_multiple_of(BLOCK) && x.len() == rows * width);
        assert!(w.len() == out * width / BLOCK * BLOCK_BYTES);
        let x = Rows::round(x, width);
        let mut y = vec![0f32; rows * out];
        let results = Results::of(&mut y);
        w.par_chunks(width / BLOCK * BLOCK_BYTES * PANEL).enumerate().for_each_init(
            || Panel::new(width),
            |panel, (index, data)| {
                panel.pack(data);
                let first = index * PANEL;
                let columns = PANEL.min(out - first);
                let mut row = 0;
                while row < rows {
                    let count = ROWS.min(rows - row);
                    // SAFETY: `available` was asserted; panels are tasks of their own and write
                    // only `columns` columns from `first` on, which are inside (rows, out).
                    unsafe {
                        let y = results.at(row * out + first);
                        match count {
                            ROWS => panel.rows::<ROWS>(&x, row, y, out, columns),
                            _ => (0..count).for_each(|i| {
                                panel.rows::<1>(&x, row + i, y.add(i * out), out, columns)
                            }),
                        }
                    }
                    row += count;
                }
            },
        );
        y
    }

    /// Rows of activations in 8 bits.
    struct Rows {
        /// Blocks a row.
        blocks: usize,
        /// Four values in one number, first value lowest: what an instruction multiplies.
        quads: Vec<i32>,
        /// Of each block: its scale, and -128 times the sum of its values. The matrix is stored
        /// 128 too high (the instruction wants one side unsigned), which the sum takes back.
        scales: Vec<f32>,
        starts: Vec<i32>,
    }

    impl Rows {
        fn round(x: &[f32], width: usize) -> Self {
            let count = x.len() / BLOCK;
            let mut rows = Self {
                blocks: width / BLOCK,
                quads: vec![0; x.len() / 4],
                scales: vec![0.0; count],
                starts: vec![0; count],
            };
            let parts = rows.quads.par_chunks_mut(QUADS * rows.blocks).zip(
                rows.scales
                    .par_chunks_mut(rows.blocks)
                    .zip(rows.starts.par_chunks_mut(rows.blocks)),
            );
            x.par_chunks(width).zip(parts).with_min_len(4).for_each(
                |(x, (quads, (scales, starts)))| {
                    // SAFETY: `product` asserted the features.
                    unsafe { round_row(x, quads, scales, starts) }
                },
            );
            rows
        }
    }

    #[target_feature(enable = "avx512f")]
    fn round_row(x: &[f32], quads: &mut [i32], scales: &mut [f32], starts: &mut [i32]) {
        let blocks = x.chunks_exact(BLOCK).zip(quads.chunks_exact_mut(QUADS));
        for ((x, quads), (scale, start)) in blocks.zip(scales.iter_mut().zip(starts)) {
            let to_bytes;
            (*scale, to_bytes) = rounding::scale(x);
            *start = -128 * rounding::quads(x, to_bytes, quads);
        }
    }

    /// 16 rows of the matrix, values of the same place side by side.
    struct Panel {
        blocks: usize,
        /// (blocks, QUADS, PANEL) groups of four unsigned values, each 128 too high.
        quads: Vec<u32>,
        /// (blocks, PANEL)
        scales: Vec<f32>,
    }

    impl Panel {
        fn new(width: usize) -> Self {
            let blocks = width / BLOCK;
            Self {
                blocks,
                quads: vec![0; blocks * QUADS * PANEL],
                scales: vec![0.0; blocks * PANEL],
            }
        }

        /// Rows that `data` lacks keep old values; their results are not written.
        fn pack(&mut self, data: &[u8]) {
            for (r, row) in data.chunks_exact(self.blocks * BLOCK_BYTES).enumerate() {
                for (b, block) in row.chunks_exact(BLOCK_BYTES).enumerate() {
                    let scale = f16::from_le_bytes([block[0], block[1]]);
                    self.scales[b * PANEL + r] = scale.to_f32();
                    let quads = &mut self.quads[b * QUADS * PANEL..][..QUADS * PANEL];
                    for (k, quad) in block[2..].chunks_exact(4).enumerate() {
                        let quad = u32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]);
                        quads[k * PANEL + r] = quad ^ 0x8080_8080;
                    }
                }
            }
        }

        /// Results of `N` rows from `row` on; those of a row are `stride` apart.
        ///
        /// # Safety
        /// `y` is valid for `columns` (at most 16) results of each of the rows, and
        /// [`available`] is true.
        #[target_feature(enable = "avx512f,avx512vnni")]
        unsafe fn rows<const N: usize>(
            &self,
            x: &Rows,
            row: usize,
            y: *mut f32,
            stride: usize,
            columns: usize,
        ) {
            let blocks = self.blocks;
            assert!(x.blocks == blocks && (row + N) * blocks <= x.scales.len());
            assert!(self.scales.len() == blocks * PANEL);
            assert!(self.quads.len() == blocks * QUADS * PANEL);
            let mut sums = [_mm512_setzero_ps(); N];
            for b in 0..blocks {
                // SAFETY: all offsets are below the lengths asserted above.
                unsafe {
                    let at = |n: usize| (row + n) * blocks + b;
                    let mut dots: [__m512i; N] =
                        std::array::from_fn(|n| _mm512_set1_epi32(*x.starts.get_unchecked(at(n))));
                    for k in 0..QUADS {
                        let place = (b * QUADS + k) * PANEL;
                        let w = _mm512_loadu_si512(self.quads.as_ptr().add(place).cast());
                        for (n, dot) in dots.iter_mut().enumerate() {
                            let quad = *x.quads.get_unchecked(at(n) * QUADS + k);
                            *dot = _mm512_dpbusd_epi32(*dot, w, _mm512_set1_epi32(quad));
                        }
                    }
                    let scales = _mm512_loadu_ps(self.scales.as_ptr().add(b * PANEL));
                    for (n, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                        let scale = _mm512_set1_ps(*x.scales.get_unchecked(at(n)));
                        let scale = _mm512_mul_ps(scales, scale);
                        *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, *sum);
                    }
                }
            }
            let mask = ((1u32 << columns) - 1) as __mmask16;
            for (n, sum) in sums.into_iter().enumerate() {
                // SAFETY: by the caller.
                unsafe { _mm512_mask_storeu_ps(y.add(n * stride), mask, sum) };
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The same arithmetic, one number at a time.
        fn plain(w: &[u8], x: &[f32], shape: Shape) -> Vec<f32> {
            let Shape { rows, width, out } = shape;
            let mut y = vec![0f32; rows * out];
            for m in 0..rows {
                for n in 0..out {
                    let row = &w[n * width / BLOCK * BLOCK_BYTES..];
                    for (b, x) in x[m * width..][..width].chunks(BLOCK).enumerate() {
                        let block = &row[b * BLOCK_BYTES..][..BLOCK_BYTES];
                        let largest = x.iter().fold(0f32, |m, v| m.max(v.abs()));
                        let dot: i32 = x
                            .iter()
                            .zip(&block[2..])
                            .map(|(x, w)| {
                                let x = if largest > 0.0 { x * (127.0 / largest) } else { 0.0 };
                                x.round_ties_even() as i32 * i32::from(*w as i8)
                            })
                            .sum();
                        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                        y[m * out + n] += dot as f32 * (scale * (largest / 127.0));
                    }
                }
            }
            y
        }

        #[test]
        fn the_integer_product_is_exact_for_rows_and_outputs_that_fill_no_register() {
            if !available() {
                eprintln!("skipped: the processor has no AVX-512 VNNI");
                return;
            }
            let mut state = 1u32;
            let mut next = move || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 8
            };
            for (rows, width, out) in [(1, 32, 1), (8, 64, 16), (9, 96, 37), (23, 160, 48)] {
                let mut w = Vec::new();
                for _ in 0..out * width / BLOCK {
                    let scale = f16::from_f32(0.001 + (next() % 100) as f32 / 5000.0);
                    w.extend(scale.to_le_bytes());
                    // Both ends, -128 and 127, are among them.
                    w.extend((0..BLOCK).map(|_| (next() % 256) as u8));
                }
                let mut x: Vec<f32> =
                    (0..rows * width).map(|_| (next() % 2000) as f32 / 100.0 - 10.0).collect();
                x[..BLOCK].fill(0.0);
                let shape = Shape { rows, width, out };
                for (a, b) in product(&w, &x, shape).iter().zip(plain(&w, &x, shape)) {
                    assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}");
                }
            }
        }
    }
}
