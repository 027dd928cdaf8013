//! A generic reader of a growing file; the format is a parameter.

use std::path::Path;

use super::{Curves, Reader, Skipped};
use crate::tail::{Grown, Tail};

/// A format: the parser's state for a file that is partly read.
pub trait Format: Send + std::fmt::Debug {
    /// Whether the file is text, which is decoded to UTF-8 first.
    const IS_TEXT: bool = false;

    /// The state for reading the file again from the start.
    fn reset(&self) -> Self;

    /// Parses and consumes the complete records that are pending.
    fn parse(&mut self, tail: &mut Tail, into: &mut Curves);

    /// See [`Reader::finish`].
    fn finish(&mut self, _tail: &mut Tail) {}

    /// See [`Reader::skipped`].
    fn skipped(&self) -> &Skipped;
}

/// A [`Reader`] of a growing file in the format `F`.
#[derive(Debug)]
pub struct Tailed<F> {
    tail: Tail,
    format: F,
}

impl<F: Format> Tailed<F> {
    /// A reader with this format's initial state.
    pub fn of(path: &Path, format: F) -> Self {
        let tail = if F::IS_TEXT { Tail::text(path) } else { Tail::new(path) };
        Self { tail, format }
    }
}

impl<F: Format + Default> Tailed<F> {
    /// A reader of this file.
    pub fn new(path: &Path) -> Self {
        Self::of(path, F::default())
    }
}

impl<F: Format> Reader for Tailed<F> {
    fn path(&self) -> &Path {
        self.tail.path()
    }

    fn fetch(&mut self) -> std::io::Result<Grown> {
        let grown = self.tail.read()?;
        if grown == Grown::Anew {
            self.format = self.format.reset();
        }
        Ok(grown)
    }

    fn parse(&mut self, into: &mut Curves) {
        self.format.parse(&mut self.tail, into);
    }

    fn finish(&mut self) {
        self.format.finish(&mut self.tail);
    }

    fn skipped(&self) -> &Skipped {
        self.format.skipped()
    }
}
