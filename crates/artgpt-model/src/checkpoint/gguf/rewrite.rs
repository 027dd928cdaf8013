//! Writes a GGUF model anew: with other types, or in one file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor};
use rayon::prelude::*;

use super::GgufFile;
use crate::{Error, Result};

/// Rewrites the Q4_1 tensors of a GGUF file as Q8_0, for which candle has fast CPU kernels. `progress`
/// gets the fraction done.
///
/// Every Q4_1 value is one of 16 in its block, so 8 bits lose little (the largest error is half
/// of 1/127 of the block's largest value).
///
/// # Errors
/// The source cannot be read or is damaged, or the target cannot be written.
pub fn requantise(source: &Path, target: &Path, mut progress: impl FnMut(f32)) -> Result<()> {
    let file = GgufFile::open(source)?;
    let raw = in_order(&file)?;
    let done = AtomicUsize::new(0);
    // The caller's progress is not Sync; chunks keep it moving.
    let mut tensors = Vec::with_capacity(raw.len());
    for chunk in raw.chunks(16) {
        let part = chunk
            .par_iter()
            .map(|(_, q)| {
                done.fetch_add(1, Ordering::Relaxed);
                match q.dtype() {
                    GgmlDType::Q4_1 => {
                        QTensor::quantize(&q.dequantize(&Device::Cpu)?, GgmlDType::Q8_0).map(Some)
                    }
                    _ => Ok(None),
                }
            })
            .collect::<candle_core::Result<Vec<_>>>()?;
        tensors.extend(part);
        progress(done.load(Ordering::Relaxed) as f32 / raw.len() as f32);
    }
    let named: Vec<_> = raw
        .iter()
        .zip(&tensors)
        .map(|((name, old), new)| (*name, new.as_ref().unwrap_or(old)))
        .collect();
    write(&file, &named, target)
}

/// Writes a model, which may lie in several files, as the one file `target`.
pub(crate) fn join(source: &Path, target: &Path) -> Result<()> {
    let file = GgufFile::open(source)?;
    let tensors = in_order(&file)?;
    let named: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    write(&file, &named, target)
}

/// All tensors in the order of the files.
fn in_order(file: &GgufFile) -> Result<Vec<(&str, QTensor)>> {
    let mut names: Vec<_> =
        file.tensors.iter().map(|(name, (part, e))| (*part, e.range.start, name)).collect();
    names.sort_unstable();
    let read = |(_, _, name): &(usize, usize, &'_ String)| file.tensor(name, &Device::Cpu);
    names.iter().map(|at| Ok((at.2.as_str(), read(at)?))).collect()
}

fn write(file: &GgufFile, tensors: &[(&str, &QTensor)], target: &Path) -> Result<()> {
    let first = file.parts.first().map(|p| &p.header.metadata);
    let metadata: Vec<_> = first
        .into_iter()
        .flatten()
        .filter(|(key, _)| !key.starts_with("split."))
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let io = |source| Error::Io { path: target.display().to_string(), source };
    let mut out = BufWriter::new(File::create(target).map_err(io)?);
    candle_core::quantized::gguf_file::write(&mut out, &metadata, tensors)?;
    out.flush().map_err(io)?;
    out.get_ref().sync_all().map_err(io)
}
