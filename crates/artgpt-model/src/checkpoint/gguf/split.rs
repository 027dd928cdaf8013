//! GGUF models in several files, `NAME-00001-of-00003.gguf` and so on, as `llama-gguf-split` writes them.

use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Value;

use super::header::{self, Header};
use crate::checkpoint::safetensors::map;
use crate::{Error, Result};
use artgpt_kernels::mmap::Mmap;

/// The most parts that a name has room for.
const MAX_PARTS: usize = 99_999;

/// One file and its header.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) map: Mmap,
    pub(super) header: Header,
}

impl Part {
    fn open(path: &Path) -> Result<Self> {
        let map = map(path)?;
        let header = header::read(path, &map)?;
        Ok(Self { path: path.to_path_buf(), map, header })
    }

    /// A number of the metadata about the split.
    fn number(&self, key: &str) -> Option<i64> {
        match self.header.metadata.get(key)? {
            Value::U8(n) => Some((*n).into()),
            Value::U16(n) => Some((*n).into()),
            Value::U32(n) => Some((*n).into()),
            Value::U64(n) => i64::try_from(*n).ok(),
            Value::I16(n) => Some((*n).into()),
            Value::I32(n) => Some((*n).into()),
            Value::I64(n) => Some(*n),
            _ => None,
        }
    }
}

/// The name of a part: what stands before its number, its number (from 1 on) and the number of parts.
fn numbered(path: &Path) -> Option<(&str, usize, usize)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| -> Option<usize> {
        let five = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        five.then(|| text.parse().ok()).flatten()
    };
    let (number, count) = (digits(number)?, digits(count)?);
    (1..=count).contains(&number).then_some((name, number, count))
}

/// The path of a part, whose number counts from 1.
fn part_path(path: &Path, name: &str, number: usize, count: usize) -> PathBuf {
    path.with_file_name(format!("{name}-{number:05}-of-{count:05}.gguf"))
}

/// The name of a model without the number of a part.
pub(crate) fn model_name(path: &Path) -> PathBuf {
    match numbered(path) {
        Some((name, ..)) => path.with_file_name(name),
        None => path.with_extension(""),
    }
}

/// All files of a GGUF model, by the names alone: the file itself, or all parts that are there.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let Some((name, _, count)) = numbered(path) else { return vec![path.to_path_buf()] };
    let parts = (1..=count).map(|number| part_path(path, name, number, count));
    let here: Vec<PathBuf> = parts.filter(|part| part == path || part.is_file()).collect();
    here
}

/// Opens the file at `path`, and if it is one part of a model, all parts in order.
pub(super) fn open(path: &Path) -> Result<Vec<Part>> {
    let given = Part::open(path)?;
    let count = match given.number("split.count") {
        None | Some(0 | 1) => return Ok(vec![given]),
        Some(n) => usize::try_from(n).ok().filter(|n| *n <= MAX_PARTS),
    };
    let Some(count) = count else {
        return Err(Error::corrupt(path, "its split.count cannot be true"));
    };
    let number = given.number("split.no").map(|n| n.saturating_add(1)).unwrap_or_default();
    let Some((name, ..)) = numbered(path).filter(|(_, i, n)| (*i as i64, *n) == (number, count))
    else {
        let end = format!("-{number:05}-of-{count:05}.gguf");
        return Err(Error::Unsupported {
            path: path.display().to_string(),
            what: format!("part {number} of a model in {count} files under this name"),
            hint: format!("give it back its name, which ends in {end}"),
        });
    };
    let mut given = Some(given);
    let mut parts = Vec::new();
    for i in 1..=count {
        let part = match given.take_if(|_| i as i64 == number) {
            Some(part) => part,
            None => another(path, &part_path(path, name, i, count), i, count)?,
        };
        parts.push(part);
    }
    belong_together(&parts)?;
    Ok(parts)
}

/// Part `number` of `count` of the model whose part `path` was named.
fn another(path: &Path, file: &Path, number: usize, count: usize) -> Result<Part> {
    if !file.exists() {
        let shown = |p: &Path| p.display().to_string();
        return Err(Error::Missing { path: shown(file), by: shown(path) });
    }
    let part = Part::open(file)?;
    let found = (part.number("split.no"), part.number("split.count"));
    if found != (Some(number as i64 - 1), Some(count as i64)) {
        let reason = format!("it is not part {number} of {count}, which its name says");
        return Err(Error::corrupt(file, reason));
    }
    Ok(part)
}

/// Checks that the parts are of one model: their tensors are as many as each says, none appears twice,
/// and no part names another model.
fn belong_together(parts: &[Part]) -> Result<()> {
    let all: usize = parts.iter().map(|p| p.header.tensors.len()).sum();
    let first = parts.first().map(|p| &p.header.metadata);
    for part in parts {
        if let Some(n) = part.number("split.tensors.count").filter(|n| *n != all as i64) {
            let reason = format!(
                "it is part of a model of {n} tensors, and all parts here have {all}: they are not of \
                 one model"
            );
            return Err(Error::corrupt(&part.path, reason));
        }
        for key in ["general.architecture", "general.name", "general.uuid"] {
            let (own, wanted) = (text(&part.header, key), first.and_then(|m| m.get(key)));
            let wanted = wanted.and_then(|v| v.to_string().ok());
            if own.is_some() && own != wanted {
                let reason = format!("its metadata `{key}` is not that of the first part");
                return Err(Error::corrupt(&part.path, reason));
            }
        }
    }
    for (i, part) in parts.iter().enumerate() {
        let twice = part
            .header
            .tensors
            .keys()
            .find(|name| parts[..i].iter().any(|p| p.header.tensors.contains_key(*name)));
        if let Some(name) = twice {
            return Err(Error::corrupt(&part.path, format!("an earlier part has {name}, too")));
        }
    }
    Ok(())
}

fn text<'a>(header: &'a Header, key: &str) -> Option<&'a String> {
    header.metadata.get(key)?.to_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_as_llama_cpp_names_them() {
        let path = Path::new("a/b-7B-00002-of-00003.gguf");
        assert_eq!(numbered(path), Some(("b-7B", 2, 3)));
        assert_eq!(part_path(path, "b-7B", 3, 3), Path::new("a/b-7B-00003-of-00003.gguf"));
        assert_eq!(model_name(path), Path::new("a/b-7B"));
        for other in ["b-00004-of-00003.gguf", "b-2-of-3.gguf", "b-00002-of-00003.bin", "b.gguf"] {
            assert_eq!(numbered(Path::new(other)), None, "{other}");
        }
    }
}
