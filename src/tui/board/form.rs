//! The form that submits a job.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea};

/// Names of the fields, with what stands in an empty one.
pub const FIELDS: [(&str, &str); 8] = [
    ("configuration", "a file, such as examples/train/artgpt-smol.toml"),
    ("name", "the file's name"),
    ("changes", "key=value key=value, such as seed=3 stage.0.steps=200"),
    ("sweep", "key=value,value: a job for each, such as seed=1,2,3"),
    ("device", "auto"),
    ("priority", "0"),
    ("after", "jobs that must have finished, by their names or ids"),
    ("on", "local, or slurm"),
];

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pub values: [String; FIELDS.len()],
}

impl Form {
    pub fn value(&self, field: &str) -> &str {
        let at = FIELDS.iter().position(|(name, _)| *name == field);
        at.map_or("", |at| self.values[at].trim())
    }

    pub fn words(&self, field: &str) -> Vec<String> {
        self.value(field).split_whitespace().map(String::from).collect()
    }
}

/// The window in which it is filled in.
#[derive(Debug, Clone)]
pub struct FormWindow {
    fields: [TextArea<'static>; FIELDS.len()],
    /// Which field the keys go to.
    pub at: usize,
    /// What the check found: what the run will need, or what is wrong.
    pub told: Option<Result<String, String>>,
    /// The check or the submission is under way.
    pub busy: bool,
    /// Paths that the first field could go on to.
    pub candidates: Vec<String>,
}

/// What the window asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Nothing,
    Close,
    /// Find the paths that begin like this.
    Complete(String),
    /// Find out what is wrong with it, and what it will need.
    Check,
    Submit,
}

impl FormWindow {
    pub fn new() -> Self {
        let fields = std::array::from_fn(|_| TextArea::default());
        Self { fields, at: 0, told: None, busy: false, candidates: Vec::new() }
    }

    /// As it was filled in before.
    pub fn with(form: &Form) -> Self {
        let mut window = Self::new();
        for (field, value) in window.fields.iter_mut().zip(&form.values) {
            field.insert_str(value);
        }
        window
    }

    pub fn form(&self) -> Form {
        Form { values: std::array::from_fn(|at| self.typed(at)) }
    }

    pub fn typed(&self, at: usize) -> String {
        self.fields[at].lines().concat()
    }

    /// It has been asked to submit, and there is no answer yet.
    pub fn submits(&self) -> bool {
        self.busy && matches!(self.told, Some(Ok(_)))
    }

    /// The letter before which the next one is typed.
    pub fn cursor(&self) -> usize {
        self.fields[self.at].cursor().1
    }

    pub fn key(&mut self, key: KeyEvent) -> Asked {
        if self.busy {
            return if key.code == KeyCode::Esc { Asked::Close } else { Asked::Nothing };
        }
        let last = FIELDS.len() - 1;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let field = &mut self.fields[self.at];
        match key.code {
            KeyCode::Esc => return Asked::Close,
            KeyCode::Up | KeyCode::BackTab => self.at = self.at.saturating_sub(1),
            KeyCode::Tab if self.at == 0 => return Asked::Complete(self.typed(0)),
            KeyCode::Down | KeyCode::Tab => self.at = (self.at + 1).min(last),
            // What was checked may be submitted; any change is checked anew.
            KeyCode::Enter => {
                let good = matches!(self.told, Some(Ok(_)));
                self.busy = true;
                return if good { Asked::Submit } else { Asked::Check };
            }
            KeyCode::Char('u') if control => self.edit(|field| field.delete_line_by_head()),
            // A line has no end to break.
            KeyCode::Char('m' | 'j') if control => {}
            _ => {
                if field.input(key) {
                    self.changed();
                }
            }
        }
        Asked::Nothing
    }

    fn edit(&mut self, change: impl FnOnce(&mut TextArea<'static>) -> bool) {
        if change(&mut self.fields[self.at]) {
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.told = None;
        self.candidates.clear();
    }

    /// Pasted text goes into the field, without line ends.
    pub fn paste(&mut self, text: &str) {
        if !self.busy {
            let line: String = text.chars().filter(|c| !c.is_control()).collect();
            self.edit(|field| field.insert_str(line));
        }
    }

    /// Paths that begin with `text` came, with what they share. Where there is nothing more to be had
    /// the next field is meant.
    pub fn completed(&mut self, text: &str, shared: Option<&str>, all: Vec<String>) {
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

    pub fn answered(&mut self, told: Result<String, String>) {
        (self.busy, self.told) = (false, Some(told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(window: &mut FormWindow, code: KeyCode, modifiers: KeyModifiers) -> Asked {
        window.key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn a_path_is_completed_and_a_line_is_edited() {
        let mut window = FormWindow::new();
        window.paste("ex\n");
        let asked = press(&mut window, KeyCode::Tab, KeyModifiers::NONE);
        assert_eq!(asked, Asked::Complete("ex".into()));
        let both = || vec!["examples/a.toml".to_string(), "examples/b.toml".to_string()];
        window.completed("old", Some("older"), Vec::new());
        window.completed("ex", Some("examples/"), both());
        assert_eq!((window.typed(0), window.candidates.len()), ("examples/".into(), 2));
        press(&mut window, KeyCode::Char('a'), KeyModifiers::NONE);
        assert!(window.candidates.is_empty());
        window.completed("examples/a", Some("examples/a.toml"), vec!["examples/a.toml".into()]);
        assert_eq!((window.typed(0), window.at), ("examples/a.toml".into(), 0));
        // Whole already: on to the next field.
        window.completed("examples/a.toml", Some("examples/a.toml"), Vec::new());
        assert_eq!(window.at, 1);
        press(&mut window, KeyCode::Up, KeyModifiers::NONE);
        press(&mut window, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(window.form(), Form::default());
    }
}
