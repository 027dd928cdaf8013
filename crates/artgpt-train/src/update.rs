//! AdamW's arithmetic on one tensor: in place on the CPU, one pass for each of the three tensors that
//! it changes; by candle's operations on other devices.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var};

use artgpt_kernels::ops::{Values, slice, sum, wide};

const EPS: f64 = 1e-8;

/// `m = keep · m + (1 - keep) · scale · g`, or with the square of the scaled gradient.
pub(crate) struct Average {
    pub keep: f64,
    pub scale: f64,
    pub squared: bool,
}

impl Average {
    pub(crate) fn update(&self, moment: &mut Tensor, gradient: &Tensor) -> Result<()> {
        if moment.device().is_cpu() {
            return moment.inplace_op2(&gradient.contiguous()?, self);
        }
        let g = (gradient * self.scale)?;
        let g = if self.squared { g.sqr()? } else { g };
        *moment = ((&*moment * self.keep)? + (g * (1.0 - self.keep))?)?;
        Ok(())
    }
}

impl InplaceOp2 for Average {
    fn name(&self) -> &'static str {
        "moving-average"
    }

    fn cpu_fwd(
        &self,
        moment: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        of_gradient: &Layout,
    ) -> Result<()> {
        let g = slice(gradient, of_gradient)?;
        let m = slice_mut(moment, layout)?;
        same_length(&[m.len(), g.len()])?;
        let (keep, take, scale) = (self.keep as f32, (1.0 - self.keep) as f32, self.scale as f32);
        wide(|| match self.squared {
            false => m.iter_mut().zip(g).for_each(|(m, g)| *m = *m * keep + g * scale * take),
            true => m.iter_mut().zip(g).for_each(|(m, g)| {
                let g = g * scale;
                *m = *m * keep + g * g * take;
            }),
        });
        Ok(())
    }
}

/// `w = decay · w - lr · (first / c1) / (√(second / c2) + ε)`.
pub(crate) struct Move {
    pub decay: f64,
    pub lr: f64,
    /// Bias corrections of the two moments.
    pub corrections: (f64, f64),
}

impl Move {
    pub(crate) fn update(&self, weights: &Var, first: &Tensor, second: &Tensor) -> Result<()> {
        let w = weights.as_detached_tensor();
        if w.device().is_cpu() {
            return w.inplace_op3(first, second, self);
        }
        let (c1, c2) = self.corrections;
        let step = ((first / c1)? / ((second / c2)?.sqrt()? + EPS)?)?;
        weights.set(&((w * self.decay)? - (step * self.lr)?)?)
    }
}

impl InplaceOp3 for Move {
    fn name(&self) -> &'static str {
        "adamw-move"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        layout: &Layout,
        first: &CpuStorage,
        of_first: &Layout,
        second: &CpuStorage,
        of_second: &Layout,
    ) -> Result<()> {
        let (first, second) = (slice(first, of_first)?, slice(second, of_second)?);
        let w = slice_mut(weights, layout)?;
        same_length(&[w.len(), first.len(), second.len()])?;
        let (c1, c2) = self.corrections;
        let (c1, c2) = (1.0 / c1 as f32, 1.0 / c2 as f32);
        let (decay, lr, eps) = (self.decay as f32, self.lr as f32, EPS as f32);
        wide(|| {
            for ((w, m), v) in w.iter_mut().zip(first).zip(second) {
                *w = *w * decay - lr * (m * c1 / ((v * c2).sqrt() + eps));
            }
        });
        Ok(())
    }
}

/// Checks the lengths: a moment of another tensor would silently change part of the weights.
fn same_length(lengths: &[usize]) -> Result<()> {
    match lengths.windows(2).all(|pair| pair[0] == pair[1]) {
        true => Ok(()),
        false => candle_core::bail!("weights, gradient and moments have {lengths:?} values"),
    }
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let (CpuStorage::F32(all), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
        candle_core::bail!("what trains is contiguous and f32");
    };
    match all.get_mut(start..end) {
        Some(values) => Ok(values),
        None => candle_core::bail!("the tensor reaches past its storage"),
    }
}

/// The sum of the squares.
pub(crate) fn squares(t: &Tensor) -> Result<f64> {
    if !t.device().is_cpu() || !t.is_contiguous() {
        return Ok(f64::from(t.sqr()?.sum_all()?.to_scalar::<f32>()?));
    }
    /// Values that are summed in f32 before the sums are added in f64.
    const BLOCK: usize = 1 << 12;
    let values = Values::of(t)?;
    let sum = wide(|| values.chunks(BLOCK).map(|block| f64::from(sum(block, |v| v * v))).sum());
    Ok(sum)
}
