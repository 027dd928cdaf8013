//! The form that submits a job.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea};

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
    fields: [TextArea<'static>; FIELDS.len()],
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
    pub(crate) fn new() -> Self {
        let fields = std::array::from_fn(|_| TextArea::default());
        Self { fields, at: 0, answer: None, busy: false, candidates: Vec::new() }
    }

    /// Filled in with these values.
    pub(crate) fn with(form: &Form) -> Self {
        let mut window = Self::new();
        for (field, value) in window.fields.iter_mut().zip(&form.values) {
            field.insert_str(value);
        }
        window
    }

    pub(crate) fn form(&self) -> Form {
        Form { values: std::array::from_fn(|at| self.typed(at)) }
    }

    pub(crate) fn typed(&self, at: usize) -> String {
        self.fields[at].lines().concat()
    }

    /// A submission is under way.
    pub(crate) fn is_submitting(&self) -> bool {
        self.busy && matches!(self.answer, Some(Ok(_)))
    }

    /// The position of the cursor in the selected field, in characters.
    pub(crate) fn cursor(&self) -> usize {
        self.fields[self.at].cursor().1
    }

    pub(crate) fn action(&self, keymap: &Keymap, key: KeyEvent) -> Option<Action> {
        let action = keymap.action::<FormAction>(&key);
        if self.busy {
            return (action == Some(FormAction::Close)).then_some(Action::Close);
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        Some(match (action, key.code) {
            (Some(FormAction::Close), _) => Action::Close,
            (Some(FormAction::Previous), _) => Action::Field(-1),
            (Some(FormAction::Complete), _) if self.at == 0 => Action::Complete,
            (Some(FormAction::Next | FormAction::Complete), _) => Action::Field(1),
            (Some(FormAction::Send), _) => Action::Send,
            (Some(FormAction::DeleteToStart), _) => Action::DeleteToStart,
            // A field has one line.
            (None, KeyCode::Enter) => return None,
            (None, KeyCode::Char('m' | 'j')) if control => return None,
            (None, _) => Action::Edit(key),
        })
    }

    /// Moves between fields, and edits them.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Field(by) => {
                self.at = self.at.saturating_add_signed(by).min(FIELDS.len() - 1);
            }
            Action::DeleteToStart => self.edit(|field| field.delete_line_by_head()),
            Action::Edit(key) => self.edit(|field| field.input(key)),
            Action::Close | Action::Complete | Action::Send => {}
        }
    }

    /// Waits for an answer from now on; returns whether to submit. Any change needs a new check.
    pub(crate) fn send(&mut self) -> bool {
        self.busy = true;
        matches!(self.answer, Some(Ok(_)))
    }

    fn edit(&mut self, change: impl FnOnce(&mut TextArea<'static>) -> bool) {
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
            let line: String = text.chars().filter(|c| !c.is_control()).collect();
            self.edit(|field| field.insert_str(line));
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
                self.fields[0] = TextArea::from([shared]);
                self.fields[0].move_cursor(CursorMove::End);
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

    fn press(window: &mut FormWindow, code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        let action = window.action(&Keymap::default(), KeyEvent::new(code, modifiers));
        action.iter().for_each(|action| window.apply(action.clone()));
        action
    }

    #[test]
    fn a_path_is_completed_and_a_line_is_edited() {
        let mut window = FormWindow::new();
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
