//! The Q-Former: learned query tokens that read an image by cross-attention.
//!
//! BLIP-2's (arXiv 2301.12597; `lavis/models/blip2_models/Qformer.py`), and InstructBLIP's
//! (arXiv 2305.06500), whose queries also read the instruction: its tokens follow the queries in
//! self-attention and have their own feed-forward layers. Post-norm; cross-attention in blocks 0, 2,
//! 4 … Key names follow `blip2_pretrained_flant5xxl.pth`.

pub use artgpt_manifest::{QFormerConfig, QFormerTextConfig};
use candle_core::{D, Result, Tensor};
use candle_nn::{Init, Linear, Module, VarBuilder, linear};

use artgpt_kernels::mode::{LayerNorm, Mode};

/// Query tokens, an optional text branch, and the blocks.
#[derive(Debug, Clone)]
pub struct QFormer {
    query_tokens: Tensor,
    text: Option<TextEmbeddings>,
    embeddings_norm: LayerNorm,
    layers: Vec<Layer>,
}

impl QFormer {
    /// Loads it; new query tokens are random.
    ///
    /// # Errors
    /// A tensor is missing or misshaped.
    pub fn load(config: &QFormerConfig, vb: VarBuilder) -> Result<Self> {
        let normal = Init::Randn { mean: 0.0, stdev: 0.02 };
        let shape = (1, config.num_query_tokens, config.hidden_size);
        let query_tokens = vb.get_with_hints(shape, "query_tokens", normal)?;
        let vb = vb.pp("Qformer.bert");
        let text = config
            .text
            .map(|text| TextEmbeddings::load(text, config.hidden_size, vb.pp("embeddings")))
            .transpose()?;
        let embeddings_norm = LayerNorm::load(
            config.hidden_size,
            config.layer_norm_eps,
            vb.pp("embeddings.LayerNorm"),
        )?;
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::load(config, i, vb.pp("encoder.layer").pp(i)))
            .collect::<Result<_>>()?;
        Ok(Self { query_tokens, text, embeddings_norm, layers })
    }

    /// Number of query tokens.
    pub fn query_tokens(&self) -> usize {
        self.query_tokens.dims()[1]
    }

    /// (batch, image tokens, encoder width) to (batch, queries, hidden). A text branch reads
    /// `instruction`; without one it has no effect. The queries start with `offset`, (batch, 1, hidden),
    /// added.
    pub fn forward<M: Mode>(
        &self,
        image: &Tensor,
        instruction: &[u32],
        offset: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (_, queries, hidden) = self.query_tokens.dims3()?;
        let batch = image.dim(0)?;
        let each = |x: &Tensor| x.broadcast_as((batch, x.dim(1)?, hidden))?.contiguous();
        let start = match offset {
            Some(offset) => self.query_tokens.broadcast_add(offset)?,
            None => self.query_tokens.clone(),
        };
        let start = match &self.text {
            Some(text) if !instruction.is_empty() => {
                Tensor::cat(&[each(&start)?, each(&text.forward(instruction)?)?], 1)?
            }
            _ => start,
        };
        let mut x = each(&self.embeddings_norm.forward::<M>(&start)?)?;
        for layer in &self.layers {
            x = layer.forward::<M>(&x, queries, image)?;
        }
        x.narrow(1, 0, queries)
    }

    /// The longest instruction in tokens; `None` without a text branch.
    pub fn instruction_limit(&self) -> Option<usize> {
        self.text.as_ref().and_then(|t| t.position.dim(0).ok())
    }
}

#[derive(Debug, Clone)]
struct TextEmbeddings {
    /// (vocabulary, hidden)
    word: Tensor,
    /// (positions, hidden)
    position: Tensor,
}

impl TextEmbeddings {
    fn load(config: QFormerTextConfig, hidden: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            word: vb.get((config.vocab_size, hidden), "word_embeddings.weight")?,
            position: vb
                .get((config.max_position_embeddings, hidden), "position_embeddings.weight")?,
        })
    }

    /// (1, ids, hidden)
    fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        let words = self.word.index_select(&Tensor::new(ids, self.word.device())?, 0)?;
        (words + self.position.narrow(0, 0, ids.len())?)?.unsqueeze(0)
    }
}

/// Linear, GELU, Linear, with its residual and post-norm.
#[derive(Debug, Clone)]
struct FeedForward {
    inner: Linear,
    outer: Linear,
    norm: LayerNorm,
}

impl FeedForward {
    fn load(config: &QFormerConfig, inner: &str, outer: &str, vb: VarBuilder) -> Result<Self> {
        let (hidden, width) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            inner: linear(hidden, width, vb.pp(inner).pp("dense"))?,
            outer: linear(width, hidden, vb.pp(outer).pp("dense"))?,
            norm: LayerNorm::load(hidden, config.layer_norm_eps, vb.pp(outer).pp("LayerNorm"))?,
        })
    }

    fn forward<M: Mode>(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.inner.forward(x)?.gelu_erf()?;
        self.norm.forward::<M>(&(self.outer.forward(&y)? + x)?)
    }
}

#[derive(Debug, Clone)]
struct Layer {
    attention: Attention,
    crossattention: Option<Attention>,
    query_feed_forward: FeedForward,
    text_feed_forward: Option<FeedForward>,
}

impl Layer {
    fn load(config: &QFormerConfig, index: usize, vb: VarBuilder) -> Result<Self> {
        let crossattention = index
            .is_multiple_of(config.cross_attention_freq.max(1))
            .then(|| Attention::load(config, config.encoder_width, vb.pp("crossattention")))
            .transpose()?;
        Ok(Self {
            attention: Attention::load(config, config.hidden_size, vb.pp("attention"))?,
            crossattention,
            query_feed_forward: FeedForward::load(
                config,
                "intermediate_query",
                "output_query",
                vb.clone(),
            )?,
            text_feed_forward: config
                .text
                .map(|_| FeedForward::load(config, "intermediate", "output", vb.clone()))
                .transpose()?,
        })
    }

    /// The first `queries` tokens of `x` are queries and attend to the image; the others are text.
    fn forward<M: Mode>(&self, x: &Tensor, queries: usize, image: &Tensor) -> Result<Tensor> {
        let x = self.attention.forward::<M>(x, x)?;
        let text = x.dim(1)? - queries;
        let mut query = x.narrow(1, 0, queries)?.contiguous()?;
        if let Some(cross) = &self.crossattention {
            query = cross.forward::<M>(&query, image)?;
        }
        let query = self.query_feed_forward.forward::<M>(&query)?;
        match &self.text_feed_forward {
            Some(feed_forward) if text > 0 => {
                let text = x.narrow(1, queries, text)?.contiguous()?;
                Tensor::cat(&[&query, &feed_forward.forward::<M>(&text)?], 1)
            }
            _ => Ok(query),
        }
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
