//! What is asked of the run under the cursor, or of all that are marked.

use std::path::PathBuf;
use std::time::SystemTime;

use super::{Effect, show_where};
use crate::tui::board::state::{Asking, Board, Noting, Question};
use artgpt_rundir::RunState;
use artgpt_rundir::job::Wanted;
use artgpt_runs::Standing;

/// Marks the run under the cursor, or no longer, and goes on to the next.
pub fn mark(board: &mut Board) {
    if let Some(i) = board.chosen() {
        board.runs[i].marked ^= true;
        board.move_by(1);
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
    show_where(board, |i| targets.contains(&i).then_some(!all));
}

pub fn pin(board: &mut Board) {
    let targets = board.targets();
    let all = targets.iter().all(|i| board.runs[*i].pinned);
    targets.iter().for_each(|i| board.runs[*i].pinned = !all);
}

/// A new note, or the old one to be changed; words for several are put behind what each has.
pub fn note(board: &mut Board) {
    let targets = board.targets();
    let note = match targets.as_slice() {
        [] => return,
        [one] => board.note(&board.run(*one)),
        _ => String::new(),
    };
    board.noting = Some(Noting { runs: paths(board, &targets), note });
}

/// What becomes of what was typed.
pub fn noted(board: &Board, Noting { mut runs, note }: Noting) -> Vec<Effect> {
    if let [one] = runs.as_slice() {
        let was = board.run_at(one).map(|run| board.note(&run));
        // What the run brought is not copied by looking at it.
        let changed = was.is_none_or(|was| was != note);
        return changed.then(|| Effect::SetNote(runs.remove(0), note)).into_iter().collect();
    }
    let brought = |path: PathBuf| {
        let run = board.run_at(&path);
        let brought = run.map_or(String::new(), |run| run.curves.about.remarks());
        (path, brought)
    };
    vec![Effect::AddNotes(runs.into_iter().map(brought).collect(), note)]
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
            // Of several, those that are ours.
            Question::Remove => {
                let ours = targets.len() == 1 || board.run(*i).status.is_some();
                !standing.runs() && !waits && ours
            }
        }
    };
    let willing: Vec<usize> = targets.iter().copied().filter(can).collect();
    if let Some(first) = targets.first().filter(|_| willing.is_empty()) {
        let word = standing(first).word();
        let why = match (question, targets.len()) {
            (Question::Stop, 1) => format!("it is {word}"),
            (Question::Remove, 1) => format!("it is {word}; stop it first"),
            (Question::Stop, _) => "none of the marked runs goes on".into(),
            (Question::Remove, _) => "none of the marked runs is one of ours that is over".into(),
        };
        board.notice = Some(why);
    } else if !willing.is_empty() {
        let others = targets.len() - willing.len();
        board.asking = Some(Asking { runs: paths(board, &willing), others, question });
    }
}

/// Pauses what goes on; where nothing does, it goes on. Of several only those go on that were paused:
/// others may have ended for a reason.
pub fn pause_or_go_on(board: &mut Board) -> Vec<Effect> {
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
        true => {
            let paused = |i: &usize| {
                let standing = board.run(*i).standing(now);
                standing == Standing::Told(RunState::Paused)
            };
            (targets.into_iter().filter(paused).collect(), Wanted::Run)
        }
    };
    if runs.is_empty() && board.chosen().is_some() {
        let why = "none of the marked runs goes on or is paused; P goes on with one alone";
        board.notice = Some(why.into());
    }
    let runs = paths(board, &runs);
    if runs.is_empty() { Vec::new() } else { vec![Effect::Wish(runs, wanted)] }
}

fn paths(board: &Board, runs: &[usize]) -> Vec<PathBuf> {
    runs.iter().map(|i| board.run(*i).path.clone()).collect()
}
