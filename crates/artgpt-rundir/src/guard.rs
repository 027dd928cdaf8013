//! What a run does when a step goes wrong: a loss or a gradient that is no number, or a loss far
//! above what it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Update;

/// `[guard]` of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    pub on_bad: OnBad,
    /// A loss above so many times its running mean is bad, too; 0 is never.
    pub spike: f64,
    /// After so many bad steps without a good one between them, or goings back, the run ends.
    pub patience: usize,
    /// Factor on all learning rates after going back, or after a step skipped by `slow`.
    pub slower: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// The run ends; its last checkpoint is good.
    Stop,
    /// The step changes nothing, and the next one comes.
    Skip,
    /// The same, and learning rates are lower from then on.
    Slow,
    /// Back to the last checkpoint, with lower learning rates.
    Rollback,
}

impl Default for Guard {
    fn default() -> Self {
        Self { on_bad: OnBad::Stop, spike: 0.0, patience: 5, slower: 0.5 }
    }
}

impl Guard {
    /// What is out of range, in words.
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

/// Gradients below this train nothing in f32.
const VANISHED: f64 = 1e-9;
/// A tensor whose largest change is smaller than this share of it does not learn: f32 has eight
/// digits.
const DEAD: f64 = 1e-8;
/// Looks in a row after which a tensor is called dead.
const LOOKS: usize = 3;
/// Steps before a running mean says anything.
const SETTLED: usize = 20;
const KEEP: f64 = 0.98;

/// What a run remembers of its steps; part of a checkpoint, so that a resumed run judges alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardState {
    mean: f64,
    seen: usize,
    /// Bad steps since the last good one.
    bad: usize,
    /// Times that the run went back.
    rollbacks: usize,
    /// Factor on the learning rates.
    pub rate: f64,
    /// Tensors that did not change, and at how many looks in a row.
    #[serde(default)]
    still: BTreeMap<String, usize>,
}

impl Default for GuardState {
    fn default() -> Self {
        Self { mean: 0.0, seen: 0, bad: 0, rollbacks: 0, rate: 1.0, still: BTreeMap::new() }
    }
}

impl GuardState {
    /// Why a step is bad; `None` for a good one, which goes into the running mean.
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
                // The plain mean at first, then one that forgets.
                let weight = (1.0 / (self.seen + 1) as f64).max(1.0 - KEEP);
                self.mean += (loss - self.mean) * weight;
                self.seen += 1;
            }
        }
        reason
    }

    /// Losses of another stage are of another size.
    pub fn begin_stage(&mut self) {
        (self.mean, self.seen) = (0.0, 0);
    }

    /// A remark on a good step.
    pub fn warning(&self, grad_norm: f64) -> Option<String> {
        (grad_norm < VANISHED)
            .then(|| format!("the gradient has vanished (norm {grad_norm:.1e}): nothing learns"))
    }

    /// Tensors that are found dead at this look: their updates are nothing beside their size.
    pub fn dead(&mut self, updates: &[Update]) -> Vec<String> {
        let mut found = Vec::new();
        for Update { name, change, size } in updates {
            if change.sqrt() > DEAD * size.sqrt().max(f64::MIN_POSITIVE) {
                self.still.remove(name);
                continue;
            }
            let looks = self.still.entry(name.clone()).or_default();
            *looks += 1;
            if *looks == LOOKS {
                found.push(name.clone());
            }
        }
        found
    }

    pub fn slow_down(&mut self, guard: &Guard) {
        self.rate *= guard.slower;
    }

    pub fn is_out_of_patience(&self, guard: &Guard) -> bool {
        self.bad.max(self.rollbacks) >= guard.patience
    }

    /// The checkpoint to which the run went back led to no good step: it may not be good itself.
    pub fn distrusts_checkpoint(&self) -> bool {
        self.bad > 1 && self.rollbacks > 0
    }

    /// After going back to what it was at the checkpoint: slower, and no less impatient.
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
