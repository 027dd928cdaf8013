//! The window in which an artwork is opened: a path with candidates.

mod keys;
mod view;

use crossterm::event::KeyEvent;

use super::Overlay;
use crate::tui::chat::state::State;
use crate::tui::chat::update::on_key;
use crate::tui::complete::{Candidate, restart};
use crate::tui::components::LineInput;
use crate::tui::effect::Effect;
use crate::tui::moment::Moment;

/// Where an artwork is chosen.
pub(crate) struct OpenWindow {
    input: LineInput,
    candidates: Vec<Candidate>,
    /// The text that they complete; `None` until the first ones are there.
    found_for: Option<String>,
    selected: Option<usize>,
    /// Keys that need the candidates of the text as it is now.
    waiting: Vec<KeyEvent>,
    /// The candidates are being read again.
    reading: bool,
}

/// Opens the window beside the last artwork.
pub(in crate::tui::chat) fn open(state: &mut State) -> Vec<Effect> {
    let last = state.conversation.session.artworks.last();
    let folder = last.and_then(|artwork| artwork.path.parent());
    let folder = match folder {
        Some(folder) => format!("{}/", folder.display()),
        None => state.artwork.start_folder.clone(),
    };
    let window = OpenWindow {
        input: LineInput::new(&folder),
        candidates: Vec::new(),
        found_for: None,
        selected: None,
        waiting: Vec::new(),
        reading: false,
    };
    state.overlays.push(Overlay::Open(Box::new(window)));
    vec![Effect::FindPaintings, Effect::Complete(folder)]
}

/// Paintings are installed. The window begins there, unless the user has gone elsewhere.
pub(in crate::tui::chat) fn paintings_found(state: &mut State, folder: String) -> Vec<Effect> {
    let before = std::mem::replace(&mut state.artwork.start_folder, folder.clone());
    match state.overlays.top_mut() {
        Some(Overlay::Open(window)) if before != folder && window.text() == before => {
            window.input = LineInput::new(&folder);
            vec![Effect::Complete(folder)]
        }
        _ => Vec::new(),
    }
}

/// Candidates came, unless the text has changed since; keys that waited for them are pressed.
pub(in crate::tui::chat) fn completed(
    state: &mut State,
    at: &Moment,
    text: &str,
    found: Vec<Candidate>,
) -> Vec<Effect> {
    let Some(Overlay::Open(window)) = state.overlays.top_mut() else { return Vec::new() };
    if window.text() != text {
        return Vec::new();
    }
    window.reading = false;
    let selected = window.selected.and_then(|at| window.candidates.get(at)).cloned();
    let same = |candidate: &Candidate| Some(&candidate.path) == selected.as_ref().map(|s| &s.path);
    window.selected = found.iter().position(same);
    window.candidates = found;
    window.found_for = Some(text.to_string());
    let waiting = std::mem::take(&mut window.waiting);
    waiting.into_iter().flat_map(|key| on_key(state, at, key)).collect()
}

impl OpenWindow {
    pub(crate) fn text(&self) -> String {
        self.input.text()
    }

    /// Asks for the candidates once more: another process may have made some.
    pub(in crate::tui::chat::windows) fn read_again(&mut self) -> Vec<Effect> {
        if !self.is_fresh() || std::mem::replace(&mut self.reading, true) {
            return Vec::new();
        }
        vec![Effect::FindPaintings, Effect::Complete(self.text())]
    }

    /// Whether the candidates are those of the text.
    fn is_fresh(&self) -> bool {
        self.found_for.as_ref().is_some_and(|text| *text == self.text())
    }

    /// Inserts a path. One that was dragged onto the terminal loses its quotes.
    pub(in crate::tui::chat) fn paste(&mut self, text: &str) -> Vec<Effect> {
        self.selected = None;
        self.candidates.clear();
        let line = text.trim_matches(['\'', '"']);
        self.input.insert(line.strip_prefix("file://").unwrap_or(line));
        let path = restart(&self.text()).to_string();
        self.input = LineInput::new(&path);
        vec![Effect::Complete(path)]
    }
}
