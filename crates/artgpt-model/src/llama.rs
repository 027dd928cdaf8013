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

/// The language model. `M` says whether it runs or trains.
pub struct Llama<M> {
    pub config: LlamaConfig,
    pub embed_tokens: Matrix,
    pub layers: Vec<Block>,
    pub norm: Tensor,
    pub lm_head: Matrix,
    /// (context, head_dim / 2)
    cos: Tensor,
    sin: Tensor,
    device: Device,
    mode: PhantomData<M>,
}

/// One transformer block, and what fine-tuning adds to it.
pub struct Block {
    /// (hidden)
    pub input_layernorm: Tensor,
    /// q, k and v stacked: ((heads + 2 kv heads) * head_dim, hidden)
    pub qkv_proj: Matrix,
    pub o_proj: Matrix,
    pub post_attention_layernorm: Tensor,
    /// gate and up stacked: (2 * intermediate, hidden)
    pub gate_up_proj: Matrix,
    pub down_proj: Matrix,
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

/// Which keys a query sees.
#[derive(Clone, Copy)]
enum Mask<'a> {
    /// All.
    None,
    /// (queries, keys), added to the scores.
    Of(&'a Tensor),
    /// For the kernel that packed texts have.
    Sight(&'a Sight),
}

impl<M: Mode> Llama<M> {
    pub fn new(
        config: LlamaConfig,
        embed_tokens: Matrix,
        layers: Vec<Block>,
        norm: Tensor,
        lm_head: Matrix,
        device: &Device,
    ) -> Result<Self> {
        let (cos, sin) = rotary_tables(&config, device)?;
        let device = device.clone();
        Ok(Self {
            config,
            embed_tokens,
            layers,
            norm,
            lm_head,
            cos,
            sin,
            device,
            mode: PhantomData,
        })
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Token ids to (1, ids, hidden).
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embed_tokens.rows(ids, &self.device)?.unsqueeze(0)
    }

    pub fn new_cache(&self) -> Result<KvCache> {
        let c = &self.config;
        KvCache::new(c.num_hidden_layers, c.num_key_value_heads, c.head_dim, &self.device)
    }

    /// Rotary tables for given positions (training packs several texts in one sequence).
    pub fn rotary_at(&self, positions: &[u32]) -> Result<Rotary> {
        let index = Tensor::new(positions, &self.device)?;
        Ok(Rotary {
            cos: self.cos.index_select(&index, 0)?,
            sin: self.sin.index_select(&index, 0)?,
        })
    }

    /// Reads `x`, (1, tokens, hidden), after what `cache` holds, and adds it to the cache.
    /// The result is the last block's normed output, (1, tokens, hidden).
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
        let rotary = Rotary {
            cos: self.cos.narrow(0, past, tokens)?,
            sin: self.sin.narrow(0, past, tokens)?,
        };
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

    /// One pass with no cache over texts that are packed in one sequence.
    pub fn forward(&self, x: &Tensor, rotary: &Rotary, sight: &Sight) -> Result<Tensor> {
        // Our kernel takes one sequence on the CPU with no keys before it; elsewhere one mask serves
        // all blocks.
        let prefix = self.layers.iter().any(|b| b.tuning.prefix.is_some());
        let composed = match x.device().is_cpu() && x.dim(0)? == 1 && !prefix {
            true => None,
            false => Some(sight.mask(x.device())?),
        };
        let mask = composed.as_ref().map_or(Mask::Sight(sight), Mask::Of);
        self.blocks(x, &Pass { rotary, mask, precision: Precision::Exact }, None)
    }

    /// (batch, tokens, hidden) to (batch, tokens, vocabulary).
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
        // The query heads of one kv head are neighbours, so they are extra rows of one product.
        let q = (q / (width as f64).sqrt())?.reshape((
            batch,
            kv_heads,
            heads / kv_heads * tokens,
            width,
        ))?;
        let mut scores =
            q.matmul(&k.transpose(D::Minus2, D::Minus1)?)?.reshape((batch, heads, tokens, keys))?;
        if let Mask::Of(mask) = mask {
            // Everyone sees a prefix.
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

fn rotary_tables(config: &LlamaConfig, device: &Device) -> Result<(Tensor, Tensor)> {
    let half = config.head_dim / 2;
    let inverse: Vec<f32> =
        (0..half).map(|i| config.rope_scaling.apply(i, plain_frequency(config, i))).collect();
    let inverse = Tensor::from_vec(inverse, (1, half), device)?;
    let positions = Tensor::arange(0, config.context_length as u32, device)?
        .to_dtype(DType::F32)?
        .reshape(((), 1))?;
    let angles = positions.matmul(&inverse)?;
    Ok((angles.cos()?, angles.sin()?))
}
