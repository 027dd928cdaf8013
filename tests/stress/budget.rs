//! How long a test runs, and its random numbers.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What is left of a test's time.
pub(crate) struct Budget {
    end: Instant,
    pub(crate) random: StdRng,
}

impl Budget {
    pub(crate) fn new(test: &str) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let seconds = number("STRESS_SECONDS").unwrap_or(10);
        let seed = number("STRESS_SEED").unwrap_or_else(rand::random);
        println!("{test}: STRESS_SEED={seed}");
        let end = Instant::now() + Duration::from_secs(seconds);
        Self { end, random: StdRng::seed_from_u64(seed) }
    }

    pub(crate) fn is_left(&self) -> bool {
        Instant::now() < self.end
    }
}
