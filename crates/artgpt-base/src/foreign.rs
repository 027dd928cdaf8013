//! Recognises by its first bytes a file of another kind than the one that its name promises: a pointer of
//! Git LFS, a web page, an archive.

use std::fmt;

/// How many bytes of a file [`recognise`] looks at.
pub const HEAD: usize = 512;

/// What a file is, where a reader expected its own format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A pointer of Git LFS: a text that stands for a file on a server.
    LfsPointer {
        /// The size of that file, if the pointer names it.
        bytes: Option<u64>,
    },
    /// A page of a web server, usually an error or a login.
    WebPage,
    /// An XML document, such as the error of a storage server.
    Xml,
    /// JSON text.
    Json,
    /// Other text.
    Text,
    /// Nothing but zeros, such as an allocated but unfinished download.
    Zeros,
    /// A file of GGML before GGUF, with the name of its layout.
    OldGgml(&'static str),
    /// A GGUF file.
    Gguf,
    /// A safetensors file.
    Safetensors,
    /// A pickle of Python.
    Pickle,
    /// A container with this name: an archive, or the file of another framework.
    Container(&'static str),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::LfsPointer { bytes: Some(bytes) } => {
                write!(f, "a Git LFS pointer (the {bytes} bytes of the file itself are not here)")
            }
            Self::LfsPointer { bytes: None } => {
                f.write_str("a Git LFS pointer (the file itself is not here)")
            }
            Self::WebPage => f.write_str("a web page (HTML)"),
            Self::Xml => f.write_str("an XML document"),
            Self::Json => f.write_str("JSON text"),
            Self::Text => f.write_str("plain text"),
            Self::Zeros => f.write_str("a file that begins with nothing but zeros"),
            Self::OldGgml(layout) => write!(f, "a file of GGML before GGUF ({layout})"),
            Self::Gguf => f.write_str("a GGUF file"),
            Self::Safetensors => f.write_str("a safetensors file"),
            Self::Pickle => f.write_str("a Python pickle"),
            Self::Container(name) => write!(f, "{name}"),
        }
    }
}

impl Foreign {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LfsPointer { .. } => "`git lfs pull` in its folder fetches the file itself",
            Self::WebPage | Self::Xml | Self::Json | Self::Text => {
                "open it in an editor: it may hold the error of the server that sent it"
            }
            Self::Zeros => "finish or repeat the download",
            Self::OldGgml(_) => {
                "convert it with `convert_llama_ggml_to_gguf.py` of llama.cpp, or use a GGUF file"
            }
            Self::Gguf => "give it a name that ends in .gguf",
            Self::Safetensors => "give it a name that ends in .safetensors",
            Self::Pickle => "give it a name that ends in .pth, .pt or .bin",
            Self::Container("a Parquet table") => "save it as CSV or JSON Lines",
            Self::Container(name) if name.contains("archive") || name.contains("compressed") => {
                "unpack it and name the files inside"
            }
            Self::Container(_) => "export the model as safetensors or GGUF",
        }
    }
}

/// What the file with this beginning is; `None` if the bytes are of no kind known here.
pub fn recognise(head: &[u8]) -> Option<Foreign> {
    let head = &head[..head.len().min(HEAD)];
    magic(head).or_else(|| text(head))
}

/// Kinds that begin with a fixed sequence of bytes.
fn magic(head: &[u8]) -> Option<Foreign> {
    const CONTAINERS: [(&[u8], &str); 14] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"PK\x05\x06", "an empty zip archive"),
        (b"\x1f\x8b", "a gzip-compressed file"),
        (b"\x28\xb5\x2f\xfd", "a zstd-compressed file"),
        (b"\xfd7zXZ\0", "an xz-compressed file"),
        (b"BZh", "a bzip2-compressed file"),
        (b"\x04\x22\x4d\x18", "an lz4-compressed file"),
        (b"\x1f\x9d", "a compressed file (compress)"),
        (b"PAR1", "a Parquet table"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"TFL3", "a TensorFlow Lite model"),
    ];
    const OLD_GGML: [(&[u8], &str); 4] =
        [(b"lmgg", "ggml"), (b"fmgg", "ggmf"), (b"tjgg", "ggjt"), (b"algg", "ggla")];
    if head.len() >= 16 && head.iter().all(|b| *b == 0) {
        return Some(Foreign::Zeros);
    }
    if head.starts_with(b"GGUF") {
        return Some(Foreign::Gguf);
    }
    let begins = |(magic, _): &&(&[u8], &str)| head.starts_with(magic);
    if let Some((_, layout)) = OLD_GGML.iter().find(begins) {
        return Some(Foreign::OldGgml(layout));
    }
    if let Some((_, name)) = CONTAINERS.iter().find(begins) {
        return Some(Foreign::Container(name));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Foreign::Container("a tar archive"));
    }
    if head.get(4..8) == Some(b"TFL3") {
        return Some(Foreign::Container("a TensorFlow Lite model"));
    }
    if head.len() > 8 && head[8] == b'{' && head[3..8] == [0; 5] {
        return Some(Foreign::Safetensors);
    }
    // ONNX is a protobuf: field 1 is the version of its format, then comes a field of text.
    if let [0x08, 1..=20, 0x12 | 0x3a | 0x42, ..] = head {
        return Some(Foreign::Container("an ONNX model"));
    }
    // Protocols 2 to 5.
    if let [0x80, 2..=5, ..] = head {
        return Some(Foreign::Pickle);
    }
    None
}

fn text(head: &[u8]) -> Option<Foreign> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let cut = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The end of `head` may cut a character.
        Err(e) if head.len() - e.valid_up_to() < 4 => {
            std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    if cut.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return None;
    }
    let text = cut.trim_start();
    if text.starts_with("version https://git-lfs.github.com/spec/")
        || text.starts_with("version https://hawser.github.com/spec/")
    {
        let size = text.lines().find_map(|line| line.strip_prefix("size "));
        return Some(Foreign::LfsPointer { bytes: size.and_then(|n| n.trim().parse().ok()) });
    }
    let start: String = text.chars().take(16).collect::<String>().to_ascii_lowercase();
    match start.as_str() {
        "" => None,
        s if s.starts_with("<!doctype html")
            || s.starts_with("<html")
            || s.starts_with("<head") =>
        {
            Some(Foreign::WebPage)
        }
        s if s.starts_with("<?xml") => Some(Foreign::Xml),
        s if s.starts_with('{') || s.starts_with('[') => Some(Foreign::Json),
        _ => Some(Foreign::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_their_first_bytes() {
        let pointer =
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 4920739232\n";
        let found = recognise(pointer).expect("a pointer");
        assert_eq!(found, Foreign::LfsPointer { bytes: Some(4_920_739_232) });
        assert!(found.to_string().contains("4920739232"));
        assert!(found.hint().contains("git lfs pull"));
        let tar: Vec<u8> = [&b"weights.bin"[..], &[0; 246], b"ustar\0"].concat();
        for (head, kind) in [
            (&b"\n<!DOCTYPE html><html>"[..], Foreign::WebPage),
            (b"<?xml version=\"1.0\"?><Error>", Foreign::Xml),
            (b"{\"error\": \"Not Found\"}", Foreign::Json),
            (b"Access to model is restricted", Foreign::Text),
            (b"PK\x03\x04\x14\0", Foreign::Container("a zip archive")),
            (&tar, Foreign::Container("a tar archive")),
            (b"\x08\x07\x12\x07pytorch", Foreign::Container("an ONNX model")),
            (b"tjgg\x03\0\0\0", Foreign::OldGgml("ggjt")),
            (b"\x80\x02}q\x00.", Foreign::Pickle),
            (b"\x10\0\0\0\0\0\0\0{\"a\"", Foreign::Safetensors),
            (&[0; 64], Foreign::Zeros),
        ] {
            assert_eq!(recognise(head), Some(kind), "{head:?}");
        }
        for unknown in [&b""[..], b"\x01\x02\x03\xff\xfe", b"\xf0\x9f\x98 cut"] {
            assert_eq!(recognise(unknown), None, "{unknown:?}");
        }
    }
}
