//! How large the trained weights of each block are, and how much a step changes them.

use std::collections::BTreeMap;
use std::path::Path;

use artgpt_base::files::read_json_lines;
use serde::{Deserialize, Serialize};

use crate::Update;

/// Where a run keeps its looks, one a line.
pub const BLOCKS: &str = "blocks.jsonl";

/// One look, every [`crate::LOOK_EVERY`] steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    pub step: usize,
    pub blocks: Vec<Block>,
}

/// What trains in one block of the language model, or in the bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// `block 3`, or the part's name.
    pub name: String,
    /// Euclidean norm of its trained weights.
    pub norm: f64,
    /// Norm of the last update beside it; a dead adapter's is zero.
    pub update_ratio: f64,
}

impl Look {
    pub fn of(step: usize, updates: &[Update]) -> Self {
        let mut sums: BTreeMap<(usize, String), (f64, f64)> = BTreeMap::new();
        for Update { name, change, size } in updates {
            let sum = sums.entry(place(name)).or_default();
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

/// Blocks in their order, then the other parts by the first word of their names.
fn place(name: &str) -> (usize, String) {
    let block = name.split_once(".layers.").filter(|_| name.starts_with("llama_model."));
    let number = block.and_then(|(_, rest)| rest.split('.').next()?.parse::<usize>().ok());
    match number {
        Some(number) => (number, format!("block {number}")),
        None => (usize::MAX, name.split('.').next().unwrap_or(name).to_string()),
    }
}

/// All looks of a run, the oldest first; of lines that cannot be read none.
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
        let told: Vec<_> =
            look.blocks.iter().map(|b| (b.name.as_str(), b.norm, b.update_ratio)).collect();
        let third = (1.0f64 / 9.0).sqrt();
        assert_eq!(
            told,
            [("block 2", 2.0, 0.0), ("block 10", 3.0, third), ("llama_proj", 1.0, 0.5)]
        );
    }
}
