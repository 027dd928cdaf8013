//! Where the rows of a file stand on the axis.

use std::collections::BTreeMap;

use super::Count;
use super::vague::{TrialRow, Vague, Verdict};
use crate::curves::Curves;
use crate::readers::role::is_vague;
use crate::series::Point;
use crate::skipped::Skipped;

/// What a row tells about its place: rank and value of its step, its epoch and time.
#[derive(Debug)]
pub(super) struct Told {
    pub step: Option<(u16, Count)>,
    pub epoch: Option<f64>,
    pub wall: f64,
}

/// What the rows of a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Axis {
    /// Nothing: rows have numbers.
    #[default]
    Rows,
    Epochs,
    Steps,
}

/// Where the rows of one file stand: at their steps; in files without steps at their epochs; in files
/// without either at their row numbers.
#[derive(Debug, Default)]
pub(in crate::readers) struct Placing {
    axis: Axis,
    /// Rows placed since the axis changed, and where the first was.
    rows: u64,
    first: Option<String>,
    unwrapped: Unwrapped,
    epochs: EpochSteps,
    vague: Vague,
    /// Rows with such a step in a file that has none otherwise, and the last of these steps.
    late: Option<(u64, f64)>,
    /// Names of epochs and seconds with their last step and value.
    clocks: Vec<(String, f64, f64)>,
}

impl Placing {
    /// The file has a column of steps, even if no row has one.
    pub(crate) fn expect_steps(&mut self) {
        self.axis = self.axis.max(Axis::Steps);
    }

    /// The file has a column of epochs.
    pub(crate) fn expect_epochs(&mut self) {
        self.axis = self.axis.max(Axis::Epochs);
    }

    /// Whether an epoch or a time is not the one that was told last at this step.
    pub(crate) fn is_news(&mut self, name: &str, step: f64, value: f64) -> bool {
        /// More such names are taken as news.
        const MOST: usize = 16;
        match self.clocks.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, at, last)) => {
                let is_news = (*at, *last) != (step, value);
                (*at, *last) = (step, value);
                is_news
            }
            None => {
                if self.clocks.len() < MOST {
                    self.clocks.push((name.into(), step, value));
                }
                true
            }
        }
    }

    /// The step of a row. A name that may be a total's is a step's only while it rises.
    pub(super) fn known_step<'c>(
        &mut self,
        told: Told,
        cells: impl Iterator<Item = (&'c str, f64)>,
        into: &mut Curves,
    ) -> Option<Count> {
        let is_new = self.rows == 0;
        let is_counted = self.axis == Axis::Steps;
        let Told { step, epoch, wall } = told;
        let value = match step {
            Some((rank, Count::At(value))) if is_vague(rank) => value,
            // Unreadable totals are no steps.
            Some((rank, _)) if is_vague(rank) => return None,
            Some((_, step)) => {
                self.give_up_trial(into);
                return Some(step);
            }
            None => {
                self.give_up_trial(into);
                return None;
            }
        };
        let is_step = match &mut self.vague {
            Vague::Totals => false,
            Vague::Steps => true,
            // Other names count the steps of this file.
            Vague::Unseen if !is_new && is_counted => value >= self.epochs.highest,
            // One row, such as a last summary, does not take the others off their axis.
            Vague::Unseen if !is_new => {
                let rises = self.late.is_none_or(|(_, last)| value > last);
                let count = self.late.map_or(0, |(count, _)| count) + 1;
                self.late = Some((count, value));
                let moves = rises && 2 * count > self.rows;
                if moves {
                    self.vague = Vague::Steps;
                }
                moves
            }
            vague => {
                let row = TrialRow::new(epoch, wall, cells);
                match vague.judge(value, row) {
                    Verdict::Step => true,
                    Verdict::Total(rows) => {
                        self.place_anew(rows, into);
                        false
                    }
                }
            }
        };
        is_step.then_some(Count::At(value))
    }

    /// Another row comes before a name that may be a total's has risen.
    fn give_up_trial(&mut self, into: &mut Curves) {
        if let Some(rows) = self.vague.give_up() {
            self.place_anew(rows, into);
        }
    }

    /// What was taken for steps are totals: the rows stand at their epochs or row numbers.
    fn place_anew(&mut self, rows: Vec<TrialRow>, into: &mut Curves) {
        if !rows.is_empty() {
            into.forget_file();
        }
        let has_epochs = rows.iter().any(|row| row.epoch.is_some());
        self.axis = if has_epochs { Axis::Epochs } else { Axis::Rows };
        (self.unwrapped, self.epochs) = Default::default();
        self.rows = 0;
        self.clocks.clear();
        for row in rows {
            let step = match has_epochs {
                true => row.epoch.unwrap_or_default(),
                false => self.rows as f64,
            };
            self.rows += 1;
            if !has_epochs {
                into.place_by_row();
            }
            for (name, value) in row.cells {
                into.push(&name, Point { step, wall: row.wall, value });
            }
        }
    }

    /// The place of a row; `None` if it has none, which is counted.
    pub(crate) fn step(
        &mut self,
        step: Option<&Count>,
        epoch: Option<f64>,
        into: &mut Curves,
        skipped: &mut Skipped,
        at: &dyn Fn() -> String,
    ) -> Option<f64> {
        let epoch = epoch.filter(|epoch| epoch.is_finite());
        let axis = match (step, epoch) {
            (Some(_), _) => Axis::Steps,
            (None, Some(_)) => Axis::Epochs,
            (None, None) => Axis::Rows,
        };
        if axis == Axis::Rows && self.axis == Axis::Rows {
            into.place_by_row();
        }
        if axis > self.axis {
            // A number of a row says nothing in a file that has steps.
            if self.rows > 0 {
                into.forget_file();
                let first = self.first.take().unwrap_or_default();
                skipped.add_first(self.axis.missing(axis), self.rows as usize, || first);
                self.clocks.clear();
            }
            (self.axis, self.rows) = (axis, 0);
        }
        let placed = match (self.axis, step, epoch) {
            (Axis::Steps, Some(Count::At(step)), _) => {
                let step = self.unwrapped.step(*step, into);
                Some(self.epochs.global(step, epoch))
            }
            (Axis::Steps, Some(Count::Unreadable(text)), _) => {
                skipped.add_first("rows whose step is not a number", 1, || {
                    format!("{}: {text}", at())
                });
                return None;
            }
            (Axis::Epochs, _, Some(epoch)) => Some(epoch),
            (Axis::Rows, ..) => Some(self.rows as f64),
            _ => None,
        };
        match placed {
            Some(_) => {
                if self.rows == 0 {
                    self.first = Some(at());
                }
                self.rows += 1;
            }
            None => skipped.add_first(axis.missing(self.axis), 1, at),
        }
        placed
    }
}

impl Axis {
    /// Why rows with this cannot be placed on another axis.
    fn missing(self, other: Self) -> &'static str {
        match other {
            Self::Steps => "rows without a step",
            _ => "rows without an epoch",
        }
    }
}

/// Steps that begin again in each epoch are counted on.
#[derive(Debug, Default)]
struct EpochSteps {
    /// The first step of the file.
    first: Option<f64>,
    /// The present epoch.
    epoch: Option<i64>,
    /// Added to the steps of the present epoch.
    offset: f64,
    /// What was added in each epoch, for runs that go back.
    offsets: BTreeMap<i64, f64>,
    /// The highest place since the run went back.
    highest: f64,
}

impl EpochSteps {
    /// Epochs whose offsets are kept.
    const MOST: usize = 10_000;

    fn global(&mut self, step: f64, epoch: Option<f64>) -> f64 {
        let first = *self.first.get_or_insert(step);
        let epoch = epoch.map(|epoch| epoch.floor() as i64);
        match (self.epoch, epoch) {
            (Some(before), Some(now)) if now > before => {
                let begins = step == first || step == 0.0 || step == 1.0;
                if begins && step + self.offset <= self.highest {
                    // What begins at 0 has a first step; other steps are multiples of an interval.
                    self.offset = self.highest + if step < 1.0 { 1.0 - step } else { 0.0 };
                }
            }
            (Some(before), Some(now)) if now < before => {
                self.offset = self.offsets.get(&now).copied().unwrap_or(0.0);
                self.highest = f64::NEG_INFINITY;
            }
            _ => {}
        }
        if epoch != self.epoch
            && let Some(now) = epoch
        {
            self.epoch = epoch;
            if self.offsets.len() < Self::MOST {
                self.offsets.insert(now, self.offset);
            }
        }
        let placed = step + self.offset;
        self.highest = self.highest.max(placed);
        placed
    }
}

/// Steps that were kept in 32 bits become negative at 2^31: they count on.
#[derive(Debug, Default)]
pub(in crate::readers) struct Unwrapped {
    /// The last step as it was written, and what is added to those that follow.
    last: f64,
    shift: f64,
}

impl Unwrapped {
    pub(crate) fn step(&mut self, written: f64, curves: &mut Curves) -> f64 {
        const HALF: f64 = 2_147_483_648.0;
        let wraps = self.last >= HALF / 2.0 && (-HALF..=-HALF / 2.0).contains(&written);
        if wraps && self.shift == 0.0 {
            self.shift = 2.0 * HALF;
            let text = "the step overflows 32 bits here; later steps count on";
            curves.about_mut().alert(HALF as u64, text.into());
        }
        // Also of events that name no step.
        if written == 0.0 {
            return 0.0;
        }
        // A run that is begun again.
        if written > 0.0 {
            self.shift = 0.0;
        }
        self.last = written;
        written + self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::JsonLines;
    use crate::readers::testing::read_all;

    fn places(rows: &[(Option<Count>, Option<f64>)]) -> (Vec<Option<f64>>, Skipped) {
        let (mut places, mut skipped) = (Placing::default(), Skipped::default());
        let mut curves = Curves::default();
        let all = rows.iter().map(|(step, epoch)| {
            places.step(step.as_ref(), *epoch, &mut curves, &mut skipped, &|| "".into())
        });
        (all.collect(), skipped)
    }

    #[test]
    fn a_step_that_cannot_be_read_is_never_a_row_number() {
        let at = |step| (Some(Count::At(step)), None);
        let bad = (Some(Count::Unreadable("last".into())), None);
        let (found, skipped) = places(&[at(10.0), at(20.0), bad, (None, Some(3.0)), at(40.0)]);
        assert_eq!(found, [Some(10.0), Some(20.0), None, None, Some(40.0)]);
        assert_eq!(skipped.total(), 2);
        // Rows have numbers where nothing else counts them.
        assert_eq!(places(&[(None, None), (None, None)]).0, [Some(0.0), Some(1.0)]);
        // What stood at a row number is taken back when steps come.
        assert_eq!(places(&[(None, None), at(5.0)]).1.total(), 1);
    }

    #[test]
    fn steps_of_each_epoch_are_counted_on_and_a_resumed_run_goes_back() {
        let row = |step: f64, epoch: f64| (Some(Count::At(step)), Some(epoch));
        let rows = [
            (0.0, 0.0),
            (1.0, 0.0),
            (2.0, 0.0),
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, 1.0),
            (0.0, 2.0),
            // Back to the second epoch.
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, 1.0),
            (0.0, 2.0),
        ];
        let found = places(&rows.map(|(step, epoch)| row(step, epoch))).0;
        let steps: Vec<f64> = found.into_iter().flatten().collect();
        assert_eq!(steps, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 3.0, 4.0, 5.0, 6.0]);
        // Steps that do not begin again stay, and so do other counters in lines between.
        let rows = [(50.0, 0.5), (100.0, 1.0), (150.0, 1.5), (2.0, 2.0), (200.0, 2.0), (0.5, 2.1)];
        let found = places(&rows.map(|(step, epoch)| row(step, epoch))).0;
        assert_eq!(found, rows.map(|(step, _)| Some(step)));
    }

    /// Steps of the losses of some lines, and how many were skipped.
    fn losses(lines: &str) -> (Vec<f64>, usize) {
        let (curves, skipped) = read_all(lines, |path| Box::new(JsonLines::new(path)));
        let loss = curves.get("loss").into_iter().flat_map(|loss| loss.points());
        (loss.map(|p| p.step).collect(), skipped.total())
    }

    #[test]
    fn steps_that_overflow_32_bits_count_on() {
        let (mut steps, mut curves) = (Unwrapped::default(), Curves::default());
        let written = [2_147_483_646.0, -2_147_483_648.0, -2_147_483_646.0, 7.0, -5.0];
        let found = written.map(|step| steps.step(step, &mut curves));
        assert_eq!(found, [2_147_483_646.0, 2_147_483_648.0, 2_147_483_650.0, 7.0, -5.0]);
        assert_eq!(curves.about.alerts.len(), 1);
        let lines = [2_147_483_647i64, -2_147_483_648, -2_147_483_647]
            .map(|step| format!("{{\"step\":{step},\"loss\":1}}\n"));
        let expected = vec![2_147_483_647.0, 2_147_483_648.0, 2_147_483_649.0];
        assert_eq!(losses(&lines.concat()), (expected, 0));
    }

    #[test]
    fn a_last_summary_does_not_move_a_file_of_epochs() {
        let lines = "{\"epoch\":1,\"loss\":1}\n{\"epoch\":2,\"loss\":2}\n{\"epoch\":3,\"loss\":0.5}\n\
                     {\"epoch\":3,\"train_steps\":300,\"train_loss\":0.6}\n";
        assert_eq!(losses(lines), (vec![1.0, 2.0, 3.0], 0));
        let steps = "{\"epoch\":1,\"loss\":1}\n{\"epoch\":1,\"step\":5,\"loss\":2}\n";
        assert_eq!(losses(steps), (vec![5.0], 1));
    }

    #[test]
    fn steps_begin_again_after_the_last_step_of_the_epoch_before() {
        let row = |(epoch, step)| (Some(Count::At(step)), Some(epoch));
        let rows = [(1.0, 50.0), (1.0, 100.0), (1.0, 120.0), (2.0, 50.0), (2.0, 100.0)];
        let found = places(&rows.map(row)).0;
        assert_eq!(found, [50.0, 100.0, 120.0, 170.0, 220.0].map(Some));
    }

    #[test]
    fn names_of_totals_are_steps_only_while_they_rise() {
        let file = |name: &str, counts: &[f64]| {
            let lines = counts.iter().map(|n| format!("{{\"{name}\":{n},\"loss\":1}}\n"));
            losses(&lines.collect::<String>()).0
        };
        let rising: Vec<f64> = (1..20).map(|n| f64::from(n) * 10.0).collect();
        assert_eq!(file("num_steps", &rising), rising);
        assert_eq!(file("time/batch", &[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(file("time/batch", &[0.5, 0.75, 0.5]), [0.0, 1.0, 2.0]);
        assert_eq!(file("num_steps", &[1000.0; 3]), [0.0, 1.0, 2.0]);
        // Lengths of episodes.
        assert_eq!(file("num_steps", &[150.0, 200.0, 180.0, 220.0]), [0.0, 1.0, 2.0, 3.0]);
        let settings =
            "{\"num_steps\":9,\"lr\":1}\n{\"epoch\":1,\"loss\":1}\n{\"epoch\":2,\"loss\":1}\n";
        assert_eq!(losses(settings).0, [1.0, 2.0]);
        let nothing = "{\"num_steps\":null,\"epoch\":1,\"loss\":1}\n";
        assert_eq!(losses(nothing), (vec![1.0], 0));
    }
}
