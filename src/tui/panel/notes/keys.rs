//! The window in which a note is typed, and its keys.

use std::path::PathBuf;

use crossterm::event::KeyEvent;

use crate::tui::components::LineInput;
use crate::tui::keys::NoteAction;
use crate::tui::panel::effects::Effect;
use crate::tui::panel::overlay::Overlay;
use crate::tui::panel::state::Panel;

/// A note while it is typed.
#[derive(Debug, Clone)]
pub(crate) struct NoteWindow {
    pub runs: Vec<PathBuf>,
    pub text: LineInput,
}

/// What the keys for notes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Open,
    Save,
    Close,
    Edit(KeyEvent),
}

/// What a key does in the window.
pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Action {
    match panel.keymap.action::<NoteAction>(&key) {
        Some(NoteAction::Save) => Action::Save,
        Some(NoteAction::Close) => Action::Close,
        None => Action::Edit(key),
    }
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::Open => open(panel),
        Action::Save => {
            let note = panel.overlays.take_note();
            return note.map_or_else(Vec::new, |note| save(panel, note));
        }
        Action::Close => {
            panel.overlays.pop();
        }
        Action::Edit(key) => {
            if let Some(note) = panel.overlays.note_mut() {
                note.text.key(key);
            }
        }
    }
    Vec::new()
}

/// Edits the note of one run, or appends words to those of several.
fn open(panel: &mut Panel) {
    let targets = panel.targets();
    let text = match targets.as_slice() {
        [] => return,
        [one] => panel.note_of(panel.run(*one)),
        _ => String::new(),
    };
    let note = NoteWindow { runs: panel.paths_of(&targets), text: LineInput::new(&text) };
    panel.overlays.push(Overlay::Note(Box::new(note)));
}

fn save(panel: &Panel, NoteWindow { mut runs, text }: NoteWindow) -> Vec<Effect> {
    let text = text.text();
    if let [one] = runs.as_slice() {
        let before = panel.run_at(one).map(|run| panel.note_of(run));
        // An unchanged note that the run logged is not copied.
        let changed = before.is_none_or(|before| before != text);
        return changed.then(|| Effect::SetNote(runs.remove(0), text)).into_iter().collect();
    }
    let logged = |path: PathBuf| {
        let run = panel.run_at(&path);
        let logged = run.map_or(String::new(), |run| run.curves.about.remarks());
        (path, logged)
    };
    vec![Effect::AddNotes(runs.into_iter().map(logged).collect(), text)]
}
