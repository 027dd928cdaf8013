//! Q4_K matrices (GGML) in panels of 16 rows, for processors with AVX-512 VNNI: read once from
//! memory, they serve one row of activations (decoding) and many (prefill).
//!
//! 256 values of a row are an f16 scale, an f16 minimum, eight 6-bit scales and minima of 32
//! values each, and 4 bits a value (`block_q4_K` in `ggml-common.h`). Activations are rounded to
//! 8 bits with one scale for 256, as llama.cpp rounds them (`block_q8_K`).

use half::f16;
use rayon::prelude::*;

use super::large::{LargeSlice, ZeroBits};
use super::rounding;
use super::tiles::{Results, Shape, tiled_product};
use crate::ops::wide;

/// Values in one block, and its bytes.
pub(crate) const BLOCK: usize = 256;
pub(crate) const BLOCK_BYTES: usize = 144;
/// Values that share a 6-bit scale; parts in a block.
const PART: usize = 32;
const PARTS: usize = BLOCK / PART;
/// Rows side by side: the 32-bit lanes of a register.
const PANEL: usize = 16;
/// 32-bit words of 4-bit values in a block.
const WORDS: usize = BLOCK / 8;

/// One block of each of 16 rows.
#[derive(Debug)]
#[repr(C, align(64))]
struct Cell {
    /// Word `w` of each row. Its low halves belong to part `2 (w / 8)`, its high halves to the next.
    words: [[u32; PANEL]; WORDS],
    scales: [[u8; PANEL]; PARTS],
    /// Those of two parts are neighbours: one instruction multiplies and adds both.
    minima: [[[u8; 2]; PANEL]; PARTS / 2],
    scale: [f16; PANEL],
    minimum: [f16; PANEL],
}

// SAFETY: all fields are integers (an f16 is 16 bits), for which all bits zero is a value.
unsafe impl ZeroBits for Cell {}

impl Cell {
    fn put(&mut self, row: usize, block: &[u8]) {
        self.scale[row] = f16::from_le_bytes([block[0], block[1]]);
        self.minimum[row] = f16::from_le_bytes([block[2], block[3]]);
        let packed = &block[4..16];
        for part in 0..PARTS {
            // `get_scale_min_k4` in `ggml-quants.c`.
            let (scale, minimum) = if part < 4 {
                (packed[part] & 63, packed[part + 4] & 63)
            } else {
                let high = |byte: u8| (byte >> 6) << 4;
                (
                    packed[part + 4] & 15 | high(packed[part - 4]),
                    packed[part + 4] >> 4 | high(packed[part]),
                )
            };
            self.scales[part][row] = scale;
            self.minima[part / 2][row][part % 2] = minimum;
        }
        for (word, bytes) in self.words.iter_mut().zip(block[16..].chunks_exact(4)) {
            word[row] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }

    /// The 256 values of one row.
    fn unpack(&self, row: usize, out: &mut [f32]) {
        let (scale, minimum) = (self.scale[row].to_f32(), self.minimum[row].to_f32());
        for (part, out) in out.chunks_exact_mut(PART).enumerate() {
            let scale = scale * f32::from(self.scales[part][row]);
            let minimum = minimum * f32::from(self.minima[part / 2][row][part % 2]);
            let shift = 4 * (part % 2);
            let words = &self.words[part / 2 * 8..][..8];
            for (word, out) in words.iter().zip(out.chunks_exact_mut(4)) {
                for (byte, out) in word[row].to_le_bytes().iter().zip(out) {
                    *out = scale * f32::from((byte >> shift) & 15) - minimum;
                }
            }
        }
    }
}

/// A whole matrix, (out, width).
#[derive(Debug)]
pub struct Panels {
    out: usize,
    width: usize,
    /// (panels, blocks of a row)
    cells: LargeSlice<Cell>,
}

impl Panels {
    /// From GGML's blocks of one matrix, or of several one below the other; `None` where they
    /// cannot be used, or there is no memory.
    pub fn pack(parts: &[&[u8]], width: usize) -> Option<Self> {
        if !available() || width == 0 || !width.is_multiple_of(BLOCK) {
            return None;
        }
        let blocks = width / BLOCK;
        let row_bytes = blocks * BLOCK_BYTES;
        if parts.iter().any(|p| !p.len().is_multiple_of(row_bytes)) {
            return None;
        }
        let rows: Vec<&[u8]> = parts.iter().flat_map(|p| p.chunks_exact(row_bytes)).collect();
        let mut cells = LargeSlice::<Cell>::zeroed(rows.len().div_ceil(PANEL) * blocks).ok()?;
        cells.par_chunks_mut(blocks).zip(rows.par_chunks(PANEL)).for_each(|(cells, rows)| {
            for (row, data) in rows.iter().enumerate() {
                for (cell, block) in cells.iter_mut().zip(data.chunks_exact(BLOCK_BYTES)) {
                    cell.put(row, block);
                }
            }
        });
        Some(Self { out: rows.len(), width, cells })
    }

    /// (out, width)
    pub fn dims(&self) -> (usize, usize) {
        (self.out, self.width)
    }

    /// The product in f32.
    pub fn exact(&self, x: &[f32], shape: Shape) -> Vec<f32> {
        let blocks = self.width / BLOCK;
        tiled_product(x, shape, |first, tile| {
            for (i, row) in tile.chunks_exact_mut(self.width).enumerate() {
                let (panel, lane) = ((first + i) / PANEL, (first + i) % PANEL);
                let cells = &self.cells[panel * blocks..][..blocks];
                for (cell, out) in cells.iter().zip(row.chunks_exact_mut(BLOCK)) {
                    cell.unpack(lane, out);
                }
            }
        })
    }

    /// The product with rows rounded to 8 bits: (rows, width) to (rows, out).
    pub fn product(&self, x: &[f32]) -> Vec<f32> {
        assert!(available() && x.len().is_multiple_of(self.width));
        let rows = Rows::round(x, self.width);
        let mut y = vec![0f32; rows.count * self.out];
        let blocks = self.width / BLOCK;
        let results = Results::of(&mut y);
        self.cells.par_chunks(blocks).enumerate().with_min_len(4).for_each(|(panel, cells)| {
            let first = panel * PANEL;
            let columns = PANEL.min(self.out - first);
            kernel::panel(cells, &rows, |row, sums: [f32; PANEL]| {
                // SAFETY: panels are tasks of their own and write only their own columns, which
                // are inside (rows, out).
                unsafe {
                    let at = results.at(row * self.out + first);
                    std::ptr::copy_nonoverlapping(sums.as_ptr(), at, columns);
                }
            });
        });
        y
    }
}

/// Rows of activations in 8 bits.
struct Rows {
    count: usize,
    /// Blocks of a row.
    blocks: usize,
    /// (rows, blocks, 64) groups of four values, first value lowest.
    quads: Vec<i32>,
    /// (rows, blocks)
    scales: Vec<f32>,
    /// Of the values of each part, (rows, blocks, PARTS): what the minima multiply.
    sums: Vec<i16>,
}

impl Rows {
    fn round(x: &[f32], width: usize) -> Self {
        let all = x.len() / BLOCK;
        let mut quads = vec![0; x.len() / 4];
        let (mut scales, mut sums) = (vec![0f32; all], vec![0; all * PARTS]);
        let outputs = quads.par_chunks_exact_mut(BLOCK / 4).zip(&mut scales);
        let outputs = outputs.zip(sums.par_chunks_exact_mut(PARTS));
        x.par_chunks_exact(BLOCK)
            .zip(outputs)
            .with_min_len(64)
            .for_each(|(x, ((quads, scale), sums))| *scale = wide(|| round_block(x, quads, sums)));
        Self { count: x.len() / width, blocks: width / BLOCK, quads, scales, sums }
    }
}

/// Rounds 256 values, and returns their scale.
#[inline(always)]
fn round_block(x: &[f32], quads: &mut [i32], sums: &mut [i16]) -> f32 {
    let (scale, to_bytes) = rounding::scale(x);
    let parts = x.chunks_exact(PART).zip(quads.chunks_exact_mut(PART / 4));
    for ((x, quads), sum) in parts.zip(sums) {
        // 32 values of at most 127.
        *sum = rounding::quads(x, to_bytes, quads) as i16;
    }
    scale
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn available() -> bool {
    super::integer::available() && std::arch::is_x86_feature_detected!("avx512bw")
}

#[cfg(not(target_arch = "x86_64"))]
pub fn available() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
mod kernel {
    use super::{Cell, PANEL, Rows};

    pub fn panel(_: &[Cell], _: &Rows, _: impl Fn(usize, [f32; PANEL])) {
        unreachable!("no panels are packed on this processor");
    }
}

#[cfg(target_arch = "x86_64")]
mod kernel {
    use std::arch::x86_64::*;

    use super::{BLOCK, Cell, PANEL, PARTS, Rows, available};

    /// Rows computed together: their sums stay in registers.
    const ROWS: usize = 8;
    /// How far ahead memory is asked for, in bytes. One line at a time: a burst of requests holds up
    /// the loads behind it.
    const AHEAD: usize = 2 * size_of::<Cell>();

    /// Results of all rows for 16 outputs.
    pub(crate) fn panel(cells: &[Cell], rows: &Rows, write: impl Fn(usize, [f32; PANEL])) {
        assert!(available() && cells.len() == rows.blocks);
        let mut row = 0;
        while row < rows.count {
            let left = rows.count - row;
            // SAFETY: `available` was asserted, and there are as many rows as each arm takes.
            row += unsafe {
                match left {
                    ROWS.. => some_rows::<ROWS>(cells, rows, row, &write),
                    4.. => some_rows::<4>(cells, rows, row, &write),
                    _ => some_rows::<1>(cells, rows, row, &write),
                }
            };
        }
    }

    /// # Safety
    /// [`available`] is true.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn some_rows<const N: usize>(
        cells: &[Cell],
        x: &Rows,
        row: usize,
        write: &impl Fn(usize, [f32; PANEL]),
    ) -> usize {
        let blocks = x.blocks;
        assert!(row + N <= x.count && x.scales.len() == x.count * blocks);
        assert!(x.quads.len() == x.scales.len() * BLOCK / 4);
        assert!(x.sums.len() == x.scales.len() * PARTS);
        let mut sums = [_mm512_setzero_ps(); N];
        let (low, high) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0xf0u8 as i8));
        let sixteenth = _mm512_set1_ps(1.0 / 16.0);
        for (b, cell) in cells.iter().enumerate() {
            let at = |n: usize| (row + n) * blocks + b;
            // Low halves, high halves sixteen times too large, and minima.
            let mut even = [_mm512_setzero_si512(); N];
            let mut odd = [_mm512_setzero_si512(); N];
            let mut minima = [_mm512_setzero_si512(); N];
            // SAFETY: `b` is below `blocks` and `row + n` below `count`, so all places are inside
            // the lengths asserted above; a cell's arrays are as long as what is read of them.
            unsafe {
                for pair in 0..PARTS / 2 {
                    let mut first = [_mm512_setzero_si512(); N];
                    let mut second = [_mm512_setzero_si512(); N];
                    for k in 0..8 {
                        let words = cell.words[pair * 8 + k].as_ptr();
                        if N == 1 {
                            _mm_prefetch::<_MM_HINT_T0>(words.cast::<i8>().wrapping_add(AHEAD));
                        }
                        let w = _mm512_load_si512(words.cast());
                        let (a, b) = (_mm512_and_si512(w, low), _mm512_and_si512(w, high));
                        for n in 0..N {
                            let quads = x.quads.as_ptr().add(at(n) * BLOCK / 4 + pair * 16 + k);
                            let (qa, qb) = (*quads, *quads.add(8));
                            first[n] = _mm512_dpbusd_epi32(first[n], a, _mm512_set1_epi32(qa));
                            second[n] = _mm512_dpbusd_epi32(second[n], b, _mm512_set1_epi32(qb));
                        }
                    }
                    let scale = |part: usize| {
                        let bytes = cell.scales[part].as_ptr();
                        _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.cast()))
                    };
                    let (sa, sb) = (scale(2 * pair), scale(2 * pair + 1));
                    let both = _mm256_loadu_si256(cell.minima[pair].as_ptr().cast());
                    let both = _mm512_cvtepu8_epi16(both);
                    for n in 0..N {
                        even[n] = _mm512_add_epi32(even[n], _mm512_mullo_epi32(first[n], sa));
                        odd[n] = _mm512_add_epi32(odd[n], _mm512_mullo_epi32(second[n], sb));
                        let sums = x.sums.as_ptr().add(at(n) * PARTS + 2 * pair);
                        let sums = _mm512_set1_epi32(sums.cast::<i32>().read_unaligned());
                        minima[n] = _mm512_dpwssd_epi32(minima[n], both, sums);
                    }
                }
                let half = |values: &[half::f16; PANEL]| {
                    _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast()))
                };
                let (scale, minimum) = (half(&cell.scale), half(&cell.minimum));
                for n in 0..N {
                    // At most 8 * 32 * 127 * 15 * 63 * 16, below 2^29.
                    let whole = _mm512_add_epi32(_mm512_slli_epi32::<4>(even[n]), odd[n]);
                    let own = _mm512_set1_ps(*x.scales.get_unchecked(at(n)));
                    let above =
                        _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(scale, sixteenth));
                    let value = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(minima[n]), minimum, above);
                    sums[n] = _mm512_fmadd_ps(value, own, sums[n]);
                }
            }
        }
        for (n, sum) in sums.into_iter().enumerate() {
            let mut out = [0f32; PANEL];
            // SAFETY: the array is as wide as the register.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
            write(row + n, out);
        }
        N
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Result, Tensor};

    #[test]
    fn panels_hold_candles_values_and_the_product_is_close_to_exact() -> Result<()> {
        if !available() {
            eprintln!("skipped: the processor has no AVX-512 VNNI");
            return Ok(());
        }
        let d = &Device::Cpu;
        for (rows, out, width) in [(1, 1, 256), (3, 37, 512), (13, 160, 768)] {
            let w = Tensor::randn(0.1f32, 1.0, (out, width), d)?;
            let q = QTensor::quantize(&w, GgmlDType::Q4K)?;
            let panels = Panels::pack(&[&q.data()?], width).expect("packs");
            let x = Tensor::randn(0.2f32, 1.0, (rows, width), d)?;
            let want: Vec<f32> = x.matmul(&q.dequantize(d)?.t()?)?.flatten_all()?.to_vec1()?;
            let x: Vec<f32> = x.flatten_all()?.to_vec1()?;
            let shape = Shape { rows, width, out };
            for (a, b) in panels.exact(&x, shape).iter().zip(&want) {
                assert!((a - b).abs() < 2e-3, "{a} {b}");
            }
            // Rounding to 8 bits moves each of `width` terms by up to 1/254 of the largest; this is
            // five deviations of their sum.
            for (a, b) in panels.product(&x).iter().zip(&want) {
                assert!((a - b).abs() < 0.045 * (width as f32).sqrt(), "{a} {b}");
            }
        }
        Ok(())
    }

    /// With activations that 8 bits hold exactly, the product is exact.
    #[test]
    fn the_product_of_whole_numbers_is_exact() -> Result<()> {
        if !available() {
            return Ok(());
        }
        let d = &Device::Cpu;
        let (rows, out, width) = (9, 33, 512);
        let w = Tensor::randn(-0.3f32, 1.0, (out, width), d)?;
        let q = QTensor::quantize(&w, GgmlDType::Q4K)?;
        let panels = Panels::pack(&[&q.data()?], width).expect("packs");
        // Each block's largest is 127, so the scale is 1.
        let x: Vec<f32> = (0..rows * width).map(|i| (i * 37 % 255) as f32 - 127.0).collect();
        let exact = panels.exact(&x, Shape { rows, width, out });
        for (a, b) in panels.product(&x).iter().zip(exact) {
            assert!((a - b).abs() < 1e-4 * b.abs().max(100.0), "{a} {b}");
        }
        Ok(())
    }
}
