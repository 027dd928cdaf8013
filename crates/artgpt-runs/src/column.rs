//! Compact columns of a curve: values in `f32` where that is exact, steps as first step and stride.

use super::chunks::{Chunk, Chunks};

/// Points in a chunk: what a new point copies at most when a snapshot shares the curve.
pub(super) const CHUNK: usize = 1024;

/// Values of a curve.
pub(super) type Values = Chunks<Numbers, CHUNK>;

/// `f32` while every value is exact in it; `f64` from the first one on that is not.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

impl Chunk for Numbers {
    type Item = f64;

    fn push(&mut self, value: f64) {
        match self {
            Self::Double(all) => all.push(value),
            Self::Single(all) => {
                let single = value as f32;
                if f64::from(single) == value || value.is_nan() {
                    return all.push(single);
                }
                let mut wide: Vec<f64> = all.iter().map(|v| f64::from(*v)).collect();
                wide.push(value);
                *self = Self::Double(wide);
            }
        }
    }

    fn get(&self, index: usize) -> Option<f64> {
        match self {
            Self::Single(all) => all.get(index).map(f64::from),
            Self::Double(all) => all.get(index),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Single(all) => all.len(),
            Self::Double(all) => all.len(),
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            Self::Single(all) => all.truncate(len),
            Self::Double(all) => all.truncate(len),
        }
    }

    fn shrink(&mut self) {
        match self {
            Self::Single(all) => all.shrink_to_fit(),
            Self::Double(all) => all.shrink_to_fit(),
        }
    }
}

/// Steps that never fall. Nearly always a first one and a stride; the steps after the first one that
/// breaks the stride are listed.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    first: f64,
    stride: f64,
    /// How many steps follow the stride.
    regular: usize,
    listed: Chunks<Vec<f64>, CHUNK>,
}

impl Steps {
    pub(super) fn push(&mut self, step: f64) {
        if self.listed.len() > 0 {
            return self.listed.push(step);
        }
        match self.regular {
            0 => self.first = step,
            1 => self.stride = step - self.first,
            _ => {}
        }
        // Rounding, or a stride beyond all numbers, may have led elsewhere.
        match self.regular == 0 || self.by_stride(self.regular) == step {
            true => self.regular += 1,
            false => self.listed.push(step),
        }
    }

    fn by_stride(&self, index: usize) -> f64 {
        self.first + self.stride * index as f64
    }

    pub(super) fn get(&self, index: usize) -> Option<f64> {
        match index.checked_sub(self.regular) {
            None if index == 0 => Some(self.first),
            None => Some(self.by_stride(index)),
            Some(index) => self.listed.get(index),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.regular + self.listed.len()
    }

    pub(super) fn last(&self) -> Option<f64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// How many are lower than `step`.
    pub(super) fn before(&self, step: f64) -> usize {
        let guess = match step <= self.first {
            true => 0.0,
            false if self.stride == 0.0 => self.regular as f64,
            false => ((step - self.first) / self.stride).ceil(),
        };
        // A float beyond the limits of `usize` becomes the nearest one, NaN 0.
        let mut regular = (guess as usize).min(self.regular);
        while regular > 0 && self.get(regular - 1).is_some_and(|last| last >= step) {
            regular -= 1;
        }
        while regular < self.regular && self.get(regular).is_some_and(|next| next < step) {
            regular += 1;
        }
        match regular < self.regular {
            true => regular,
            false => self.regular + self.listed.partition_point(|listed| listed < step),
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.listed.truncate(len.saturating_sub(self.regular));
        self.regular = self.regular.min(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_exact_in_the_least_room() {
        let mut numbers = Numbers::default();
        numbers.push(0.5);
        numbers.push(f64::NAN);
        assert!(matches!(numbers, Numbers::Single(_)));
        numbers.push(0.1);
        assert!(matches!(numbers, Numbers::Double(_)));
        assert_eq!((numbers.get(0), numbers.get(2), numbers.get(3)), (Some(0.5), Some(0.1), None));
        assert!(numbers.get(1).is_some_and(f64::is_nan));
    }

    #[test]
    fn steps_are_what_was_pushed() {
        let whole = |all: &[i32]| all.iter().map(|s| f64::from(*s)).collect::<Vec<_>>();
        let tenths: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0).collect();
        for all in [
            whole(&[7]),
            whole(&[0, 10, 20, 30]),
            whole(&[1, 2, 4, 8, 8]),
            whole(&[5, 5, 5]),
            whole(&[3, 3, 9]),
            whole(&[-20, -10, 0, 10, 20]),
            vec![0.0, 0.5, 1.0, 1.5, 7.0],
            vec![f64::MIN, 1e-300, 1.0, 1e18, f64::MAX],
            tenths,
        ] {
            let mut steps = Steps::default();
            all.iter().for_each(|s| steps.push(*s));
            let back: Vec<f64> = (0..steps.len()).filter_map(|i| steps.get(i)).collect();
            assert_eq!(back, all);
            for step in (-25..40).map(|s| f64::from(s) / 2.0).chain([f64::MIN, 1e17, f64::MAX]) {
                let expected = all.iter().filter(|s| **s < step).count();
                assert_eq!(steps.before(step), expected, "{all:?} {step}");
            }
            let mut cut = steps.clone();
            cut.truncate(1);
            cut.push(100.0);
            cut.push(101.0);
            let kept = [0, 1, 2].map(|i| cut.get(i));
            assert_eq!(kept, [Some(all[0]), Some(100.0), Some(101.0)]);
        }
    }
}
