//! Each operation against its composed form: values, and gradients of all inputs.

use candle_core::{D, Device, Result, Tensor, Var};

use super::attention::{Sight, Span, attention};
use super::values::exp;
use super::*;
use crate::mode::{RopeLayout, composed};

fn var(shape: &[usize]) -> Result<Var> {
    Var::from_tensor(&Tensor::randn(0f32, 1.3, shape, &Device::Cpu)?)
}

/// Values and the gradients of `inputs` under a random weighting of the output.
fn agree(
    what: &str,
    inputs: &[&Var],
    ours: impl Fn() -> Result<Tensor>,
    plain: impl Fn() -> Result<Tensor>,
) -> Result<()> {
    let (a, b) = (ours()?, plain()?);
    assert_eq!(a.shape(), b.shape(), "{what}");
    let seed = Tensor::randn(0f32, 1.0, a.shape(), &Device::Cpu)?;
    let close = |a: &Tensor, b: &Tensor, of: &str| -> Result<()> {
        let gap = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(gap < 2e-5, "{what}: {of} is {gap} away");
        Ok(())
    };
    close(&a, &b, "the value")?;
    let (ga, gb) = ((a * &seed)?.sum_all()?.backward()?, (b * &seed)?.sum_all()?.backward()?);
    for (i, input) in inputs.iter().enumerate() {
        let (a, b) = (ga.get(input).expect("has one"), gb.get(input).expect("has one"));
        close(a, b, &format!("the gradient of input {i}"))?;
    }
    Ok(())
}

#[test]
fn norms_agree() -> Result<()> {
    // 37 fills no register.
    let (x, w, b) = (var(&[2, 3, 37])?, var(&[37])?, var(&[37])?);
    agree("rms", &[&x, &w], || rms_norm(&x, &w, 1e-5), || composed::rms_norm(&x, &w, 1e-5))?;
    agree(
        "layer",
        &[&x, &w, &b],
        || layer_norm(&x, &w, &b, 1e-6),
        || composed::layer_norm(&x, &w, &b, 1e-6),
    )
}

#[test]
fn a_bias_agrees() -> Result<()> {
    let (x, b) = (var(&[2, 3, 37])?, var(&[37])?);
    agree("bias", &[&x, &b], || add_bias(&x, &b), || x.broadcast_add(&b))
}

#[test]
fn softmax_agrees() -> Result<()> {
    let x = var(&[2, 3, 35])?;
    agree("softmax", &[&x], || softmax(&x), || candle_nn::ops::softmax(&x, D::Minus1))
}

#[test]
fn swiglu_agrees() -> Result<()> {
    let x = var(&[1, 4, 38])?;
    agree("swiglu", &[&x], || swiglu(&x), || composed::swiglu(&x))
}

#[test]
fn rotary_agrees_in_both_layouts() -> Result<()> {
    let (x, angle) = (var(&[2, 3, 5, 8])?, var(&[5, 4])?);
    let (cos, sin) = (angle.cos()?, angle.sin()?);
    for layout in [RopeLayout::Interleaved, RopeLayout::Halves] {
        agree(
            &format!("{layout:?}"),
            &[&x],
            || rotary(&x, &cos, &sin, layout),
            || composed::rope(&x, &cos, &sin, layout),
        )?;
    }
    Ok(())
}

#[test]
fn attention_agrees_with_a_masked_product() -> Result<()> {
    let spans = [(0..4, 0), (4..7, 4), (7..8, 2), (8..13, 4)];
    let sight =
        Sight::new(spans.into_iter().map(|(places, prefix)| Span { places, prefix }).collect())
            .expect("covers all");
    let (q, k, v) = (var(&[1, 6, 13, 8])?, var(&[1, 2, 13, 8])?, var(&[1, 2, 13, 8])?);
    let repeat =
        |t: &Tensor| t.unsqueeze(2)?.broadcast_as((1, 2, 3, 13, 8))?.reshape((1, 6, 13, 8));
    let plain = || {
        let scores = (q.matmul(&repeat(&k)?.t()?)? / 8f64.sqrt())?;
        let scores = scores.broadcast_add(&sight.mask(&Device::Cpu)?)?;
        candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&repeat(&v)?)
    };
    agree("attention", &[&q, &k, &v], || attention(&q, &k, &v, &sight), plain)
}

#[test]
fn spans_must_cover_a_sequence_and_look_back_only() {
    let sight = |spans: &[(std::ops::Range<usize>, usize)]| {
        Sight::new(spans.iter().cloned().map(|(places, prefix)| Span { places, prefix }).collect())
    };
    assert!(sight(&[(0..4, 0), (4..6, 4)]).is_some());
    assert!(sight(&[(0..4, 0), (5..6, 4)]).is_none());
    assert!(sight(&[(0..4, 0), (4..6, 5)]).is_none());
}

#[test]
fn cross_entropy_agrees() -> Result<()> {
    let x = var(&[3, 50])?;
    let (targets, weights) = (vec![4u32, 49, 0], vec![0.5f32, 0.2, 0.3]);
    agree(
        "cross-entropy",
        &[&x],
        || cross_entropy::cross_entropy(&x, targets.clone(), weights.clone()),
        || cross_entropy::composed(&x, &targets, &weights),
    )?;
    assert!(cross_entropy::cross_entropy(&x, vec![50, 0, 0], weights).is_err());
    Ok(())
}

#[test]
fn the_exponential_is_that_of_the_standard_library() {
    for i in -860..=870 {
        let x = i as f32 * 0.1 + 0.013;
        let (ours, real) = (exp(x), x.exp());
        assert!((ours - real).abs() <= 3e-7 * real, "{x}: {ours} {real}");
    }
    assert!(exp(f32::NEG_INFINITY) < 1e-37);
}

#[test]
fn what_a_mask_hides_is_zero_and_not_nearly_so() -> Result<()> {
    let row = [0f32, f32::NEG_INFINITY, f32::MIN, -70.0, 1.0, -59.0];
    let p = softmax::softmax(&Tensor::new(&row, &Device::Cpu)?)?.to_vec1::<f32>()?;
    assert_eq!(p[1..4], [0.0; 3]);
    assert!(p[5] > 0.0 && p.iter().all(|v| !v.is_subnormal()));
    Ok(())
}
