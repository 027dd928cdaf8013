//! Products with matrices of 16-bit floats.

use candle_core::{CpuStorage, Result, Storage, Tensor};
use half::slice::HalfFloatSliceExt;

use super::tiles::{tiled_product, with_rows};

/// `x · Wᵀ` in f32 for a contiguous f16 or bf16 W (out, width) and contiguous rows on the CPU.
pub(crate) fn product(w: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (out, width) = w.dims2()?;
    let (storage, layout) = w.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a 16-bit matrix must be contiguous")
    };
    match &*storage {
        Storage::Cpu(CpuStorage::F16(w)) if end <= w.len() => of(&w[start..end], out, width, x),
        Storage::Cpu(CpuStorage::BF16(w)) if end <= w.len() => of(&w[start..end], out, width, x),
        _ => candle_core::bail!("a 16-bit matrix is f16 or bf16"),
    }
}

fn of<T: Sync>(w: &[T], out: usize, width: usize, x: &Tensor) -> Result<Tensor>
where
    [T]: HalfFloatSliceExt,
{
    with_rows(x, out, width, |x, shape| {
        tiled_product(x, shape, |first, tile| {
            w[first * width..][..tile.len()].convert_to_f32_slice(tile);
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn a_product_in_tiles_is_that_of_the_unpacked_matrix() -> Result<()> {
        let d = &Device::Cpu;
        let x = Tensor::randn(0f32, 1.0, (3, 40), d)?;
        for dtype in [DType::F16, DType::BF16] {
            let w = Tensor::randn(0f32, 1.0, (300, 40), d)?.to_dtype(dtype)?;
            let plain = x.matmul(&w.to_dtype(DType::F32)?.t()?)?;
            let gap = (product(&w, &x)? - plain)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(gap < 1e-4, "{dtype:?} {gap}");
        }
        Ok(())
    }
}
