//! What the columns of a log mean, by the names that trainers give them.

use std::collections::HashMap;

/// The meaning of a column or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The step; of several the lowest rank counts.
    Step(u16),
    /// The epoch, which is a metric, too, and stands in for a step that is not there.
    Epoch,
    /// A date, or seconds since 1970.
    Wall,
    /// Seconds since the start.
    Elapsed,
    /// The number of steps to go to.
    Total,
    /// Known, and no metric: what is left, what the run goes to.
    Plan,
    /// The data split that a line is about.
    Split,
    Metric,
}

/// Names of the step, the most certain first. Compared without case; blanks and hyphens count as `_`.
const STEPS: &[&str] = &[
    "step",
    "_step",
    "global_step",
    "globalstep",
    "steps",
    "current_steps",
    "current_step",
    "global_steps",
    "training_step",
    "optimizer_step",
    "optimizer_steps",
    "optimiser_step",
    "step_num",
    "step_number",
    "step_id",
    "nstep",
    "nsteps",
    "step_count",
    "step_idx",
    "cur_step",
    "update_step",
    "optim_step",
    "opt_step",
    "global_batch_step",
    // Of reinforcement learning, which counts iterations, too.
    "total_timesteps",
    "timesteps_total",
    "num_timesteps",
    "timesteps",
    "timestep",
    "num_env_steps",
    "num_env_steps_sampled",
    "num_env_steps_sampled_lifetime",
    "total_env_steps",
    "env_steps",
    "env_step",
    "totalenvinteracts",
    "iteration",
    "iterations",
    "iter",
    "iters",
    "global_iter",
    "global_iteration",
    "current_iteration",
    "current_iter",
    "training_iteration",
    "training_iterations",
    "cur_iter",
    "iter_idx",
    "iter_num",
    "iter_no",
    "it",
    "itr",
    "niter",
    "n_iter",
    "num_updates",
    "updates",
    "update",
    "n_updates",
    "nupdates",
    "batch",
    "batches",
    "batch_idx",
    "batch_num",
    "batch_id",
    "minibatch",
];

/// Names that may be those of totals, too, or of lengths: steps only while they rise.
const VAGUE_STEPS: &[&str] = &[
    "training_steps",
    "train_steps",
    "num_steps",
    "n_steps",
    "nb_steps",
    "train_iters",
    "n_iters",
    "num_iters",
    "num_batches",
    "frame",
    "frames",
    "num_frames",
];

/// Counted above all other steps.
const VAGUE: u16 = 2_000;

/// Whether the name of a step with this rank may be that of a total.
pub(super) fn is_vague(rank: u16) -> bool {
    rank >= VAGUE
}

/// Counted above those with a prefix.
const PREFIXED: u16 = 1_000;

const EPOCHS: &[&str] = &[
    "epoch",
    "epochs",
    "_epoch",
    "current_epoch",
    "global_epoch",
    "epoch_num",
    "epoch_idx",
    "ep",
    "num_epoch",
    "round",
    "boosting_round",
];

const WALLS: &[&str] = &[
    "wall_time",
    "walltime",
    "_timestamp",
    "timestamp",
    "time",
    "datetime",
    "date",
    "date_time",
    "created_at",
    "unix_time",
    "ts",
];

const ELAPSED: &[&str] = &[
    "elapsed_s",
    "_runtime",
    "elapsed",
    "elapsed_time",
    "elapsed_seconds",
    "time_elapsed",
    "time_total_s",
    "relative_time_(wall)",
    "relative_time_(process)",
];

const TOTALS: &[&str] = &[
    "total_steps",
    "total_step",
    "max_steps",
    "max_step",
    "num_training_steps",
    "num_train_steps",
    "max_iters",
    "max_iter",
    "total_iters",
    "total_iter",
    "total_iterations",
    "max_iterations",
    "max_updates",
    "max_update",
];

const PLANS: &[&str] = &[
    "remaining_time",
    "eta",
    "eta_seconds",
    "total_epochs",
    "max_epochs",
    "num_epochs",
    "num_train_epochs",
];

const SPLITS: &[&str] = &["split", "mode", "phase"];

/// What may stand before the name of a step or epoch: `train/step`, `valid_num_updates`. Elsewhere
/// (`time/step`, `perf/batch`) these names are figures of a step.
const OWNERS: &[&str] = &[
    "train",
    "training",
    "trainer",
    "learner",
    "val",
    "valid",
    "validation",
    "dev",
    "test",
    "eval",
    "evaluation",
    "global",
    "progress",
    "state",
    "trainer_state",
    "log",
    "metrics",
    "misc",
    "loop",
    "counters",
];

/// Stable Baselines3 and RLlib group times and counters.
const TIMERS: &[(&str, &[&str])] = &[
    ("time", &["total_timesteps", "iterations", "time_elapsed", "total_steps"]),
    ("timers", &["total_timesteps"]),
];

impl Role {
    pub(crate) fn of(name: &str) -> Self {
        // W&B's tables: `NAME OF THE RUN - train/step`.
        let name = normal(name.rsplit(" - ").next().unwrap_or(name));
        if let Some(role) = Self::bare(&name) {
            return role;
        }
        let Some((owner, name)) = name.rsplit_once('/') else {
            return Self::joined(&name);
        };
        let of_timer = TIMERS.iter().any(|(timer, names)| *timer == owner && names.contains(&name));
        let is_own = OWNERS.contains(&owner)
            || owner.rsplit('/').next().is_some_and(|last| OWNERS.contains(&last));
        match Self::bare(name) {
            // Composer counts batches there, others measure them.
            Some(Self::Step(rank)) if owner == "time" && name == "batch" => {
                Self::Step(VAGUE + rank)
            }
            Some(Self::Total) if of_timer => Self::Step(PREFIXED),
            Some(Self::Step(rank)) if of_timer || is_own => Self::Step(PREFIXED + rank),
            Some(Self::Elapsed) if of_timer => Self::Elapsed,
            Some(role @ (Self::Epoch | Self::Total | Self::Plan)) if is_own => role,
            _ => Self::Metric,
        }
    }

    /// The role of a name without prefix.
    fn bare(name: &str) -> Option<Self> {
        let rank = |names: &[&str]| names.iter().position(|known| *known == name);
        Some(match name {
            _ if let Some(rank) = rank(STEPS) => Self::Step(rank as u16),
            _ if let Some(rank) = rank(VAGUE_STEPS) => Self::Step(VAGUE + rank as u16),
            _ if EPOCHS.contains(&name) => Self::Epoch,
            _ if WALLS.contains(&name) => Self::Wall,
            _ if ELAPSED.contains(&name) => Self::Elapsed,
            _ if TOTALS.contains(&name) => Self::Total,
            _ if PLANS.contains(&name) => Self::Plan,
            _ if SPLITS.contains(&name) => Self::Split,
            _ => return None,
        })
    }

    /// The role of a name such as `valid_num_updates` (fairseq).
    fn joined(name: &str) -> Self {
        const ENDS: &[&str] =
            &["step", "global_step", "iteration", "iter", "num_updates", "epoch", "max_steps"];
        let found = OWNERS.iter().find_map(|owner| {
            let end = name.strip_prefix(owner)?.strip_prefix(['_', '.'])?;
            ENDS.contains(&end).then(|| Self::bare(end))?
        });
        match found {
            Some(Self::Step(rank)) => Self::Step(PREFIXED + rank),
            Some(role) => role,
            None => Self::Metric,
        }
    }
}

/// A name in lower case, with blanks and hyphens as `_`, and without marks: `Step:`, `Iter.`, `Epoch(s)`.
pub(crate) fn normal(name: &str) -> String {
    let plain =
        |c: char| if matches!(c, ' ' | '-' | '\u{a0}') { '_' } else { c.to_ascii_lowercase() };
    let is_mark = |c: char| c.is_whitespace() || matches!(c, ':' | '.' | '#');
    let bare = name.trim_matches(is_mark);
    let bare = match bare.strip_suffix("(s)") {
        Some(one) if one.ends_with(char::is_alphanumeric) => one,
        _ => bare,
    };
    bare.chars().map(plain).collect()
}

/// The roles of the names in one file. Most rows have the same names in the same order.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    known: HashMap<Box<str>, Role>,
    /// Of the last row.
    order: Vec<(Box<str>, Role)>,
    next: usize,
}

impl Roles {
    /// Limit on the names: a file may have new ones in each line.
    const MOST: usize = 10_000;

    /// A new row begins.
    pub(crate) fn begin_row(&mut self) {
        self.next = 0;
    }

    /// The role of the row's next name.
    pub(crate) fn of(&mut self, name: &str) -> Role {
        let at = self.next;
        self.next += 1;
        if let Some((known, role)) = self.order.get(at)
            && **known == *name
        {
            return *role;
        }
        let role = match self.known.get(name) {
            Some(role) => *role,
            None => Role::of(name),
        };
        if self.known.len() < Self::MOST {
            self.known.insert(name.into(), role);
        }
        match self.order.get_mut(at) {
            Some(place) => *place = (name.into(), role),
            None if at < Self::MOST => self.order.push((name.into(), role)),
            None => {}
        }
        role
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_widely_used_trainers_are_known() {
        for name in [
            // Lightning, W&B, LLaMA-Factory, Detectron2, Caffe, fairseq, Stable Baselines3, RLlib, ...
            "step",
            "Step",
            " global_step ",
            "_step",
            "trainer/global_step",
            "current_steps",
            "steps",
            "iteration",
            "Iteration",
            "iter",
            "#Iters".trim_start_matches('#'),
            "num_updates",
            "train_num_updates",
            "valid/num_updates",
            "train/step",
            "train/global_step",
            "time/total_timesteps",
            "time/iterations",
            "training_iteration",
            "TotalEnvInteracts",
            "run 1 - trainer/global_step",
            "batch",
            // Of Composer, RLlib and others.
            "time/batch",
            "num_env_steps_sampled_lifetime",
            "learner/step",
            "step_count",
            "num_steps",
            "n_steps",
            "nb_steps",
            "update_step",
            "optim_step",
            "opt_step",
            "cur_step",
            "cur_iter",
            "step_idx",
            "iter_idx",
            "n_iters",
            "num_iters",
            "total_env_steps",
            "global_batch_step",
            "batch_id",
            "num_batches",
            "frame",
            "frames",
            "num_frames",
            "Step:",
            "Iter.",
            "progress/train_iters",
        ] {
            assert!(matches!(Role::of(name), Role::Step(_)), "{name}: {:?}", Role::of(name));
        }
        for (name, role) in [
            ("epoch", Role::Epoch),
            ("Epoch", Role::Epoch),
            ("epoch_idx", Role::Epoch),
            ("ep", Role::Epoch),
            ("Epoch(s)", Role::Epoch),
            ("train/epoch", Role::Epoch),
            ("Wall time", Role::Wall),
            ("wall_time", Role::Wall),
            ("Timestamp", Role::Wall),
            ("elapsed_time", Role::Elapsed),
            ("Relative Time (Wall)", Role::Elapsed),
            ("time/time_elapsed", Role::Elapsed),
            ("total_steps", Role::Total),
            ("train/max_steps", Role::Total),
            ("remaining_time", Role::Plan),
            ("phase", Role::Split),
            ("loss", Role::Metric),
            ("time/step", Role::Metric),
            ("time/fps", Role::Metric),
            ("perf/batch", Role::Metric),
            ("train_steps_per_second", Role::Metric),
            ("step_time", Role::Metric),
            ("train/time", Role::Metric),
            ("Value", Role::Metric),
        ] {
            assert_eq!(Role::of(name), role, "{name}");
        }
    }

    #[test]
    fn the_plainest_name_of_a_step_ranks_first() {
        let rank = |name: &str| match Role::of(name) {
            Role::Step(rank) => rank,
            role => panic!("{name} is {role:?}"),
        };
        let names = [
            "step",
            "global_step",
            "iter",
            "batch",
            "train/step",
            "train/iter",
            "train_steps",
            "num_steps",
        ];
        assert!(names.windows(2).all(|pair| rank(pair[0]) < rank(pair[1])));
    }
}
