//! EfficientNet-lite (Tan and Le 2019; the "lite" form has no squeeze-and-excitation and ReLU6).
//!
//! Key names follow the checkpoint `efficientnet-lite0-57934424.pth` (`_conv_stem`, `_bn0`,
//! `_blocks.{i}._expand_conv` …). Batch norms are folded into the convolutions when loading.
//!
//! A token concatenates the features of one cell of the last grid: the final channels, and the channels
//! of earlier layers averaged over the cell. Early layers represent light and colour, late ones objects,
//! and a painting needs both.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::VisionEncoder;
use super::depthwise::{depthwise_conv2d, same_padding};

const BATCH_NORM_EPS: f64 = 1e-3;

/// One row of the architecture's table: a sequence of inverted residual blocks.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// Expansion factor of the channels.
    pub expand: usize,
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// Output channels.
    pub out: usize,
    /// Number of blocks.
    pub repeats: usize,
}

/// The architecture.
#[derive(Debug, Clone)]
pub struct Config {
    /// Channels of the first convolution.
    pub stem: usize,
    /// The blocks.
    pub stages: Vec<Stage>,
    /// Channels of the last convolution.
    pub head: usize,
    /// Indices of blocks whose output is part of the tokens; the stem is always the first tap.
    pub taps: Vec<usize>,
}

impl Config {
    /// EfficientNet-lite0 with taps after each early resolution.
    pub fn lite0() -> Self {
        let stage =
            |expand, kernel, stride, out, repeats| Stage { expand, kernel, stride, out, repeats };
        Self {
            stem: 32,
            stages: vec![
                stage(1, 3, 1, 16, 1),
                stage(6, 3, 2, 24, 2),
                stage(6, 5, 2, 40, 2),
                stage(6, 3, 2, 80, 3),
                stage(6, 5, 1, 112, 3),
                stage(6, 5, 2, 192, 4),
                stage(6, 3, 1, 320, 1),
            ],
            head: 1280,
            taps: vec![0, 2, 4, 10],
        }
    }
}

/// The encoder: 224x224 pixels to 49 tokens of width 1504 with [`Config::lite0`].
pub struct EfficientNetLite {
    stem: FoldedConv,
    blocks: Vec<Block>,
    head: FoldedConv,
    taps: Vec<usize>,
    width: usize,
}

impl EfficientNetLite {
    /// Loads the encoder.
    ///
    /// # Errors
    /// A tensor is missing or misshaped.
    pub fn load(config: &Config, vb: VarBuilder) -> Result<Self> {
        let stem = FoldedConv::load(config.stem, 3, 3, "_conv_stem", "_bn0", &vb)?;
        let mut blocks = Vec::new();
        let mut channels = config.stem;
        let mut width = config.stem + config.head;
        for stage in &config.stages {
            for repeat in 0..stage.repeats {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                let vb = vb.pp("_blocks").pp(blocks.len());
                if config.taps.contains(&blocks.len()) {
                    width += stage.out;
                }
                blocks.push(Block::load(stage, stride, channels, &vb)?);
                channels = stage.out;
            }
        }
        let head = FoldedConv::load(config.head, channels, 1, "_conv_head", "_bn1", &vb)?;
        Ok(Self { stem, blocks, head, taps: config.taps.clone(), width })
    }
}

impl VisionEncoder for EfficientNetLite {
    fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = relu6(&self.stem.dense(pixels, 2)?)?; // (batch, stem, h/2, w/2)
        let mut taps = vec![x.clone()];
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            if self.taps.contains(&i) {
                taps.push(x.clone());
            }
        }
        x = relu6(&self.head.pointwise(&x)?)?; // (batch, head, grid, grid)
        let (_, _, grid, _) = x.dims4()?;
        let mut parts = Vec::with_capacity(taps.len() + 1);
        for tap in &taps {
            parts.push(tap.avg_pool2d(tap.dim(2)? / grid)?);
        }
        parts.push(x);
        Tensor::cat(&parts, 1)?.flatten_from(2)?.transpose(1, 2)?.contiguous() // (batch, grid², width)
    }

    fn width(&self) -> usize {
        self.width
    }

    fn normalisation(&self) -> ([f32; 3], [f32; 3]) {
        ([127.0; 3], [128.0; 3])
    }
}

/// Inverted residual: expand, depthwise, project.
struct Block {
    expand: Option<FoldedConv>,
    depthwise: FoldedConv,
    project: FoldedConv,
    stride: usize,
    residual: bool,
}

impl Block {
    fn load(stage: &Stage, stride: usize, input: usize, vb: &VarBuilder) -> Result<Self> {
        let inner = input * stage.expand;
        let expand = (stage.expand != 1)
            .then(|| FoldedConv::load(inner, input, 1, "_expand_conv", "_bn0", vb))
            .transpose()?;
        Ok(Self {
            expand,
            depthwise: FoldedConv::load(inner, 1, stage.kernel, "_depthwise_conv", "_bn1", vb)?,
            project: FoldedConv::load(stage.out, inner, 1, "_project_conv", "_bn2", vb)?,
            stride,
            residual: stride == 1 && input == stage.out,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = match &self.expand {
            Some(expand) => relu6(&expand.pointwise(x)?)?,
            None => x.clone(),
        };
        let kernel = self.depthwise.weight.squeeze(1)?;
        y = relu6(&depthwise_conv2d(&y, &kernel, &self.depthwise.bias, self.stride)?)?;
        y = self.project.pointwise(&y)?;
        if self.residual { y + x } else { Ok(y) }
    }
}

/// A convolution with its batch norm folded in.
struct FoldedConv {
    /// (out, in, kernel, kernel)
    weight: Tensor,
    /// (out)
    bias: Tensor,
}

impl FoldedConv {
    fn load(
        out: usize,
        input: usize,
        kernel: usize,
        conv: &str,
        norm: &str,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let weight = vb.pp(conv).get((out, input, kernel, kernel), "weight")?;
        let vb = vb.pp(norm);
        let gamma = vb.get(out, "weight")?;
        let beta = vb.get(out, "bias")?;
        let mean = vb.get(out, "running_mean")?;
        let variance = vb.get(out, "running_var")?;
        let scale = (gamma / (variance + BATCH_NORM_EPS)?.sqrt()?)?;
        let bias = (beta - (mean * &scale)?)?;
        Ok(Self { weight: weight.broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?, bias })
    }

    fn dense(&self, x: &Tensor, stride: usize) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let kernel = self.weight.dim(2)?;
        let (top, bottom) = same_padding(h, kernel, stride);
        let (left, right) = same_padding(w, kernel, stride);
        let x = x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
        x.conv2d(&self.weight, 0, stride, 1, 1)?.broadcast_add(&self.bias.reshape((1, (), 1, 1))?)
    }

    /// A 1x1 convolution is one matrix product per picture.
    fn pointwise(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, h, w) = x.dims4()?;
        let weight = self.weight.flatten_from(1)?; // (out, in)
        let out = weight.dim(0)?;
        let y = weight.broadcast_left(batch)?.matmul(&x.flatten_from(2)?.contiguous()?)?; // (batch, out, h*w)
        y.reshape((batch, out, h, w))?.broadcast_add(&self.bias.reshape((1, out, 1, 1))?)
    }
}

fn relu6(x: &Tensor) -> Result<Tensor> {
    x.clamp(0f32, 6f32)
}
