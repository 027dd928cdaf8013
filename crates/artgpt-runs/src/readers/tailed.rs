//! A reader of a file that grows, whatever its format.

use std::path::Path;

use super::{Curves, Reader};
use crate::tail::{Grown, Tail};

/// What a format knows of a file that it has read a part of.
pub trait Format: Send + std::fmt::Debug {
    /// As it was before anything was read.
    fn anew(&self) -> Self;

    /// Consumes what is whole of what is pending.
    fn parse(&mut self, tail: &mut Tail, into: &mut Curves);

    /// See [`Reader::finish`].
    fn finish(&self, _tail: &mut Tail) {}

    /// See [`Reader::skipped`].
    fn skipped(&self) -> usize;
}

#[derive(Debug)]
pub struct Tailed<F> {
    tail: Tail,
    format: F,
}

impl<F: Format> Tailed<F> {
    pub fn of(path: &Path, format: F) -> Self {
        Self { tail: Tail::new(path), format }
    }
}

impl<F: Format + Default> Tailed<F> {
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
            self.format = self.format.anew();
        }
        Ok(grown)
    }

    fn parse(&mut self, into: &mut Curves) {
        self.format.parse(&mut self.tail, into);
    }

    fn finish(&mut self) {
        self.format.finish(&mut self.tail);
    }

    fn skipped(&self) -> usize {
        self.format.skipped()
    }
}
