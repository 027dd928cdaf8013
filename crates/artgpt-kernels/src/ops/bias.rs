//! The sum of rows and a bias.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::values::{Values, slice, wide};

/// `x + bias`, of (.., width) and (width). The backward pass sums the gradient of the bias row by row,
/// whereas candle's composed form reads column by column.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(bias, AddBias)
}

struct AddBias;

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, bias) = (slice(x, x_layout)?, slice(bias, bias_layout)?);
        if bias.is_empty() || !x.len().is_multiple_of(bias.len()) {
            candle_core::bail!("a bias of {} does not fit {:?}", bias.len(), x_layout.shape());
        }
        let mut y = x.to_vec();
        wide(|| {
            for row in y.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let rows = grad.contiguous()?;
        let values = Values::of(&rows)?;
        let mut sum = vec![0f32; bias.elem_count()];
        wide(|| {
            for row in values.chunks_exact(sum.len()) {
                sum.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
        });
        Ok((Some(grad.clone()), Some(Tensor::from_vec(sum, bias.shape(), bias.device())?)))
    }
}
