//! Files that are something else than their names say.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{DataError, Result, io};
use artgpt_base::foreign::{self, Foreign};

/// Fails for a file that is compressed, a pointer of Git LFS, or no regular file: a FIFO would block.
pub(super) fn check(path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).map_err(io(path))?;
    let mut head = Vec::new();
    if about.is_file() {
        let file = File::open(path).map_err(io(path))?;
        file.take(foreign::HEAD as u64).read_to_end(&mut head).map_err(io(path))?;
    }
    let found = match () {
        () if about.is_dir() => Some(("a folder, not a file".into(), "name a file in it")),
        () if !about.is_file() => {
            Some(("not a regular file".into(), "copy it to a normal file first"))
        }
        () => recognised(&head),
    };
    match found {
        Some((is, hint)) => Err(DataError::Foreign { path: path.display().to_string(), is, hint }),
        None => Ok(()),
    }
}

/// What a file is by its first bytes, if it can be no list and no shard, and what to do with it.
fn recognised(head: &[u8]) -> Option<(String, &'static str)> {
    match foreign::recognise(head)? {
        // Lists are JSON or text, a shard is a tar archive.
        Foreign::Json | Foreign::Text | Foreign::Zeros => None,
        Foreign::Container("a tar archive") => None,
        found => Some((found.to_string(), hint(&found))),
    }
}

/// What to do with a file in place of training data.
fn hint(found: &Foreign) -> &'static str {
    match found {
        Foreign::Container(name) if name.contains("archive") || name.contains("compressed") => {
            "unpack it first, and name the files inside"
        }
        Foreign::Container("an ONNX model" | "a TensorFlow Lite model")
        | Foreign::Gguf
        | Foreign::OldGgml(_)
        | Foreign::Safetensors => "it holds a model: name a file of training data",
        // Tables of other programs.
        Foreign::Container(_) | Foreign::Pickle => "save it as CSV or JSON Lines",
        Foreign::LfsPointer { .. }
        | Foreign::WebPage
        | Foreign::Xml
        | Foreign::Json
        | Foreign::Text
        | Foreign::Zeros => found.hint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_about_training_data() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("list.json");
        for (head, wanted) in [
            (&b"\x93NUMPY\x01\0"[..], "save it as CSV or JSON Lines"),
            (b"\x89HDF\r\n\x1a\n", "save it as CSV or JSON Lines"),
            (b"PAR1\x15\x04", "save it as CSV or JSON Lines"),
            (b"\x80\x04\x95\x10", "save it as CSV or JSON Lines"),
            (b"PK\x03\x04\x14\0", "unpack it first"),
            (b"\x1f\x8b\x08\0", "unpack it first"),
            (b"GGUF\x03\0\0\0", "name a file of training data"),
            (b"\x08\x07\x12\x07pytorch", "name a file of training data"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n",
                "`git lfs pull`",
            ),
        ] {
            std::fs::write(&path, head).expect("writes");
            let Err(DataError::Foreign { hint, .. }) = check(&path) else { panic!("{head:?}") };
            assert!(hint.contains(wanted), "{head:?}: {hint}");
        }
        std::fs::write(&path, "[1]").expect("writes");
        assert!(check(&path).is_ok());
    }
}
