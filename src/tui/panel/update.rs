//! State changes. Pure: what has to happen outside comes back as effects.

use std::path::{Path, PathBuf};

use ratatui::layout::Rect;

use super::effects::Effect;
use super::jobs::Form;
use super::keys::{Action, action, apply};
use super::machine;
use super::message::Message;
use super::page::{self, PageData};
use super::saved_state::{Change as SavedChange, SavedState, View, change};
use super::state::Panel;
use crate::tui::keys::ChartAction;
use artgpt_runs::{Change, in_one_line};

/// Applies one message.
pub(crate) fn update(panel: &mut Panel, message: Message) -> Vec<Effect> {
    let by_key = matches!(message, Message::Key(_));
    let (before, affects_list) = (panel.list.on, message.affects_list());
    let effects = take(panel, message);
    if affects_list {
        panel.refresh_list();
        panel.refresh_keys();
    }
    // The cursor gets a run once everything has been read.
    if panel.loaded || panel.list.on.is_some() {
        panel.move_by(0);
    }
    panel.clamp_page();
    // Otherwise the next key would act on another run than the user saw under the cursor.
    if let (Some(before), Some(now), false) = (before, panel.list.on, by_key)
        && before != now
    {
        let run = panel.run(now);
        let name = run.title().unwrap_or(&run.name).to_string();
        let deleted = panel.notice.take_if(|_| panel.runs[before].run.gone);
        let what = deleted.unwrap_or_else(|| "the run under the cursor left the list".into());
        panel.notice.get_or_insert(format!("{what}; the cursor is on {name} now"));
    }
    effects
}

fn take(panel: &mut Panel, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => {
            panel.pressed += 1;
            let action = action(panel, key);
            if !matches!(action, Some(Action::Redraw)) {
                panel.notice = None;
            }
            return action.map_or_else(Vec::new, |action| apply(panel, action));
        }
        Message::Paste(text) => paste(panel, &text),
        Message::Resize(width, height) => {
            panel.pressed += 1;
            panel.screen = Rect::new(0, 0, width, height);
        }
        Message::Tick(now) => {
            panel.now = now;
            if panel.show_running() {
                panel.refresh_metrics();
                panel.refresh_smoothed();
            }
            let mut effects = page::reload(panel);
            effects.extend(machine::look(panel));
            effects.extend(save_state(panel).map(Effect::SaveState));
            return effects;
        }
        Message::Runs(change) => runs(panel, change),
        Message::Notice(text) => panel.notice = Some(text),
        Message::News(items) => {
            let Some(text) = in_one_line(&items) else { return Vec::new() };
            panel.notice = Some(text.clone());
            return vec![Effect::Ring(text)];
        }
        Message::Load(load) => panel.add_load(load),
        Message::Notes(notes) => panel.notes = notes,
        Message::SavedState(saved, paths) => restore(panel, *saved, paths),
        Message::Page(run, data) => return page_data(panel, &run, *data),
        Message::Processes(all) => {
            if let Some(window) = panel.overlays.machine_mut() {
                window.take(all);
            }
        }
        Message::Checked(sent, answer) => {
            // An answer to another form comes too late.
            if let Some(form) = panel.overlays.form_mut().filter(|form| form.form() == *sent) {
                form.answered(answer);
            }
        }
        Message::Submitted(sent, answer) => submitted(panel, *sent, answer),
        Message::Completed(text, shared, all) => {
            if let Some(form) = panel.overlays.form_mut() {
                form.completed(&text, shared.as_deref(), all);
            }
        }
        // The screen is drawn after every message.
        Message::Painted(Ok(())) => {}
        Message::Painted(Err(why)) => {
            panel.pictures = false;
            let key = panel.keymap.shown(ChartAction::Picture);
            panel.notice = Some(format!("{why}; the chart is drawn in cells ({key}: try again)"));
        }
        Message::RunsChanged(runs, text) => {
            for listed in &mut panel.runs {
                listed.selected &= !runs.contains(&listed.run.path);
            }
            panel.notice = Some(text);
        }
    }
    Vec::new()
}

fn runs(panel: &mut Panel, change: Change) {
    match change {
        Change::Found(new) => {
            panel.add(new);
            panel.show_running();
            panel.refresh_metrics();
        }
        Change::Grown(grown) => panel.grow(grown),
        Change::Loaded => panel.all_read(),
    }
}

fn paste(panel: &mut Panel, text: &str) {
    if let Some(form) = panel.overlays.form_mut() {
        form.paste(text);
    } else if let Some(note) = panel.overlays.note_mut() {
        note.text.insert(text);
    } else {
        panel.type_filter(|input| input.insert(text));
    }
}

fn restore(panel: &mut Panel, saved: SavedState, paths: String) {
    panel.saved.paths = paths;
    saved.restore(panel);
    panel.refresh_metrics();
    panel.refresh_smoothed();
    if panel.loaded {
        panel.all_read();
    }
    panel.refresh_list();
    panel.saved.known = Some(View::with_choices(panel));
}

fn page_data(panel: &mut Panel, run: &Path, data: PageData) -> Vec<Effect> {
    if let Some(page) = panel.overlays.page_mut().filter(|page| page.run == run) {
        page.data = data;
        page.loading = false;
    }
    // Other media may have been selected meanwhile.
    let loaded = panel.overlays.page().and_then(|page| page.data.media.as_ref());
    match loaded.map(|media| &media.request) == panel.media_request().as_ref() {
        true => Vec::new(),
        false => page::reload(panel),
    }
}

fn submitted(panel: &mut Panel, sent: Form, answer: Result<(String, Vec<PathBuf>), String>) {
    let answer = answer.map(|(text, runs)| {
        // The user wants to see what was submitted here.
        runs.iter().for_each(|run| panel.show_always(run));
        text
    });
    let open = panel.overlays.form_mut().filter(|form| form.form() == sent);
    match (answer, open) {
        (Err(why), Some(form)) => form.answered(Err(why)),
        (Ok(text), Some(_)) => {
            panel.draft = sent;
            panel.overlays.close_form();
            panel.notice = Some(text);
        }
        (Ok(text) | Err(text), None) => panel.notice = Some(text),
    }
}

/// What has changed since the state was saved; `None` until the saved state is known.
pub(crate) fn save_state(panel: &mut Panel) -> Option<SavedChange> {
    let known = panel.saved.known.as_ref().filter(|_| panel.loaded)?;
    let now = View::with_choices(panel);
    let change = change(&panel.saved.paths, &now, known)?;
    panel.saved.known = Some(now);
    Some(change)
}
