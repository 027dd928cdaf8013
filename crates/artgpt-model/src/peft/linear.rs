//! The terms that LoRA and BitFit add to the product of a frozen matrix.

use artgpt_manifest::Target;
use candle_core::{DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::llama::LlamaConfig;
use crate::rows::interleave;
use artgpt_kernels::ops::add_bias;
use artgpt_manifest::Method;

/// The terms for one matrix, or for several stacked along the output.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    each: Vec<Addition>,
    /// The factors of LoRA as [`Self::stack`] joins them, once and for all where they do not train.
    stacked: Option<(Tensor, Tensor)>,
}

/// A method adds either factors to its targets or a bias to every matrix.
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
        let each = targets
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
        let factors = each.iter().filter_map(|addition: &Addition| addition.lora.as_ref());
        let (some, trains) = factors.fold((false, false), |(_, trains), lora| {
            (true, trains || lora.a.is_variable() || lora.b.is_variable())
        });
        let mut all = Self { each, stacked: None };
        if some && !trains {
            all.stacked = Some(all.stack()?);
        }
        Ok(all)
    }

    /// Adds the terms of `x`, (batch, tokens, in), to `y`, its product with the frozen matrix, (batch,
    /// tokens, out).
    pub(crate) fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        if self.each.iter().any(|addition| addition.bias.is_some()) {
            let bias = self.bias()?;
            return match y.device().is_cpu() && y.dtype() == DType::F32 {
                true => add_bias(&y, &bias),
                false => y.broadcast_add(&bias),
            };
        }
        if self.each.iter().all(|addition| addition.lora.is_none()) {
            return Ok(y);
        }
        let (a, b) = match &self.stacked {
            Some((a, b)) => (a.clone(), b.clone()),
            None => self.stack()?,
        };
        let (batch, tokens, width) = x.dims3()?;
        let low = x.reshape((batch * tokens, width))?.matmul(&a.t()?)?; // (tokens, ranks)
        y + low.matmul(&b.t()?)?.reshape((batch, tokens, b.dim(0)?))?
    }

    /// The factors of all targets, so that two products make all terms: the scaled A's below each other,
    /// (ranks, in), and the B's as the blocks of a block-diagonal matrix, (out, ranks). A training step
    /// holds one tensor of the size of the output instead of four.
    fn stack(&self) -> Result<(Tensor, Tensor)> {
        let factors = || self.each.iter().filter_map(|addition| addition.lora.as_ref());
        let a = factors().map(|lora| &lora.a * lora.scale).collect::<Result<Vec<_>>>()?;
        let all = factors().map(|lora| lora.a.dim(0)).sum::<Result<usize>>()?;
        let a = Tensor::cat(&a, 0)?;
        let mut before = 0;
        let mut rows = Vec::new();
        for addition in &self.each {
            let zeros = |width| Tensor::zeros((addition.out, width), a.dtype(), a.device());
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
        Ok((a, Tensor::cat(&rows, 0)?))
    }

    /// The stacked biases.
    fn bias(&self) -> Result<Tensor> {
        let parts = self.each.iter().filter_map(|a| a.ordered_bias().transpose());
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
    }
}

impl Addition {
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
