//! The Q-Former: learned query tokens that read an image by cross-attention.
//!
//! BLIP-2's (arXiv 2301.12597; `lavis/models/blip2_models/Qformer.py`), without the text branch.
//! Post-norm; cross-attention in blocks 0, 2, 4 … Key names follow `blip2_pretrained_flant5xxl.pth`.

use candle_core::{D, Result, Tensor};
use candle_nn::{Init, Linear, Module, VarBuilder, linear};
use serde::{Deserialize, Serialize};

use super::mode::{LayerNorm, Mode};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerConfig {
    pub num_query_tokens: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub cross_attention_freq: usize,
    /// Width of the image tokens.
    pub encoder_width: usize,
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Image tokens that get a learned position each. A ViT's tokens know their places, so 0 (none)
    /// is its value; those of a convolutional encoder do not.
    #[serde(default)]
    pub image_positions: usize,
}

fn layer_norm_eps() -> f64 {
    1e-12
}

#[derive(Debug, Clone)]
pub struct QFormer {
    query_tokens: Tensor,
    embeddings_norm: LayerNorm,
    layers: Vec<Layer>,
}

impl QFormer {
    pub fn load(config: &QFormerConfig, vb: VarBuilder) -> Result<Self> {
        let normal = Init::Randn { mean: 0.0, stdev: 0.02 };
        let shape = (1, config.num_query_tokens, config.hidden_size);
        let query_tokens = vb.get_with_hints(shape, "query_tokens", normal)?;
        let vb = vb.pp("Qformer.bert");
        let embeddings_norm = LayerNorm::load(
            config.hidden_size,
            config.layer_norm_eps,
            vb.pp("embeddings.LayerNorm"),
        )?;
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::load(config, i, vb.pp("encoder.layer").pp(i)))
            .collect::<Result<_>>()?;
        Ok(Self { query_tokens, embeddings_norm, layers })
    }

    /// (batch, image tokens, encoder width) to (batch, queries, hidden).
    pub fn forward<M: Mode>(&self, image: &Tensor) -> Result<Tensor> {
        let (_, queries, hidden) = self.query_tokens.dims3()?;
        let batch = image.dim(0)?;
        let mut x = self.embeddings_norm.forward::<M>(&self.query_tokens)?;
        x = x.broadcast_as((batch, queries, hidden))?.contiguous()?;
        for layer in &self.layers {
            x = layer.forward::<M>(&x, image)?;
        }
        Ok(x)
    }
}

#[derive(Debug, Clone)]
struct Layer {
    attention: Attention,
    crossattention: Option<Attention>,
    intermediate_query: Linear,
    output_query: Linear,
    output_norm: LayerNorm,
}

impl Layer {
    fn load(config: &QFormerConfig, index: usize, vb: VarBuilder) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let crossattention = index
            .is_multiple_of(config.cross_attention_freq.max(1))
            .then(|| Attention::load(config, config.encoder_width, vb.pp("crossattention")))
            .transpose()?;
        Ok(Self {
            attention: Attention::load(config, hidden, vb.pp("attention"))?,
            crossattention,
            intermediate_query: linear(hidden, inner, vb.pp("intermediate_query.dense"))?,
            output_query: linear(inner, hidden, vb.pp("output_query.dense"))?,
            output_norm: LayerNorm::load(
                hidden,
                config.layer_norm_eps,
                vb.pp("output_query.LayerNorm"),
            )?,
        })
    }

    fn forward<M: Mode>(&self, x: &Tensor, image: &Tensor) -> Result<Tensor> {
        let mut x = self.attention.forward::<M>(x, x)?;
        if let Some(cross) = &self.crossattention {
            x = cross.forward::<M>(&x, image)?;
        }
        let y = self.intermediate_query.forward(&x)?.gelu_erf()?;
        self.output_norm.forward::<M>(&(self.output_query.forward(&y)? + x)?)
    }
}

/// Attention with its residual and post-norm.
#[derive(Debug, Clone)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    dense: Linear,
    norm: LayerNorm,
    heads: usize,
}

impl Attention {
    fn load(config: &QFormerConfig, source_width: usize, vb: VarBuilder) -> Result<Self> {
        let hidden = config.hidden_size;
        Ok(Self {
            query: linear(hidden, hidden, vb.pp("self.query"))?,
            key: linear(source_width, hidden, vb.pp("self.key"))?,
            value: linear(source_width, hidden, vb.pp("self.value"))?,
            dense: linear(hidden, hidden, vb.pp("output.dense"))?,
            norm: LayerNorm::load(hidden, config.layer_norm_eps, vb.pp("output.LayerNorm"))?,
            heads: config.num_attention_heads,
        })
    }

    fn forward<M: Mode>(&self, x: &Tensor, source: &Tensor) -> Result<Tensor> {
        let (batch, queries, hidden) = x.dims3()?;
        let width = hidden / self.heads;
        let split = |t: Tensor| -> Result<Tensor> {
            let tokens = t.dim(1)?;
            t.reshape((batch, tokens, self.heads, width))?.transpose(1, 2)?.contiguous()
        };
        let q = (split(self.query.forward(x)?)? / (width as f64).sqrt())?;
        let k = split(self.key.forward(source)?)?;
        let v = split(self.value.forward(source)?)?;
        let weights = M::softmax(&q.matmul(&k.transpose(D::Minus2, D::Minus1)?)?)?;
        let y = weights.matmul(&v)?; // (batch, heads, queries, width)
        let y = y.transpose(1, 2)?.reshape((batch, queries, hidden))?;
        self.norm.forward::<M>(&(self.dense.forward(&y)? + x)?)
    }
}
