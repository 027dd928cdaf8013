//! The window in which the form for a new job is filled in.

use crossterm::event::KeyEvent;

use super::form::{Field, Fields, Form};
use crate::tui::components::LineInput;
use crate::tui::keys::{FormAction, Keymap};

/// The window in which the form is filled in.
#[derive(Debug, Clone)]
pub(crate) struct FormWindow {
    inputs: Fields<LineInput>,
    /// The selected field.
    pub selected: Field,
    /// The answer of the last check: what the run needs, or what is wrong.
    pub answer: Option<Result<String, String>>,
    /// A check or a submission is under way.
    pub busy: bool,
    /// Paths that could complete the configuration's.
    pub candidates: Vec<String>,
}

/// What the keys of the form do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Close,
    Move(isize),
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
        Self {
            inputs: form.values.map(|value| LineInput::new(value)),
            selected: Field::Configuration,
            answer: None,
            busy: false,
            candidates: Vec::new(),
        }
    }

    pub(crate) fn form(&self) -> Form {
        Form { values: self.inputs.map(LineInput::text) }
    }

    pub(crate) fn typed(&self, field: Field) -> String {
        self.inputs[field].text()
    }

    /// A submission is under way.
    pub(crate) fn is_submitting(&self) -> bool {
        self.busy && matches!(self.answer, Some(Ok(_)))
    }

    /// The editor of the selected field.
    pub(crate) fn input(&self) -> &LineInput {
        &self.inputs[self.selected]
    }

    pub(crate) fn action(&self, keymap: &Keymap, key: KeyEvent) -> Option<Action> {
        let action = keymap.action::<FormAction>(&key);
        if self.busy {
            return (action == Some(FormAction::Close)).then_some(Action::Close);
        }
        Some(match action {
            Some(FormAction::Close) => Action::Close,
            Some(FormAction::Previous) => Action::Move(-1),
            Some(FormAction::Complete) if self.selected == Field::Configuration => Action::Complete,
            Some(FormAction::Next | FormAction::Complete) => Action::Move(1),
            Some(FormAction::Send) => Action::Send,
            Some(FormAction::DeleteToStart) => Action::DeleteToStart,
            None => Action::Edit(key),
        })
    }

    /// Moves between fields, and edits them.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Move(by) => self.selected = self.selected.moved(by),
            Action::DeleteToStart => self.edit(LineInput::delete_to_start),
            Action::Edit(key) => self.edit(|input| input.key(key)),
            Action::Close | Action::Complete | Action::Send => {}
        }
    }

    /// Waits for an answer from now on; returns whether to submit. Any change needs a new check.
    pub(crate) fn send(&mut self) -> bool {
        self.busy = true;
        matches!(self.answer, Some(Ok(_)))
    }

    fn edit(&mut self, change: impl FnOnce(&mut LineInput) -> bool) {
        if change(&mut self.inputs[self.selected]) {
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
            self.edit(|input| input.insert(text));
        }
    }

    /// Takes the paths that begin with `text` and their common prefix. If the path is complete, selects
    /// the next field.
    pub(crate) fn completed(&mut self, text: &str, shared: Option<&str>, all: Vec<String>) {
        if self.selected != Field::Configuration || self.typed(self.selected) != text {
            return;
        }
        match shared {
            Some(shared) if shared != text => {
                self.inputs[self.selected] = LineInput::new(shared);
                self.changed();
                self.candidates = all;
            }
            _ if all.len() > 1 => self.candidates = all,
            _ => self.selected = self.selected.moved(1),
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

    fn path(window: &FormWindow) -> String {
        window.typed(Field::Configuration)
    }

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
        assert_eq!((asked, path(&window)), (Some(Action::Complete), "ex".into()));
        let both = || vec!["examples/a.toml".to_string(), "examples/b.toml".to_string()];
        window.completed("old", Some("older"), Vec::new());
        window.completed("ex", Some("examples/"), both());
        assert_eq!((path(&window), window.candidates.len()), ("examples/".into(), 2));
        press(&mut window, KeyCode::Char('a'), KeyModifiers::NONE);
        assert!(window.candidates.is_empty());
        window.completed("examples/a", Some("examples/a.toml"), vec!["examples/a.toml".into()]);
        assert_eq!(
            (path(&window), window.selected),
            ("examples/a.toml".into(), Field::Configuration)
        );
        // Complete: on to the next field.
        window.completed("examples/a.toml", Some("examples/a.toml"), Vec::new());
        assert_eq!(window.selected, Field::Name);
        press(&mut window, KeyCode::Up, KeyModifiers::NONE);
        press(&mut window, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(window.form(), Form::default());
    }
}
