//! Linear warm-up, then a cosine (`minigpt4/common/optims.py`, `LinearWarmupCosineLRScheduler`): the
//! cosine starts at the first step of the stage, so its part under the warm-up has no effect.

use artgpt_rundir::Stage;

/// Learning rate by step of a stage. The final rate may exceed the first, as in the paper's stage 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    warmup_start: f64,
    peak: f64,
    end: f64,
    warmup_steps: usize,
    steps: usize,
}

impl Schedule {
    /// The schedule of a stage.
    pub(crate) fn of(stage: &Stage) -> Self {
        Self {
            warmup_start: stage.warmup_lr,
            peak: stage.lr,
            end: stage.min_lr,
            warmup_steps: stage.warmup_steps,
            steps: stage.steps,
        }
    }

    /// The learning rate of a step of the stage, from 0.
    pub(crate) fn at(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            let done = step as f64 / self.warmup_steps as f64;
            return self.warmup_start + (self.peak - self.warmup_start) * done;
        }
        let done = (step as f64 / self.steps.max(1) as f64).min(1.0);
        self.end + (self.peak - self.end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_falls_and_may_end_above_its_peak() {
        let s = Schedule { warmup_start: 0.0, peak: 1.0, end: 0.1, warmup_steps: 10, steps: 100 };
        assert_eq!(s.at(5), 0.5);
        // 0.1 + 0.9 (1 + cos(pi / 10)) / 2
        assert!((s.at(10) - 0.977_975_432).abs() < 1e-9);
        assert!((s.at(50) - 0.55).abs() < 1e-9);
        assert!((s.at(100) - 0.1).abs() < 1e-9);
        let up = Schedule { end: 8e-7, peak: 1e-7, ..s };
        assert!(up.at(100) > up.at(10));
    }
}
