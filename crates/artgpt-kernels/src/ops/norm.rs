//! RMSNorm and LayerNorm over the last dimension.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::values::{Values, slice, sum, sum_pairs, wide};

/// `x / sqrt(mean(x²) + eps) · weight`
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op2(weight, RmsNorm(eps as f32))
}

/// `(x - mean(x)) / sqrt(variance(x) + eps) · weight + bias`
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op3(weight, bias, LayerNorm(eps as f32))
}

struct RmsNorm(f32);

impl RmsNorm {
    #[inline(always)]
    fn scale(&self, x: &[f32]) -> f32 {
        1.0 / (sum(x, |v| v * v) / x.len() as f32 + self.0).sqrt()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (slice(x, x_layout)?, slice(w, w_layout)?);
        let mut y = vec![0f32; x.len()];
        wide(|| {
            for (y, x) in y.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
                let scale = self.scale(x);
                for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                    *y = x * scale * w;
                }
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (shape, device) = (x.shape(), x.device());
        let w_shape = w.shape();
        let (x, w, grad) = (Values::of(x)?, Values::of(w)?, Values::of(&grad)?);
        let width = w.len();
        let (mut dx, mut dw) = (vec![0f32; x.len()], vec![0f32; width]);
        wide(|| {
            let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
            for ((x, g), dx) in rows.zip(dx.chunks_exact_mut(width)) {
                let scale = self.scale(x);
                for ((d, g), w) in dx.iter_mut().zip(g).zip(&w[..]) {
                    *d = g * w;
                }
                let along = sum_pairs(dx, x, |d, x| d * x) * scale * scale / width as f32;
                for (((d, x), g), dw) in dx.iter_mut().zip(x).zip(g).zip(&mut dw) {
                    *dw += g * x * scale;
                    *d = scale * (*d - x * along);
                }
            }
        });
        Ok((
            Some(Tensor::from_vec(dx, shape, device)?),
            Some(Tensor::from_vec(dw, w_shape, device)?),
        ))
    }
}

struct LayerNorm(f32);

impl LayerNorm {
    #[inline(always)]
    fn moments(&self, x: &[f32]) -> (f32, f32) {
        let mean = sum(x, |v| v) / x.len() as f32;
        let variance = sum(x, |v| (v - mean) * (v - mean)) / x.len() as f32;
        (mean, 1.0 / (variance + self.0).sqrt())
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?);
        let mut y = vec![0f32; x.len()];
        wide(|| {
            for (y, x) in y.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
                let (mean, scale) = self.moments(x);
                for (((y, x), w), b) in y.iter_mut().zip(x).zip(w).zip(b) {
                    *y = (x - mean) * scale * w + b;
                }
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (shape, w_shape, device) = (x.shape(), w.shape(), x.device());
        let (x, w, grad) = (Values::of(x)?, Values::of(w)?, Values::of(&grad)?);
        let width = w.len();
        let mut dx = vec![0f32; x.len()];
        let (mut dw, mut db) = (vec![0f32; width], vec![0f32; width]);
        wide(|| {
            let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
            for ((x, g), dx) in rows.zip(dx.chunks_exact_mut(width)) {
                let (mean, scale) = self.moments(x);
                for ((d, g), w) in dx.iter_mut().zip(g).zip(&w[..]) {
                    *d = g * w;
                }
                let level = sum(dx, |d| d) / width as f32;
                let along = sum_pairs(dx, x, |d, x| d * (x - mean)) * scale / width as f32;
                let columns = dw.iter_mut().zip(&mut db);
                for (((d, x), g), (dw, db)) in dx.iter_mut().zip(x).zip(g).zip(columns) {
                    let unit = (x - mean) * scale;
                    *dw += g * unit;
                    *db += g;
                    *d = scale * (*d - level - unit * along);
                }
            }
        });
        Ok((
            Some(Tensor::from_vec(dx, shape, device)?),
            Some(Tensor::from_vec(dw, w_shape, device)?),
            Some(Tensor::from_vec(db, w_shape, device)?),
        ))
    }
}
