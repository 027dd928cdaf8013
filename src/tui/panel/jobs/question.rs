//! The question before a run is stopped or deleted.

use std::path::{Path, PathBuf};

use ratatui::Frame;
use ratatui::text::Line;

use crate::tui::components::message;
use crate::tui::keys::{Hints, JobsAction, QuestionAction};
use crate::tui::panel::state::Panel;
use artgpt_base::text::printable;

/// A question that `y` answers with yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub runs: Vec<PathBuf>,
    /// How many selected runs do not qualify.
    pub others: usize,
    pub about: Subject,
}

/// What happens after a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Stop,
    Remove,
}

/// Runs that a question names.
const NAMED: usize = 12;

pub(crate) fn draw(panel: &Panel, question: &Question, frame: &mut Frame) {
    let theme = &panel.theme;
    let Question { runs, others, about } = question;
    let mut names: Vec<String> = runs.iter().take(NAMED).map(|run| name(panel, run)).collect();
    if runs.len() > NAMED {
        names.push(format!("and {} more", runs.len() - NAMED));
    }
    let name = match runs.len() {
        1 => names.concat(),
        several => format!("these {several} runs: {}", names.join(", ")),
    };
    let (verb, consequence) = match about {
        Subject::Stop => {
            let key = panel.keymap.shown(JobsAction::PauseOrResume);
            let text = format!("The trainer writes a checkpoint first. {key} resumes from it.");
            ("Stop", text)
        }
        Subject::Remove => {
            ("Delete", "This deletes metrics, checkpoints and weights for good.".into())
        }
    };
    let yes = Hints::new(&panel.keymap).add(&[QuestionAction::Yes], "yes").text();
    let mut lines = vec![Line::from(format!("{verb} {}?", printable(&name)))];
    lines.extend(match others {
        0 => None,
        1 => Some(Line::from("1 selected run does not qualify and is unchanged.")),
        some => Some(Line::from(format!("{some} selected runs do not qualify and are unchanged."))),
    });
    lines.extend([
        Line::from(consequence),
        Line::default(),
        Line::styled(format!("{yes}   any other key: cancel"), theme.dim),
    ]);
    message(verb, lines, theme, frame);
}

fn name(panel: &Panel, path: &Path) -> String {
    let id = path.file_name().unwrap_or_default().to_string_lossy();
    let run = panel.run_at(path);
    match run.and_then(|run| run.title()) {
        Some(title) => format!("{title} ({id})"),
        None => id.into_owned(),
    }
}
