//! Weights in darknet's format: three numbers of a version, a count of pictures, then 32-bit floats.

use std::path::Path;

use super::network::Layer;
use crate::{Error, Result};
use artgpt_base::files::read_limited;

/// Larger than any detector that this crate knows.
const MAX_BYTES: u64 = 256 << 20;
/// The batch norm's; darknet adds it to the standard deviation's square.
const EPS: f32 = 1e-5;

/// A convolution with its batch norm folded in.
pub(super) struct Weights {
    /// Out, in, side, side.
    pub shape: [usize; 4],
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Reads the convolutions of `layers`, which the file holds in this order and nothing else.
pub(super) fn read(path: &Path, layers: &[Layer]) -> Result<Vec<Weights>> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let bytes = read_limited(path, MAX_BYTES).map_err(io)?;
    let wrong = |why: &str| Error::unreadable(path, &bytes, why);
    let word = |at: usize| bytes.get(4 * at..4 * at + 4).and_then(|b| b.try_into().ok());
    let version = (word(0).map(i32::from_le_bytes)).zip(word(1).map(i32::from_le_bytes));
    let (major, minor) = version.ok_or_else(|| wrong("it is too short for a darknet file"))?;
    if !(0..100).contains(&major) || !(0..100).contains(&minor) {
        return Err(wrong("it does not begin as a darknet file of weights"));
    }
    // The count has 32 bits before version 0.2.
    let header = if major * 10 + minor < 2 { 16 } else { 20 };
    let body = bytes.get(header..).unwrap_or_default();
    let needed: usize = layers.iter().map(Layer::floats).sum();
    if body.len() != 4 * needed {
        let why =
            format!("it holds {} bytes of weights, and the network has {}", body.len(), 4 * needed);
        return Err(wrong(&why));
    }
    let floats = body.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let floats: Vec<f32> = floats.collect();
    if !floats.iter().all(|value| value.is_finite()) {
        return Err(wrong("it holds numbers that are not finite"));
    }
    let mut floats = floats.into_iter();
    let mut take = |count: usize| floats.by_ref().take(count).collect::<Vec<f32>>();
    Ok(layers.iter().map(|layer| fold(layer, &mut take)).collect())
}

fn fold(layer: &Layer, take: &mut impl FnMut(usize) -> Vec<f32>) -> Weights {
    let mut bias = take(layer.out);
    let norm = layer.norm.then(|| (take(layer.out), take(layer.out), take(layer.out)));
    let each = layer.input * layer.side * layer.side;
    let mut weight = take(layer.out * each);
    if let Some((scale, mean, variance)) = norm {
        for (i, filter) in weight.chunks_exact_mut(each).enumerate() {
            let factor = scale[i] / (variance[i] + EPS).sqrt();
            filter.iter_mut().for_each(|w| *w *= factor);
            bias[i] -= mean[i] * factor;
        }
    }
    Weights { shape: [layer.out, layer.input, layer.side, layer.side], weight, bias }
}
