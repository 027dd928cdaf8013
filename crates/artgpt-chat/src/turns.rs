//! The turns of a conversation, sorted by `seq`, so that a turn is found without a scan.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::TurnRecord;

/// Turns with strictly rising `seq`. Reads as a slice; a turn enters only through [`Turns::push`].
///
/// A parent stands before its child, so the path from a leaf to its root is one walk backwards.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Turns(Vec<TurnRecord>);

impl Turns {
    /// Adds a turn at its place by `seq`; it replaces the turn that has the same `seq`.
    pub fn push(&mut self, turn: TurnRecord) {
        // Nearly every turn is newer than all the others.
        if self.0.last().is_none_or(|last| last.seq < turn.seq) {
            return self.0.push(turn);
        }
        match self.index_of(turn.seq) {
            Ok(at) => self.0[at] = turn,
            Err(at) => self.0.insert(at, turn),
        }
    }

    /// The turn with this `seq`. Takes time logarithmic in the number of turns.
    pub fn by_seq(&self, seq: u64) -> Option<&TurnRecord> {
        self.index_of(seq).ok().map(|at| &self.0[at])
    }

    /// Changes the turn with this `seq` and returns it as it is then; its `seq` stays.
    pub fn update(
        &mut self,
        seq: u64,
        change: impl FnOnce(&mut TurnRecord),
    ) -> Option<&TurnRecord> {
        let at = self.index_of(seq).ok()?;
        let turn = &mut self.0[at];
        change(turn);
        turn.seq = seq;
        Some(turn)
    }

    /// The turns from the root to `leaf`, oldest first; empty if there is no such turn. Takes time
    /// linear in the number of turns. A parent that is missing or not older ends the path.
    pub fn path(&self, leaf: u64) -> Vec<&TurnRecord> {
        let Ok(mut at) = self.index_of(leaf) else { return Vec::new() };
        let mut path = vec![&self.0[at]];
        while let Some(parent) = self.0[at].parent {
            // One step back without branches; the whole walk visits each turn at most once.
            let before = &self.0[..at];
            match before.iter().rposition(|turn| turn.seq <= parent) {
                Some(index) if before[index].seq == parent => at = index,
                _ => break,
            }
            path.push(&self.0[at]);
        }
        path.reverse();
        path
    }

    fn index_of(&self, seq: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&seq, |turn| turn.seq)
    }
}

impl std::ops::Deref for Turns {
    type Target = [TurnRecord];

    fn deref(&self) -> &[TurnRecord] {
        &self.0
    }
}

impl FromIterator<TurnRecord> for Turns {
    fn from_iter<T: IntoIterator<Item = TurnRecord>>(turns: T) -> Self {
        let mut all = Self::default();
        turns.into_iter().for_each(|turn| all.push(turn));
        all
    }
}

impl IntoIterator for Turns {
    type Item = TurnRecord;
    type IntoIter = std::vec::IntoIter<TurnRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Turns {
    type Item = &'a TurnRecord;
    type IntoIter = std::slice::Iter<'a, TurnRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for Turns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let turns = Vec::<TurnRecord>::deserialize(deserializer)?;
        match turns.is_sorted_by(|a, b| a.seq < b.seq) {
            true => Ok(Self(turns)),
            false => Err(D::Error::custom("its turns are out of order")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conversation, Session};

    fn turn(seq: u64, parent: Option<u64>) -> TurnRecord {
        let empty = Conversation::new(Session::new("m", None));
        TurnRecord { seq, parent, ..empty.user_turn(&seq.to_string(), Vec::new()) }
    }

    fn seqs(path: &[&TurnRecord]) -> Vec<u64> {
        path.iter().map(|t| t.seq).collect()
    }

    #[test]
    fn a_path_goes_through_branches_and_gaps() {
        // 1 and 4 are two answers to 0; 9 follows 4.
        let all = [(0, None), (1, Some(0)), (2, Some(1)), (4, Some(0)), (9, Some(4))];
        let turns: Turns = all.into_iter().map(|(seq, parent)| turn(seq, parent)).collect();
        assert_eq!(seqs(&turns.path(9)), [0, 4, 9]);
        assert_eq!(seqs(&turns.path(2)), [0, 1, 2]);
        assert!(turns.path(3).is_empty());
        assert_eq!(turns.by_seq(4), Some(&turns[3]));
        assert_eq!(turns.by_seq(5), None);
    }

    #[test]
    fn a_path_ends_at_a_parent_that_is_missing_or_not_older() {
        let all = [(0, Some(1)), (1, Some(0)), (5, Some(3)), (6, Some(5))];
        let turns: Turns = all.into_iter().map(|(seq, parent)| turn(seq, parent)).collect();
        assert_eq!(seqs(&turns.path(1)), [0, 1]);
        assert_eq!(seqs(&turns.path(6)), [5, 6]);
    }

    #[test]
    fn a_turn_that_comes_late_is_sorted_in_and_an_edited_one_is_replaced() {
        let mut turns: Turns = [turn(0, None), turn(3, Some(1))].into_iter().collect();
        turns.push(turn(1, Some(0)));
        assert_eq!(seqs(&turns.path(3)), [0, 1, 3]);
        turns.push(turn(3, Some(0)));
        assert_eq!((turns.len(), seqs(&turns.path(3))), (3, vec![0, 3]));
        let changed = turns.update(1, |t| {
            t.seq = 8;
            t.text = "edited".into();
        });
        assert_eq!(changed.map(|t| (t.seq, t.text.as_str())), Some((1, "edited")));
        assert!(turns.update(8, |_| ()).is_none());
    }

    #[test]
    fn an_import_keeps_its_turns_and_one_out_of_order_is_refused() {
        let turns: Turns = [turn(0, None), turn(2, Some(0))].into_iter().collect();
        let json = serde_json::to_string(&turns).expect("serialises");
        assert!(json.starts_with('['), "the file format is a plain list");
        let back: Turns = serde_json::from_str(&json).expect("parses");
        assert_eq!((seqs(&back.path(2)), &back), (vec![0, 2], &turns));
        let reversed: Vec<_> = turns.into_iter().rev().collect();
        let json = serde_json::to_string(&reversed).expect("serialises");
        let error = serde_json::from_str::<Turns>(&json).expect_err("is refused");
        assert!(error.to_string().contains("out of order"), "{error}");
    }

    /// A walk that looks for each parent from the start would not end within this test's patience.
    #[test]
    fn the_path_of_a_long_session_is_one_walk() {
        let first = turn(0, None);
        let record = |seq: u64| TurnRecord { seq, parent: seq.checked_sub(1), ..first.clone() };
        let turns: Turns = (0..200_000).map(record).collect();
        assert_eq!(turns.path(199_999).len(), 200_000);
    }
}
