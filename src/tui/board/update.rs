//! What changes when something happens.

mod steering;
mod windows;

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use super::export::Format;
use super::form::{Form, FormWindow};
use super::kept::{self, Kept};
use super::machine::MachineWindow;
use super::notes::Notes;
use super::page::{Needs, Page, Texts};
use super::save::Save;
use super::state::{Board, Focus, Question};
use super::view::{columns, grid};
use artgpt_machine::{Load, Process};
use artgpt_rundir::job::Wanted;
use artgpt_runs::{Change, Item, XAxis, in_one_line};

#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Resize(u16, u16),
    Runs(Change),
    /// About once a second: ages and states change with time alone.
    Tick,
    Notice(String),
    /// Something happened to a run of ours.
    News(Vec<Item>),
    Paste(String),
    /// What was read for the page of this run.
    Page(PathBuf, Box<Texts>),
    Notes(Notes),
    /// How the panel was at its last end.
    Kept(Box<Kept>, String),
    Gauges(Load),
    Processes(Vec<Process>),
    /// What a check or a submission said.
    Checked(Box<Form>, Result<String, String>),
    Submitted(Box<Form>, Result<(String, Vec<PathBuf>), String>),
    /// Paths that begin with a text, and what they share.
    Completed(String, Option<String>, Vec<String>),
    /// The chart's picture is there, or why there is none.
    Painted(Result<(), String>),
    /// What was asked of runs is done, or on its way.
    Steered(Vec<PathBuf>, String),
    Terminate,
}

#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Write the points of a metric to files, or what is seen of its chart as a picture.
    Export(String, Format),
    /// Write down how the panel is, for its next start.
    Keep(kept::Change),
    /// Read what the page of a run shows, beside other runs.
    Load(Box<Needs>),
    /// Write what the page shows to a file.
    Save(Save),
    SetNote(PathBuf, String),
    /// Put words behind the notes of runs; each with what it brought, if it has no note yet.
    AddNotes(Vec<(PathBuf, String)>, String),
    /// Ask jobs for something.
    Wish(Vec<PathBuf>, Wanted),
    /// Delete runs.
    Remove(Vec<PathBuf>),
    /// Find the configurations whose paths begin like this.
    Complete(String),
    Check(Form),
    Submit(Form),
    /// Look at the processes of the machine.
    Processes,
    /// Ring the bell, or what the user wants instead.
    Ring(String),
    Redraw,
    Quit {
        by_user: bool,
    },
}

/// In the order in which a key goes through them.
const AXES: [XAxis; 4] = [XAxis::Step, XAxis::Epoch, XAxis::Relative, XAxis::Wall];

/// Smoothing weights that the keys step through.
const WEIGHTS: &[f64] = &[0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

pub fn update(board: &mut Board, message: Message) -> Vec<Effect> {
    let by_key = matches!(message, Message::Key(_));
    let before = board.on;
    let effects = take(board, message);
    board.settle();
    // The next key would be for another run than the one that was looked at.
    if let (Some(_), Some(now), false) = (before, board.on.filter(|on| Some(*on) != before), by_key)
    {
        let run = board.run(now);
        let name = run.title().unwrap_or(&run.name).to_string();
        drop(run);
        board.notice.get_or_insert(format!("the cursor is on {name} now: its run left the list"));
    }
    effects
}

fn take(board: &mut Board, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => {
            board.pressed += 1;
            return on_key(board, key);
        }
        Message::Resize(width, height) => {
            board.pressed += 1;
            board.screen = Rect::new(0, 0, width, height);
        }
        // The screen is drawn after any message.
        Message::Painted(Ok(())) => {}
        Message::Painted(Err(why)) => {
            board.pictures = false;
            board.notice = Some(format!("the chart is in cells: {why} (v tries it again)"));
        }
        Message::Steered(runs, told) => {
            let meant = |board: &Board, i: usize| runs.contains(&board.run(i).path);
            (0..board.runs.len()).for_each(|i| board.runs[i].marked &= !meant(board, i));
            board.notice = Some(told);
        }
        Message::Runs(Change::Found(new)) => {
            board.add(new);
            board.show_live();
            board.refresh_metrics();
        }
        Message::Runs(Change::Grown(_)) => {
            board.show_live();
            board.refresh_metrics();
            board.refresh_smoothed();
        }
        Message::Runs(Change::Loaded) => board.all_read(),
        Message::Tick => {
            let mut effects = load_page(board);
            effects.extend(look_at_processes(board));
            effects.extend(keep(board).map(Effect::Keep));
            return effects;
        }
        Message::Kept(kept, place) => {
            board.place = place;
            kept.restore(board);
            board.refresh_metrics();
            board.refresh_smoothed();
            if board.loaded {
                board.all_read();
            }
            board.kept = Some(kept::state(board));
        }
        Message::Notice(text) => board.notice = Some(text),
        Message::News(items) => {
            let Some(told) = in_one_line(&items) else { return Vec::new() };
            board.notice = Some(told.clone());
            return vec![Effect::Ring(told)];
        }
        Message::Paste(text) => match (&mut board.form, &mut board.noting) {
            (Some(form), _) => form.paste(&text),
            (None, Some(noting)) => {
                noting.note.extend(text.chars().filter(|c| !c.is_control()));
            }
            (None, None) => {}
        },
        Message::Page(run, texts) => {
            if let Some(page) = board.page.as_mut().filter(|page| page.run == run) {
                page.texts = *texts;
                page.loading = false;
            }
            // Another one was chosen meanwhile.
            let shown = board.page.as_ref().and_then(|page| page.texts.shown.as_ref());
            if shown.map(|shown| &shown.of) != board.asked().as_ref() {
                return load_page(board);
            }
        }
        Message::Notes(notes) => board.notes = notes,
        Message::Gauges(load) => board.looked(load),
        Message::Processes(all) => {
            if let Some(window) = &mut board.machine {
                window.looked(all);
            }
        }
        // An answer to another form than the one that is open comes too late.
        Message::Checked(asked, told) => {
            if let Some(form) = board.form.as_mut().filter(|form| form.form() == *asked) {
                form.answered(told);
            }
        }
        Message::Submitted(asked, told) => {
            let told = told.map(|(told, runs)| {
                // What was submitted here is wanted to be seen.
                runs.iter().for_each(|run| board.wants(run));
                told
            });
            let open = board.form.as_mut().filter(|form| form.form() == *asked);
            match (told, open) {
                (Err(told), Some(form)) => form.answered(Err(told)),
                (Ok(told), Some(_)) => {
                    board.draft = *asked;
                    board.form = None;
                    board.notice = Some(told);
                }
                (Ok(told) | Err(told), None) => board.notice = Some(told),
            }
        }
        Message::Completed(text, shared, all) => {
            if let Some(form) = &mut board.form {
                form.completed(&text, shared.as_deref(), all);
            }
        }
        Message::Terminate => return vec![Effect::Quit { by_user: false }],
    }
    Vec::new()
}

fn on_key(board: &mut Board, key: KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && key.code == KeyCode::Char('c') {
        return vec![Effect::Quit { by_user: true }];
    }
    if control && key.code == KeyCode::Char('l') {
        return vec![Effect::Redraw];
    }
    board.notice = None;
    if let Some(focus) = board.filtering {
        type_filter(board, focus, key);
        return Vec::new();
    }
    if board.is_busy() {
        return windows::on_key(board, key);
    }
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    match key.code {
        KeyCode::Char('q') => return vec![Effect::Quit { by_user: true }],
        KeyCode::Char('?') | KeyCode::F(1) => board.help = true,
        // The reader goes first, then the chart.
        KeyCode::Esc if board.open => board.open = board.reading.take().is_some(),
        // What hides something goes first: it says so.
        KeyCode::Esc if !(board.filter.is_empty() && board.charts_with.is_empty()) => {
            board.filter.clear();
            board.charts_with.clear();
            board.refresh_metrics();
        }
        KeyCode::Esc if steering::unmark(board) => {}
        KeyCode::Esc => board.table = false,
        KeyCode::Tab | KeyCode::BackTab if !board.open && !board.table => {
            board.focus = match board.focus {
                Focus::List => Focus::Charts,
                Focus::Charts => Focus::List,
            };
            board.show_list |= board.focus == Focus::List;
        }
        KeyCode::Enter if board.table => return open_page(board),
        KeyCode::Enter => {
            board.open = !board.open && !board.metrics.is_empty();
            board.reading = None;
        }
        KeyCode::Up | KeyCode::Char('k') => move_by(board, -1),
        KeyCode::Down | KeyCode::Char('j') => move_by(board, 1),
        KeyCode::PageUp | KeyCode::PageDown if board.table => {
            let page = isize::try_from(board.screen.height.saturating_sub(4)).unwrap_or(1);
            move_by(board, if key.code == KeyCode::PageUp { -page } else { page });
        }
        KeyCode::Left if board.table => {
            board.column = board.column.min(columns(board) - 1).saturating_sub(1);
        }
        KeyCode::Right if board.table => {
            board.column = (board.column + 1).min(columns(board).saturating_sub(1));
        }
        KeyCode::PageUp => turn_page(board, -1),
        KeyCode::PageDown => turn_page(board, 1),
        KeyCode::Home => board.go_to(0),
        KeyCode::End => board.go_to(usize::MAX),
        KeyCode::Left if shift => pan(board, -0.25),
        KeyCode::Right if shift => pan(board, 0.25),
        KeyCode::Left => sideways(board, -1),
        KeyCode::Right => sideways(board, 1),
        KeyCode::Char(c) => return on_letter(board, c),
        _ => {}
    }
    Vec::new()
}

fn on_letter(board: &mut Board, letter: char) -> Vec<Effect> {
    let chosen = board.chosen();
    match letter {
        // Charts are not seen.
        'x' | 'l' | 'c' | '+' | '=' | '-' | 'f' | '0' | 's' | 'v' | 'u' | '\\' if board.table => {}
        ' ' => steering::show_or_hide(board),
        '*' => steering::mark(board),
        'A' => steering::mark_all(board),
        'a' | 'n' => {
            let listed = board.listed();
            show_where(board, |i| listed.contains(&i).then_some(letter == 'a'));
        }
        'o' => show_where(board, |i| Some(Some(i) == chosen)),
        'p' => steering::pin(board),
        '/' => {
            (board.show_list, board.focus) = (true, Focus::List);
            board.filter.clear();
            board.filtering = Some(Focus::List);
        }
        '\\' => {
            board.charts_with.clear();
            board.refresh_metrics();
            board.filtering = Some(Focus::Charts);
        }
        'u' => {
            board.unite ^= true;
            board.refresh_metrics();
        }
        'i' => return open_page(board),
        'S' => board.sort = board.sort.next(),
        'g' => board.show_gauges ^= true,
        'm' => {
            board.machine = Some(MachineWindow::default());
            return look_at_processes(board).into_iter().collect();
        }
        'v' => board.pictures ^= true,
        't' => steering::note(board),
        'N' if board.steers => board.form = Some(FormWindow::with(&board.draft)),
        'P' if board.steers => return steering::pause_or_go_on(board),
        'X' if board.steers => steering::ask(board, Question::Stop),
        'D' if board.steers => steering::ask(board, Question::Remove),
        'w' => {
            board.table ^= true;
            board.open &= !board.table;
            board.refresh_keys();
        }
        '[' | ']' if board.table => choose_chart(board, if letter == ']' { 1 } else { -1 }),
        's' => {
            board.show_list ^= true;
            board.focus = if board.show_list { board.focus } else { Focus::Charts };
        }
        'x' => {
            // One on which nothing stands is passed over.
            for _ in 0..AXES.len() {
                let at = AXES.iter().position(|axis| *axis == board.scale.axis).unwrap_or(0);
                board.scale.axis = AXES[(at + 1) % AXES.len()];
                let mut metrics = board.metrics.iter();
                if metrics.any(|metric| board.whole(metric).is_some()) {
                    break;
                }
            }
            (board.window, board.reading) = (None, None);
        }
        'l' => board.scale.log ^= true,
        'c' => board.scale.clip ^= true,
        '[' | ']' => {
            let at = WEIGHTS.iter().position(|w| *w == board.scale.smoothing).unwrap_or(0);
            let next = if letter == ']' { at + 1 } else { at.saturating_sub(1) };
            board.scale.smoothing = WEIGHTS[next.min(WEIGHTS.len() - 1)];
            board.refresh_smoothed();
        }
        '+' | '=' => zoom(board, 0.5),
        '-' => zoom(board, 2.0),
        'f' => {
            board.follow ^= true;
            if board.follow && board.window.is_none() {
                zoom(board, 0.25);
            }
        }
        '0' => (board.window, board.follow) = (None, false),
        'e' => return export(board, Format::Csv),
        'E' => return export(board, Format::Svg),
        'G' => return export(board, Format::Png),
        _ => {}
    }
    Vec::new()
}

fn export(board: &Board, format: Format) -> Vec<Effect> {
    board.metric().map(|metric| Effect::Export(metric.into(), format)).into_iter().collect()
}

fn open_page(board: &mut Board) -> Vec<Effect> {
    board.page = board.chosen().map(|i| Page::of(board.run(i).path.clone()));
    load_page(board)
}

/// What has changed since it was kept; `None` before it is known what was.
pub fn keep(board: &mut Board) -> Option<kept::Change> {
    let known = board.kept.as_ref().filter(|_| board.loaded)?;
    let now = kept::state(board);
    let change = kept::change(&board.place, &now, known)?;
    board.kept = Some(now);
    Some(change)
}

fn look_at_processes(board: &mut Board) -> Option<Effect> {
    // One look at a time.
    let window = board.machine.as_mut().filter(|window| !window.looking)?;
    window.looking = true;
    Some(Effect::Processes)
}

/// Reads the open page again: its files grow.
fn load_page(board: &mut Board) -> Vec<Effect> {
    // One at a time: a disk may hang.
    let Some(page) = board.page.as_ref().filter(|page| !page.loading) else { return Vec::new() };
    let path = page.run.clone();
    let Some(run) = board.paged() else { return Vec::new() };
    let own = run.curves.about.settings.clone();
    drop(run);
    let (others, asked) = (board.others(&path), board.asked());
    if let Some(page) = &mut board.page {
        page.loading = true;
    }
    vec![Effect::Load(Box::new(Needs { run: path, own, others, asked }))]
}

/// What the user decides of runs, also where it is as it was.
fn show_where(board: &mut Board, shown: impl Fn(usize) -> Option<bool>) {
    for (i, run) in board.runs.iter_mut().enumerate() {
        if let Some(new) = shown(i) {
            (run.shown, run.said) = (new, Some(new));
        }
    }
    board.refresh_metrics();
    board.refresh_smoothed();
}

/// Keys that every line of text knows.
pub fn edit(text: &mut String, key: KeyEvent) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if control => text.clear(),
        KeyCode::Char('w') if control => {
            let word = text.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
            text.truncate(text.char_indices().map(|(i, _)| i).rfind(|i| *i <= word).unwrap_or(0));
        }
        KeyCode::Char(_) if control => {}
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(c) => text.push(c),
        _ => {}
    }
}

fn type_filter(board: &mut Board, focus: Focus, key: KeyEvent) {
    let text = match focus {
        Focus::List => &mut board.filter,
        Focus::Charts => &mut board.charts_with,
    };
    match key.code {
        KeyCode::Enter => board.filtering = None,
        KeyCode::Esc => {
            text.clear();
            board.filtering = None;
        }
        _ => edit(text, key),
    }
    if focus == Focus::Charts {
        board.refresh_metrics();
    }
    board.refresh_keys();
}

fn move_by(board: &mut Board, by: isize) {
    if board.table || (board.focus == Focus::List && !board.open) {
        board.move_by(by);
        board.wanted_run = None;
    } else {
        let row = if board.open { 1 } else { grid(board).columns as isize };
        choose_chart(board, by * row);
    }
}

fn sideways(board: &mut Board, by: isize) {
    if !board.open {
        if board.focus == Focus::Charts {
            choose_chart(board, by);
        }
        return;
    }
    let Some((low, high)) = board.metric().and_then(|m| board.seen(m)) else { return };
    // A step of the reader is one column of cells.
    let cell = (high - low) / f64::from(board.screen.width.saturating_sub(12).max(1));
    let at = board.reading.unwrap_or(if by < 0 { high } else { low });
    board.reading = Some((at + cell * by as f64).clamp(low, high));
}

fn choose_chart(board: &mut Board, by: isize) {
    let last = board.metrics.len().saturating_sub(1);
    board.chart = board.chart.saturating_add_signed(by).min(last);
    board.wanted_chart = None;
}

fn turn_page(board: &mut Board, by: isize) {
    let page = if board.open { 1 } else { grid(board).charts() as isize };
    choose_chart(board, by * page);
}

/// Makes the seen stretch `factor` times as long, around the reader or its middle.
fn zoom(board: &mut Board, factor: f64) {
    let Some(metric) = board.metric() else { return };
    let (Some((low, high)), Some(whole)) = (board.seen(metric), board.whole(metric)) else {
        return;
    };
    let middle = match board.reading {
        _ if board.follow => high,
        Some(at) if board.open => at,
        _ => (low + high) / 2.0,
    };
    let length = (high - low) * factor;
    if length >= whole.1 - whole.0 {
        board.window = None;
    } else if length > 0.0 {
        // A stretch at an end stays there.
        let share = if high > low { (middle - low) / (high - low) } else { 0.5 };
        let from = (middle - length * share).clamp(whole.0, whole.1 - length);
        board.window = Some((from, from + length));
    }
}

fn pan(board: &mut Board, by: f64) {
    let Some(metric) = board.metric() else { return };
    let (Some((low, high)), Some(whole)) = (board.seen(metric), board.whole(metric)) else {
        return;
    };
    let length = high - low;
    let from = (low + length * by).clamp(whole.0, (whole.1 - length).max(whole.0));
    board.window = Some((from, from + length));
    board.follow = false;
}

#[cfg(test)]
mod tests;
