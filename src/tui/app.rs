//! The state of the program.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::KeyEvent;
use image::RgbImage;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui_textarea::{TextArea, WrapMode};

use super::board::Board;
use super::complete::Candidate;
use super::graphics::{ColourDepth, Protocol};
use super::message::Scaled;
use super::questions::Suggestion;
use super::theme::Theme;
use artgpt_app::catalogue::Choice;
use artgpt_app::settings::Settings;
use artgpt_chat::{Conversation, Session, Usage};
use artgpt_engine::{Cancel, ModelInfo, Picture};

/// Everything the screen shows.
pub struct State {
    /// With the model that is in use.
    pub settings: Settings,
    /// The model that files and flags name.
    pub configured_model: String,
    pub theme: Theme,
    pub screen: Rect,
    pub terminal: Terminal,
    pub model: ModelState,
    pub conversation: Conversation,
    /// Pictures of the session's artworks, by sha256.
    pub pictures: HashMap<String, Shown>,
    /// The artwork on the screen: its number in the session.
    pub shown: Option<usize>,
    /// Artworks that go with the next question.
    pub pending: Vec<usize>,
    /// The next artwork that opens goes beside those, not in their place.
    pub opens_beside: bool,
    /// The picture at the size on the screen.
    pub scaled: Option<Scaled>,
    /// The size last asked for.
    pub scaling: Option<(String, (u32, u32))>,
    pub composer: TextArea<'static>,
    /// Where the window for artworks begins: the installed paintings, or the working directory.
    pub start_folder: String,
    /// A picture that joins the session which is being loaded.
    pub open_after_loading: Option<PathBuf>,
    /// Earlier questions for the Up key, and the place in them.
    pub recall: Option<usize>,
    pub answer: Option<Streaming>,
    /// Lines scrolled up from the newest.
    pub scroll: usize,
    pub popup: Option<Popup>,
    /// The training panel, over all else.
    pub panel: Option<Box<Board>>,
    pub notice: Option<Notice>,
    /// Why nothing is kept, where that is so.
    pub unsaved: Option<String>,
    pub last_usage: Option<(Usage, f64)>,
    pub next_request: u64,
    /// Set by one Ctrl-C on an idle screen; the next one quits.
    pub quitting: bool,
}

/// What the terminal can do.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    pub protocol: Protocol,
    pub colours: ColourDepth,
    /// A cell's size in pixels; a guess where the terminal did not say.
    pub cell: (u16, u16),
}

/// A picture in memory.
#[derive(Debug, Clone)]
pub struct Shown {
    pub image: Arc<RgbImage>,
    pub picture: Picture,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ModelState {
    Fetching { name: String, done: u64, bytes: u64 },
    Preparing(String),
    Loading { part: &'static str, fraction: f32 },
    Ready(ModelInfo),
    Unusable(String),
}

/// An answer that is being made.
#[derive(Debug)]
pub struct Streaming {
    pub request: u64,
    pub seq: u64,
    pub text: String,
    /// How much of `text` is in the draft on disk.
    pub drafted: usize,
    pub tokens: usize,
    pub tokens_per_second: f64,
    pub usage: Option<Usage>,
    pub cancel: Cancel,
    /// The model is done; the turn is on its way to disk.
    pub saving: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub error: bool,
}

/// Where an artwork is chosen.
pub struct OpenWindow {
    pub input: TextArea<'static>,
    pub candidates: Vec<Candidate>,
    /// The text that they were found for; `None` until the first ones are there.
    pub found_for: Option<String>,
    pub selected: Option<usize>,
    /// Keys that need the candidates of the text as it is now.
    pub waiting: Vec<KeyEvent>,
}

impl OpenWindow {
    pub fn new(input: TextArea<'static>) -> Self {
        let (candidates, waiting) = (Vec::new(), Vec::new());
        Self { input, candidates, found_for: None, selected: None, waiting }
    }

    pub fn typed(&self) -> String {
        self.input.lines().join("")
    }

    /// Whether the candidates are those of the text.
    pub fn is_fresh(&self) -> bool {
        self.found_for.as_ref().is_some_and(|text| *text == self.typed())
    }
}

/// A window over the conversation.
pub enum Popup {
    Help { scroll: u16 },
    Open(Box<OpenWindow>),
    Sessions { list: Option<Vec<Session>>, selected: usize, confirm: bool },
    Questions { list: Vec<Suggestion>, selected: usize },
    Models { list: Option<Vec<Choice>>, selected: usize },
}

impl State {
    pub fn new(settings: Settings, theme: Theme, screen: Rect, terminal: Terminal) -> Self {
        let session = Session::new(&settings.model, settings.system.clone());
        let mut state = Self {
            configured_model: settings.model.clone(),
            settings,
            theme,
            screen,
            terminal,
            model: ModelState::Preparing("starting".into()),
            conversation: Conversation::new(session),
            pictures: HashMap::new(),
            shown: None,
            pending: Vec::new(),
            opens_beside: false,
            scaled: None,
            scaling: None,
            composer: TextArea::default(),
            start_folder: String::new(),
            open_after_loading: None,
            recall: None,
            answer: None,
            scroll: 0,
            popup: None,
            panel: None,
            notice: None,
            unsaved: None,
            last_usage: None,
            next_request: 0,
            quitting: false,
        };
        state.composer = state.new_composer("");
        state
    }

    /// An editor for a question.
    pub fn new_composer(&self, text: &str) -> TextArea<'static> {
        let mut area = editor(text, &self.theme);
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_placeholder_text("Ask about the artwork");
        area.set_placeholder_style(self.theme.dim);
        area
    }

    /// The picture on the screen, with its key.
    pub fn shown_picture(&self) -> Option<(&str, &Shown)> {
        let artwork = self.conversation.session.artworks.get(self.shown?)?;
        let shown = self.pictures.get(&artwork.sha256)?;
        Some((artwork.sha256.as_str(), shown))
    }

    pub fn tell(&mut self, text: impl Into<String>) {
        self.notice =
            Some(Notice { text: artgpt_base::text::printable(&text.into()), error: false });
    }

    pub fn complain(&mut self, text: impl Into<String>) {
        self.notice =
            Some(Notice { text: artgpt_base::text::printable(&text.into()), error: true });
    }
}

/// A text editor in the theme's colours.
pub fn editor(text: &str, theme: &Theme) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(String::from).collect());
    area.move_cursor(ratatui_textarea::CursorMove::Bottom);
    area.move_cursor(ratatui_textarea::CursorMove::End);
    area.set_style(theme.text);
    area.set_cursor_line_style(Style::new());
    area
}
