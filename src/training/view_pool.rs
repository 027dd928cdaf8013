//! Encoded views that are used again. The encoder is frozen, so a view's tokens never change.

use std::sync::OnceLock;

use candle_core::{DType, Tensor};

use super::Result;
use crate::art::FormalFeatures;

/// Slots are filled when they are first drawn. Tokens are kept in f16: half the memory, and a
/// rounding far below what a view's jitter changes.
pub struct ViewPool(Vec<OnceLock<(Tensor, FormalFeatures)>>);

impl ViewPool {
    pub fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| OnceLock::new()).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens, f32, and features of a slot; `look` computes them the first time.
    ///
    /// The first use is rounded as the later ones are, so that a resumed run, which finds the
    /// pool empty, repeats the unbroken one.
    pub fn get(
        &self,
        slot: usize,
        look: impl FnOnce() -> Result<(Tensor, FormalFeatures)>,
    ) -> Result<(Tensor, FormalFeatures)> {
        let (tokens, features) = match self.0[slot].get() {
            Some(known) => known,
            None => {
                let (tokens, features) = look()?;
                let tokens = tokens.to_dtype(DType::F16)?;
                self.0[slot].get_or_init(|| (tokens, features))
            }
        };
        Ok((tokens.to_dtype(DType::F32)?, features.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::art::View;
    use candle_core::Device;

    #[test]
    fn the_first_use_and_the_second_are_the_same() {
        let pool = ViewPool::new(2);
        let view = View::whole(&image::RgbImage::new(8, 8));
        let tokens = Tensor::new(&[0.1f32, 0.7], &Device::Cpu).expect("tensor");
        let first = pool.get(1, || Ok((tokens, FormalFeatures::measure(&view)))).expect("looks");
        let second = pool.get(1, || unreachable!("it is known")).expect("is known");
        let values = |t: &Tensor| t.to_vec1::<f32>().expect("values");
        assert_eq!(values(&first.0), values(&second.0));
    }
}
