//! Attention over texts that are packed into one sequence.
//!
//! Most positions of a packed sequence may not attend to each other; the kernel computes only the
//! products of those that may.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::softmax::{softmax_row, softmax_row_backward};
use super::values::{Values, View, multiply, slice, wide};

/// The attention pattern of a packed sequence: spans that cover it in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight(Vec<Span>);

/// One text. Each of its positions attends to the first `prefix` positions of the sequence, to the
/// earlier positions of the span, and to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its positions in the sequence.
    pub places: Range<usize>,
    /// Positions of the shared prefix that it attends to.
    pub prefix: usize,
}

impl Sight {
    /// `None` if the spans leave gaps, or a prefix reaches into or past its span.
    pub fn new(spans: Vec<Span>) -> Option<Self> {
        let mut next = 0;
        for span in &spans {
            if span.places.start != next || span.places.is_empty() || span.prefix > next {
                return None;
            }
            next = span.places.end;
        }
        Some(Self(spans))
    }

    /// Positions in the sequence.
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |s| s.places.end)
    }

    /// Whether there are no spans.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mask to add to scores, (positions, positions): 0 or minus infinity.
    pub fn mask(&self, device: &Device) -> Result<Tensor> {
        let n = self.len();
        let mut data = vec![f32::NEG_INFINITY; n * n];
        for span in &self.0 {
            for q in span.places.clone() {
                let row = &mut data[q * n..][..n];
                row[..span.prefix].fill(0.0);
                row[span.places.start..=q].fill(0.0);
            }
        }
        Tensor::from_vec(data, (n, n), device)
    }
}

/// Attention: `q` is (1, heads, positions, width), `k` and `v` are (1, kv heads, positions, width); the
/// result has the shape of `q`. Query heads of one kv head are adjacent.
///
/// # Errors
/// The shapes do not fit each other or `sight`.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, sight: &Sight) -> Result<Tensor> {
    let (batch, heads, places, width) = q.dims4()?;
    let kv_heads = k.dim(1)?;
    let fits = k.dims() == [batch, kv_heads, places, width] && v.dims() == k.dims();
    if batch != 1
        || !fits
        || kv_heads == 0
        || !heads.is_multiple_of(kv_heads)
        || sight.len() != places
    {
        candle_core::bail!(
            "attention over {} positions does not fit {:?}, {:?} and {:?}",
            sight.len(),
            q.dims(),
            k.dims(),
            v.dims()
        );
    }
    let op = Packed { sight: sight.clone(), places, width, shared: heads / kv_heads };
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

struct Packed {
    sight: Sight,
    places: usize,
    width: usize,
    /// Query heads a kv head.
    shared: usize,
}

/// Keys or values of the positions that a span attends to, (positions, width).
fn gather(from: &[f32], span: &Span, width: usize) -> Vec<f32> {
    let own = &from[span.places.start * width..span.places.end * width];
    [&from[..span.prefix * width], own].concat()
}

/// Adds gradients of gathered rows to the rows from which [`gather`] took them.
fn scatter(to: &mut [f32], part: &[f32], span: &Span, width: usize) {
    let (prefix, own) = part.split_at(span.prefix * width);
    let add = |to: &mut [f32], part: &[f32]| {
        to.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    };
    add(to, prefix);
    add(&mut to[span.places.start * width..], own);
}

impl Packed {
    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Attention weights of `span`, (span positions, keys): zero for masked keys.
    fn probabilities(&self, q: &[f32], keys: &[f32], span: &Span, out: &mut Vec<f32>) {
        let (rows, width) = (span.places.len(), self.width);
        let count = span.prefix + rows;
        out.clear();
        out.resize(rows * count, 0.0);
        let keys = View::rows(keys, width).transposed();
        multiply(out, (rows, count, width), View::rows(q, width), keys, self.scale());
        wide(|| {
            for (i, row) in out.chunks_exact_mut(count).enumerate() {
                let (seen, ahead) = row.split_at_mut(span.prefix + i + 1);
                softmax_row(seen);
                ahead.fill(0.0);
            }
        });
    }

    /// The part of one query head that belongs to a span.
    fn of_span<'a>(&self, values: &'a [f32], head: usize, span: &Span) -> &'a [f32] {
        let head = &values[head * self.places * self.width..];
        &head[span.places.start * self.width..span.places.end * self.width]
    }

    fn forward(&self, q: &[f32], k: &[f32], v: &[f32], y: &mut [f32]) {
        let mut p = Vec::new();
        for span in &self.sight.0 {
            let (keys, values) = (gather(k, span, self.width), gather(v, span, self.width));
            let (rows, count) = (span.places.len(), span.prefix + span.places.len());
            for head in 0..self.shared {
                self.probabilities(self.of_span(q, head, span), &keys, span, &mut p);
                let start = (head * self.places + span.places.start) * self.width;
                let y = &mut y[start..][..rows * self.width];
                let values = View::rows(&values, self.width);
                multiply(y, (rows, self.width, count), View::rows(&p, count), values, 1.0);
            }
        }
    }

    fn backward(&self, [q, k, v, grad]: [&[f32]; 4], [dq, dk, dv]: [&mut [f32]; 3]) {
        let width = self.width;
        let (mut p, mut dp) = (Vec::new(), Vec::new());
        for span in &self.sight.0 {
            let (keys, values) = (gather(k, span, width), gather(v, span, width));
            let (rows, count) = (span.places.len(), span.prefix + span.places.len());
            let mut part = vec![0f32; count * width];
            for head in 0..self.shared {
                let (q, g) = (self.of_span(q, head, span), self.of_span(grad, head, span));
                self.probabilities(q, &keys, span, &mut p);
                let seen = View::rows(&p, count);
                multiply(
                    &mut part,
                    (count, width, rows),
                    seen.transposed(),
                    View::rows(g, width),
                    1.0,
                );
                scatter(dv, &part, span, width);
                dp.resize(rows * count, 0.0);
                let across = View::rows(&values, width).transposed();
                multiply(&mut dp, (rows, count, width), View::rows(g, width), across, 1.0);
                wide(|| {
                    for (p, d) in p.chunks_exact(count).zip(dp.chunks_exact_mut(count)) {
                        softmax_row_backward(p, d);
                    }
                });
                let logits = View::rows(&dp, count);
                let start = (head * self.places + span.places.start) * width;
                multiply(
                    &mut dq[start..][..rows * width],
                    (rows, width, count),
                    logits,
                    View::rows(&keys, width),
                    self.scale(),
                );
                multiply(
                    &mut part,
                    (count, width, rows),
                    logits.transposed(),
                    View::rows(q, width),
                    self.scale(),
                );
                scatter(dk, &part, span, width);
            }
        }
    }
}

impl CustomOp3 for Packed {
    fn name(&self) -> &'static str {
        "packed-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(q, q_layout)?, slice(k, k_layout)?, slice(v, v_layout)?);
        let head = self.places * self.width;
        let mut y = vec![0f32; q.len()];
        y.par_chunks_mut(self.shared * head)
            .zip(q.par_chunks(self.shared * head))
            .zip(k.par_chunks(head).zip(v.par_chunks(head)))
            .for_each(|((y, q), (k, v))| self.forward(q, k, v, y));
        Ok((CpuStorage::F32(y), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (q_shape, k_shape, device) = (q.shape(), k.shape(), q.device());
        let (q, k, v, grad) = (Values::of(q)?, Values::of(k)?, Values::of(v)?, Values::of(&grad)?);
        let head = self.places * self.width;
        let mut dq = vec![0f32; q.len()];
        let (mut dk, mut dv) = (vec![0f32; k.len()], vec![0f32; v.len()]);
        let inputs = q
            .par_chunks(self.shared * head)
            .zip(grad.par_chunks(self.shared * head))
            .zip(k.par_chunks(head).zip(v.par_chunks(head)));
        dq.par_chunks_mut(self.shared * head)
            .zip(dk.par_chunks_mut(head).zip(dv.par_chunks_mut(head)))
            .zip(inputs)
            .for_each(|((dq, (dk, dv)), ((q, grad), (k, v)))| {
                self.backward([q, k, v, grad], [dq, dk, dv]);
            });
        let tensor = |values, shape| {
            Ok::<_, candle_core::Error>(Some(Tensor::from_vec(values, shape, device)?))
        };
        Ok((tensor(dq, q_shape)?, tensor(dk, k_shape)?, tensor(dv, k_shape)?))
    }
}
