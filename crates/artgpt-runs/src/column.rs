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
    first: u64,
    stride: u64,
    /// How many steps follow the stride.
    regular: usize,
    listed: Chunks<Vec<u64>, CHUNK>,
}

impl Steps {
    pub(super) fn push(&mut self, step: u64) {
        if self.listed.len() > 0 {
            return self.listed.push(step);
        }
        match self.regular {
            0 => self.first = step,
            1 => self.stride = step.saturating_sub(self.first),
            // The next step by the stride may exceed `u64`.
            n if next(self.first, self.stride, n) == Some(step) => {}
            _ => return self.listed.push(step),
        }
        self.regular += 1;
    }

    pub(super) fn get(&self, index: usize) -> Option<u64> {
        match index.checked_sub(self.regular) {
            None => Some(self.first + self.stride * index as u64),
            Some(index) => self.listed.get(index),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.regular + self.listed.len()
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// How many are lower than `step`.
    pub(super) fn before(&self, step: u64) -> usize {
        let regular = match step.checked_sub(self.first) {
            None | Some(0) => 0,
            Some(_) if self.stride == 0 => self.regular,
            Some(over) => usize::try_from(over.div_ceil(self.stride)).unwrap_or(usize::MAX),
        };
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

fn next(first: u64, stride: u64, count: usize) -> Option<u64> {
    first.checked_add(stride.checked_mul(count as u64)?)
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
        let huge = vec![1, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        for all in
            [vec![7], vec![0, 10, 20, 30], vec![1, 2, 4, 8, 8], vec![5, 5, 5], vec![3, 3, 9], huge]
        {
            let mut steps = Steps::default();
            all.iter().for_each(|s| steps.push(*s));
            let back: Vec<u64> = (0..steps.len()).filter_map(|i| steps.get(i)).collect();
            assert_eq!(back, all);
            for step in 0..40 {
                let expected = all.iter().filter(|s| **s < step).count();
                assert_eq!(steps.before(step), expected, "{all:?} {step}");
            }
            let mut cut = steps.clone();
            cut.truncate(1);
            cut.push(100);
            cut.push(101);
            assert_eq!((cut.get(0), cut.get(1), cut.get(2)), (Some(all[0]), Some(100), Some(101)));
        }
    }
}
