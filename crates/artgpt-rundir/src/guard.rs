//! Detection of bad steps and the reaction to them: NaN, infinite values, and loss spikes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Update;

/// `[guard]` of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// What a bad step leads to.
    pub on_bad: OnBad,
    /// A loss above this multiple of its running mean is a spike; 0 turns the check off.
    pub spike: f64,
    /// The run ends after this many consecutive bad steps, or this many rollbacks.
    pub patience: usize,
    /// Factor on all learning rates after a rollback, or after a step that `slow` skips.
    pub slower: f64,
}

/// The reaction to a bad step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// End the run; its last checkpoint is good.
    Stop,
    /// Skip the step.
    Skip,
    /// Skip the step and lower the learning rates.
    Slow,
    /// Roll back to the last checkpoint and lower the learning rates.
    Rollback,
}

impl Default for Guard {
    fn default() -> Self {
        Self { on_bad: OnBad::Stop, spike: 0.0, patience: 5, slower: 0.5 }
    }
}

impl Guard {
    /// The first value out of range, if there is one.
    pub fn problem(&self) -> Option<String> {
        if !(self.spike == 0.0 || self.spike > 1.0) {
            return Some("guard.spike must be 0 or above 1".into());
        }
        if !(self.slower > 0.0 && self.slower <= 1.0) {
            return Some("guard.slower must be above 0 and at most 1".into());
        }
        (self.patience == 0).then(|| "guard.patience must be above 0".into())
    }
}

/// Gradient norm below which nothing trains in f32.
const VANISHED: f64 = 1e-9;
/// A tensor whose update is smaller than this share of its norm is dead: f32 has eight digits.
const DEAD: f64 = 1e-8;
/// Consecutive measurements after which a tensor counts as dead.
const DEAD_AFTER: usize = 3;
/// Steps before the running mean is reliable.
const SETTLED: usize = 20;
/// Decay of the running mean.
const DECAY: f64 = 0.98;

/// What the guard remembers of a run's steps. A checkpoint holds it, so that a resumed run judges as
/// the uninterrupted one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardState {
    /// Running mean of the loss.
    mean: f64,
    /// Good steps in the mean.
    seen: usize,
    /// Bad steps since the last good one.
    bad: usize,
    /// Rollbacks so far.
    rollbacks: usize,
    /// Factor on the learning rates.
    pub rate: f64,
    /// Tensors that did not change, and for how many consecutive measurements.
    #[serde(default)]
    still: BTreeMap<String, usize>,
}

impl Default for GuardState {
    fn default() -> Self {
        Self { mean: 0.0, seen: 0, bad: 0, rollbacks: 0, rate: 1.0, still: BTreeMap::new() }
    }
}

impl GuardState {
    /// Why a step is bad; `None` for a good one, which updates the running mean.
    pub fn judge(&mut self, guard: &Guard, loss: f64, grad_norm: f64) -> Option<String> {
        let settled = self.seen >= SETTLED;
        let reason = if !loss.is_finite() {
            Some(format!("the loss became {loss}"))
        } else if !grad_norm.is_finite() {
            Some(format!("the gradient's norm became {grad_norm}"))
        } else if guard.spike > 0.0 && settled && loss > guard.spike * self.mean {
            Some(format!("the loss leapt to {loss:.4}, {:.1} times its mean", loss / self.mean))
        } else {
            None
        };
        match &reason {
            Some(_) => self.bad += 1,
            None => {
                self.bad = 0;
                // The plain mean at first, then an exponential one.
                let weight = (1.0 / (self.seen + 1) as f64).max(1.0 - DECAY);
                self.mean += (loss - self.mean) * weight;
                self.seen += 1;
            }
        }
        reason
    }

    /// Resets the running mean: losses of another stage have another scale.
    pub fn begin_stage(&mut self) {
        (self.mean, self.seen) = (0.0, 0);
    }

    /// A warning about vanished gradients.
    pub fn warning(&self, grad_norm: f64) -> Option<String> {
        (grad_norm < VANISHED)
            .then(|| format!("the gradient has vanished (norm {grad_norm:.1e}): nothing learns"))
    }

    /// Tensors that this measurement finds dead, each named once: their updates are negligible.
    pub fn dead(&mut self, updates: &[Update]) -> Vec<String> {
        let mut found = Vec::new();
        for Update { name, change, size } in updates {
            if change.sqrt() > DEAD * size.sqrt().max(f64::MIN_POSITIVE) {
                self.still.remove(name);
                continue;
            }
            let count = self.still.entry(name.clone()).or_default();
            *count += 1;
            if *count == DEAD_AFTER {
                found.push(name.clone());
            }
        }
        found
    }

    /// Lowers the learning rates by [`Guard::slower`].
    pub fn slow_down(&mut self, guard: &Guard) {
        self.rate *= guard.slower;
    }

    /// Whether the run should end: see [`Guard::patience`].
    pub fn is_out_of_patience(&self, guard: &Guard) -> bool {
        self.bad.max(self.rollbacks) >= guard.patience
    }

    /// Whether the last rollback led to no good step: its checkpoint may be bad itself.
    pub fn distrusts_checkpoint(&self) -> bool {
        self.bad > 1 && self.rollbacks > 0
    }

    /// After a rollback restored this state: lowers the rates and keeps the counts of `before`.
    pub fn after_rollback(&mut self, before: &Self, guard: &Guard) {
        self.rate = before.rate * guard.slower;
        self.bad = before.bad;
        self.rollbacks = before.rollbacks + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_from_the_mean_is_a_spike() {
        let guard = Guard { spike: 3.0, ..Guard::default() };
        let mut state = GuardState::default();
        for i in 0..SETTLED {
            // Early losses are high and may fall.
            assert_eq!(state.judge(&guard, 2.0 + (i % 2) as f64, 1.0), None);
        }
        assert_eq!(state.judge(&guard, 7.0, 1.0), None);
        assert!(state.judge(&guard, 9.0, 1.0).expect("is told").contains("leapt"));
        assert_eq!(state.judge(&Guard::default(), 900.0, 1.0), None);
    }

    #[test]
    fn patience_counts_bad_steps_in_a_row() {
        let guard = Guard { patience: 2, ..Guard::default() };
        let mut state = GuardState::default();
        assert!(state.judge(&guard, f64::NAN, 1.0).is_some());
        assert_eq!(state.judge(&guard, 1.0, 1.0), None);
        assert!(state.judge(&guard, 1.0, f64::INFINITY).is_some());
        assert!(!state.is_out_of_patience(&guard));
        assert!(state.judge(&guard, f64::NAN, 1.0).is_some());
        assert!(state.is_out_of_patience(&guard));
        let mut back = GuardState::default();
        back.after_rollback(&state, &guard);
        assert!(back.is_out_of_patience(&guard) && back.rate == 0.5);
        assert!(state.warning(0.0).is_some() && state.warning(0.1).is_none());
    }

    #[test]
    fn a_tensor_that_stands_still_is_told_once_and_may_wake_up() {
        let mut state = GuardState::default();
        let mut look = |change: f64| {
            let of = |name: &str, change| Update { name: name.into(), change, size: 4.0 };
            state.dead(&[of("down", change), of("up", 1e-6)])
        };
        assert!(look(0.0).is_empty() && look(1e-20).is_empty());
        assert_eq!(look(0.0), ["down"]);
        assert!(look(0.0).is_empty() && look(1e-6).is_empty() && look(0.0).is_empty());
    }
}
