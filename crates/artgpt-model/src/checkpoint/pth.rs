//! PyTorch's `.pth`: the zip layout (since 1.6) and the legacy one (four pickles, a list of storage
//! keys, then each storage as a count and its values).
//!
//! candle's pickle machine parses the pickles into plain data and runs nothing. The reader refuses a file
//! that constructs anything but tensors and containers.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use artgpt_base::foreign::{self, Foreign};
use artgpt_kernels::mmap::Mmap;
use candle_core::pickle::Object;
use candle_core::{DType, Device, Tensor};

use super::pickle::{MAX_DEPTH, parse};
use super::safetensors::map;
use super::tensors::{TensorFile, TensorInfo};
use crate::{Error, Result};

/// A memory-mapped file of tensors. Of a training checkpoint (`{model, optimizer, …}`) it contains only
/// the model.
pub(crate) struct PthFile {
    path: PathBuf,
    map: Mmap,
    entries: BTreeMap<String, Entry>,
    storages: HashMap<String, Range<usize>>,
}

impl PthFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let map = map(path)?;
        let (root, storages) = match foreign::recognise(&map) {
            Some(Foreign::Container("a zip archive")) => read_zip(path, &map)?,
            // Protocol 1 and older have no first byte of their own.
            Some(Foreign::Pickle) | None => read_legacy(path, &map)?,
            Some(found) => return Err(Error::Foreign { path: path.display().to_string(), found }),
        };
        let model = model_part(root);
        let mut found = Vec::new();
        collect(model, String::new(), MAX_DEPTH, &mut found);
        if found.is_empty() {
            return Err(Error::corrupt(path, "it holds no dictionary of tensors"));
        }
        let file =
            Self { path: path.to_path_buf(), map, entries: found.into_iter().collect(), storages };
        for (name, entry) in &file.entries {
            if file.storage(entry).is_none_or(|data| !entry.fits(data.len())) {
                return Err(Error::corrupt(path, format!("{name} lies outside its storage")));
            }
        }
        Ok(file)
    }

    fn info(&self, e: &Entry) -> TensorInfo {
        let (dtype, type_name) = (e.element.dtype(), e.element.name());
        TensorInfo { shape: e.shape.clone(), dtype, type_name, stored: None }
    }

    fn storage(&self, entry: &Entry) -> Option<&[u8]> {
        self.map.get(self.storages.get(&entry.storage)?.clone())
    }
}

impl TensorFile for PthFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn infos(&self) -> BTreeMap<String, TensorInfo> {
        self.entries.iter().map(|(name, e)| (name.clone(), self.info(e))).collect()
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let entry = self.entries.get(name).and_then(|e| Some((e, self.storage(e)?)));
        let Some((entry, data)) = entry else {
            return Err(Error::corrupt(&self.path, format!("the key {name} is missing")));
        };
        let dtype = self.info(entry).weight_type(&self.path, name)?;
        Ok(Tensor::from_raw_buffer(&entry.gather(data), dtype, &entry.shape, &Device::Cpu)?)
    }
}

type Parsed = (Object, HashMap<String, Range<usize>>);

/// `NAME/data.pkl` and `NAME/data/KEY`, none of them compressed.
fn read_zip(path: &Path, map: &Mmap) -> Result<Parsed> {
    let bad = |e: &dyn std::fmt::Display| Error::corrupt(path, e);
    let mut archive = zip::ZipArchive::new(Cursor::new(&map[..])).map_err(|e| bad(&e))?;
    let mut storages = HashMap::new();
    let mut root = None;
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(|e| bad(&e))?;
        let name = entry.name().map_err(|e| bad(&e))?.into_owned();
        let start = entry.data_start().ok_or_else(|| bad(&"a member has no data"))? as usize;
        let range = start..start.saturating_add(entry.size() as usize);
        if entry.compression() != zip::CompressionMethod::Stored || map.get(range.clone()).is_none()
        {
            return Err(bad(&format!("its member {name} is compressed or cut")));
        }
        if name.ends_with("/data.pkl") {
            root = Some(parse(path, &mut Cursor::new(&map[range]))?);
        } else if let Some((_, key)) = name.rsplit_once("/data/") {
            storages.insert(key.to_string(), range);
        }
    }
    // An archive of anything else than tensors.
    let root = root.ok_or_else(|| Error::Unsupported {
        path: path.display().to_string(),
        what: "a zip archive that PyTorch did not write (it has no data.pkl)".into(),
        hint: "unpack it and name the files inside".into(),
    })?;
    Ok((root, storages))
}

fn read_legacy(path: &Path, map: &Mmap) -> Result<Parsed> {
    let mut reader = Cursor::new(&map[..]);
    let mut objects = Vec::new();
    for _ in 0..5 {
        objects.push(parse(path, &mut reader)?);
    }
    let keys = objects.pop();
    let root = objects.pop();
    let (Some(root), Some(keys)) = (root, keys.and_then(list)) else {
        return Err(Error::corrupt(path, "it holds no list of storages"));
    };
    // This includes optimizer states, whose storages lie between those of the model.
    let mut widths = HashMap::new();
    storage_widths(&root, MAX_DEPTH, &mut widths);
    let mut at = reader.position() as usize;
    let mut storages = HashMap::new();
    for key in keys {
        let key = key.unicode().map_err(|_| Error::corrupt(path, "a storage key is no text"))?;
        let mut count = [0u8; 8];
        map.get(at..)
            .and_then(|mut rest| rest.read_exact(&mut count).ok())
            .ok_or_else(|| Error::corrupt(path, "it is cut short"))?;
        at += count.len();
        let bytes = usize::try_from(u64::from_le_bytes(count))
            .ok()
            .and_then(|n| n.checked_mul(widths.get(&key).copied().unwrap_or(4)))
            .filter(|n| map.len() - at >= *n)
            .ok_or_else(|| Error::corrupt(path, format!("storage {key} is cut short")))?;
        storages.insert(key, at..at + bytes);
        at += bytes;
    }
    Ok((root, storages))
}

/// The dictionary of the model in a training checkpoint, else everything.
fn model_part(root: Object) -> Object {
    let Some(entries) = dict(root.clone()) else { return root };
    for key in ["model", "state_dict"] {
        for (name, value) in &entries {
            let named = matches!(name, Object::Unicode(n) if n == key);
            if named && dict(value.clone()).is_some() {
                return value.clone();
            }
        }
    }
    root
}

/// All tensors in nested dictionaries, names joined with dots.
fn collect(object: Object, prefix: String, depth: usize, out: &mut Vec<(String, Entry)>) {
    let (Some(entries), Some(depth)) = (dict(object), depth.checked_sub(1)) else { return };
    for (name, value) in entries {
        let Ok(name) = name.unicode() else { continue };
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match Entry::parse(value.clone()) {
            Some(entry) => out.push((name, entry)),
            None => collect(value, name, depth, out),
        }
    }
}

/// Bytes of an element, by storage key.
fn storage_widths(object: &Object, depth: usize, out: &mut HashMap<String, usize>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let mut inside = |o: &Object| storage_widths(o, depth, out);
    match object {
        Object::List(items) | Object::Tuple(items) => items.iter().for_each(inside),
        Object::Dict(items) => items.iter().for_each(|(k, v)| {
            inside(k);
            inside(v);
        }),
        Object::Reduce { callable, args } | Object::Build { callable, args } => {
            inside(callable);
            inside(args);
        }
        Object::PersistentLoad(id) => {
            if let Some((key, element)) = storage_id(id.as_ref().clone()) {
                out.insert(key, element.bytes());
            }
        }
        _ => {}
    }
}

/// `('storage', type, key, device, count, …)`
fn storage_id(id: Object) -> Option<(String, ElementType)> {
    let mut parts = id.tuple().ok()?.into_iter();
    let _ = parts.next()?;
    let element = ElementType::of(&parts.next()?.class().ok()?.1);
    Some((parts.next()?.unicode().ok()?, element))
}

/// The element type of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ElementType {
    Float(DType),
    /// Indices and masks, of this size in bytes; the reader skips their values.
    Other(usize),
}

impl ElementType {
    fn of(class: &str) -> Self {
        match class {
            "FloatStorage" => Self::Float(DType::F32),
            "HalfStorage" => Self::Float(DType::F16),
            "BFloat16Storage" => Self::Float(DType::BF16),
            "DoubleStorage" => Self::Float(DType::F64),
            "LongStorage" | "ComplexFloatStorage" => Self::Other(8),
            "ComplexDoubleStorage" => Self::Other(16),
            "IntStorage" => Self::Other(4),
            "ShortStorage" => Self::Other(2),
            _ => Self::Other(1),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Float(d) => d.size_in_bytes(),
            Self::Other(n) => n,
        }
    }

    /// The name of its type.
    fn name(self) -> String {
        match self {
            Self::Float(d) => format!("{d:?}"),
            Self::Other(n) => format!("of {n} bytes that is no float"),
        }
    }

    fn dtype(self) -> Option<DType> {
        match self {
            Self::Float(d) => Some(d),
            Self::Other(_) => None,
        }
    }
}

/// One tensor as the pickle describes it. Offset and strides count elements.
#[derive(Debug, Clone)]
struct Entry {
    storage: String,
    element: ElementType,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

impl Entry {
    /// `_rebuild_tensor_v2(storage, offset, shape, stride, …)`, or a parameter around it.
    fn parse(value: Object) -> Option<Self> {
        let (callable, args) = value.reduce().ok()?;
        let mut args = args.tuple().ok()?.into_iter();
        match callable.class().ok()?.1.as_str() {
            "_rebuild_tensor_v2" => {}
            "_rebuild_parameter" => return Self::parse(args.next()?),
            _ => return None,
        }
        let (storage, element) = storage_id(args.next()?.persistent_load().ok()?)?;
        let offset = usize::try_from(args.next()?).ok()?;
        let shape = Vec::<usize>::try_from(args.next()?).ok()?;
        let stride = Vec::<usize>::try_from(args.next()?).ok()?;
        (shape.len() == stride.len()).then_some(Self { storage, element, offset, shape, stride })
    }

    /// Whether every element is inside a storage of `bytes`.
    fn fits(&self, bytes: usize) -> bool {
        if self.shape.contains(&0) {
            return self.offset.checked_mul(self.element.bytes()).is_some_and(|at| at <= bytes);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(self.offset, |at, (n, s)| at.checked_add((n - 1).checked_mul(*s)?));
        let count = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let width = self.element.bytes();
        // A broadcast view (stride 0) could still claim any number of elements.
        count.and_then(|n| n.checked_mul(width)).is_some_and(|n| n <= bytes.max(width))
            && last
                .and_then(|at| at.checked_add(1)?.checked_mul(width))
                .is_some_and(|end| end <= bytes)
    }

    /// The elements in row-major order. [`Self::fits`] must hold.
    fn gather(&self, data: &[u8]) -> Vec<u8> {
        let width = self.element.bytes();
        let count: usize = self.shape.iter().product();
        if self.is_contiguous() {
            return data[self.offset * width..][..count * width].to_vec();
        }
        let mut out = Vec::with_capacity(count * width);
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..count {
            let at =
                index.iter().zip(&self.stride).map(|(i, s)| i * s).sum::<usize>() + self.offset;
            out.extend_from_slice(&data[at * width..][..width]);
            for (i, size) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
        out
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (size, stride) in self.shape.iter().zip(&self.stride).rev() {
            if *size != 1 && *stride != expected {
                return false;
            }
            expected *= size;
        }
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Damage to the pickle and to the directory of the archive.
    #[test]
    fn no_damage_to_a_checkpoint_panics() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/checkpoints");
        let bytes = std::fs::read(folder.join("originals/ArtGPT-4.pth")).expect("reads");
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("m.pth");
        let (step, end) = (bytes.len() / 400, bytes.len() - 8);
        let places = (0..2000.min(end)).step_by(7);
        let places =
            places.chain((0..end).step_by(step.max(1))).chain(end.saturating_sub(900)..end);
        for at in places {
            let mut damaged = bytes.clone();
            damaged[at..at + 8].fill(0xff);
            std::fs::write(&path, damaged).expect("writes");
            if let Err(e) = PthFile::open(&path) {
                assert!(e.to_string().contains("m.pth"), "{at}: {e}");
            }
        }
    }
}
