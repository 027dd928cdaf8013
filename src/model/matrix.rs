//! The weight matrices of the language model, which never train.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use half::f16;
use rayon::prelude::*;

/// A frozen (out, in) matrix: as quantised blocks to run, or dense f32 to send gradients through.
#[derive(Debug, Clone)]
pub enum Matrix {
    Quantised(Arc<QTensor>),
    Dense(Tensor),
}

/// How a quantised matrix multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Few rows are rounded to 8 bits, too, which is what makes decoding fast.
    Fast,
    /// Rows stay f32, so that a score does not depend on how many tokens are read at a time.
    Exact,
}

/// From this many rows on, unpacking a quantised matrix once and multiplying in f32 is faster
/// than the quantised dot products (`cargo bench --bench llama` shows both sides).
const UNPACK_FROM_ROWS: usize = 12;

impl Matrix {
    /// (batch, tokens, in) to (batch, tokens, out).
    pub fn forward(&self, x: &Tensor, precision: Precision) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        let rows = x.reshape((batch * tokens, width))?;
        let y = match self {
            Self::Quantised(q)
                if precision == Precision::Fast && batch * tokens < UNPACK_FROM_ROWS =>
            {
                rows.contiguous()?.apply_op1_no_bwd(q.as_ref())?
            }
            Self::Quantised(q) if q.dtype() == GgmlDType::Q8_0 && x.device().is_cpu() => {
                tiled_product(q, &rows.contiguous()?)?
            }
            Self::Quantised(q) => rows.matmul(&q.dequantize(x.device())?.t()?)?,
            Self::Dense(w) if x.device().is_cpu() => {
                rows.contiguous()?.apply_op1(FrozenProduct(w.clone()))?
            }
            Self::Dense(w) => rows.matmul(&w.t()?)?,
        };
        y.reshape((batch, tokens, ()))
    }

    /// The same matrix in f32, to train through.
    pub fn dense(&self, device: &Device) -> Result<Self> {
        Ok(Self::Dense(match self {
            Self::Quantised(q) => unpack(q, device)?,
            Self::Dense(w) => w.to_device(device)?,
        }))
    }

    /// Rows by index, for a token-embedding table: (ids, in).
    pub fn rows(&self, ids: &[u32], device: &Device) -> Result<Tensor> {
        match self {
            Self::Dense(w) => w.index_select(&Tensor::new(ids, device)?, 0),
            Self::Quantised(q) if q.dtype() == GgmlDType::Q8_0 && device.is_cpu() => {
                let (count, width) = q.shape().dims2()?;
                let data = q.data()?;
                let mut out = vec![0f32; ids.len() * width];
                for (id, row) in ids.iter().zip(out.chunks_mut(width)) {
                    let id = *id as usize;
                    if id >= count {
                        candle_core::bail!("token id {id} is outside the vocabulary of {count}");
                    }
                    let bytes = width / Q8_BLOCK * Q8_BYTES;
                    unpack_q8(&data[id * bytes..][..bytes], row);
                }
                Tensor::from_vec(out, (ids.len(), width), device)
            }
            Self::Quantised(q) => q.dequantize(device)?.index_select(&Tensor::new(ids, device)?, 0),
        }
    }

    /// (out, in)
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Quantised(q) => q.shape().dims2(),
            Self::Dense(w) => w.dims2(),
        }
    }
}

/// Values in one Q8_0 block, and its bytes: an f16 scale and 32 signed bytes.
const Q8_BLOCK: usize = 32;
const Q8_BYTES: usize = 34;

fn unpack(q: &QTensor, device: &Device) -> Result<Tensor> {
    if q.dtype() != GgmlDType::Q8_0 || !device.is_cpu() {
        return q.dequantize(device);
    }
    let (out, width) = q.shape().dims2()?;
    let data = q.data()?;
    let mut values = vec![0f32; out * width];
    let bytes = width / Q8_BLOCK * Q8_BYTES;
    values
        .par_chunks_mut(width * 32)
        .zip(data.par_chunks(bytes * 32))
        .for_each(|(values, data)| unpack_q8(data, values));
    Tensor::from_vec(values, (out, width), device)
}

/// Output rows unpacked at a time: a tile and its operands stay in the second-level cache, so the
/// unpacked matrix never goes through memory.
const TILE: usize = 128;

/// `x · Wᵀ` in f32 for a Q8_0 matrix W (out, in) and contiguous `x` (rows, in) on the CPU.
fn tiled_product(q: &QTensor, x: &Tensor) -> Result<Tensor> {
    let (out, width) = q.shape().dims2()?;
    let (rows, _) = x.dims2()?;
    let data = q.data()?;
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(CpuStorage::F32(all)) = &*storage else {
        candle_core::bail!("a tiled product needs f32 on the CPU")
    };
    let Some(x) = layout.contiguous_offsets().and_then(|(start, end)| all.get(start..end)) else {
        candle_core::bail!("a tiled product needs contiguous rows")
    };
    let tile_bytes = width / Q8_BLOCK * Q8_BYTES * TILE;
    let mut y = vec![0f32; out * rows]; // (out, rows)
    y.par_chunks_mut(TILE * rows).zip(data.par_chunks(tile_bytes)).for_each_init(
        || vec![0f32; TILE * width],
        |w, (y, data)| {
            let tile = y.len() / rows;
            let w = &mut w[..tile * width];
            unpack_q8(data, w);
            multiply(y, w, x, (tile, width, rows));
        },
    );
    Tensor::from_vec(y, (out, rows), &Device::Cpu)?.t()?.contiguous()
}

/// `y = w · xᵀ` on one thread: `w` (tile, width), `x` (rows, width), `y` (tile, rows), all row by
/// row.
fn multiply(y: &mut [f32], w: &[f32], x: &[f32], (tile, width, rows): (usize, usize, usize)) {
    assert!(y.len() == tile * rows && w.len() == tile * width && x.len() == rows * width);
    let (width_stride, rows_stride) = (width as isize, rows as isize);
    // SAFETY: the lengths checked above are those that the shapes and strides reach, and `y` is
    // borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            tile,
            rows,
            width,
            y.as_mut_ptr(),
            1,
            rows_stride,
            false,
            w.as_ptr(),
            1,
            width_stride,
            x.as_ptr(),
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

fn unpack_q8(data: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the features.
        return unsafe { unpack_q8_avx2(data, out) };
    }
    unpack_q8_blocks(data, out);
}

/// The same code, compiled for wider registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
fn unpack_q8_avx2(data: &[u8], out: &mut [f32]) {
    unpack_q8_blocks(data, out);
}

#[inline(always)]
fn unpack_q8_blocks(data: &[u8], out: &mut [f32]) {
    for (block, out) in data.chunks_exact(Q8_BYTES).zip(out.chunks_exact_mut(Q8_BLOCK)) {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (o, q) in out.iter_mut().zip(&block[2..]) {
            *o = scale * f32::from(*q as i8);
        }
    }
}

/// `x · Wᵀ` with W held constant.
///
/// candle's own product would also compute the gradient of W, a third of all the work, and throw
/// it away.
struct FrozenProduct(Tensor);

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("a frozen product needs contiguous rows")
        };
        let (rows, width) = layout.shape().dims2()?;
        let x = Tensor::from_slice(&x.as_slice::<f32>()?[start..end], (rows, width), &Device::Cpu)?;
        let y = x.matmul(&self.0.t()?)?;
        let shape = y.shape().clone();
        let (storage, _) = y.storage_and_layout();
        match &*storage {
            candle_core::Storage::Cpu(cpu) => Ok((cpu.clone(), shape)),
            _ => candle_core::bail!("a frozen product left the CPU"),
        }
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.matmul(&self.0)?))
    }
}

/// Stacks quantised matrices of one type and input width, so that one product serves all.
pub fn stack(parts: &[QTensor], device: &Device) -> Result<Option<QTensor>> {
    let Some(first) = parts.first() else { return Ok(None) };
    let (_, width) = first.shape().dims2()?;
    let mut out = 0;
    let mut bytes = Vec::new();
    for part in parts {
        let (rows, w) = part.shape().dims2()?;
        if part.dtype() != first.dtype() || w != width {
            return Ok(None);
        }
        out += rows;
        bytes.extend_from_slice(&part.data()?);
    }
    let storage = candle_core::quantized::QStorage::from_data(bytes.into(), device, first.dtype())?;
    Ok(Some(QTensor::new(storage, (out, width))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    #[test]
    fn quantised_rows_agree_on_both_sides_of_the_threshold() -> Result<()> {
        let d = &Device::Cpu;
        let w = Tensor::randn(0f32, 1.0, (48, 64), d)?;
        let m = Matrix::Quantised(Arc::new(QTensor::quantize(&w, GgmlDType::Q8_0)?));
        let x = Tensor::randn(0f32, 1.0, (1, UNPACK_FROM_ROWS, 64), d)?;
        let many = m.forward(&x, Precision::Fast)?;
        let few = m.forward(&x.narrow(1, 0, 1)?, Precision::Fast)?;
        let exact = m.forward(&x.narrow(1, 0, 1)?, Precision::Exact)?;
        let gap = (many.narrow(1, 0, 1)? - exact)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(gap < 1e-4, "{gap}");
        let gap = (many.narrow(1, 0, 1)? - few)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(gap < 0.2, "{gap}"); // the quantised path also rounds x to 8 bits
        Ok(())
    }

    #[test]
    fn embedding_rows_are_those_of_the_table() -> Result<()> {
        let d = &Device::Cpu;
        let w = Tensor::randn(0f32, 1.0, (10, 64), d)?;
        let q = QTensor::quantize(&w, GgmlDType::Q8_0)?;
        let whole = q.dequantize(d)?;
        let m = Matrix::Quantised(Arc::new(q));
        let rows = m.rows(&[7, 0], d)?;
        let want = whole.index_select(&Tensor::new(&[7u32, 0], d)?, 0)?;
        assert_eq!(rows.to_vec2::<f32>()?, want.to_vec2::<f32>()?);
        assert!(m.rows(&[10], d).is_err());
        Ok(())
    }

    #[test]
    fn the_frozen_product_has_the_gradient_of_a_product() -> Result<()> {
        let d = &Device::Cpu;
        let w = Tensor::randn(0f32, 1.0, (5, 7), d)?;
        let x = Var::randn(0f32, 1.0, (1, 3, 7), d)?;
        let ours =
            Matrix::Dense(w.clone()).forward(&x, Precision::Fast)?.sqr()?.sum_all()?.backward()?;
        let plain = x.reshape((3, 7))?.matmul(&w.t()?)?.sqr()?.sum_all()?.backward()?;
        let get = |g: &candle_core::backprop::GradStore| -> Result<Vec<f32>> {
            g.get(&x).expect("has a gradient").flatten_all()?.to_vec1()
        };
        for (a, b) in get(&ours)?.iter().zip(get(&plain)?) {
            assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}");
        }
        Ok(())
    }
}
