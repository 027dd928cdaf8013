//! Numbers in as little room as holds them exactly.

/// f32 as long as every value is one; f64 from the first one on that is not.
#[derive(Debug, Clone)]
pub enum Column {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Default for Column {
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

impl Column {
    pub fn push(&mut self, value: f64) {
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

    pub fn get(&self, index: usize) -> Option<f64> {
        match self {
            Self::Single(all) => all.get(index).map(|v| f64::from(*v)),
            Self::Double(all) => all.get(index).copied(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Single(all) => all.len(),
            Self::Double(all) => all.len(),
        }
    }

    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Single(all) => all.truncate(len),
            Self::Double(all) => all.truncate(len),
        }
    }
}

/// Steps that never fall: nearly always a first one and a stride.
#[derive(Debug, Clone)]
pub enum Steps {
    Regular { first: u64, stride: u64, len: usize },
    Listed(Vec<u64>),
}

impl Default for Steps {
    fn default() -> Self {
        Self::Regular { first: 0, stride: 0, len: 0 }
    }
}

impl Steps {
    pub fn push(&mut self, step: u64) {
        match self {
            Self::Listed(all) => all.push(step),
            Self::Regular { first, stride, len } => {
                match *len {
                    0 => *first = step,
                    1 => *stride = step.saturating_sub(*first),
                    // What follows by the stride may be more than any step.
                    n if next(*first, *stride, n) == Some(step) => {}
                    n => {
                        let all = (0..n as u64).map(|i| *first + *stride * i);
                        *self = Self::Listed(all.chain([step]).collect());
                        return;
                    }
                }
                *len += 1;
            }
        }
    }

    pub fn get(&self, index: usize) -> Option<u64> {
        match self {
            Self::Regular { first, stride, len } => {
                (index < *len).then(|| *first + *stride * index as u64)
            }
            Self::Listed(all) => all.get(index).copied(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Regular { len, .. } => *len,
            Self::Listed(all) => all.len(),
        }
    }

    pub fn last(&self) -> Option<u64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// How many are lower than `step`.
    pub fn before(&self, step: u64) -> usize {
        match self {
            Self::Regular { first, stride, len } => match step.checked_sub(*first) {
                None | Some(0) => 0,
                Some(_) if *stride == 0 => *len,
                Some(over) => (over.div_ceil(*stride) as usize).min(*len),
            },
            Self::Listed(all) => all.partition_point(|s| *s < step),
        }
    }

    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Regular { len: now, .. } => *now = len.min(*now),
            Self::Listed(all) => all.truncate(len),
        }
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
        let mut column = Column::default();
        column.push(0.5);
        column.push(f64::NAN);
        assert!(matches!(column, Column::Single(_)));
        column.push(0.1);
        assert!(matches!(column, Column::Double(_)));
        assert_eq!((column.get(0), column.get(2), column.get(3)), (Some(0.5), Some(0.1), None));
        assert!(column.get(1).is_some_and(f64::is_nan));
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
