//! LLaMA (arXiv 2302.13971) with the paper's image adapter in its blocks.

use std::marker::PhantomData;

use candle_core::{D, DType, Device, Result, Tensor};

use super::kv_cache::KvCache;
use super::peft::Tuning;
use artgpt_kernels::matrix::{Matrix, Precision};
use artgpt_kernels::mode::Mode;
use artgpt_kernels::ops::{self as kernels, attention::Sight};

use super::llama_config::plain_frequency;
pub use super::llama_config::{LlamaConfig, RopeScaling};

/// The language model. `M` selects kernels for inference or training.
pub struct Llama<M> {
    /// Its sizes.
    pub config: LlamaConfig,
    /// The token-embedding table, (vocabulary, hidden).
    pub embed_tokens: Matrix,
    /// The transformer blocks.
    pub layers: Vec<Block>,
    /// Weights of the final RMSNorm, (hidden).
    pub norm: Tensor,
    /// The output matrix, (vocabulary, hidden).
    pub lm_head: Matrix,
    /// The scaled rotary frequencies, (1, head_dim / 2).
    frequencies: Tensor,
    device: Device,
    mode: PhantomData<M>,
}

/// One transformer block, and the tensors that fine-tuning adds.
pub struct Block {
    /// Weights of the RMSNorm before attention, (hidden).
    pub input_layernorm: Tensor,
    /// The q, k and v matrices, stacked: ((heads + 2 kv heads) * head_dim, hidden)
    pub qkv_proj: Matrix,
    /// The output matrix of attention, (hidden, heads * head_dim).
    pub o_proj: Matrix,
    /// Weights of the RMSNorm before the MLP, (hidden).
    pub post_attention_layernorm: Tensor,
    /// The gate and up matrices, stacked: (2 * intermediate, hidden)
    pub gate_up_proj: Matrix,
    /// The output matrix of the MLP, (hidden, intermediate).
    pub down_proj: Matrix,
    /// The tensors of fine-tuning.
    pub tuning: Tuning,
}

impl Block {
    fn input_layernorm(&self) -> &Tensor {
        self.tuning.input_layernorm.as_ref().unwrap_or(&self.input_layernorm)
    }

    fn post_attention_layernorm(&self) -> &Tensor {
        self.tuning.post_attention_layernorm.as_ref().unwrap_or(&self.post_attention_layernorm)
    }
}

/// Rotary tables of the tokens in one pass: (tokens, head_dim / 2) each.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

/// What all blocks of one pass share.
#[derive(Clone, Copy)]
struct Pass<'a> {
    rotary: &'a Rotary,
    mask: Mask<'a>,
    precision: Precision,
}

/// The keys to which a query attends.
#[derive(Clone, Copy)]
enum Mask<'a> {
    /// All.
    None,
    /// (queries, keys), added to the scores.
    Of(&'a Tensor),
    /// The pattern for the kernel of packed texts.
    Sight(&'a Sight),
}

impl<M: Mode> Llama<M> {
    /// Joins the parts and computes the rotary frequencies.
    pub fn new(
        config: LlamaConfig,
        embed_tokens: Matrix,
        layers: Vec<Block>,
        norm: Tensor,
        lm_head: Matrix,
        device: &Device,
    ) -> Result<Self> {
        let half = config.head_dim / 2;
        let scaled = |i| config.rope_scaling.apply(i, plain_frequency(&config, i));
        let frequencies = Tensor::from_iter((0..half).map(scaled), device)?.unsqueeze(0)?;
        let device = device.clone();
        Ok(Self {
            config,
            embed_tokens,
            layers,
            norm,
            lm_head,
            frequencies,
            device,
            mode: PhantomData,
        })
    }

    /// The device of its tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The embeddings of tokens: (1, ids, hidden).
    ///
    /// # Errors
    /// An ID is outside of the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embed_tokens.rows(ids, &self.device)?.unsqueeze(0)
    }

    /// An empty cache for this model.
    pub fn new_cache(&self) -> Result<KvCache> {
        let c = &self.config;
        KvCache::new(c.num_hidden_layers, c.num_key_value_heads, c.head_dim, &self.device)
    }

    /// The rotary tables of the given positions (training packs several texts into one sequence).
    pub fn rotary_at(&self, positions: &[u32]) -> Result<Rotary> {
        let length = self.config.context_length;
        if let Some(beyond) = positions.iter().find(|p| **p as usize >= length) {
            candle_core::bail!("position {beyond} is beyond the context of {length}");
        }
        // Computed for each pass: a table of a context of millions would take gigabytes.
        let positions = Tensor::from_iter(positions.iter().map(|p| *p as f32), &self.device)?;
        let angles = positions.unsqueeze(1)?.matmul(&self.frequencies)?;
        Ok(Rotary { cos: angles.cos()?, sin: angles.sin()? })
    }

    /// Processes `x`, (1, tokens, hidden), after the cached tokens, and appends it to the cache. Returns
    /// the final hidden states, normalised, (1, tokens, hidden).
    ///
    /// # Errors
    /// The tokens do not fit the context.
    pub fn extend(&self, x: &Tensor, cache: &mut KvCache, precision: Precision) -> Result<Tensor> {
        let (_, tokens, _) = x.dims3()?;
        let past = cache.len();
        if past + tokens > self.config.context_length {
            candle_core::bail!(
                "{} tokens do not fit the context of {}",
                past + tokens,
                self.config.context_length
            );
        }
        let positions: Vec<u32> = (past..past + tokens).map(|p| p as u32).collect();
        let rotary = self.rotary_at(&positions)?;
        let mask = (tokens > 1)
            .then(|| artgpt_kernels::mode::causal_mask(tokens, past, &self.device))
            .transpose()?;
        cache.reserve(tokens)?;
        let mask = mask.as_ref().map_or(Mask::None, Mask::Of);
        let pass = Pass { rotary: &rotary, mask, precision };
        let y = self.blocks(x, &pass, Some(&mut *cache))?;
        cache.commit(tokens);
        Ok(y)
    }

    /// One pass without cache over texts that are packed into one sequence, (batch, tokens, hidden) to
    /// the normalised hidden states.
    pub fn forward(&self, x: &Tensor, rotary: &Rotary, sight: &Sight) -> Result<Tensor> {
        // Our kernel supports one sequence on the CPU without prefix tuning; otherwise one mask serves
        // all blocks.
        let prefix = self.layers.iter().any(|b| b.tuning.prefix.is_some());
        let composed = match x.device().is_cpu() && x.dim(0)? == 1 && !prefix {
            true => None,
            false => Some(sight.mask(x.device())?),
        };
        let mask = composed.as_ref().map_or(Mask::Sight(sight), Mask::Of);
        self.blocks(x, &Pass { rotary, mask, precision: Precision::Exact }, None)
    }

    /// The logits: (batch, tokens, hidden) to (batch, tokens, vocabulary).
    pub fn logits(&self, hidden: &Tensor, precision: Precision) -> Result<Tensor> {
        self.lm_head.forward(hidden, precision)
    }

    fn blocks(&self, x: &Tensor, pass: &Pass, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, block) in self.layers.iter().enumerate() {
            let eps = self.config.rms_norm_eps;
            let h = M::rms_norm(&x, block.input_layernorm(), eps)?;
            x = (x + self.attention(i, block, &h, pass, cache.as_deref_mut())?)?;
            if let Some(adapter) = &block.tuning.adapter {
                x = adapter.forward(&x)?;
            }
            let h = M::rms_norm(&x, block.post_attention_layernorm(), eps)?;
            x = (x + self.mlp(block, &h, pass.precision)?)?;
        }
        M::rms_norm(&x, &self.norm, self.config.rms_norm_eps)
    }

    fn attention(
        &self,
        index: usize,
        block: &Block,
        x: &Tensor,
        pass: &Pass,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor> {
        let Pass { rotary, mask, precision } = *pass;
        let c = &self.config;
        let (batch, tokens, _) = x.dims3()?;
        let (heads, kv_heads, width) = (c.num_attention_heads, c.num_key_value_heads, c.head_dim);
        // (batch, tokens, (heads + 2 kv) * width)
        let qkv = block.tuning.qkv.add(x, block.qkv_proj.forward(x, precision)?)?;
        let part = |start: usize, count: usize| -> Result<Tensor> {
            qkv.narrow(D::Minus1, start * width, count * width)?
                .reshape((batch, tokens, count, width))?
                .transpose(1, 2) // (batch, count, tokens, width)
        };
        let q = M::rope(&part(0, heads)?, &rotary.cos, &rotary.sin, c.rope_layout)?;
        let k = M::rope(&part(heads, kv_heads)?, &rotary.cos, &rotary.sin, c.rope_layout)?;
        let v = part(heads + kv_heads, kv_heads)?.contiguous()?;
        let (k, v) = match cache {
            Some(cache) => cache.append(index, &k, &v)?,
            None => (k, v),
        };
        let project = |y: Tensor| block.tuning.o.add(&y, block.o_proj.forward(&y, precision)?);
        let merge = |y: Tensor| y.transpose(1, 2)?.reshape((batch, tokens, heads * width));
        if let Mask::Sight(sight) = mask {
            return project(merge(kernels::attention::attention(&q, &k, &v, sight)?)?);
        }
        let own = k.dim(2)?;
        let (k, v) = match &block.tuning.prefix {
            Some(prefix) => prefix.before(&k, &v)?,
            None => (k, v),
        };
        let keys = k.dim(2)?;
        // The query heads of one kv head are adjacent, so they are extra rows of one product.
        let q = (q / (width as f64).sqrt())?.reshape((
            batch,
            kv_heads,
            heads / kv_heads * tokens,
            width,
        ))?;
        let mut scores =
            q.matmul(&k.transpose(D::Minus2, D::Minus1)?)?.reshape((batch, heads, tokens, keys))?;
        if let Mask::Of(mask) = mask {
            // All tokens attend to a prefix.
            let open = Tensor::zeros((tokens, keys - own), DType::F32, x.device())?;
            scores = scores.broadcast_add(&Tensor::cat(&[&open, mask], 1)?)?;
        }
        let weights =
            M::softmax(&scores)?.reshape((batch, kv_heads, heads / kv_heads * tokens, keys))?;
        project(merge(weights.matmul(&v)?.reshape((batch, heads, tokens, width))?)?)
    }

    fn mlp(&self, block: &Block, x: &Tensor, precision: Precision) -> Result<Tensor> {
        // (batch, tokens, 2 * intermediate)
        let both = block.tuning.gate_up.add(x, block.gate_up_proj.forward(x, precision)?)?;
        let inner = M::swiglu(&both)?;
        block.tuning.down.add(&inner, block.down_proj.forward(&inner, precision)?)
    }
}
