//! The header of a GGUF file: metadata and the entries of tensors. Every length, count and offset in it is
//! checked against the file before it is used, and an error names its field.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use artgpt_base::text::printable;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use super::types::{self, ValueType};
use crate::{Error, Result};

/// Upper bounds of what real files hold. A value takes 32 bytes in memory, whatever it takes in the file.
const MAX_ENTRIES: usize = 1 << 17;
const MAX_ELEMENTS: usize = 1 << 23;
const MAX_KEY: u64 = 1 << 16;
const MAX_NAME: u64 = 1 << 10;
const MAX_NESTING: usize = 4;
/// GGML's maximum of dimensions.
const MAX_DIMS: u32 = 4;

/// Where the data of tensors begins a multiple of this, if the file names no other.
const ALIGNMENT: usize = 32;

/// The header of one file.
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, Entry>,
}

/// A tensor's entry; its data lies within the file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) dtype: GgmlDType,
    /// Outermost dimension first.
    pub(super) shape: Vec<usize>,
    /// Its bytes in the file.
    pub(super) range: Range<usize>,
}

/// Reads the header of the file at `path`, whose bytes are `bytes`.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Header> {
    let mut reader = Reader { path, bytes, at: 0, elements: 0 };
    reader.version()?;
    // Each entry takes at least these bytes, so that a count is checked before it is used.
    let tensors = reader.count("its number of", "tensors", 24)?;
    let entries = reader.count("its number of", "metadata entries", 13)?;
    if tensors > MAX_ENTRIES || entries > MAX_ENTRIES {
        let reason = format!("{tensors} tensors and {entries} metadata entries cannot be true");
        return Err(reader.corrupt(reason));
    }
    let metadata = reader.metadata(entries)?;
    let infos = reader.infos(tensors)?;
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT,
        Some(Value::U32(n)) if n.is_power_of_two() => *n as usize,
        Some(_) => return Err(reader.corrupt("general.alignment is no power of two")),
    };
    let start = reader.at.checked_next_multiple_of(alignment);
    let start = start.ok_or_else(|| reader.corrupt("general.alignment is beyond the file"))?;
    let mut tensors = BTreeMap::new();
    for info in infos {
        let name = info.name.clone();
        let entry = reader.entry(info, start)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(reader.corrupt(format!("the tensor {name} appears twice")));
        }
    }
    Ok(Header { metadata, tensors })
}

/// What the header says of a tensor.
struct Info {
    name: String,
    dims: Vec<u64>,
    dtype: u32,
    offset: u64,
}

struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    /// Values in all arrays read so far.
    elements: usize,
}

impl<'a> Reader<'a> {
    fn corrupt(&self, reason: impl Display) -> Error {
        Error::corrupt(self.path, reason)
    }

    fn unsupported(&self, what: String, hint: &str) -> Error {
        Error::Unsupported { path: self.path.display().to_string(), what, hint: hint.into() }
    }

    fn take(&mut self, n: usize, field: &str) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n);
        let Some(part) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(self.corrupt(format!("it ends inside {field}")));
        };
        self.at += n;
        Ok(part)
    }

    fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, field)?);
        Ok(out)
    }

    fn u32(&mut self, field: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    fn u64(&mut self, field: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// A count of things that take at least `least` bytes each in the rest of the file.
    fn count(&mut self, what: &str, field: &str, least: usize) -> Result<usize> {
        let n = self.u64(field)?;
        let rest = (self.bytes.len() - self.at) / least;
        match usize::try_from(n) {
            Ok(n) if n <= rest => Ok(n),
            _ => {
                let bytes = self.bytes.len();
                let reason =
                    format!("{what} {field}, {n}, is more than a file of {bytes} bytes holds");
                Err(self.corrupt(reason))
            }
        }
    }

    fn string(&mut self, field: &str, limit: u64) -> Result<String> {
        let n = self.count("the length of", field, 1)?;
        if n as u64 > limit {
            let reason = format!("the length of {field}, {n}, is above the limit of {limit}");
            return Err(self.corrupt(reason));
        }
        let mut text = self.take(n, field)?;
        // Some writers end strings with zeros.
        while let [rest @ .., 0] = text {
            text = rest;
        }
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn version(&mut self) -> Result<()> {
        const HINT: &str = "convert the model again with a current llama.cpp";
        if !self.bytes.starts_with(b"GGUF") {
            let head = &self.bytes[..self.bytes.len().min(artgpt_base::foreign::HEAD)];
            return Err(Error::unreadable(self.path, head, "it does not begin with GGUF"));
        }
        self.at = 4;
        match self.u32("the version")? {
            2 | 3 => Ok(()),
            // A small number with its bytes turned round.
            n if n & 0xffff == 0 && n != 0 => {
                let hint = "convert it with `gguf-convert-endian` of the Python package gguf";
                Err(self.unsupported("a big-endian GGUF file".into(), hint))
            }
            n => Err(self.unsupported(format!("version {n} of GGUF"), HINT)),
        }
    }

    fn metadata(&mut self, entries: usize) -> Result<BTreeMap<String, Value>> {
        let mut metadata = BTreeMap::new();
        for i in 0..entries {
            let key = self.string(&format!("the name of metadata entry {i}"), MAX_KEY)?;
            let field = format!("metadata `{key}`");
            let kind = self.value_type(&field)?;
            let value = self.value(kind, &field, 0)?;
            if metadata.insert(key, value).is_some() {
                return Err(self.corrupt(format!("{field} appears twice")));
            }
        }
        Ok(metadata)
    }

    fn value_type(&mut self, field: &str) -> Result<ValueType> {
        let id = self.u32(&format!("the type of {field}"))?;
        ValueType::of(id).ok_or_else(|| self.corrupt(format!("{field} has the unknown type {id}")))
    }

    fn value(&mut self, kind: ValueType, field: &str, depth: usize) -> Result<Value> {
        Ok(match kind {
            ValueType::U8 => Value::U8(u8::from_le_bytes(self.array(field)?)),
            ValueType::I8 => Value::I8(i8::from_le_bytes(self.array(field)?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(self.array(field)?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(self.array(field)?)),
            ValueType::U32 => Value::U32(self.u32(field)?),
            ValueType::I32 => Value::I32(i32::from_le_bytes(self.array(field)?)),
            ValueType::U64 => Value::U64(self.u64(field)?),
            ValueType::I64 => Value::I64(i64::from_le_bytes(self.array(field)?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(self.array(field)?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(self.array(field)?)),
            ValueType::Bool => Value::Bool(self.array::<1>(field)? != [0]),
            ValueType::String => Value::String(self.string(field, u64::MAX)?),
            ValueType::Array => {
                if depth == MAX_NESTING {
                    return Err(self.corrupt(format!("{field} is nested too deeply")));
                }
                let kind = self.value_type(field)?;
                let count = self.count("the number of elements of", field, kind.least())?;
                self.elements = self.elements.saturating_add(count);
                if self.elements > MAX_ELEMENTS {
                    let reason = format!(
                        "{field} has {count} elements, {MAX_ELEMENTS} are the limit of all"
                    );
                    return Err(self.corrupt(reason));
                }
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    values.push(self.value(kind, field, depth + 1)?);
                }
                Value::Array(values)
            }
        })
    }

    fn infos(&mut self, tensors: usize) -> Result<Vec<Info>> {
        let mut infos = Vec::new();
        for i in 0..tensors {
            let name = self.string(&format!("the name of tensor {i}"), MAX_NAME)?;
            let field = format!("the entry of {name}");
            let rank = self.u32(&field)?;
            if rank > MAX_DIMS {
                let reason = format!("{name} has {rank} dimensions; {MAX_DIMS} are the limit");
                return Err(self.corrupt(reason));
            }
            let dims = (0..rank).map(|_| self.u64(&field)).collect::<Result<Vec<u64>>>()?;
            let (dtype, offset) = (self.u32(&field)?, self.u64(&field)?);
            infos.push(Info { name, dims, dtype, offset });
        }
        Ok(infos)
    }

    /// The checked entry of a tensor; the data of all begins at `start`.
    fn entry(&self, info: Info, start: usize) -> Result<Entry> {
        let name = printable(&info.name);
        let dtype = types::weight(info.dtype).map_err(|unread| {
            let what = format!("the type {unread} of {name}");
            self.unsupported(what, "use the model in Q4_K_M, Q8_0, F16 or another common type")
        })?;
        let innermost = info.dims.first().copied().unwrap_or(1);
        let block = dtype.block_size() as u64;
        let shape = info.dims.iter().rev().map(|d| usize::try_from(*d).ok());
        let shape: Option<Vec<usize>> = shape.collect();
        let values = info.dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        let bytes = values
            .and_then(|n| (n / block).checked_mul(dtype.type_size() as u64))
            .and_then(|n| usize::try_from(n).ok());
        let (Some(shape), Some(bytes)) = (shape, bytes) else {
            let reason = format!("the shape {:?} of {name} is too large", info.dims);
            return Err(self.corrupt(reason));
        };
        if !innermost.is_multiple_of(block) {
            let reason = format!("{name} is {innermost} wide, and {dtype:?} has blocks of {block}");
            return Err(self.corrupt(reason));
        }
        let from = usize::try_from(info.offset).ok().and_then(|offset| start.checked_add(offset));
        let range = from.and_then(|from| Some(from..from.checked_add(bytes)?));
        let Some(range) = range.filter(|r| r.end <= self.bytes.len()) else {
            let reason = format!(
                "{name} lies beyond the end of the file: {bytes} bytes from {} on, and the file has {}; \
                 an incomplete download ends like this",
                info.offset as u128 + start as u128,
                self.bytes.len()
            );
            return Err(self.corrupt(reason));
        };
        // The program reads blocks in place.
        if !range.start.is_multiple_of(4) {
            return Err(self.corrupt(format!("{name} does not lie at a multiple of 4")));
        }
        Ok(Entry { dtype, shape, range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/gguf");
        std::fs::read(data.join("llama-bpe.gguf")).expect("reads")
    }

    fn told(bytes: &[u8]) -> String {
        let error = read(Path::new("m.gguf"), bytes).err().expect("is damaged").to_string();
        assert!(error.contains("m.gguf"), "{error}");
        error
    }

    #[test]
    fn counts_and_lengths_beyond_the_file_are_named() {
        let bytes = sample();
        let with = |at: usize, value: u64| {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            told(&bytes)
        };
        for value in [u64::MAX, 1 << 63, 1 << 32, 23_000] {
            assert!(with(8, value).contains("its number of tensors"));
            assert!(with(16, value).contains("its number of metadata entries"));
            assert!(with(24, value).contains("the length of the name of metadata entry 0"));
        }
        let after = |name: &[u8]| {
            bytes.windows(name.len()).position(|w| w == name).expect("is there") + name.len()
        };
        // An array's type, the type of its elements, their number, the length of the first.
        let tokens = after(b"tokenizer.ggml.tokens") + 8;
        let number = with(tokens, u64::MAX);
        assert!(
            number.contains("number of elements of metadata `tokenizer.ggml.tokens`"),
            "{number}"
        );
        let length = with(tokens + 8, u64::MAX);
        assert!(length.contains("the length of metadata `tokenizer.ggml.tokens`"), "{length}");
        // A tensor's rank, its two dimensions, type and offset.
        let tensor = after(b"blk.0.attn_q.weight");
        assert!(with(tensor + 4, u64::MAX).contains("the shape"));
        assert!(with(tensor + 24, u64::MAX).contains("beyond the end of the file"));
        assert!(with(tensor + 24, 2).contains("multiple of 4"));
    }

    #[test]
    fn no_damage_to_a_header_panics() {
        let bytes = sample();
        let header = read(Path::new("m.gguf"), &bytes).expect("is intact");
        let end = header.tensors.values().map(|t| t.range.start).min().expect("has tensors");
        let mut refused = 0;
        for at in (0..end - 8).step_by(5) {
            for value in [u64::MAX, 1 << 40, 0] {
                let mut bytes = bytes.clone();
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
                refused += usize::from(read(Path::new("m.gguf"), &bytes).is_err());
            }
            // A file that ends here.
            assert!(read(Path::new("m.gguf"), &bytes[..at]).is_err(), "{at}");
        }
        assert!(refused > end / 10, "{refused}");
    }
}
