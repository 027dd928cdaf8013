//! From the grid's values to boxes.

use super::names::NAMES;
use super::network::{ANCHORS, VALUES};
use artgpt_art::Found;

/// The least score. Lower ones find more figures in paintings, and more that are none.
const SCORE: f32 = 0.3;
/// Two boxes of a class that overlap more, as a share of their union, are one thing.
const OVERLAP: f32 = 0.45;

/// The boxes above the score, as shares of the square. `values` are those of anchor, value, row, column.
pub(super) fn decode(values: &[f32], grid: usize) -> Vec<Found> {
    let cells = grid * grid;
    let mut out = Vec::new();
    for (anchor, values) in ANCHORS.iter().zip(values.chunks_exact(VALUES * cells)) {
        for cell in 0..cells {
            let value = |i: usize| values[i * cells + cell];
            let sure = sigmoid(value(4));
            // The share of a class is at most 1.
            if sure <= SCORE {
                continue;
            }
            let classes: Vec<f32> = (5..VALUES).map(value).collect();
            let Some((class, share)) = likeliest(&classes) else { continue };
            if sure * share <= SCORE {
                continue;
            }
            let side = grid as f32;
            let middle = |v: f32, at: usize| (sigmoid(v) + at as f32) / side;
            let (x, y) = (middle(value(0), cell % grid), middle(value(1), cell / grid));
            let (w, h) = (value(2).exp() * anchor.0 / side, value(3).exp() * anchor.1 / side);
            out.push(Found {
                name: NAMES[class].into(),
                score: sure * share,
                edges: Some([x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]),
            });
        }
    }
    out
}

/// The surest of each thing, the surest first.
pub(super) fn without_doubles(mut all: Vec<Found>) -> Vec<Found> {
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Found> = Vec::new();
    for found in all {
        let same = |k: &Found| k.name == found.name && overlap(k, &found) > OVERLAP;
        if !kept.iter().any(same) {
            kept.push(found);
        }
    }
    kept
}

/// The index of the largest logit, and its share after a softmax.
fn likeliest(logits: &[f32]) -> Option<(usize, f32)> {
    let (at, largest) = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let sum: f32 = logits.iter().map(|v| (v - largest).exp()).sum();
    Some((at, 1.0 / sum))
}

/// The overlap of two boxes as a share of their union.
fn overlap(a: &Found, b: &Found) -> f32 {
    let (Some(a), Some(b)) = (a.edges, b.edges) else { return 0.0 };
    let area = |e: &[f32; 4]| (e[2] - e[0]).max(0.0) * (e[3] - e[1]).max(0.0);
    let both = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    let shared = area(&both);
    let union = area(&a) + area(&b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}
