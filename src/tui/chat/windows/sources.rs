//! The window that says where the sentences of the last answer come from.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{Outcome, Overlay};
use crate::tui::chat::state::State;
use crate::tui::components::{draw_text, row, scrolled, window};
use crate::tui::keys::{Context, Keymap};
use crate::tui::theme::Theme;
use artgpt_base::text::printable;
use artgpt_chat::{Role, TurnRecord};
use artgpt_eval::talk::{Source, sources};

/// Columns for the source.
const SOURCE: usize = 26;
/// The text is at least so wide, although it may be cut on a narrow screen.
const MIN_TEXT: usize = 20;

/// The sentences of an answer with their sources.
pub(crate) struct SourcesWindow {
    sentences: Vec<(String, Source)>,
    /// Lines scrolled away.
    scroll: usize,
}

/// Opens the window for the last answer.
pub(in crate::tui::chat) fn open(state: &mut State) {
    let path = state.conversation.path(None);
    // One that is being generated has no text yet.
    let has_text = |turn: &&TurnRecord| turn.role == Role::Assistant && !turn.text.is_empty();
    let answered = path.iter().rposition(has_text);
    let Some((question, answer)) =
        answered.and_then(|at| Some((path.get(at.checked_sub(1)?)?, path[at])))
    else {
        state.inform("there is no answer yet");
        return;
    };
    // What was shown by then; a newer picture belongs to the next question.
    let shown =
        answered.and_then(|at| path[..at].iter().rev().find_map(|turn| turn.artworks.last()));
    let artwork = shown.and_then(|at| state.conversation.session.artworks.get(*at));
    let features = artwork
        .and_then(|artwork| state.artwork.loaded.get(&artwork.sha256))
        .map(|loaded| &loaded.features);
    let label = artwork.and_then(|artwork| artwork.label.as_ref());
    let sentences = sources(&question.text, &answer.text, label, features);
    state.overlays.push(Overlay::Sources(SourcesWindow { sentences, scroll: 0 }));
}

impl SourcesWindow {
    pub(super) fn key(&mut self, keymap: &Keymap, screen: Rect, key: KeyEvent) -> Outcome {
        let count = |width| self.lines(&Theme::plain(), width).len();
        let Some(scroll) = scrolled(self.scroll, keymap, screen, key, count) else {
            return Outcome::CLOSE;
        };
        self.scroll = scroll;
        Outcome::STAY
    }

    pub(super) fn view(&self, state: &State, frame: &mut Frame) {
        let theme = state.theme();
        let hints = state.ui.keymap.title_hints(Context::Help);
        let title = format!("Where the answer comes from ({hints})");
        if let Some(inner) = window(&title, theme, frame) {
            draw_text(self.lines(theme, inner.width), self.scroll, inner, frame);
        }
    }

    fn lines(&self, theme: &Theme, width: u16) -> Vec<Line<'static>> {
        let width = usize::from(width).saturating_sub(SOURCE).max(MIN_TEXT);
        let mut lines = Vec::new();
        for (sentence, source) in &self.sentences {
            let (mut name, style) = match source {
                Source::Label(field) => (format!("label: {field}"), theme.success),
                Source::Measured(feature) => (format!("measured: {feature}"), theme.success),
                Source::Contradicted => ("measured otherwise".into(), theme.error),
                Source::Model => ("the model alone".into(), theme.dim),
            };
            for text in textwrap::wrap(&printable(sentence), width) {
                lines.push(row((&name, style), SOURCE, (&text, theme.text)));
                name.clear();
            }
        }
        lines
    }
}
