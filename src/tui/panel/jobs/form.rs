//! The form that submits a job.

use crossterm::event::KeyEvent;

use crate::tui::components::LineInput;
use crate::tui::keys::{FormAction, Keymap};

/// The fields, each with the hint shown while it is empty.
pub(crate) const FIELDS: [(&str, &str); 8] = [
    ("configuration", "a TOML file, such as examples/train/artgpt-smol.toml"),
    ("name", "default: the file name"),
    ("changes", "key=value key=value, such as seed=3 stage.0.steps=200"),
    ("sweep", "key=value,value: one job a value, such as seed=1,2,3"),
    ("device", "auto"),
    ("priority", "0"),
    ("after", "names or IDs of jobs that must finish first"),
    ("on", "local or slurm"),
];

/// The values of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// What was typed, in the order of the fields.
    pub values: [String; FIELDS.len()],
}

impl Form {
    /// The value of a field.
    pub fn value(&self, field: &str) -> &str {
        let at = FIELDS.iter().position(|(name, _)| *name == field);
        at.map_or("", |at| self.values[at].trim())
    }

    /// The words of a field, split at white space.
    pub fn words(&self, field: &str) -> Vec<String> {
        self.value(field).split_whitespace().map(String::from).collect()
    }
}

/// The window in which the form is filled in.
#[derive(Debug, Clone)]
pub(crate) struct FormWindow {
    fields: [LineInput; FIELDS.len()],
    /// The selected field.
    pub at: usize,
    /// The answer of the last check: what the run needs, or what is wrong.
    pub answer: Option<Result<String, String>>,
    /// A check or a submission is under way.
    pub busy: bool,
    /// Paths that could complete the first field.
    pub candidates: Vec<String>,
}

/// What the keys of the form do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Close,
    Field(isize),
    /// Complete the path.
    Complete,
    /// Check the form, or submit it once the check has passed.
    Send,
    DeleteToStart,
    Edit(KeyEvent),
}

impl FormWindow {
    /// Filled in with these values.
    pub(crate) fn with(form: &Form) -> Self {
        let fields = std::array::from_fn(|at| LineInput::new(&form.values[at]));
        Self { fields, at: 0, answer: None, busy: false, candidates: Vec::new() }
    }

    pub(crate) fn form(&self) -> Form {
        Form { values: std::array::from_fn(|at| self.typed(at)) }
    }

    pub(crate) fn typed(&self, at: usize) -> String {
        self.fields[at].text()
    }

    /// A submission is under way.
    pub(crate) fn is_submitting(&self) -> bool {
        self.busy && matches!(self.answer, Some(Ok(_)))
    }

    /// The selected field.
    pub(crate) fn field(&self) -> &LineInput {
        &self.fields[self.at]
    }

    pub(crate) fn action(&self, keymap: &Keymap, key: KeyEvent) -> Option<Action> {
        let action = keymap.action::<FormAction>(&key);
        if self.busy {
            return (action == Some(FormAction::Close)).then_some(Action::Close);
        }
        Some(match action {
            Some(FormAction::Close) => Action::Close,
            Some(FormAction::Previous) => Action::Field(-1),
            Some(FormAction::Complete) if self.at == 0 => Action::Complete,
            Some(FormAction::Next | FormAction::Complete) => Action::Field(1),
            Some(FormAction::Send) => Action::Send,
            Some(FormAction::DeleteToStart) => Action::DeleteToStart,
            None => Action::Edit(key),
        })
    }

    /// Moves between fields, and edits them.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Field(by) => {
                self.at = self.at.saturating_add_signed(by).min(FIELDS.len() - 1);
            }
            Action::DeleteToStart => self.edit(LineInput::delete_to_start),
            Action::Edit(key) => self.edit(|field| field.key(key)),
            Action::Close | Action::Complete | Action::Send => {}
        }
    }

    /// Waits for an answer from now on; returns whether to submit. Any change needs a new check.
    pub(crate) fn send(&mut self) -> bool {
        self.busy = true;
        matches!(self.answer, Some(Ok(_)))
    }

    fn edit(&mut self, change: impl FnOnce(&mut LineInput) -> bool) {
        if change(&mut self.fields[self.at]) {
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.answer = None;
        self.candidates.clear();
    }

    /// Inserts text without line ends.
    pub(crate) fn paste(&mut self, text: &str) {
        if !self.busy {
            self.edit(|field| field.insert(text));
        }
    }

    /// Takes the paths that begin with `text` and their common prefix. If the path is complete, selects
    /// the next field.
    pub(crate) fn completed(&mut self, text: &str, shared: Option<&str>, all: Vec<String>) {
        if self.at != 0 || self.typed(0) != text {
            return;
        }
        match shared {
            Some(shared) if shared != text => {
                self.fields[0] = LineInput::new(shared);
                self.changed();
                self.candidates = all;
            }
            _ if all.len() > 1 => self.candidates = all,
            _ => self.at = 1,
        }
        if self.candidates.len() == 1 {
            self.candidates.clear();
        }
    }

    pub(crate) fn answered(&mut self, answer: Result<String, String>) {
        (self.busy, self.answer) = (false, Some(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::{KeyCode, KeyModifiers};

    fn press(window: &mut FormWindow, code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        let action = window.action(&Keymap::default(), KeyEvent::new(code, modifiers));
        action.iter().for_each(|action| window.apply(action.clone()));
        action
    }

    #[test]
    fn a_path_is_completed_and_a_line_is_edited() {
        let mut window = FormWindow::with(&Form::default());
        window.paste("ex\n");
        let asked = press(&mut window, KeyCode::Tab, KeyModifiers::NONE);
        assert_eq!((asked, window.typed(0)), (Some(Action::Complete), "ex".into()));
        let both = || vec!["examples/a.toml".to_string(), "examples/b.toml".to_string()];
        window.completed("old", Some("older"), Vec::new());
        window.completed("ex", Some("examples/"), both());
        assert_eq!((window.typed(0), window.candidates.len()), ("examples/".into(), 2));
        press(&mut window, KeyCode::Char('a'), KeyModifiers::NONE);
        assert!(window.candidates.is_empty());
        window.completed("examples/a", Some("examples/a.toml"), vec!["examples/a.toml".into()]);
        assert_eq!((window.typed(0), window.at), ("examples/a.toml".into(), 0));
        // Complete: on to the next field.
        window.completed("examples/a.toml", Some("examples/a.toml"), Vec::new());
        assert_eq!(window.at, 1);
        press(&mut window, KeyCode::Up, KeyModifiers::NONE);
        press(&mut window, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(window.form(), Form::default());
    }
}
