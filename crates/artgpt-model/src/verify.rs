//! Checks the numbers in a model's files for plausibility.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::checkpoint::{GgufFile, Tensors};
use super::inspect::{DETECTOR, Inspection};
use super::manifest::Model;
use super::{Error, Result};

/// The mean absolute weight of a norm in a working model.
const NORM: std::ops::RangeInclusive<f64> = 1e-4..=1e3;

/// Reads all tensors and reports the first implausible one: a number that is not finite, a frozen matrix
/// of zeros, or a norm far from 1. The sentence names file, tensor and problem.
///
/// # Errors
/// A file cannot be read or is damaged.
pub fn first_damaged(weights: &Inspection, model: &Model) -> Result<Option<String>> {
    for part in &weights.parts {
        // A fresh LoRA has zeros.
        let frozen = ["language model", "vision encoder"].contains(&part.name);
        let check = |file: &Path, name: &str, tensor: &Tensor| -> Result<Option<String>> {
            let problem = problem(name, tensor, frozen)?;
            Ok(problem.map(|what| format!("{}: {name} {what}", file.display())))
        };
        let found = if part.path.extension().is_some_and(|e| e == "gguf") {
            let file = GgufFile::open(&part.path)?;
            first(file.names(), |name| check(file.file_of(name), name, &file.values(name)?))?
        } else if part.name == DETECTOR || (!part.path.exists() && model.dir.exists()) {
            None // the inspection has read all its numbers; or it is inside the program
        } else {
            let all = Tensors::open(&part.path)?;
            let named = |name: &&str| all.info(name).is_some_and(|i| i.dtype.is_some());
            first(all.names().filter(named), |name| {
                check(all.file_of(name), name, &all.read(name)?)
            })?
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn first<'a>(
    names: impl Iterator<Item = &'a str>,
    mut check: impl FnMut(&str) -> Result<Option<String>>,
) -> Result<Option<String>> {
    for name in names {
        let found = check(name)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn problem(name: &str, tensor: &Tensor, frozen: bool) -> Result<Option<String>> {
    let sum = |t: &Tensor| -> candle_core::Result<f64> {
        t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar()
    };
    let total = sum(tensor).map_err(Error::from)?;
    let mean = total / tensor.elem_count().max(1) as f64;
    let norm = tensor.rank() == 1 && name.contains("norm") && name.ends_with("weight");
    Ok(if !total.is_finite() {
        Some("holds numbers that are not finite".into())
    } else if frozen && tensor.rank() > 1 && total == 0.0 {
        Some("holds nothing but zeros".into())
    } else if norm && !NORM.contains(&mean) {
        Some(format!("is {mean:.1e} on average, and norms are near 1"))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_tensors_are_reported() {
        let tensor = |values: &[f32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).expect("a tensor")
        };
        let told = |name: &str, t: &Tensor, frozen: bool| problem(name, t, frozen).expect("sums");
        let matrix = tensor(&[0.1, -0.2, 0.0, 0.3], &[2, 2]);
        assert_eq!(told("q_proj.weight", &matrix, true), None);
        let broken = tensor(&[0.1, f32::NAN, 0.0, 0.3], &[2, 2]);
        assert!(told("q_proj.weight", &broken, true).expect("told").contains("finite"));
        let zeros = tensor(&[0.0; 4], &[2, 2]);
        assert!(told("q_proj.weight", &zeros, true).expect("told").contains("zeros"));
        assert_eq!(told("lora_B.weight", &zeros, false), None);
        assert_eq!(told("input_layernorm.weight", &tensor(&[1.0, 0.9], &[2]), true), None);
        let wild = tensor(&[1e6, 1e6], &[2]);
        assert!(told("input_layernorm.weight", &wild, true).expect("told").contains("norms"));
    }
}
