//! The Linears of a LLaMA block that LoRA can adapt.

use serde::{Deserialize, Serialize};

/// A Linear of a LLaMA block, by its name in Hugging Face's implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Queries of self-attention.
    QProj,
    /// Keys of self-attention.
    KProj,
    /// Values of self-attention.
    VProj,
    /// Output of self-attention.
    OProj,
    /// Gate of the MLP.
    GateProj,
    /// Input of the MLP.
    UpProj,
    /// Output of the MLP.
    DownProj,
}

impl Target {
    /// All Linears of a block.
    pub const ALL: [Self; 7] = [
        Self::QProj,
        Self::KProj,
        Self::VProj,
        Self::OProj,
        Self::GateProj,
        Self::UpProj,
        Self::DownProj,
    ];

    /// Its name in a checkpoint: `q_proj`.
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

    /// Its name with its module in the block: `self_attn.q_proj`.
    pub fn path(self) -> String {
        let part = match self {
            Self::QProj | Self::KProj | Self::VProj | Self::OProj => "self_attn",
            Self::GateProj | Self::UpProj | Self::DownProj => "mlp",
        };
        format!("{part}.{}", self.name())
    }
}
