//! The legacy `.pth` layout of PyTorch (before 1.6): four pickles, a list of storage keys, then
//! each storage as a count and its values. candle's reader knows only the later zip layout.
//!
//! The pickles are parsed into plain data by candle's pickle machine, which runs nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use candle_core::pickle::{Object, Stack};
use candle_core::{Device, Tensor};

use crate::model::{Error, Result};

/// Dense f32 tensors by name. Strides that are not contiguous are followed.
pub fn read_legacy_pth(path: &Path) -> Result<HashMap<String, Tensor>> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut reader = BufReader::new(file);
    let mut pickle = || -> Result<Object> {
        let mut stack = Stack::empty();
        stack.read_loop(&mut reader).map_err(|e| Error::corrupt(path, e))?;
        stack.finalize().map_err(|e| Error::corrupt(path, e))
    };
    let _magic = pickle()?;
    let _protocol = pickle()?;
    let _system = pickle()?;
    let state = pickle()?;
    let keys = pickle()?;

    let entries: Vec<Entry> = dict(state)
        .ok_or_else(|| Error::corrupt(path, "it holds no dictionary of tensors"))?
        .into_iter()
        .filter_map(|(name, value)| Entry::parse(name, value))
        .collect();
    let mut storages = HashMap::new();
    for key in list(keys).ok_or_else(|| Error::corrupt(path, "it holds no list of storages"))? {
        let key = key.unicode().map_err(|_| Error::corrupt(path, "a storage key is no text"))?;
        let width = entries.iter().find(|e| e.storage == key).map_or(4, |e| e.element_bytes);
        let mut count = [0u8; 8];
        reader.read_exact(&mut count).map_err(io)?;
        let bytes = u64::from_le_bytes(count).saturating_mul(width);
        // Checked against the file before memory is taken.
        if bytes > size {
            return Err(Error::corrupt(path, format!("storage {key} claims {bytes} bytes")));
        }
        let mut data = vec![0u8; bytes as usize];
        reader.read_exact(&mut data).map_err(io)?;
        storages.insert(key, data);
    }
    let mut tensors = HashMap::new();
    for entry in entries.into_iter().filter(|e| e.float) {
        let data = storages.get(&entry.storage).map_or(&[][..], Vec::as_slice);
        let tensor = entry.read(data)?.ok_or_else(|| {
            Error::corrupt(path, format!("{} lies outside its storage", entry.name))
        })?;
        tensors.insert(entry.name, tensor);
    }
    Ok(tensors)
}

/// One tensor as the pickle describes it.
struct Entry {
    name: String,
    storage: String,
    float: bool,
    element_bytes: u64,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

impl Entry {
    /// `_rebuild_tensor_v2(('storage', type, key, device, count, view), offset, shape, stride, …)`
    fn parse(name: Object, value: Object) -> Option<Self> {
        let name = name.unicode().ok()?;
        let (callable, args) = value.reduce().ok()?;
        if callable.class().ok()?.1 != "_rebuild_tensor_v2" {
            return None;
        }
        let mut args = args.tuple().ok()?.into_iter();
        let mut storage = args.next()?.persistent_load().ok()?.tuple().ok()?.into_iter();
        let _ = storage.next()?;
        let kind = storage.next()?.class().ok()?.1;
        let storage = storage.next()?.unicode().ok()?;
        let offset = usize::try_from(args.next()?).ok()?;
        let shape = Vec::<usize>::try_from(args.next()?).ok()?;
        let stride = Vec::<usize>::try_from(args.next()?).ok()?;
        let element_bytes = match kind.as_str() {
            "FloatStorage" | "IntStorage" => 4,
            "LongStorage" | "DoubleStorage" => 8,
            "HalfStorage" | "BFloat16Storage" => 2,
            _ => 1,
        };
        (shape.len() == stride.len()).then_some(Self {
            name,
            storage,
            float: kind == "FloatStorage",
            element_bytes,
            offset,
            shape,
            stride,
        })
    }

    fn read(&self, data: &[u8]) -> Result<Option<Tensor>> {
        let Some(count) = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) else {
            return Ok(None);
        };
        if count > data.len() / 4 {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..count {
            let at = index
                .iter()
                .zip(&self.stride)
                .try_fold(self.offset, |at, (i, s)| at.checked_add(i.checked_mul(*s)?))
                .and_then(|at| at.checked_mul(4));
            let bytes: Option<[u8; 4]> =
                at.and_then(|at| data.get(at..at.checked_add(4)?)).and_then(|b| b.try_into().ok());
            let Some(bytes) = bytes else { return Ok(None) };
            values.push(f32::from_le_bytes(bytes));
            for (i, size) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
        Ok(Some(Tensor::from_vec(values, self.shape.clone(), &Device::Cpu)?))
    }
}

fn dict(object: Object) -> Option<Vec<(Object, Object)>> {
    match object {
        Object::Dict(entries) => Some(entries),
        // A state dict carries attributes: BUILD around the dictionary.
        Object::Build { callable, .. } => dict(*callable),
        _ => None,
    }
}

fn list(object: Object) -> Option<Vec<Object>> {
    match object {
        Object::List(items) | Object::Tuple(items) => Some(items),
        _ => None,
    }
}
