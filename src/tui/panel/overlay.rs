//! Windows over the panel.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::jobs::{self, FormWindow, Question};
use super::machine::{self, MachineWindow};
use super::notes::{self, NoteWindow};
use super::page::{self, Page};
use super::state::Panel;
use crate::tui::components::Overlays;
use crate::tui::help::HelpWindow;

/// One window.
pub(crate) enum Overlay {
    Help(Box<HelpWindow>),
    Question(Question),
    Form(Box<FormWindow>),
    Note(Box<NoteWindow>),
    Machine(Box<MachineWindow>),
    Page(Box<Page>),
}

/// Defines access to the window of one kind, wherever it is in the stack.
macro_rules! access {
    ($variant:ident, $window:ty, $(#[$meta:meta])? $get:ident, $get_mut:ident) => {
        $(#[$meta])?
        pub(crate) fn $get(&self) -> Option<&$window> {
            self.iter().find_map(|overlay| match overlay {
                Overlay::$variant(window) => Some(&**window),
                _ => None,
            })
        }

        pub(crate) fn $get_mut(&mut self) -> Option<&mut $window> {
            self.iter_mut().find_map(|overlay| match overlay {
                Overlay::$variant(window) => Some(&mut **window),
                _ => None,
            })
        }
    };
}

impl Overlays<Overlay> {
    /// Closes the form, wherever it is.
    pub(crate) fn close_form(&mut self) {
        self.close_where(|overlay| matches!(overlay, Overlay::Form(_)));
    }

    /// Closes the question, if it is on top.
    pub(crate) fn take_question(&mut self) -> Option<Question> {
        match self.pop_if(|top| matches!(top, Overlay::Question(_)))? {
            Overlay::Question(question) => Some(question),
            _ => None,
        }
    }

    /// Closes the note, if it is on top.
    pub(crate) fn take_note(&mut self) -> Option<NoteWindow> {
        match self.pop_if(|top| matches!(top, Overlay::Note(_)))? {
            Overlay::Note(note) => Some(*note),
            _ => None,
        }
    }

    access!(Page, Page, page, page_mut);
    access!(
        Form,
        FormWindow,
        #[cfg(test)]
        form,
        form_mut
    );
    access!(
        Note,
        NoteWindow,
        #[cfg(test)]
        note,
        note_mut
    );
    access!(Machine, MachineWindow, machine, machine_mut);
    access!(
        Help,
        HelpWindow,
        #[cfg(test)]
        help,
        help_mut
    );
}

impl Overlay {
    /// Draws the window; `full` is the room of one that fills the screen.
    pub(crate) fn draw(&self, panel: &Panel, full: Rect, frame: &mut Frame) {
        match self {
            Self::Help(window) => window.view(&panel.keymap, &panel.theme, frame),
            Self::Question(question) => jobs::question::draw(panel, question, frame),
            Self::Form(form) => jobs::form_view::draw(panel, form, frame),
            Self::Note(note) => notes::view::draw(panel, note, frame),
            Self::Machine(window) => machine::view::draw(panel, window, full, frame),
            Self::Page(page) => page::view::draw(panel, page, full, frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tui::panel::fixtures::{assert_screens, panel, press};

    #[test]
    fn the_help_window_and_its_end() {
        assert_screens!("help", |w, h| {
            let mut panel = panel(w, h);
            press(&mut panel, "?");
            panel
        });
        assert_screens!("help_end", |w, h| {
            let mut panel = panel(w, h);
            press(
                &mut panel,
                "? PageDown PageDown PageDown PageDown PageDown PageDown PageDown PageDown",
            );
            panel
        });
    }

    #[test]
    fn the_window_on_top_gets_keys_and_closes_alone() {
        let mut panel = panel(80, 24);
        press(&mut panel, "i ?");
        assert!(panel.overlays.page().is_some() && panel.overlays.help().is_none());
        press(&mut panel, "Esc ? Esc");
        assert!(panel.overlays.is_empty());
    }
}
