//! Counters such as `num_steps`, which are steps in some files and totals or lengths in others.

/// What such a counter is in a file.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Vague {
    #[default]
    Unseen,
    /// It seems to be the step.
    Trial(Trial),
    Steps,
    Totals,
}

/// The first rows, which are placed anew if their counter is not the step.
#[derive(Debug, PartialEq)]
pub(super) struct Trial {
    first: f64,
    last: f64,
    epoch: Option<f64>,
    rises: usize,
    rows: Vec<TrialRow>,
}

#[derive(Debug, PartialEq)]
pub(super) struct TrialRow {
    pub epoch: Option<f64>,
    pub wall: f64,
    pub cells: Vec<(String, f64)>,
}

impl TrialRow {
    pub(super) fn new<'c>(
        epoch: Option<f64>,
        wall: f64,
        cells: impl Iterator<Item = (&'c str, f64)>,
    ) -> Self {
        let epoch = epoch.filter(|epoch| epoch.is_finite());
        Self { epoch, wall, cells: cells.map(|(name, value)| (name.into(), value)).collect() }
    }
}

pub(super) enum Verdict {
    Step,
    /// No step; these rows were placed as if it were.
    Total(Vec<TrialRow>),
}

impl Vague {
    /// Whether the counter of the next row is its step.
    pub(super) fn judge(&mut self, value: f64, row: TrialRow) -> Verdict {
        /// Lengths that vary by chance do not rise so often.
        const RISES: usize = 8;
        const ROWS: usize = 64;
        let is_whole = value.fract() == 0.0;
        match self {
            Self::Unseen if is_whole => {
                let (epoch, rows) = (row.epoch, vec![row]);
                *self = Self::Trial(Trial { first: value, last: value, epoch, rises: 0, rows });
                Verdict::Step
            }
            Self::Trial(trial) if is_whole && trial.goes_on(value, &row) => {
                trial.rises += usize::from(value > trial.last);
                (trial.last, trial.epoch) = (value, row.epoch);
                trial.rows.push(row);
                if trial.rises >= RISES || trial.rows.len() >= ROWS {
                    *self = Self::Steps;
                }
                Verdict::Step
            }
            Self::Steps => Verdict::Step,
            _ => match std::mem::replace(self, Self::Totals) {
                Self::Trial(trial) => Verdict::Total(trial.rows),
                _ => Verdict::Total(Vec::new()),
            },
        }
    }

    /// The rows to place anew, if nothing has shown yet that the counter is the step.
    pub(super) fn give_up(&mut self) -> Option<Vec<TrialRow>> {
        match self {
            Self::Trial(trial) if trial.rises == 0 => {
                let rows = std::mem::take(&mut trial.rows);
                *self = Self::Totals;
                Some(rows)
            }
            _ => None,
        }
    }
}

impl Trial {
    fn goes_on(&self, value: f64, row: &TrialRow) -> bool {
        if value > self.last {
            return true;
        }
        if value == self.last {
            // Rows about one step have different metrics.
            let is_told = |name: &str| {
                let mut known = self.rows.iter().flat_map(|row| &row.cells);
                known.any(|(known, other)| known == name && *other != value)
            };
            return self.rises > 0
                || !row.cells.iter().any(|(name, other)| *other != value && is_told(name));
        }
        // Steps begin again in each epoch.
        let is_next = self.epoch.zip(row.epoch).is_some_and(|(last, now)| now > last);
        self.rises > 0 && is_next && (value == self.first || value == 0.0 || value == 1.0)
    }
}
