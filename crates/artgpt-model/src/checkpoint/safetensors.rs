//! Safetensors files, and the shards of a Hugging Face folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use artgpt_base::foreign::Foreign;
use artgpt_kernels::mmap::{self, Mmap, forget};
use candle_core::{DType, Device, Tensor};
use safetensors::{SafeTensorError, SafeTensors};
use serde::Deserialize;

use super::tensors::{TensorFile, TensorInfo};
use crate::{Error, Result};

/// A line for each tensor.
const MAX_INDEX: u64 = 64 << 20;

/// A file, memory-mapped or inside the program, whose header is valid.
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    bytes: Bytes,
    /// By name: shape and type, and the range of the data.
    tensors: BTreeMap<String, (TensorInfo, std::ops::Range<usize>)>,
}

impl SafetensorsFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::of(path, Bytes::Map(map(path)?))
    }

    /// A file inside the program.
    pub(crate) fn inside(path: &Path, bytes: &'static [u8]) -> Result<Self> {
        Self::of(path, Bytes::Inside(bytes))
    }

    fn of(path: &Path, bytes: Bytes) -> Result<Self> {
        let file = SafeTensors::deserialize(&bytes).map_err(|e| refused(path, &bytes, e))?;
        let start = bytes.as_ptr() as usize;
        let tensors = file
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let info = TensorInfo {
                    shape: view.shape().to_vec(),
                    dtype: DType::try_from(view.dtype()).ok(),
                    type_name: format!("{:?}", view.dtype()),
                    stored: None,
                };
                let at = view.data().as_ptr() as usize - start;
                (name, (info, at..at + view.data().len()))
            })
            .collect();
        Ok(Self { path: path.to_path_buf(), bytes, tensors })
    }
}

/// The error about a file whose header is not valid.
fn refused(path: &Path, bytes: &[u8], e: SafeTensorError) -> Error {
    let size = bytes.len();
    let length = bytes.first_chunk::<8>().map(|n| u64::from_le_bytes(*n));
    let reason = match (&e, length) {
        (SafeTensorError::HeaderTooSmall, _) => {
            format!("its {size} bytes are too few for a header")
        }
        (SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength, Some(length)) => {
            format!("the length of its header, {length}, does not fit a file of {size} bytes")
        }
        (SafeTensorError::MetadataIncompleteBuffer, _) => format!(
            "its {size} bytes are not those that its header describes; an incomplete download is \
             shorter"
        ),
        (SafeTensorError::ValidationOverflow, _) => "the shape of a tensor is too large".into(),
        (SafeTensorError::InvalidHeaderDeserialization(json), _) => {
            let text = json.to_string();
            // serde's sentence about a name that is none of an enumeration's.
            if let Some(name) =
                text.strip_prefix("unknown variant `").and_then(|t| t.split('`').next())
            {
                return Error::Unsupported {
                    path: path.display().to_string(),
                    what: format!("a tensor of the type {}", artgpt_base::text::printable(name)),
                    hint: "use weights in F32, F16 or BF16".into(),
                };
            }
            format!("its header is no valid JSON: {text}")
        }
        _ => e.to_string(),
    };
    match artgpt_base::foreign::recognise(bytes) {
        Some(Foreign::Safetensors) => Error::corrupt(path, reason),
        _ => Error::unreadable(path, bytes, reason),
    }
}

enum Bytes {
    Map(Mmap),
    Inside(&'static [u8]),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Inside(bytes) => bytes,
        }
    }
}

/// Maps a file of weights.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    mmap::map(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::corrupt(path, "it is empty"),
        _ => Error::Io { path: path.display().to_string(), source },
    })
}

impl TensorFile for SafetensorsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn infos(&self) -> BTreeMap<String, TensorInfo> {
        self.tensors.iter().map(|(name, (info, _))| (name.clone(), info.clone())).collect()
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let Some((info, range)) = self.tensors.get(name) else {
            return Err(Error::corrupt(&self.path, format!("the key {name} is missing")));
        };
        let dtype = info.weight_type(&self.path, name)?;
        let bytes = &self.bytes[range.clone()];
        let tensor = Tensor::from_raw_buffer(bytes, dtype, &info.shape, &Device::Cpu)
            .map_err(|e| Error::corrupt(&self.path, format!("{name}: {e}")));
        if let Bytes::Map(map) = &self.bytes {
            forget(map, bytes);
        }
        tensor
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files with a folder's weights: the shards of an index, or one file.
pub(crate) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>> {
    for stem in ["model.safetensors", "pytorch_model.bin", "model.gguf"] {
        let index = dir.join(format!("{stem}.index.json"));
        if index.is_file() {
            let text = artgpt_base::files::read_text(&index, MAX_INDEX)
                .map_err(|source| Error::Io { path: index.display().to_string(), source })?;
            let parsed: Index = serde_json::from_str(&text)
                .map_err(|e| Error::unreadable_text(&index, &text, e))?;
            let names: BTreeSet<&String> = parsed.weight_map.values().collect();
            return names
                .into_iter()
                .map(|name| {
                    // An index names files beside it, nothing else.
                    let plain = Path::new(name).file_name().is_some_and(|n| n == name.as_str());
                    let path = dir.join(name);
                    match (plain, path.is_file()) {
                        (true, true) => Ok(path),
                        (true, false) => Err(Error::Missing {
                            path: path.display().to_string(),
                            by: index.display().to_string(),
                        }),
                        (false, _) => {
                            let reason = format!("it names the shard {name} outside of its folder");
                            Err(Error::corrupt(&index, reason))
                        }
                    }
                })
                .collect();
        }
        let single = dir.join(stem);
        if single.is_file() {
            return Ok(vec![single]);
        }
    }
    let shards = numbered_shards(dir)?;
    if !shards.is_empty() {
        return Ok(shards);
    }
    Err(Error::Unsupported {
        path: dir.display().to_string(),
        what: "a folder without model.safetensors or pytorch_model.bin".into(),
        hint: "name a folder that holds the weights".into(),
    })
}

/// All of `NAME-00001-of-00003.safetensors` (or `.bin`) in a folder whose index is not there.
fn numbered_shards(dir: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io { path: dir.display().to_string(), source };
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .map_err(io)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| shard(name).is_some())
        .collect();
    names.sort();
    let Some((stem, count, extension)) = names.first().and_then(|name| shard(name)) else {
        return Ok(Vec::new());
    };
    let part = |i: usize| {
        let path = dir.join(format!("{stem}-{i:05}-of-{count:05}.{extension}"));
        let (here, missing) = (path.is_file(), path.display().to_string());
        here.then_some(path).ok_or_else(|| {
            let by = dir.join(names.first().map_or("", String::as_str)).display().to_string();
            Error::Missing { path: missing, by }
        })
    };
    (1..=count).map(part).collect()
}

/// What stands before the number of a shard, the number of shards, and the extension.
fn shard(name: &str) -> Option<(&str, usize, &str)> {
    let (rest, extension) = name.rsplit_once('.')?;
    let (rest, count) = rest.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let weights = ["safetensors", "bin"].contains(&extension);
    (weights && digits(number) && digits(count)).then_some((stem, count.parse().ok()?, extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(header: &str, length: u64) -> String {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("m.safetensors");
        let bytes = [&length.to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
        std::fs::write(&path, bytes).expect("writes");
        let error = SafetensorsFile::open(&path).err().expect("is refused").to_string();
        assert!(error.contains("m.safetensors"), "{error}");
        error
    }

    #[test]
    fn shards_without_an_index_are_found_by_their_names() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = |i: usize| dir.path().join(format!("model-0000{i}-of-00003.safetensors"));
        for i in [1, 3] {
            std::fs::write(file(i), b"x").expect("writes");
        }
        let missing = weight_files(dir.path()).expect_err("lacks one").to_string();
        assert!(missing.contains("model-00002-of-00003.safetensors"), "{missing}");
        std::fs::write(file(2), b"x").expect("writes");
        assert_eq!(weight_files(dir.path()).expect("finds"), [1, 2, 3].map(file));
    }

    #[test]
    fn lengths_shapes_and_offsets_that_cannot_be_true_are_sentences() {
        let entry = |shape: &str, offsets: &str| {
            format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let good = entry("[2]", "[0,8]");
        let own = |header: &str| told(header, header.len() as u64);
        for length in [u64::MAX, 1 << 63, 1 << 40, 1000] {
            assert!(told(&good, length).contains(&length.to_string()), "{length}");
        }
        let huge = u64::MAX;
        for shape in
            [format!("[{huge}]"), format!("[{huge},{huge}]"), format!("[{},3]", 1u64 << 62)]
        {
            own(&entry(&shape, "[0,8]"));
        }
        for offsets in [format!("[0,{huge}]"), format!("[{huge},{huge}]"), "[8,0]".into()] {
            own(&entry("[2]", &offsets));
        }
        assert!(own(&entry("[3]", "[0,12]")).contains("incomplete download"));
        let unknown = good.replace("F32", "Q9");
        assert!(own(&unknown).contains("the type Q9"), "{}", own(&unknown));
    }
}
