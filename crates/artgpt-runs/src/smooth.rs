//! Exponential moving average of a curve, with TensorBoard's bias correction.

use super::series::{Point, Series};

/// A smoothed curve that follows its raw curve; each new point costs constant time.
#[derive(Debug, Clone)]
pub struct Smoothed {
    /// Smoothing weight, in [0, 1).
    weight: f64,
    sum: f64,
    /// Bias correction: the sum of all weights so far, which tends to 1.
    share: f64,
    /// Number of points taken in, and the last one, which shows whether the raw curve was rewritten.
    taken: usize,
    last: Option<Point>,
    /// The smoothed curve.
    pub series: Series,
}

impl Smoothed {
    /// An empty curve; `weight` is in [0, 1), 0 for no smoothing.
    pub fn new(weight: f64) -> Self {
        Self { weight, sum: 0.0, share: 0.0, taken: 0, last: None, series: Series::default() }
    }

    /// The smoothing weight.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Takes in the new points of `raw`; starts again if `raw` was rewritten.
    pub fn follow(&mut self, raw: &Series) {
        let known =
            self.taken.checked_sub(1).and_then(|i| raw.get(i)).map(|p| (p.step, p.value.to_bits()));
        if known != self.last.map(|p| (p.step, p.value.to_bits())) {
            *self = Self::new(self.weight);
        }
        while let Some(point) = raw.get(self.taken) {
            // The average skips NaN and infinities; the curve keeps them.
            let value = if point.value.is_finite() {
                self.sum = self.sum * self.weight + point.value * (1.0 - self.weight);
                self.share = self.share * self.weight + (1.0 - self.weight);
                self.sum / self.share
            } else {
                point.value
            };
            self.series.push(Point { value, ..point });
            self.last = Some(point);
            self.taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(values: &[f64]) -> Series {
        let mut series = Series::default();
        for (step, value) in values.iter().enumerate() {
            series.push(Point { step: step as f64, wall: 0.0, value: *value });
        }
        series
    }

    fn values(smoothed: &Smoothed) -> Vec<f64> {
        smoothed.series.points().map(|p| p.value).collect()
    }

    #[test]
    fn the_average_is_that_of_pandas() {
        // pandas.Series([4, 2, nan, 1]).ewm(alpha=0.5, ignore_na=True).mean(): 4, 8/3, -, 12/7.
        let mut smoothed = Smoothed::new(0.5);
        smoothed.follow(&raw(&[4.0, 2.0]));
        smoothed.follow(&raw(&[4.0, 2.0, f64::NAN, 1.0]));
        let found = values(&smoothed);
        for (at, expected) in [(0, 4.0), (1, 8.0 / 3.0), (3, 12.0 / 7.0)] {
            assert!((found[at] - expected).abs() < 1e-12, "{found:?}");
        }
        assert!(found[2].is_nan());
        // A curve that was rewritten is averaged anew.
        smoothed.follow(&raw(&[1.0, 3.0]));
        assert_eq!(smoothed.series.len(), 2);
        assert_eq!(values(&smoothed)[0], 1.0);
    }
}
