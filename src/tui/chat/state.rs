//! The state of the chat.

use std::sync::Arc;

use super::windows::Overlay;
use super::{artwork, composer};
use crate::tui::components::Overlays;
use crate::tui::keys::Keymap;
use crate::tui::theme::Theme;
use crate::tui::ui::Ui;
use artgpt_app::settings::Settings;
use artgpt_base::mask::mask_url;
use artgpt_base::text::printable;
use artgpt_chat::{Conversation, Session, Usage};
use artgpt_engine::ModelInfo;

/// Everything the chat shows.
pub(crate) struct State {
    pub(crate) ui: Ui,
    /// With the model that is in use.
    pub(crate) settings: Settings,
    /// The model that files and flags name.
    pub(crate) configured_model: String,
    pub(crate) model: ModelState,
    pub(crate) conversation: Conversation,
    /// Lines scrolled up from the newest.
    pub(crate) scroll: usize,
    pub(crate) artwork: artwork::State,
    pub(crate) composer: composer::State,
    pub(crate) answer: Option<Streaming>,
    pub(crate) last_usage: Option<(Usage, Option<f64>)>,
    pub(crate) next_request: u64,
    /// Windows over the screen.
    pub(crate) overlays: Overlays<Overlay>,
    pub(crate) notice: Option<Notice>,
    /// Why sessions are not saved, where that is so.
    pub(crate) unsaved: Option<String>,
    /// Set by one Ctrl-C on an idle screen; the next one quits.
    pub(crate) quitting: bool,
}

/// What the model is doing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ModelState {
    Fetching { name: String, done: u64, bytes: u64 },
    Preparing(String),
    Loading { part: &'static str, fraction: f32 },
    Ready(ModelInfo),
    Unusable(String),
}

/// An answer that is being generated.
#[derive(Debug)]
pub(crate) struct Streaming {
    pub(crate) request: u64,
    pub(crate) seq: u64,
    pub(crate) text: String,
    /// Bytes of `text` that are in the draft on disk.
    pub(crate) drafted: usize,
    /// Tokens so far; a server does not tell them.
    pub(crate) tokens: Option<usize>,
    pub(crate) tokens_per_second: Option<f64>,
    pub(crate) usage: Option<Usage>,
    /// The model is done; the store is writing the turn.
    pub(crate) saving: bool,
}

/// A message in the status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) error: bool,
    /// From the model while it works: it makes room for the answer's figures.
    pub(crate) of_model: bool,
}

impl State {
    pub(crate) fn new(settings: Settings, ui: Ui) -> Self {
        let session = Session::new(&mask_url(&settings.model), settings.system.clone());
        Self {
            configured_model: settings.model.clone(),
            composer: composer::State::new(&ui.theme),
            settings,
            ui,
            model: ModelState::Preparing("starting".into()),
            conversation: Conversation::new(session),
            scroll: 0,
            artwork: artwork::State::default(),
            answer: None,
            last_usage: None,
            next_request: 0,
            overlays: Overlays::default(),
            notice: None,
            unsaved: None,
            quitting: false,
        }
    }

    pub(crate) fn theme(&self) -> &Theme {
        &self.ui.theme
    }

    pub(crate) fn keymap(&self) -> Arc<Keymap> {
        self.ui.keymap.clone()
    }

    /// Shows a message until the next key.
    pub(crate) fn inform(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: printable(&text.into()), error: false, of_model: false });
    }

    /// Shows a message until the next key, unless an error would be covered.
    pub(crate) fn news(&mut self, text: impl Into<String>) {
        if self.notice.as_ref().is_none_or(|notice| !notice.error) {
            self.inform(text);
        }
    }

    /// Shows a model's message until its answer's figures come, unless an error would be covered.
    pub(crate) fn model_news(&mut self, text: impl Into<String>) {
        self.news(text);
        if let Some(notice) = &mut self.notice {
            notice.of_model = !notice.error;
        }
    }

    /// Shows an error until it is cleared.
    pub(crate) fn report_error(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: printable(&text.into()), error: true, of_model: false });
    }
}
