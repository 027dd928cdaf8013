//! The weight matrices of the language model. They are frozen except in full fine-tuning.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bf16;
mod half;
mod integer;
mod large;
mod linear;
mod q4k;
mod q8;
mod quantised;
mod rounding;
mod tiles;

pub use linear::FrozenLinear;

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor};
use tiles::with_rows;

use crate::ops::slice;

/// An (out, in) matrix in a form for inference (quantised blocks, 16-bit floats), for training with
/// the matrix frozen (gradients pass through it), or for training the matrix itself.
#[derive(Debug, Clone)]
pub enum Matrix {
    /// GGML's quantised blocks.
    Quantised(Arc<QTensor>),
    /// f16 or bf16, as in the checkpoint.
    Half(Tensor),
    /// f32.
    Dense(Tensor),
    /// Packed for products in bf16, forward and backward, on the CPU.
    Bf16(Arc<bf16::Bf16>),
    /// A Q4_K matrix packed for inference on the CPU.
    Q4K(Arc<q4k::Panels>),
    /// Frozen quantised blocks that each forward and backward pass dequantises again: slow, but as
    /// small as the file (QLoRA, arXiv 2305.14314).
    Stored(Arc<QTensor>),
    /// Trainable matrices, stacked along the output.
    Trained(Vec<Tensor>),
    /// Matrices of different types, stacked along the output.
    Parts(Vec<Matrix>),
}

/// The precision of products with a frozen matrix in training. Sums are f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrainPrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bf16 on devices that compute faster with it, otherwise f32.
    Bf16,
    /// On the CPU, quantised matrices stay quantised, which needs the least memory; others are f32.
    Stored,
}

/// The precision of products with a quantised matrix in inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Activations are rounded to 8 bits block by block, as in llama.cpp, on processors with the
    /// instructions for it.
    Fast,
    /// Activations stay f32, so that a score does not depend on the number of tokens in a pass.
    Exact,
}

/// From this many rows on, a product that reads the matrix once for all rows is faster than
/// candle's dot products, which read it once a row (`cargo bench --bench llama` shows both sides).
fn many_rows(dtype: GgmlDType) -> usize {
    if dtype == GgmlDType::Q8_0 && integer::available() { 2 } else { 12 }
}

impl Matrix {
    /// The product: (batch, tokens, in) to (batch, tokens, out).
    pub fn forward(&self, x: &Tensor, precision: Precision) -> Result<Tensor> {
        if let Self::Parts(parts) = self {
            let parts = parts.iter().map(|p| p.forward(x, precision));
            return Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, candle_core::D::Minus1);
        }
        let (batch, tokens, width) = x.dims3()?;
        let rows = x.reshape((batch * tokens, width))?;
        let q8 = |q: &QTensor| q.dtype() == GgmlDType::Q8_0 && x.device().is_cpu();
        let y = match self {
            Self::Quantised(q)
                if precision == Precision::Fast && batch * tokens < many_rows(q.dtype()) =>
            {
                rows.contiguous()?.apply_op1_no_bwd(q.as_ref())?
            }
            Self::Quantised(q) if q8(q) && precision == Precision::Fast && integer::available() => {
                q8::on_rows(q, &rows.contiguous()?, integer::product)?
            }
            Self::Quantised(q) if x.device().is_cpu() => exact(q, &rows.contiguous()?)?,
            Self::Quantised(q) => rows.matmul(&q.dequantize(x.device())?.t()?)?,
            Self::Q4K(w) => {
                let (out, width) = w.dims();
                with_rows(&rows.contiguous()?, out, width, |x, shape| match precision {
                    Precision::Fast => w.product(x),
                    Precision::Exact => w.exact(x, shape),
                })?
            }
            Self::Half(w) if x.device().is_cpu() => half::product(w, &rows.contiguous()?)?,
            Self::Half(w) => rows.to_dtype(w.dtype())?.matmul(&w.t()?)?.to_dtype(DType::F32)?,
            Self::Dense(w) if x.device().is_cpu() => {
                rows.contiguous()?.apply_op1(FrozenProduct(w.clone()))?
            }
            Self::Dense(w) => rows.matmul(&w.t()?)?,
            Self::Bf16(w) => bf16::product(w, &rows.contiguous()?)?,
            Self::Stored(q) => rows.contiguous()?.apply_op1(StoredProduct(q.clone()))?,
            Self::Trained(parts) => {
                let y: Vec<Tensor> =
                    parts.iter().map(|w| trained_product(&rows, w)).collect::<Result<_>>()?;
                match y.as_slice() {
                    [one] => one.clone(),
                    all => Tensor::cat(all, 1)?,
                }
            }
            Self::Parts(_) => unreachable!("returned above"),
        };
        y.reshape((batch, tokens, ()))
    }

    /// Packs the blocks of matrices of one type, stacked along the output, into the fastest form for
    /// the CPU; `None` if GGML's own form is the fastest. `width` is the number of inputs.
    pub fn packed(dtype: GgmlDType, parts: &[&[u8]], width: usize) -> Option<Self> {
        match dtype {
            GgmlDType::Q4K => q4k::Panels::pack(parts, width).map(|p| Self::Q4K(Arc::new(p))),
            _ => None,
        }
    }

    /// The matrix in the form for training with it frozen.
    pub fn to_train(&self, precision: TrainPrecision, device: &Device) -> Result<Self> {
        match (precision, self) {
            // Its product is the CPU's.
            (TrainPrecision::Stored, _) if !device.is_cpu() => {}
            (TrainPrecision::Stored, Self::Quantised(q)) => return Ok(Self::Stored(q.clone())),
            (TrainPrecision::Stored, Self::Parts(parts)) => {
                let parts = parts.iter().map(|p| p.to_train(precision, device));
                return Ok(Self::Parts(parts.collect::<Result<_>>()?));
            }
            _ => {}
        }
        let dense = self.to_f32(device)?;
        Ok(match precision {
            TrainPrecision::Bf16 if !device.is_cpu() => Self::Half(dense.to_dtype(DType::BF16)?),
            TrainPrecision::Bf16 => match bf16::fastest() {
                Some(kernel) => Self::Bf16(Arc::new(bf16::Bf16::new(&dense, kernel)?)),
                None => Self::Dense(dense),
            },
            _ => Self::Dense(dense),
        })
    }

    /// The values: (out, in), f32, contiguous.
    ///
    /// # Errors
    /// A packed matrix cannot be unpacked.
    pub fn to_f32(&self, device: &Device) -> Result<Tensor> {
        match self {
            Self::Quantised(q) | Self::Stored(q) => q8::unpack(q, device),
            Self::Trained(parts) => Tensor::cat(parts, 0)?.to_device(device)?.detach().contiguous(),
            Self::Half(w) => w.to_device(device)?.to_dtype(DType::F32)?.contiguous(),
            Self::Dense(w) => w.to_device(device)?.contiguous(),
            Self::Parts(parts) => {
                let parts = parts.iter().map(|p| p.to_f32(device));
                Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
            }
            Self::Bf16(_) | Self::Q4K(_) => {
                candle_core::bail!("a packed matrix cannot be unpacked")
            }
        }
    }

    /// Stacks tensors of one floating type, (out, in) each, along the output.
    pub fn stacked(parts: &[Tensor], device: &Device) -> Result<Self> {
        let joined = match parts {
            [one] => one.clone(),
            parts => Tensor::cat(parts, 0)?,
        };
        let joined = joined.to_device(device)?;
        // One number for all values stands for a tensor that is not loaded, and takes no memory.
        let joined = match joined.stride() {
            [0, 0] => joined,
            _ => joined.contiguous()?,
        };
        Ok(match joined.dtype() {
            DType::F16 | DType::BF16 => Self::Half(joined),
            _ => Self::Dense(joined.to_dtype(DType::F32)?),
        })
    }

    /// Looks up rows of a token-embedding table: (ids, in), f32.
    ///
    /// # Errors
    /// An ID is out of range, or the matrix is packed.
    pub fn rows(&self, ids: &[u32], device: &Device) -> Result<Tensor> {
        match self {
            Self::Dense(w) => w.index_select(&Tensor::new(ids, device)?, 0),
            Self::Trained(parts) if parts.len() == 1 => {
                parts[0].index_select(&Tensor::new(ids, device)?, 0)
            }
            Self::Half(w) => w.index_select(&Tensor::new(ids, device)?, 0)?.to_dtype(DType::F32),
            Self::Quantised(q) if device.is_cpu() => quantised::embedding_rows(q, ids),
            Self::Quantised(q) => q.dequantize(device)?.index_select(&Tensor::new(ids, device)?, 0),
            Self::Bf16(_) | Self::Q4K(_) | Self::Stored(_) | Self::Trained(_) | Self::Parts(_) => {
                candle_core::bail!("a packed matrix has no row lookup")
            }
        }
    }

    /// The shape, (out, in).
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Quantised(q) | Self::Stored(q) => q.shape().dims2(),
            Self::Trained(parts) => {
                let out = parts.iter().map(|w| w.dim(0)).sum::<Result<usize>>()?;
                Ok((out, parts.first().map_or(Ok(0), |w| w.dim(1))?))
            }
            Self::Half(w) | Self::Dense(w) => w.dims2(),
            Self::Bf16(w) => Ok(w.dims()),
            Self::Q4K(w) => Ok(w.dims()),
            Self::Parts(parts) => {
                let dims = parts.iter().map(Self::dims).collect::<Result<Vec<_>>>()?;
                let width = dims.first().map_or(0, |d| d.1);
                Ok((dims.iter().map(|d| d.0).sum(), width))
            }
        }
    }
}

/// `x · Wᵀ` in f32 for contiguous rows on the CPU.
fn exact(q: &QTensor, rows: &Tensor) -> Result<Tensor> {
    match q.dtype() {
        GgmlDType::Q8_0 => q8::on_rows(q, rows, q8::product),
        _ => quantised::product(q, rows),
    }
}

/// Runs a product of two-dimensional tensors inside a custom operation.
fn on_rows(
    x: &CpuStorage,
    layout: &Layout,
    product: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<(CpuStorage, Shape)> {
    let x = Tensor::from_slice(slice(x, layout)?, layout.shape().dims2()?, &Device::Cpu)?;
    let y = product(&x)?;
    let shape = y.shape().clone();
    let (storage, _) = y.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => Ok((cpu.clone(), shape)),
        _ => candle_core::bail!("a product left the CPU"),
    }
}

/// `x · Wᵀ` with W held constant.
///
/// candle's own product would also compute the gradient of W, a third of all the work, and discard
/// it.
struct FrozenProduct(Tensor);

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        on_rows(x, layout, |x| x.matmul(&self.0.t()?))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.matmul(&self.0)?))
    }
}

/// `x · Wᵀ` for a contiguous trainable W.
fn trained_product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    match x.device().is_cpu() {
        true => x.contiguous()?.apply_op2(w, TrainedProduct(w.detach())),
        false => x.matmul(&w.t()?),
    }
}

/// candle's own product computes the gradient of Wᵀ, which it then adds to W's value by value.
struct TrainedProduct(Tensor);

impl CustomOp2 for TrainedProduct {
    fn name(&self) -> &'static str {
        "trained-product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        on_rows(x, layout, |x| x.matmul(&self.0.t()?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        Ok((Some(grad.matmul(w)?), Some(grad.t()?.matmul(x)?)))
    }
}

/// `x · Wᵀ` with W constant and quantised; each product dequantises it.
struct StoredProduct(Arc<QTensor>);

impl CustomOp1 for StoredProduct {
    fn name(&self) -> &'static str {
        "stored-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        on_rows(x, layout, |x| exact(&self.0, x))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let w = q8::unpack(&self.0, grad.device())?;
        Ok(Some(grad.contiguous()?.matmul(&w)?))
    }
}

/// Stacks quantised matrices along the output, so that one product serves all. `None` if their types
/// or input widths differ.
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
        let x = Tensor::randn(0f32, 1.0, (1, many_rows(GgmlDType::Q8_0), 64), d)?;
        let many = m.forward(&x, Precision::Fast)?;
        let few = m.forward(&x.narrow(1, 0, 1)?, Precision::Fast)?;
        let exact = m.forward(&x.narrow(1, 0, 1)?, Precision::Exact)?;
        let many_exact = m.forward(&x, Precision::Exact)?;
        let gap = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f32>();
        let first = |t: &Tensor| t.narrow(1, 0, 1);
        assert!(gap(&first(&many_exact)?, &exact)? < 1e-4);
        // Both fast paths may round x to 8 bits.
        assert!(gap(&first(&many)?, &few)? < 0.2);
        assert!(gap(&many, &many_exact)? < 0.2);
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

    #[test]
    fn a_trained_matrix_has_the_gradients_of_candles_own_product() -> Result<()> {
        let d = &Device::Cpu;
        let x = Var::randn(0f32, 1.0, (1, 3, 7), d)?;
        let parts = [Var::randn(0f32, 1.0, (5, 7), d)?, Var::randn(0f32, 1.0, (2, 7), d)?];
        let all = || parts.iter().map(|p| p.as_tensor().clone()).collect::<Vec<_>>();
        let ours = Matrix::Trained(all()).forward(&x, Precision::Fast)?;
        let plain = x.reshape((3, 7))?.matmul(&Tensor::cat(&all(), 0)?.t()?)?;
        let (ours, plain) = (ours.sqr()?.sum_all()?, plain.sqr()?.sum_all()?);
        let (ours, plain) = (ours.backward()?, plain.backward()?);
        for var in [&x, &parts[0], &parts[1]] {
            let (a, b) = (ours.get(var).expect("has one"), plain.get(var).expect("has one"));
            assert_eq!(a.dims(), b.dims());
            let gap = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(gap < 1e-4 * b.abs()?.max_all()?.to_scalar::<f32>()?, "{gap}");
        }
        Ok(())
    }

    #[test]
    fn gradients_pass_a_stored_matrix_as_they_pass_its_values() -> Result<()> {
        let d = &Device::Cpu;
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q4K] {
            let w = Tensor::randn(0f32, 1.0, (24, 256), d)?;
            let q = QTensor::quantize(&w, dtype)?;
            let values = q.dequantize(d)?;
            let stored = Matrix::Quantised(Arc::new(q)).to_train(TrainPrecision::Stored, d)?;
            assert!(matches!(stored, Matrix::Stored(_)));
            let x = Var::randn(0f32, 1.0, (1, 3, 256), d)?;
            let y = stored.forward(&x, Precision::Exact)?;
            let plain = x.reshape((3, 256))?.matmul(&values.t()?)?;
            let gap = |a: &Tensor, b: &Tensor| -> Result<f32> {
                (a.flatten_all()? - b.flatten_all()?)?.abs()?.max_all()?.to_scalar()
            };
            assert!(gap(&y, &plain)? < 1e-3);
            let ours = y.sqr()?.sum_all()?.backward()?;
            let plain = plain.sqr()?.sum_all()?.backward()?;
            let (a, b) = (ours.get(&x).expect("has one"), plain.get(&x).expect("has one"));
            assert!(gap(a, b)? < 1e-4 * b.abs()?.max_all()?.to_scalar::<f32>()?);
        }
        Ok(())
    }
}
