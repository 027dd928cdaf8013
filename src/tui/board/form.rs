//! The form that submits a job.

use crossterm::event::KeyCode;

/// What is typed into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pub values: [String; FIELDS.len()],
    /// Which field the keys go to.
    pub at: usize,
    /// What the check found: what the run will need, or what is wrong.
    pub told: Option<Result<String, String>>,
    /// The check or the submission is under way.
    pub busy: bool,
}

/// Names of the fields, with what stands in an empty one.
pub const FIELDS: [(&str, &str); 6] = [
    ("configuration", "a file, such as examples/train/artgpt-smol.toml"),
    ("changes", "key=value key=value, such as seed=3 stage.0.steps=200"),
    ("device", "auto"),
    ("priority", "0"),
    ("after", "ids of jobs that must have finished"),
    ("on", "local, or slurm"),
];

/// What the form asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Nothing,
    Close,
    /// Find out what is wrong with it, and what it will need.
    Check,
    Submit,
}

impl Form {
    pub fn key(&mut self, code: KeyCode) -> Asked {
        if self.busy {
            return if code == KeyCode::Esc { Asked::Close } else { Asked::Nothing };
        }
        match code {
            KeyCode::Esc => return Asked::Close,
            KeyCode::Up | KeyCode::BackTab => self.at = self.at.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => self.at = (self.at + 1).min(FIELDS.len() - 1),
            KeyCode::Backspace => {
                self.values[self.at].pop();
                self.told = None;
            }
            KeyCode::Char(c) => {
                self.values[self.at].push(c);
                self.told = None;
            }
            // What was checked may be submitted; any change is checked anew.
            KeyCode::Enter => {
                let good = matches!(self.told, Some(Ok(_)));
                self.busy = true;
                return if good { Asked::Submit } else { Asked::Check };
            }
            _ => {}
        }
        Asked::Nothing
    }

    /// Pasted text goes into the field, without line ends.
    pub fn paste(&mut self, text: &str) {
        if self.busy {
            return;
        }
        self.values[self.at].extend(text.chars().filter(|c| !c.is_control()));
        self.told = None;
    }

    pub fn answered(&mut self, told: Result<String, String>) {
        (self.busy, self.told) = (false, Some(told));
    }

    pub fn value(&self, field: &str) -> &str {
        let at = FIELDS.iter().position(|(name, _)| *name == field);
        at.map_or("", |at| self.values[at].trim())
    }

    pub fn words(&self, field: &str) -> Vec<String> {
        self.value(field).split_whitespace().map(String::from).collect()
    }
}
