//! Errors of this crate, and their way through candle's loaders.

use std::fmt;
use std::path::Path;

use artgpt_base::foreign::{self, Foreign};
use artgpt_base::text::{first_line, printable};

/// Why a model's files cannot be read, converted or computed with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system cannot read or write a file.
    #[error("cannot read or write {path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file of weights is damaged, or its tensors do not fit the network.
    #[error("the model file {path} is damaged or does not fit ({reason})")]
    Corrupt {
        /// The file or folder.
        path: String,
        /// What is wrong, in one line.
        reason: String,
    },
    /// The file is of another kind than its reader expects: a pointer of Git LFS, a web page.
    #[error("{path} is {found}")]
    Foreign {
        /// The file.
        path: String,
        /// What it is.
        found: Foreign,
    },
    /// A file that another one names, or a part of a model in several files, is not there.
    #[error("{path} is missing, and {by} needs it")]
    Missing {
        /// The file that is not there.
        path: String,
        /// The file that names it.
        by: String,
    },
    /// The file is intact, but this program does not read what it holds.
    #[error("{path}: {what} is not supported")]
    Unsupported {
        /// The file, folder or option.
        path: String,
        /// The unsupported feature.
        what: String,
        /// What the user can do instead.
        hint: String,
    },
    /// An operation on tensors failed.
    #[error("tensor computation failed: {}", first_line(.0))]
    Tensor(#[source] candle_core::Error),
}

/// The result of an operation on a model's files.
pub type Result<T> = std::result::Result<T, Error>;

impl From<candle_core::Error> for Error {
    /// An error of this crate that candle carries comes out as it went in; any other is
    /// [`Error::Tensor`].
    fn from(e: candle_core::Error) -> Self {
        carried(e).unwrap_or_else(Self::Tensor)
    }
}

impl Error {
    pub(crate) fn corrupt(path: &Path, reason: impl fmt::Display) -> Self {
        let reason = printable(&first_line(&reason));
        Self::Corrupt { path: path.display().to_string(), reason }
    }

    /// An error about a file that its reader cannot read: what it is, if its beginning `head` is that of a
    /// file of another kind, else the reader's own `reason`.
    pub(crate) fn unreadable(path: &Path, head: &[u8], reason: impl fmt::Display) -> Self {
        match foreign::recognise(head) {
            Some(found) => Self::Foreign { path: path.display().to_string(), found },
            None => Self::corrupt(path, reason),
        }
    }

    /// As [`Self::unreadable`], for a file of text: that it is text says nothing.
    pub(crate) fn unreadable_text(path: &Path, text: &str, reason: impl fmt::Display) -> Self {
        match foreign::recognise(text.as_bytes()) {
            Some(Foreign::Text | Foreign::Json) | None => Self::corrupt(path, reason),
            Some(found) => Self::Foreign { path: path.display().to_string(), found },
        }
    }

    /// What the user can do, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Corrupt { path, .. } => Some(match installed(Path::new(path)) {
                Some(name) => format!("`artgpt-tui models install {name}` fetches it again"),
                None => "`artgpt-tui models show` compares a model's files with what the network \
                         needs"
                    .into(),
            }),
            Self::Foreign { found, .. } => Some(found.hint().into()),
            Self::Missing { .. } => Some("put all files of the model into one folder".into()),
            Self::Unsupported { hint, .. } => Some(hint.clone()),
            Self::Io { .. } | Self::Tensor(_) => None,
        }
    }

    /// An error from building a part of the network from `path`. An error of this crate names its
    /// file already and stays as it is.
    pub(crate) fn in_part(path: &Path, e: candle_core::Error) -> Self {
        carried(e).unwrap_or_else(|e| Self::corrupt(path, e))
    }

    /// This error in candle's type, for the backend of a `VarBuilder`. [`Error::from`] and
    /// [`Error::in_part`] take it out again.
    pub(crate) fn into_candle(self) -> candle_core::Error {
        // Not `candle_core::Error::wrap`, which keeps a `dyn Display` that cannot be downcast.
        let wrapped = Box::new(Carried(self));
        candle_core::Error::WrappedContext { wrapped, context: String::new() }
    }
}

/// The name of the model whose installation wrote this file; `None` for a file of the user's own.
pub fn installed(file: &Path) -> Option<String> {
    let dir = file.parent()?;
    let name = dir.join("installed.json").is_file().then(|| dir.file_name()).flatten()?;
    Some(name.to_string_lossy().into_owned())
}

/// An error of this crate inside one of candle's. candle prints its `Debug` form, which therefore
/// is the message.
struct Carried(Error);

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Carried {}

/// Takes out the error that [`Error::into_candle`] put in; gives `e` back if there is none.
fn carried(e: candle_core::Error) -> std::result::Result<Error, candle_core::Error> {
    use candle_core::Error::{Context, WithBacktrace, WithPath, WrappedContext};
    match e {
        WrappedContext { wrapped, context } => match wrapped.downcast::<Carried>() {
            Ok(own) => Ok(own.0),
            Err(wrapped) => Err(WrappedContext { wrapped, context }),
        },
        Context { inner, context } => {
            carried(*inner).map_err(|e| Context { inner: Box::new(e), context })
        }
        WithPath { inner, path } => carried(*inner).map_err(|e| e.with_path(path)),
        WithBacktrace { inner, backtrace } => {
            carried(*inner).map_err(|e| WithBacktrace { inner: Box::new(e), backtrace })
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_passes_through_candle_unchanged() {
        let [file, other] = ["a.safetensors", "b.safetensors"].map(Path::new);
        let inside = || Error::corrupt(file, "the key w is missing").into_candle();
        let message = inside().to_string();
        let text = Error::corrupt(file, "the key w is missing").to_string();
        assert_eq!(message.lines().next(), Some(text.as_str()));
        for e in [inside(), inside().context("block 3"), inside().with_path("c.bin")] {
            let e = Error::in_part(other, e);
            assert!(matches!(&e, Error::Corrupt { path, .. } if path == "a.safetensors"), "{e}");
        }
        assert!(matches!(Error::from(inside()), Error::Corrupt { .. }));
        let foreign = || candle_core::Error::Msg("shapes differ".into()).context("block 3");
        let e = Error::in_part(other, foreign());
        assert!(matches!(&e, Error::Corrupt { path, .. } if path == "b.safetensors"), "{e}");
        assert!(matches!(Error::from(foreign()), Error::Tensor(_)));
    }
}
