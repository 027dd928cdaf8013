//! What LoRA and BitFit add to the product of a frozen matrix.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

use super::Method;
use crate::model::checkpoint::interleave;
use crate::model::kernels::add_bias;
use crate::model::llama::LlamaConfig;
use crate::model::mode::RopeLayout;

/// A Linear of a block, by its name in Hugging Face's LLaMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    QProj,
    KProj,
    VProj,
    OProj,
    GateProj,
    UpProj,
    DownProj,
}

impl Target {
    pub const ALL: [Self; 7] = [
        Self::QProj,
        Self::KProj,
        Self::VProj,
        Self::OProj,
        Self::GateProj,
        Self::UpProj,
        Self::DownProj,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    /// Its place in a block: `self_attn.q_proj`.
    pub fn path(self) -> String {
        let part = match self {
            Self::QProj | Self::KProj | Self::VProj | Self::OProj => "self_attn",
            Self::GateProj | Self::UpProj | Self::DownProj => "mlp",
        };
        format!("{part}.{}", self.name())
    }

    /// (out, in)
    pub fn dims(self, config: &LlamaConfig) -> (usize, usize) {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let query = config.num_attention_heads * config.head_dim;
        let key = config.num_key_value_heads * config.head_dim;
        match self {
            Self::QProj => (query, hidden),
            Self::KProj | Self::VProj => (key, hidden),
            Self::OProj => (hidden, query),
            Self::GateProj | Self::UpProj => (inner, hidden),
            Self::DownProj => (hidden, inner),
        }
    }

    /// Width of the heads whose rows a model stores in another order than Hugging Face's, in which
    /// all that is trained is kept.
    pub fn reordered(self, config: &LlamaConfig) -> Option<usize> {
        let rotates = matches!(self, Self::QProj | Self::KProj);
        (rotates && config.rope_layout == RopeLayout::Interleaved).then_some(config.head_dim)
    }
}

/// What is added to the product of one matrix, or of several stacked along the output.
#[derive(Debug, Clone, Default)]
pub struct Additions(Vec<Addition>);

#[derive(Debug, Clone)]
struct Addition {
    out: usize,
    lora: Option<Lora>,
    /// (out)
    bias: Option<Tensor>,
    /// See [`Target::reordered`].
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
    /// Reads what `method` adds to the targets. A new A starts as PyTorch's Linear does, a new B and
    /// a new bias at zero, so that at step 0 nothing is added.
    pub fn load(
        method: &Method,
        targets: &[Target],
        config: &LlamaConfig,
        block: &VarBuilder,
    ) -> Result<Self> {
        let additions = targets
            .iter()
            .map(|target| {
                let (out, width) = target.dims(config);
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
                Ok(Addition { out, lora, bias, reordered: target.reordered(config) })
            })
            .collect::<Result<Vec<_>>>()?;
        let none = additions.iter().all(|a| a.lora.is_none() && a.bias.is_none());
        Ok(Self(if none { Vec::new() } else { additions }))
    }

    /// `x` is (batch, tokens, in), `y` its product with the frozen matrix, (batch, tokens, out).
    pub fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        if self.0.is_empty() {
            return Ok(y);
        }
        if let Some(bias) = self.bias()? {
            return match y.device().is_cpu() && y.dtype() == DType::F32 {
                true => add_bias(&y, &bias),
                false => y.broadcast_add(&bias),
            };
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
    /// The stacked biases, where nothing else is added.
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

    /// Rows in the order of the model. Done anew at each pass, so that gradients reach the rows as
    /// they are kept; there are few.
    fn rows(&self, rows: &Tensor) -> Result<Tensor> {
        match self.reordered {
            Some(head_dim) => interleave(rows, head_dim),
            None => Ok(rows.clone()),
        }
    }
}
