//! What is asked of the run under the cursor, or of all that are marked.

use std::path::PathBuf;
use std::time::SystemTime;

use super::{Effect, keep_cursor, show_where};
use crate::jobs::Wanted;
use crate::runs::Standing;
use crate::training::RunState;
use crate::tui::board::state::{Board, Noting, Question};

/// Marks the run under the cursor, or no longer, and goes on to the next.
pub fn mark(board: &mut Board) {
    if let Some(i) = board.chosen() {
        board.runs[i].marked ^= true;
        let last = board.listed().len().saturating_sub(1);
        board.cursor = (board.cursor + 1).min(last);
    }
}

/// Marks all listed runs, or none where they all are.
pub fn mark_all(board: &mut Board) {
    let listed = board.listed();
    let all = listed.iter().all(|i| board.runs[*i].marked);
    listed.into_iter().for_each(|i| board.runs[i].marked = !all);
}

/// Whether any were.
pub fn unmark(board: &mut Board) -> bool {
    let any = board.runs.iter().any(|run| run.marked);
    board.runs.iter_mut().for_each(|run| run.marked = false);
    any
}

/// Hides them where all are shown, shows them where some are not.
pub fn show_or_hide(board: &mut Board) {
    let targets = board.targets();
    let all = targets.iter().all(|i| board.runs[*i].shown);
    show_where(board, |i, shown| if targets.contains(&i) { !all } else { shown });
}

pub fn pin(board: &mut Board) {
    let targets = board.targets();
    let all = targets.iter().all(|i| board.runs[*i].pinned);
    keep_cursor(board, |board| targets.iter().for_each(|i| board.runs[*i].pinned = !all));
}

/// A new note, or the old one to be changed; words for several are put behind what each has.
pub fn note(board: &mut Board) {
    let runs = paths(board, &board.targets());
    let note = match runs.as_slice() {
        [] => return,
        [one] => board.notes.get(one).cloned().unwrap_or_default(),
        _ => String::new(),
    };
    board.noting = Some(Noting { runs, note });
}

/// The notes that come of what was typed.
pub fn noted(board: &Board, Noting { runs, note }: Noting) -> Vec<Effect> {
    let several = runs.len() > 1;
    let with = |run: PathBuf| {
        let old = board.notes.get(&run).filter(|_| several);
        let note = old.map_or(note.clone(), |old| format!("{old} {note}"));
        Effect::SetNote(run, note)
    };
    // An empty word for several takes nothing from them.
    let keep = several && note.trim().is_empty();
    runs.into_iter().filter(|_| !keep).map(with).collect()
}

pub fn ask(board: &mut Board, question: Question) {
    let targets = board.targets();
    let now = SystemTime::now();
    let standing = |i: &usize| board.run(*i).standing(now);
    let can = |i: &usize| {
        let standing = standing(i);
        let waits = matches!(standing, Standing::Told(RunState::Queued | RunState::Paused));
        match question {
            // One that seems lost may be on another machine.
            Question::Stop => standing.runs() || waits || standing == Standing::Lost,
            Question::Remove => !standing.runs() && !waits,
        }
    };
    let willing: Vec<usize> = targets.iter().copied().filter(can).collect();
    if let Some(first) = targets.first().filter(|_| willing.is_empty()) {
        let word = standing(first).word();
        let why = match (question, targets.len()) {
            (Question::Stop, 1) => format!("it is {word}"),
            (Question::Remove, 1) => format!("it is {word}; stop it first"),
            (Question::Stop, _) => "none of the marked runs goes on".into(),
            (Question::Remove, _) => "none of the marked runs is over; stop them first".into(),
        };
        board.notice = Some(why);
    } else if !willing.is_empty() {
        board.asking = Some((paths(board, &willing), question));
    }
}

/// Pauses what goes on; where nothing does, it goes on.
pub fn pause_or_go_on(board: &Board) -> Vec<Effect> {
    let targets = board.targets();
    let now = SystemTime::now();
    let goes_on = |i: &usize| {
        let standing = board.run(*i).standing(now);
        matches!(
            standing,
            Standing::Told(RunState::Running | RunState::Queued) | Standing::Starting
        )
    };
    let going: Vec<usize> = targets.iter().copied().filter(goes_on).collect();
    let (runs, wanted) = match going.is_empty() {
        false => (going, Wanted::Pause),
        true if targets.len() == 1 => (targets, Wanted::Run),
        // Of several, those that can.
        true => {
            let over =
                |i: &usize| board.run(*i).standing(now) == Standing::Told(RunState::Finished);
            (targets.into_iter().filter(|i| !over(i)).collect(), Wanted::Run)
        }
    };
    let runs = paths(board, &runs);
    if runs.is_empty() { Vec::new() } else { vec![Effect::Wish(runs, wanted)] }
}

fn paths(board: &Board, runs: &[usize]) -> Vec<PathBuf> {
    runs.iter().map(|i| board.run(*i).path.clone()).collect()
}
