//! The network: nine convolutions, six poolings.

use candle_core::{Device, Result, Tensor};

use super::darknet::Weights;

/// Boxes that each cell proposes.
pub(super) const ANCHORS: [(f32, f32); 5] = [
    (0.57273, 0.677385),
    (1.87446, 2.06253),
    (3.33843, 5.47434),
    (7.88282, 3.52778),
    (9.77052, 9.16828),
];
/// Values of a box: its place and size, whether there is something, and what.
pub(super) const VALUES: usize = 5 + super::names::NAMES.len();
/// Slope of the activation below 0.
const LEAK: f64 = 0.1;
/// For the pooling of stride 1, which goes over the edge.
const LOWEST: f32 = f32::MIN;

/// A convolution.
pub(super) struct Layer {
    pub input: usize,
    pub out: usize,
    pub side: usize,
    /// With batch norm and activation.
    pub norm: bool,
    /// The stride of the pooling after it.
    pool: Option<usize>,
}

impl Layer {
    const fn new(input: usize, out: usize, side: usize, pool: Option<usize>) -> Self {
        Self { input, out, side, norm: true, pool }
    }

    /// Numbers in the file.
    pub(super) fn floats(&self) -> usize {
        let each = if self.norm { 4 } else { 1 };
        self.out * (each + self.input * self.side * self.side)
    }
}

pub(super) const LAYERS: [Layer; 9] = [
    Layer::new(3, 16, 3, Some(2)),
    Layer::new(16, 32, 3, Some(2)),
    Layer::new(32, 64, 3, Some(2)),
    Layer::new(64, 128, 3, Some(2)),
    Layer::new(128, 256, 3, Some(2)),
    Layer::new(256, 512, 3, Some(1)),
    Layer::new(512, 1024, 3, None),
    Layer::new(1024, 512, 3, None),
    Layer { input: 512, out: ANCHORS.len() * VALUES, side: 1, norm: false, pool: None },
];

/// The loaded network.
pub(super) struct Network(Vec<(Tensor, Tensor)>);

impl Network {
    pub(super) fn new(weights: Vec<Weights>, device: &Device) -> Result<Self> {
        let load = |w: Weights| -> Result<(Tensor, Tensor)> {
            let out = w.bias.len();
            let weight = Tensor::from_vec(w.weight, w.shape.to_vec(), device)?;
            Ok((weight, Tensor::from_vec(w.bias, (1, out, 1, 1), device)?))
        };
        Ok(Self(weights.into_iter().map(load).collect::<Result<_>>()?))
    }

    /// `pixels` are (1, 3, side, side), 0 to 1. The side of the grid, and its values: anchor, value, row, column.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<(usize, Vec<f32>)> {
        let mut x = pixels.clone();
        for ((weight, bias), layer) in self.0.iter().zip(&LAYERS) {
            x = x.conv2d(weight, layer.side / 2, 1, 1, 1)?.broadcast_add(bias)?;
            if layer.norm {
                x = x.maximum(&(&x * LEAK)?)?;
            }
            x = match layer.pool {
                Some(1) => pooled_in_place(&x)?,
                Some(stride) => x.max_pool2d(stride)?,
                None => x,
            };
        }
        let (_, _, grid, _) = x.dims4()?;
        Ok((grid, x.flatten_all()?.to_vec1()?))
    }
}

/// The maximum of 2 x 2 neighbours, with one row and column more at the lower right.
fn pooled_in_place(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let row = Tensor::full(LOWEST, (batch, channels, 1, width), x.device())?;
    let x = Tensor::cat(&[x, &row], 2)?;
    let column = Tensor::full(LOWEST, (batch, channels, height + 1, 1), x.device())?;
    Tensor::cat(&[&x, &column], 3)?.max_pool2d_with_stride(2, 1)
}
