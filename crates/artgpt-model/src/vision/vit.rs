//! The vision transformer of EVA-CLIP and BLIP-2 (arXiv 2303.15389, 2301.12597;
//! `minigpt4/models/eva_vit.py`): pre-norm blocks, a class token, all tokens passed on.
//!
//! Key names follow `eva_vit_g.pth`; the originals keep `ln_vision` in another file.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder};

use super::VisionEncoder;
use artgpt_kernels::matrix::FrozenLinear;
use artgpt_kernels::mode::{Fused, LayerNorm, Mode};

/// The architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VitConfig {
    /// Side of the input in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of a token.
    pub hidden_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Attention heads of a block.
    pub num_attention_heads: usize,
    /// Inner width of the MLP.
    pub intermediate_size: usize,
    /// Epsilon of the LayerNorms in blocks.
    pub layer_norm_eps: f64,
    /// Epsilon of the norm after the last block (`ln_vision`, `post_layernorm`).
    pub final_norm_eps: f64,
    /// Side of the patch grid in training, which is that of the stored position embeddings.
    pub trained_grid: usize,
    /// Whether the qkv bias is one vector (Hugging Face), or q and v only (the originals).
    pub joined_bias: bool,
    /// Mean of pixels per channel, on the 0 to 1 scale.
    pub mean: [f32; 3],
    /// Standard deviation of pixels per channel, on the same scale.
    pub std: [f32; 3],
}

/// CLIP's normalisation (`minigpt4/processors/blip_processors.py`).
pub(crate) const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
pub(crate) const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl VitConfig {
    /// EVA-CLIP ViT-g/14 as the reference uses it: 39 of 40 blocks.
    pub fn eva_g() -> Self {
        Self {
            image_size: 224,
            patch_size: 14,
            hidden_size: 1408,
            num_hidden_layers: 39,
            num_attention_heads: 16,
            intermediate_size: 6144,
            layer_norm_eps: 1e-6,
            final_norm_eps: 1e-5,
            trained_grid: 16,
            joined_bias: false,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// Side of the patch grid.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// The encoder.
pub struct Vit {
    config: VitConfig,
    /// (hidden, 3 * patch * patch)
    patches: Linear,
    /// (1, 1, hidden)
    class_token: Tensor,
    /// (1, 1 + patches, hidden), resized to the input
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Vit {
    /// Loads the encoder; `norm` holds `ln_vision`, which the originals keep in another file.
    ///
    /// # Errors
    /// A tensor is missing or misshaped.
    pub fn load(config: VitConfig, vb: VarBuilder, norm: VarBuilder) -> Result<Self> {
        let (hidden, patch) = (config.hidden_size, config.patch_size);
        let conv = vb.pp("patch_embed.proj");
        let weight = conv.get((hidden, 3, patch, patch), "weight")?.flatten_from(1)?;
        let tokens = 1 + config.trained_grid * config.trained_grid;
        let positions = vb.get((1, tokens, hidden), "pos_embed")?;
        Ok(Self {
            config,
            patches: Linear::new(weight, Some(conv.get(hidden, "bias")?)),
            class_token: vb.get((1, 1, hidden), "cls_token")?,
            positions: resize_positions(&positions, config.trained_grid, config.grid())?,
            blocks: (0..config.num_hidden_layers)
                .map(|i| Block::load(&config, vb.pp("blocks").pp(i)))
                .collect::<Result<_>>()?,
            norm: LayerNorm::load(hidden, config.final_norm_eps, norm.pp("ln_vision"))?,
        })
    }
}

impl VisionEncoder for Vit {
    fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        let (batch, channels, _, _) = pixels.dims4()?;
        let (grid, patch) = (self.config.grid(), self.config.patch_size);
        let side = grid * patch;
        // A convolution whose stride is its kernel is a product with each patch.
        let patches = pixels
            .narrow(2, 0, side)?
            .narrow(3, 0, side)?
            .reshape(vec![batch, channels, grid, patch, grid, patch])?
            .permute(vec![0, 2, 4, 1, 3, 5])?
            .contiguous()?
            .reshape((batch, grid * grid, channels * patch * patch))?;
        let x = self.patches.forward(&patches)?;
        let class = self.class_token.broadcast_as((batch, 1, self.config.hidden_size))?;
        let mut x = Tensor::cat(&[&class.contiguous()?, &x], 1)?.broadcast_add(&self.positions)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.norm.forward::<Fused>(&x)
    }

    fn width(&self) -> usize {
        self.config.hidden_size
    }

    fn side(&self) -> usize {
        self.config.image_size
    }

    fn normalisation(&self) -> ([f32; 3], [f32; 3]) {
        (self.config.mean.map(|v| v * 255.0), self.config.std.map(|v| v * 255.0))
    }
}

struct Block {
    norm1: LayerNorm,
    qkv: FrozenLinear,
    proj: FrozenLinear,
    norm2: LayerNorm,
    fc1: FrozenLinear,
    fc2: FrozenLinear,
    heads: usize,
}

impl Block {
    fn load(config: &VitConfig, vb: VarBuilder) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let attention = vb.pp("attn");
        let bias = match config.joined_bias {
            true => attention.get(3 * hidden, "qkv.bias")?,
            false => {
                let zero = Tensor::zeros(hidden, DType::F32, vb.device())?;
                Tensor::cat(
                    &[&attention.get(hidden, "q_bias")?, &zero, &attention.get(hidden, "v_bias")?],
                    0,
                )?
            }
        };
        Ok(Self {
            norm1: LayerNorm::load(hidden, config.layer_norm_eps, vb.pp("norm1"))?,
            qkv: FrozenLinear::with_bias(hidden, bias, "qkv.weight", &attention)?,
            proj: FrozenLinear::load(hidden, hidden, attention.pp("proj"))?,
            norm2: LayerNorm::load(hidden, config.layer_norm_eps, vb.pp("norm2"))?,
            fc1: FrozenLinear::load(hidden, inner, vb.pp("mlp.fc1"))?,
            fc2: FrozenLinear::load(inner, hidden, vb.pp("mlp.fc2"))?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention(&self.norm1.forward::<Fused>(x)?)?)?;
        let h = self.fc1.forward(&self.norm2.forward::<Fused>(&x)?)?.gelu_erf()?;
        x + self.fc2.forward(&h)?
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, hidden) = x.dims3()?;
        let width = hidden / self.heads;
        let qkv = self
            .qkv
            .forward(x)?
            .reshape((batch, tokens, 3, self.heads, width))?
            .permute((2, 0, 3, 1, 4))?; // (3, batch, heads, tokens, width)
        let part = |i: usize| qkv.get(i)?.contiguous();
        let q = (part(0)? / (width as f64).sqrt())?;
        let scores = q.matmul(&part(1)?.transpose(D::Minus2, D::Minus1)?)?;
        let y = Fused::softmax(&scores)?.matmul(&part(2)?)?;
        self.proj.forward(&y.transpose(1, 2)?.reshape((batch, tokens, hidden))?)
    }
}

/// Resizes position embeddings to another grid: bicubic, without the class token's
/// (`interpolate_pos_embed` in `eva_vit.py`; PyTorch's kernel, a = -0.75, no antialiasing).
fn resize_positions(positions: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    if from == to {
        return Ok(positions.clone());
    }
    let hidden = positions.dim(2)?;
    let class = positions.narrow(1, 0, 1)?;
    let grid: Vec<Vec<f32>> = positions.narrow(1, 1, from * from)?.squeeze(0)?.to_vec2()?;
    let taps: Vec<[(usize, f32); 4]> = (0..to).map(|i| cubic_taps(i, from, to)).collect();
    let mut out = vec![0f32; to * to * hidden];
    for (cell, out) in out.chunks_mut(hidden).enumerate() {
        for (y, wy) in taps[cell / to] {
            for (x, wx) in taps[cell % to] {
                for (o, v) in out.iter_mut().zip(&grid[y * from + x]) {
                    *o += wy * wx * v;
                }
            }
        }
    }
    let grid = Tensor::from_vec(out, (1, to * to, hidden), positions.device())?;
    Tensor::cat(&[&class, &grid], 1)
}

/// The four neighbours of output position `i` and their weights; edges repeat.
fn cubic_taps(i: usize, from: usize, to: usize) -> [(usize, f32); 4] {
    const A: f32 = -0.75;
    let center = (i as f32 + 0.5) * from as f32 / to as f32 - 0.5;
    let t = center - center.floor();
    let near = |d: f32| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f32| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    std::array::from_fn(|k| {
        let index = center.floor() as isize + k as isize - 1;
        (index.clamp(0, from as isize - 1) as usize, weights[k])
    })
}
