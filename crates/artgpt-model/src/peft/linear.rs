//! The terms that LoRA and BitFit add to the product of a frozen matrix.

use artgpt_manifest::Target;
use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::llama::LlamaConfig;
use crate::rows::interleave;
use artgpt_kernels::ops::add_bias;
use artgpt_manifest::Method;

/// The terms for one matrix, or for several stacked along the output.
#[derive(Debug, Clone, Default)]
pub struct Additions(Vec<Addition>);

#[derive(Debug, Clone)]
struct Addition {
    out: usize,
    lora: Option<Lora>,
    /// (out)
    bias: Option<Tensor>,
    /// See [`LlamaConfig::reordered`].
    reordered: Option<usize>,
}

/// `scale · B A`: A is (rank, in), B is (out, rank).
#[derive(Debug, Clone)]
struct Lora {
    a: Tensor,
    b: Tensor,
    scale: f64,
}

impl Additions {
    /// Loads the terms of `method` for the targets. A new A starts as PyTorch's Linear does, a new B and
    /// a new bias at zero, so that the terms are zero at step 0.
    pub(crate) fn load(
        method: &Method,
        targets: &[Target],
        config: &LlamaConfig,
        block: &VarBuilder,
    ) -> Result<Self> {
        let additions = targets
            .iter()
            .map(|target| {
                let (out, width) = config.dims(*target);
                let vb = block.pp(target.path());
                let lora = match method {
                    Method::Lora { rank, alpha, targets } if targets.contains(target) => {
                        let start = candle_nn::init::DEFAULT_KAIMING_UNIFORM;
                        let a = vb.get_with_hints((*rank, width), "lora_A.weight", start)?;
                        let b =
                            vb.get_with_hints((out, *rank), "lora_B.weight", Init::Const(0.0))?;
                        Some(Lora { a, b, scale: alpha / *rank as f64 })
                    }
                    _ => None,
                };
                let bias = match method {
                    Method::Bitfit {} => Some(vb.get_with_hints(out, "bias", Init::Const(0.0))?),
                    _ => None,
                };
                Ok(Addition { out, lora, bias, reordered: config.reordered(*target) })
            })
            .collect::<Result<Vec<_>>>()?;
        let none = additions.iter().all(|a| a.lora.is_none() && a.bias.is_none());
        Ok(Self(if none { Vec::new() } else { additions }))
    }

    /// Adds the terms of `x`, (batch, tokens, in), to `y`, its product with the frozen matrix, (batch,
    /// tokens, out).
    pub(crate) fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        if self.0.is_empty() {
            return Ok(y);
        }
        if let Some(bias) = self.bias()? {
            return match y.device().is_cpu() && y.dtype() == DType::F32 {
                true => add_bias(&y, &bias),
                false => y.broadcast_add(&bias),
            };
        }
        if let Some(low) = self.low_rank(x)? {
            return y + low;
        }
        let (batch, tokens, _) = y.dims3()?;
        let parts = self
            .0
            .iter()
            .map(|addition| match addition.of(x)? {
                Some(part) => part.broadcast_as((batch, tokens, addition.out)),
                None => Tensor::zeros((batch, tokens, addition.out), y.dtype(), y.device()),
            })
            .collect::<Result<Vec<_>>>()?;
        y + Tensor::cat(&parts, D::Minus1)?
    }
}

impl Additions {
    /// The terms of LoRA for all targets with two products, if there are no others, (batch, tokens, out): the
    /// A's are stacked, the B's are the blocks of a block-diagonal matrix. So a training step holds one
    /// tensor of that size instead of four.
    fn low_rank(&self, x: &Tensor) -> Result<Option<Tensor>> {
        if self.0.iter().any(|addition| addition.bias.is_some()) {
            return Ok(None);
        }
        let factors = self.0.iter().filter_map(|addition| addition.lora.as_ref());
        let a: Vec<Tensor> =
            factors.clone().map(|lora| &lora.a * lora.scale).collect::<Result<_>>()?;
        let all: usize = factors.map(|lora| lora.a.dim(0)).sum::<Result<usize>>()?;
        let mut before = 0;
        let mut rows = Vec::new();
        for addition in &self.0 {
            let zeros = |width| Tensor::zeros((addition.out, width), x.dtype(), x.device());
            let Some(lora) = &addition.lora else {
                rows.push(zeros(all)?);
                continue;
            };
            let rank = lora.a.dim(0)?;
            let block = [
                (before > 0).then(|| zeros(before)).transpose()?,
                Some(addition.rows(&lora.b)?),
                (before + rank < all).then(|| zeros(all - before - rank)).transpose()?,
            ];
            rows.push(Tensor::cat(&block.into_iter().flatten().collect::<Vec<_>>(), 1)?);
            before += rank;
        }
        let (a, b) = (Tensor::cat(&a, 0)?, Tensor::cat(&rows, 0)?); // (ranks, in), (out, ranks)
        let (batch, tokens, width) = x.dims3()?;
        let low = x.reshape((batch * tokens, width))?.matmul(&a.t()?)?; // (tokens, ranks)
        low.matmul(&b.t()?)?.reshape((batch, tokens, b.dim(0)?)).map(Some)
    }

    /// The stacked biases, if they are the only terms.
    fn bias(&self) -> Result<Option<Tensor>> {
        if self.0.iter().any(|a| a.lora.is_some() || a.bias.is_none()) {
            return Ok(None);
        }
        let parts = self.0.iter().filter_map(|a| a.ordered_bias().transpose());
        Ok(Some(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?))
    }
}

impl Addition {
    /// Broadcasts to (batch, tokens, out).
    fn of(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let low = match &self.lora {
            Some(lora) => {
                let (batch, tokens, width) = x.dims3()?;
                let rows = x.reshape((batch * tokens, width))?;
                let y = rows.matmul(&lora.a.t()?)?.matmul(&self.rows(&lora.b)?.t()?)?;
                Some((y * lora.scale)?.reshape((batch, tokens, self.out))?)
            }
            None => None,
        };
        match (low, self.ordered_bias()?) {
            (Some(low), Some(bias)) => low.broadcast_add(&bias).map(Some),
            (low, bias) => Ok(low.or(bias)),
        }
    }

    /// (out)
    fn ordered_bias(&self) -> Result<Option<Tensor>> {
        let rows = self.bias.as_ref().map(|bias| self.rows(&bias.unsqueeze(1)?)?.flatten_all());
        rows.transpose()
    }

    /// Rows in the order of the model. Each pass reorders them, so that gradients reach the stored rows;
    /// there are few.
    fn rows(&self, rows: &Tensor) -> Result<Tensor> {
        match self.reordered {
            Some(head_dim) => interleave(rows, head_dim),
            None => Ok(rows.clone()),
        }
    }
}
