//! The whole interface: the chat, and the training panel over it or alone.

use std::sync::Arc;

use crossterm::event::{KeyEvent, KeyEventKind};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chat;
use super::effect::{Effect, Ended};
use super::keys::GlobalAction;
use super::message::Message;
use super::moment::Moment;
use super::panel::{self, Panel};
use artgpt_app::settings::NoticeSettings;
use artgpt_runs::{Item, in_one_line};

/// The screens. The panel is on top where it is open; `watch` has no chat.
pub(crate) struct App {
    pub(crate) chat: Option<chat::State>,
    pub(crate) panel: Option<Box<Panel>>,
    /// What the bell does without a chat; the chat has its own settings.
    pub(crate) notices: NoticeSettings,
}

/// Applies one message. Pure: what has to happen outside comes back as effects.
pub(crate) fn update(app: &mut App, at: &Moment, message: Message) -> Vec<Effect> {
    let mut effects = apply(app, at, message);
    if effects.iter().any(|effect| matches!(effect, Effect::OpenPanel)) {
        app.open_panel(at);
    }
    if let Some(chat) = &mut app.chat {
        effects.extend(chat::scale_if_needed(chat));
    }
    app.restyle_panel();
    effects
}

fn apply(app: &mut App, at: &Moment, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(key) if app.panel.is_some() => app.panel_key(key),
        Message::Key(key) => app.chat(|chat| chat::on_key(chat, at, key)),
        Message::Paste(text) if app.panel.is_some() => app.panel(panel::Message::Paste(text)),
        Message::Paste(text) => app.chat(|chat| chat::paste(chat, &text)),
        Message::Resize(width, height) => {
            if let Some(chat) = &mut app.chat {
                chat::resize(chat, Rect::new(0, 0, width, height));
            }
            let mut effects = app.panel(panel::Message::Resize(width, height));
            // The terminal may have moved or dropped an image by itself.
            effects.push(Effect::Redraw);
            effects
        }
        Message::Chat(message) => app.chat(|chat| chat::update(chat, at, message)),
        Message::Panel(message) => app.panel(*message),
        Message::News(items) => app.news(items),
        Message::Tick => {
            let mut effects = app.chat(chat::tick);
            effects.extend(app.panel(panel::Message::Tick(at.system_time)));
            effects
        }
        Message::Terminate => app.quit(Ended::BySystem),
        Message::Suspend => vec![Effect::Suspend],
        Message::Resume => vec![Effect::Resume],
    }
}

impl App {
    /// Draws the screen on top.
    pub(crate) fn view(&self, frame: &mut Frame) {
        match (&self.panel, &self.chat) {
            (Some(panel), _) => panel::view(panel, frame),
            (None, Some(chat)) => chat::view(chat, frame),
            (None, None) => {}
        }
    }

    pub(crate) fn screen(&self) -> Rect {
        match (&self.panel, &self.chat) {
            (Some(panel), _) => panel.screen,
            (None, Some(chat)) => chat.ui.screen,
            (None, None) => Rect::default(),
        }
    }

    /// Whether time alone changes something.
    pub(crate) fn ticks(&self) -> bool {
        self.panel.is_some() || self.chat.as_ref().is_some_and(chat::ticks)
    }

    pub(crate) fn notices(&self) -> &NoticeSettings {
        self.chat.as_ref().map_or(&self.notices, |chat| &chat.settings.notices)
    }

    fn chat(&mut self, update: impl FnOnce(&mut chat::State) -> Vec<Effect>) -> Vec<Effect> {
        self.chat.as_mut().map(update).unwrap_or_default()
    }

    /// Gives a message to the panel. One that is on its way when the panel closes comes too late.
    fn panel(&mut self, message: panel::Message) -> Vec<Effect> {
        let Some(panel) = &mut self.panel else { return Vec::new() };
        let mut effects = Vec::new();
        for wanted in panel::update(panel, message) {
            effects.push(match wanted {
                panel::Effect::Quit { by_user } => {
                    let ended = if by_user { Ended::ByUser } else { Ended::BySystem };
                    effects.extend(self.close_panel(ended));
                    return effects;
                }
                panel::Effect::Redraw => Effect::Redraw,
                panel::Effect::Ring(text) => Effect::Ring(text),
                other => Effect::Panel(other),
            });
        }
        effects
    }

    /// Quits or suspends the program, also where the panel covers the chat; all other keys are the
    /// panel's.
    fn panel_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let keymap = self.panel.as_ref().map(|panel| panel.keymap.clone()).unwrap_or_default();
        match keymap.action::<GlobalAction>(&key) {
            Some(GlobalAction::Quit) => self.quit(Ended::ByUser),
            Some(GlobalAction::Suspend) => vec![Effect::Suspend],
            _ => self.panel(panel::Message::Key(key)),
        }
    }

    /// Settings that were read again are for the panel, too.
    fn restyle_panel(&mut self) {
        if let (Some(panel), Some(chat)) = (&mut self.panel, &self.chat)
            && !Arc::ptr_eq(&panel.keymap, &chat.ui.keymap)
        {
            panel.keymap = chat.ui.keymap.clone();
            panel.theme = chat.ui.theme.clone();
        }
    }

    fn open_panel(&mut self, at: &Moment) {
        let Some(chat) = &self.chat else { return };
        let terminal = chat.ui.terminal;
        let mut panel = Panel::new(chat.ui.theme.clone(), chat.ui.screen, at.system_time);
        (panel.within, panel.steers) = (true, true);
        panel.keymap = chat.ui.keymap.clone();
        panel.zone = chat.ui.zone.clone();
        panel.colours = terminal.colours;
        panel.cell = (!terminal.protocol.in_buffer()).then_some(terminal.cell);
        self.panel = Some(Box::new(panel));
    }

    /// Goes back to the chat; without one the program ends.
    fn close_panel(&mut self, ended: Ended) -> Vec<Effect> {
        let change = self.panel.as_mut().and_then(|panel| panel::save_state(panel)).map(Box::new);
        let then = match self.chat {
            Some(_) => {
                self.panel = None;
                Effect::Redraw
            }
            None => Effect::Quit(ended),
        };
        vec![Effect::ClosePanel(change), then]
    }

    /// Shows news of runs on whatever screen is on top.
    fn news(&mut self, items: Vec<Item>) -> Vec<Effect> {
        if self.panel.is_some() {
            return self.panel(panel::Message::News(items));
        }
        let (Some(chat), Some(text)) = (&mut self.chat, in_one_line(&items)) else {
            return Vec::new();
        };
        chat.news(&text);
        vec![Effect::Ring(text)]
    }

    fn quit(&mut self, ended: Ended) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(panel) = &mut self.panel {
            effects.push(Effect::ClosePanel(panel::save_state(panel).map(Box::new)));
        }
        match &mut self.chat {
            Some(chat) => effects.extend(chat::quit(chat, ended)),
            None => effects.push(Effect::Quit(ended)),
        }
        effects
    }
}
