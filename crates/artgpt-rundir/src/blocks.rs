//! Norms of the trained weights of each block, and of their updates.

use std::collections::BTreeMap;
use std::path::Path;

use artgpt_base::files::read_json_lines;
use serde::{Deserialize, Serialize};

use crate::Update;

/// The file of these norms in a run's folder, a [`Look`] a line.
pub(crate) const BLOCKS: &str = "blocks.jsonl";

/// Norms of all blocks at one step, every [`crate::LOOK_EVERY`] steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Steps done, from 1.
    pub step: usize,
    /// In the order of the language model's blocks, then the other parts by name.
    pub blocks: Vec<Block>,
}

/// The trained tensors of one block of the language model, or of another part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// `block 3`, or the part's name.
    pub name: String,
    /// Euclidean norm of its trained weights.
    pub norm: f64,
    /// Norm of the last update divided by `norm`; 0 for a dead adapter.
    pub update_ratio: f64,
}

impl Look {
    /// Sums the updates of the tensors by block.
    pub fn of(step: usize, updates: &[Update]) -> Self {
        let mut sums: BTreeMap<(usize, String), (f64, f64)> = BTreeMap::new();
        for Update { name, change, size } in updates {
            let sum = sums.entry(block_of(name)).or_default();
            *sum = (sum.0 + change, sum.1 + size);
        }
        let blocks = sums.into_iter().map(|((_, name), (change, size))| Block {
            name,
            norm: size.sqrt(),
            update_ratio: if size > 0.0 { (change / size).sqrt() } else { 0.0 },
        });
        Self { step, blocks: blocks.collect() }
    }
}

/// Sort key and name of a tensor's block: blocks by number, then the other parts by the first word
/// of the tensor's name.
fn block_of(name: &str) -> (usize, String) {
    let block = name.split_once(".layers.").filter(|_| name.starts_with("llama_model."));
    let number = block.and_then(|(_, rest)| rest.split('.').next()?.parse::<usize>().ok());
    match number {
        Some(number) => (number, format!("block {number}")),
        None => (usize::MAX, name.split('.').next().unwrap_or(name).to_string()),
    }
}

/// All norms that a run logged, the oldest first; skips lines that do not parse.
pub fn looks(run: &Path) -> Vec<Look> {
    read_json_lines(&run.join(BLOCKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_summed_by_their_block() {
        let update = |name: &str, change, size| Update { name: name.into(), change, size };
        let look = Look::of(
            20,
            &[
                update("llama_model.model.layers.10.self_attn.1.up.weight", 1.0, 9.0),
                update("llama_model.model.layers.2.self_attn.1.up.weight", 0.0, 4.0),
                update("llama_model.model.layers.2.self_attn.1.up.bias", 0.0, 0.0),
                update("llama_proj.weight", 0.25, 1.0),
            ],
        );
        let found: Vec<_> =
            look.blocks.iter().map(|b| (b.name.as_str(), b.norm, b.update_ratio)).collect();
        let third = (1.0f64 / 9.0).sqrt();
        assert_eq!(
            found,
            [("block 2", 2.0, 0.0), ("block 10", 3.0, third), ("llama_proj", 1.0, 0.5)]
        );
    }
}
