//! Errors of this crate, and their way through candle's loaders.

use std::fmt;
use std::path::Path;

use artgpt_base::text::first_line;

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
        Self::Corrupt { path: path.display().to_string(), reason: first_line(&reason) }
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
