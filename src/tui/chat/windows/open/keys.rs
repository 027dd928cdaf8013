//! Keys in the open window.

use crossterm::event::KeyEvent;

use super::OpenWindow;
use crate::tui::chat::state::State;
use crate::tui::chat::windows::Outcome;
use crate::tui::complete::{common_prefix, expand, restart};
use crate::tui::components::{LineInput, PAGE};
use crate::tui::effect::Effect;
use crate::tui::keys::OpenAction;

impl OpenWindow {
    pub(in crate::tui::chat::windows) fn key(
        &mut self,
        state: &mut State,
        key: KeyEvent,
    ) -> Outcome {
        let action = state.ui.keymap.action::<OpenAction>(&key);
        if action == Some(OpenAction::Close) {
            return Outcome::CLOSE;
        }
        let needs_candidates = action.is_some_and(|action| action != OpenAction::Clear);
        // Candidates may still be those of an earlier text: keys are faster than a disk.
        if !self.waiting.is_empty() || (needs_candidates && !self.is_fresh()) {
            self.waiting.push(key);
            return Outcome::STAY;
        }
        let selected = self.selected.take();
        match action {
            Some(OpenAction::Open) => self.open(state, selected, false),
            Some(OpenAction::OpenBeside) => self.open(state, selected, true),
            Some(OpenAction::Complete) => self.complete(selected),
            Some(OpenAction::Clear) => self.replace(""),
            Some(action) => {
                self.selected = self.step(selected, action);
                Outcome::STAY
            }
            None => self.edit(key),
        }
    }

    /// Opens the selected file, or the one that the path names; a folder is entered.
    fn open(&mut self, state: &mut State, selected: Option<usize>, beside: bool) -> Outcome {
        let typed = self.text();
        let exact = self.candidates.iter().any(|c| c.path == typed);
        let chosen = selected.and_then(|i| self.candidates.get(i));
        let path = match (chosen, self.candidates.as_slice()) {
            (Some(candidate), _) => candidate.path.clone(),
            (None, [only]) if !typed.ends_with('/') => only.path.clone(),
            (None, [_, _, ..]) if !exact && !typed.ends_with('/') => {
                let (count, down) =
                    (self.candidates.len(), state.ui.keymap.shown(OpenAction::Down));
                state.inform(format!("{count} files match; {down} selects one"));
                return Outcome::STAY;
            }
            _ => typed,
        };
        if path.trim().is_empty() {
            return Outcome::CLOSE;
        }
        if path.ends_with('/') {
            return self.replace(&path);
        }
        state.inform(format!("opening {path}"));
        state.artwork.opens_beside = beside;
        Outcome::Close(vec![Effect::OpenArtwork(expand(&path))])
    }

    /// Completes the path: by the selected candidate, or by what all candidates share.
    fn complete(&mut self, selected: Option<usize>) -> Outcome {
        let path = match selected.and_then(|i| self.candidates.get(i)) {
            Some(candidate) => Some(candidate.path.clone()),
            None => common_prefix(&self.candidates),
        };
        match path.filter(|p| p.starts_with(&self.text()) || selected.is_some()) {
            Some(path) => self.replace(&path),
            None => Outcome::STAY,
        }
    }

    /// The candidate above or below; above the first one there is the path itself.
    fn step(&self, selected: Option<usize>, action: OpenAction) -> Option<usize> {
        let last = self.candidates.len().checked_sub(1)?;
        match (action, selected) {
            (OpenAction::Down | OpenAction::PageDown, None) => Some(0),
            (_, None) => Some(last),
            (OpenAction::Up, Some(at)) => at.checked_sub(1),
            (OpenAction::PageUp, Some(at)) => Some(at.saturating_sub(PAGE)),
            (OpenAction::PageDown, Some(at)) => Some((at + PAGE).min(last)),
            (_, Some(at)) => Some((at + 1).min(last)),
        }
    }

    fn edit(&mut self, key: KeyEvent) -> Outcome {
        if !self.input.key(key) {
            return Outcome::STAY;
        }
        // A path typed behind the folder that the window began with replaces it.
        let text = self.text();
        let meant = restart(&text);
        if meant.len() < text.len() {
            self.input = LineInput::new(meant);
        }
        Outcome::Stay(vec![Effect::Complete(self.text())])
    }

    fn replace(&mut self, path: &str) -> Outcome {
        self.input = LineInput::new(path);
        Outcome::Stay(vec![Effect::Complete(path.to_string())])
    }
}
