//! Depthwise convolution.
//!
//! candle computes a grouped convolution as one small convolution per group, which for a depthwise layer
//! of several hundred channels is slower than the rest of the encoder. Here the CPU computes one pass per
//! channel; other devices compute a sum of shifted products from candle's operations. Both pad as
//! TensorFlow's "same": the odd pixel goes to the right and the bottom.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use artgpt_kernels::ops::{slice, wide};

/// `x` is (batch, channels, height, width), `kernel` (channels, size, size), `bias` (channels);
/// the result is (batch, channels, ceil(height / stride), ceil(width / stride)).
pub(crate) fn depthwise_conv2d(
    x: &Tensor,
    kernel: &Tensor,
    bias: &Tensor,
    stride: usize,
) -> Result<Tensor> {
    let y = if x.device().is_cpu() {
        x.contiguous()?.apply_op2_no_bwd(&kernel.contiguous()?, &Direct { stride })?
    } else {
        shifted_sum(x, kernel, stride)?
    };
    y.broadcast_add(&bias.reshape((1, (), 1, 1))?)
}

/// Padding before and after, for an output of `ceil(size / stride)`.
pub(crate) fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let out = size.div_ceil(stride);
    let total = ((out - 1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

struct Direct {
    stride: usize,
}

impl CustomOp2 for Direct {
    fn name(&self) -> &'static str {
        "depthwise-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        kernel: &CpuStorage,
        kernel_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = x_layout.shape().dims4()?;
        let (_, size, _) = kernel_layout.shape().dims3()?;
        let x = slice(x, x_layout)?;
        let kernel = slice(kernel, kernel_layout)?;
        let stride = self.stride;
        let (top, left) =
            (same_padding(height, size, stride).0, same_padding(width, size, stride).0);
        let (out_h, out_w) = (height.div_ceil(stride), width.div_ceil(stride));
        let mut out = vec![0f32; batch * channels * out_h * out_w];
        out.par_chunks_mut(out_h * out_w).enumerate().for_each(|(plane, out)| {
            let x = &x[plane * height * width..][..height * width];
            let k = &kernel[(plane % channels) * size * size..][..size * size];
            // The outputs whose input row or column `o * stride + k - before` is in the image.
            let inside = |k: usize, before: usize, size: usize, outputs: usize| {
                let first = before.saturating_sub(k).div_ceil(stride);
                first..(size + before).saturating_sub(k).div_ceil(stride).min(outputs)
            };
            wide(|| {
                for ky in 0..size {
                    for kx in 0..size {
                        let weight = k[ky * size + kx];
                        let columns = inside(kx, left, width, out_w);
                        if columns.is_empty() {
                            continue;
                        }
                        let start = columns.start * stride + kx - left;
                        for oy in inside(ky, top, height, out_h) {
                            let row = &x[(oy * stride + ky - top) * width..][start..width];
                            let out = &mut out[oy * out_w..][columns.clone()];
                            if stride == 1 {
                                for (o, v) in out.iter_mut().zip(row) {
                                    *o += weight * v;
                                }
                            } else {
                                for (o, v) in out.iter_mut().zip(row.iter().step_by(stride)) {
                                    *o += weight * v;
                                }
                            }
                        }
                    }
                }
            });
        });
        Ok((CpuStorage::F32(out), (batch, channels, out_h, out_w).into()))
    }
}

fn shifted_sum(x: &Tensor, kernel: &Tensor, stride: usize) -> Result<Tensor> {
    let (_, channels, height, width) = x.dims4()?;
    let size = kernel.dim(1)?;
    let (top, bottom) = same_padding(height, size, stride);
    let (left, right) = same_padding(width, size, stride);
    let (out_h, out_w) = (height.div_ceil(stride), width.div_ceil(stride));
    // Room for the last row and column of a strided view to be whole.
    let padded =
        x.pad_with_zeros(2, top, bottom + stride)?.pad_with_zeros(3, left, right + stride)?;
    let every = |t: &Tensor, dim: usize, start: usize, count: usize| -> Result<Tensor> {
        let t = t.narrow(dim, start, count * stride)?.contiguous()?;
        if stride == 1 {
            return Ok(t);
        }
        let mut dims = t.dims().to_vec();
        dims[dim] = count;
        dims.insert(dim + 1, stride);
        t.reshape(dims)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
    };
    let mut sum: Option<Tensor> = None;
    for ky in 0..size {
        let rows = every(&padded, 2, ky, out_h)?;
        for kx in 0..size {
            let weight = kernel.narrow(1, ky, 1)?.narrow(2, kx, 1)?.reshape((1, channels, 1, 1))?;
            let term = every(&rows, 3, kx, out_w)?.broadcast_mul(&weight)?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
    }
    sum.ok_or_else(|| candle_core::Error::Msg("depthwise kernel of size 0".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_forms_agree() -> Result<()> {
        for (size, stride, side) in [(3, 1, 9), (3, 2, 8), (5, 2, 11), (5, 1, 6), (5, 2, 8)] {
            let x = Tensor::randn(0f32, 1.0, (2, 3, side, side + 1), &Device::Cpu)?;
            let kernel = Tensor::randn(0f32, 1.0, (3, size, size), &Device::Cpu)?;
            let bias = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu)?;
            let direct = depthwise_conv2d(&x, &kernel, &bias, stride)?;
            let shifted = shifted_sum(&x, &kernel, stride)?;
            let gap = (direct - shifted)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(gap < 1e-5, "size {size} stride {stride}: {gap}");
        }
        Ok(())
    }
}
