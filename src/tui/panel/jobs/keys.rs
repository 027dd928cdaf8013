//! Keys that control jobs, and those of the form and of the question.

use crossterm::event::KeyEvent;

use super::form::Field;
use super::form_window::{self, FormWindow};
use super::question::{Question, Subject};
use crate::tui::keys::{JobsAction, QuestionAction};
use crate::tui::panel::effects::Effect;
use crate::tui::panel::overlay::Overlay;
use crate::tui::panel::state::Panel;
use artgpt_rundir::RunState;
use artgpt_rundir::job::Wanted;
use artgpt_runs::Standing;

/// What the keys for jobs do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open the form for a new job.
    New,
    PauseOrResume,
    /// Ask before stopping or deleting the selected runs.
    Ask(Subject),
    /// Answer the question.
    Answer(bool),
    Form(form_window::Action),
}

pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Option<Action> {
    if !panel.steers {
        return None;
    }
    Some(match panel.keymap.action::<JobsAction>(&key)? {
        JobsAction::New => Action::New,
        JobsAction::PauseOrResume => Action::PauseOrResume,
        JobsAction::Stop => Action::Ask(Subject::Stop),
        JobsAction::Delete => Action::Ask(Subject::Remove),
    })
}

/// What a key does in the question and in the form.
pub(crate) fn in_window(panel: &Panel, top: &Overlay, key: KeyEvent) -> Option<Action> {
    match top {
        Overlay::Form(form) => form.action(&panel.keymap, key).map(Action::Form),
        _ => {
            let action = panel.keymap.action::<QuestionAction>(&key);
            Some(Action::Answer(action == Some(QuestionAction::Yes)))
        }
    }
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::New => {
            let form = FormWindow::with(&panel.draft);
            panel.overlays.push(Overlay::Form(Box::new(form)));
        }
        Action::PauseOrResume => return pause_or_resume(panel),
        Action::Ask(about) => ask(panel, about),
        Action::Answer(yes) => return answer(panel, yes),
        Action::Form(action) => return apply_to_form(panel, action),
    }
    Vec::new()
}

fn answer(panel: &mut Panel, yes: bool) -> Vec<Effect> {
    let question = panel.overlays.take_question().filter(|_| yes);
    let effect = question.map(|Question { runs, about, .. }| match about {
        Subject::Stop => Effect::RequestJobs(runs, Wanted::Stop),
        Subject::Remove => Effect::RemoveRuns(runs),
    });
    effect.into_iter().collect()
}

fn apply_to_form(panel: &mut Panel, action: form_window::Action) -> Vec<Effect> {
    let Some(form) = panel.overlays.form_mut() else { return Vec::new() };
    let effect = match action {
        form_window::Action::Close => {
            if form.is_submitting() {
                let key = panel.keymap.shown(JobsAction::Stop);
                panel.notice = Some(format!("the job is being submitted; {key} stops it"));
            }
            panel.draft = form.form();
            panel.overlays.pop();
            return Vec::new();
        }
        form_window::Action::Complete => Effect::Complete(form.typed(Field::Configuration)),
        form_window::Action::Send => match form.send() {
            true => Effect::Submit(form.form()),
            false => Effect::Check(form.form()),
        },
        other => {
            form.apply(other);
            return Vec::new();
        }
    };
    vec![effect]
}

/// Opens the question, or says why no run qualifies.
fn ask(panel: &mut Panel, about: Subject) {
    let targets = panel.targets();
    let standing = |i: &usize| panel.run(*i).standing(panel.now);
    let qualifies = |i: &usize| {
        let standing = standing(i);
        let waits = matches!(standing, Standing::Told(RunState::Queued | RunState::Paused));
        match about {
            // A lost run may be on another machine.
            Subject::Stop => standing.runs() || waits || standing == Standing::Lost,
            // Of several runs only our own.
            Subject::Remove => {
                let ours = targets.len() == 1 || panel.run(*i).status.is_some();
                !standing.runs() && !waits && ours
            }
        }
    };
    let willing: Vec<usize> = targets.iter().copied().filter(qualifies).collect();
    if let Some(first) = targets.first().filter(|_| willing.is_empty()) {
        let word = standing(first).word();
        let why = match (about, targets.len()) {
            (Subject::Stop, 1) => format!("the run is {word}"),
            (Subject::Remove, 1) => format!("the run is {word}; stop it first"),
            (Subject::Stop, _) => "no selected run is running or waiting".into(),
            (Subject::Remove, _) => "no selected run is one of ours that has ended".into(),
        };
        panel.notice = Some(why);
    } else if !willing.is_empty() {
        let others = targets.len() - willing.len();
        let question = Question { runs: panel.paths_of(&willing), others, about };
        panel.overlays.push(Overlay::Question(question));
    }
}

/// Pauses running jobs. If none is running, resumes: a single run in any state, of several only the
/// paused ones, because others may have ended for a reason.
fn pause_or_resume(panel: &mut Panel) -> Vec<Effect> {
    let targets = panel.targets();
    let standing = |i: &usize| panel.run(*i).standing(panel.now);
    let running = |i: &usize| {
        matches!(
            standing(i),
            Standing::Told(RunState::Running | RunState::Queued) | Standing::Starting
        )
    };
    let is_paused = |i: &usize| standing(i) == Standing::Told(RunState::Paused);
    let going: Vec<usize> = targets.iter().copied().filter(running).collect();
    let (runs, wanted) = match going.is_empty() {
        false => (going, Wanted::Pause),
        true if targets.len() == 1 => (targets, Wanted::Run),
        true => (targets.into_iter().filter(is_paused).collect(), Wanted::Run),
    };
    if runs.is_empty() && panel.chosen().is_some() {
        let why = "no selected run is running or paused; to resume one, select it alone";
        panel.notice = Some(why.into());
    }
    let runs = panel.paths_of(&runs);
    if runs.is_empty() { Vec::new() } else { vec![Effect::RequestJobs(runs, wanted)] }
}
