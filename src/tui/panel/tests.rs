//! The panel as a user meets it: keys in, screen out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::fixtures::{press, screen};
use super::*;
use crate::tui::theme::Theme;
use artgpt_machine::Load;
use artgpt_runs::catalogue::find;
use artgpt_runs::{Change, Item, Run, RunReader, RunSnapshot};

mod control;
mod pages;

fn run(root: &Path, name: &str, lines: impl Iterator<Item = String>) -> RunSnapshot {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).expect("makes");
    std::fs::write(folder.join("metrics.jsonl"), lines.collect::<String>()).expect("writes");
    let found = find(&folder, false).pop().expect("a run");
    read(found)
}

fn read(found: artgpt_runs::catalogue::Found) -> RunSnapshot {
    let mut reader = RunReader::open(found, None);
    reader.read(&AtomicBool::new(false));
    reader.snapshot()
}

/// The panel gets a changed snapshot of a run.
fn change(panel: &mut Panel, run: usize, change: impl FnOnce(&mut Run)) {
    let mut snapshot = panel.runs[run].run.clone();
    change(Arc::make_mut(&mut snapshot));
    update(panel, Message::Runs(Change::Grown(vec![(run, snapshot)])));
}

fn tick() -> Message {
    Message::Tick(SystemTime::now())
}

fn new(width: u16, height: u16) -> Panel {
    Panel::new(Theme::plain(), Rect::new(0, 0, width, height), SystemTime::now())
}

/// Two runs whose loss falls as 1 / step, and one that logs something else.
fn panel(root: &Path, width: u16, height: u16) -> Panel {
    let loss = |scale: f64| {
        (1..=200).map(move |step| {
            let loss = scale / f64::from(step);
            format!(
                "{{\"step\":{step},\"_timestamp\":{},\"loss\":{loss},\"lr\":0.001}}\n",
                2_000_000_000_u32 + step
            )
        })
    };
    let mut panel = new(width, height);
    let found = vec![
        run(root, "adapter", loss(2.0)),
        run(root, "lora", loss(4.0)),
        run(root, "other", (0..5).map(|i| format!("{{\"step\":{i},\"accuracy\":0.5}}\n"))),
    ];
    update(&mut panel, Message::Runs(Change::Found(found)));
    update(&mut panel, Message::Runs(Change::Loaded));
    panel
}

#[test]
fn the_wide_screen_has_the_list_and_all_charts() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = screen(&panel(dir.path(), 140, 40));
    for part in [
        "Runs 3 · 3 shown",
        "● adapter",
        "● lora",
        " loss ",
        " accuracy ",
        " lr ",
        "200 live",
        "by step",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    // Curves are braille.
    assert!(text.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count() > 50, "{text}");
}

#[test]
fn the_narrow_screen_has_the_list_over_the_charts_and_the_smallest_one_of_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = screen(&panel(dir.path(), 80, 24));
    assert!(text.contains("● adapter") && text.contains(" loss "), "{text}");
    assert!(text.contains("0.0100000 200 live"), "the last loss:\n{text}");
    let mut panel = panel(dir.path(), 80, 16);
    let text = screen(&panel);
    assert!(text.contains("● adapter") && !text.contains(" loss "), "{text}");
    press(&mut panel, "Tab");
    let text = screen(&panel);
    assert!(!text.contains("● adapter") && text.contains(" loss "), "{text}");
}

#[test]
fn runs_are_hidden_pinned_found_and_shown_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    press(&mut panel, "Down Down Space");
    assert_eq!(panel.drawn().collect::<Vec<_>>(), [0, 1]);
    // Its metric has gone with it.
    assert_eq!(panel.charts.metrics, ["loss", "lr"]);
    press(&mut panel, "p");
    assert_eq!((panel.listed().to_vec(), panel.chosen()), (vec![2, 0, 1], Some(2)));
    press(&mut panel, "/ L O R A");
    assert_eq!((panel.listed().to_vec(), panel.chosen()), (vec![1], Some(1)));
    // Letters are text while the filter is typed.
    assert!(press(&mut panel, "q").is_empty());
    press(&mut panel, "Esc");
    assert_eq!(panel.listed().len(), 3);
    press(&mut panel, "Down o");
    assert_eq!(panel.drawn().collect::<Vec<_>>(), [0]);
    press(&mut panel, "n");
    assert!(screen(&panel).contains("No curves to show"));
    press(&mut panel, "a");
    assert_eq!(panel.drawn().count(), 3);
    assert_eq!(press(&mut panel, "q"), [Effect::Quit { by_user: true }]);
}

#[test]
fn an_open_chart_tells_exact_values_where_it_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    press(&mut panel, "Tab Enter");
    let text = screen(&panel);
    // The last values of both.
    assert!(text.contains("0.01 at step 200") && text.contains("0.02 at step 200"), "{text}");
    press(&mut panel, "Right");
    let text = screen(&panel);
    assert!(text.contains("1 at step 2,") && text.contains("2 at step 2,"), "{text}");
    // Zoomed around the reader, which stays where it is.
    let at = panel.charts.reading;
    press(&mut panel, "+ +");
    let (low, high) = panel.seen("loss").expect("is seen");
    assert!(
        (high - low - 199.0 / 4.0).abs() < 1e-9 && at.is_some_and(|at| (low..=high).contains(&at))
    );
    press(&mut panel, "0");
    assert_eq!(panel.seen("loss"), Some((1.0, 200.0)));
    press(&mut panel, "x");
    assert_eq!(panel.seen("loss"), Some((0.0, 199.0)));
    press(&mut panel, "x");
    assert_eq!(panel.seen("loss"), Some((2_000_000_001.0, 2_000_000_200.0)));
    press(&mut panel, "l");
    assert!(screen(&panel).contains("log"));
    press(&mut panel, "Esc Esc");
    assert!(!panel.charts.open);
}

#[test]
fn smoothing_and_following_go_along_with_a_run_that_grows() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    press(&mut panel, "] ]");
    let length =
        |panel: &Panel| panel.charts.smoothed.get(&(0, "loss".to_string())).map(|s| s.series.len());
    assert_eq!((length(&panel), panel.charts.scale.smoothing), (Some(200), 0.8));
    press(&mut panel, "f");
    assert_eq!(panel.seen("loss").map(|(_, high)| high), Some(200.0));
    let file = dir.path().join("adapter/metrics.jsonl");
    let text = std::fs::read_to_string(&file).expect("reads");
    std::fs::write(&file, text + "{\"step\":201,\"loss\":0.5}\n").expect("writes");
    let found = find(&dir.path().join("adapter"), false).pop().expect("a run");
    update(&mut panel, Message::Runs(Change::Grown(vec![(0, read(found))])));
    assert_eq!(length(&panel), Some(201));
    assert_eq!(panel.seen("loss").map(|(_, high)| high), Some(201.0));
    press(&mut panel, "[ [ [");
    assert!(panel.charts.smoothed.is_empty());
}

#[test]
fn any_size_is_drawn_and_every_key_is_in_the_help() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    press(&mut panel, "?");
    let mut text = String::new();
    for _ in 0..20 {
        text += &screen(&panel).replace('│', " ");
        press(&mut panel, "PageDown");
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for context in super::keys::HELP {
        for row in panel.keymap.rows(*context) {
            assert!(text.contains(row.help), "{}:\n{text}", row.help);
        }
    }
    press(&mut panel, "Esc i");
    assert!(screen(&panel).contains("max"));
    for (width, height) in [(1, 1), (3, 2), (20, 5), (43, 9), (99, 12), (500, 100)] {
        for keys in ["Esc", "Tab", "Enter", "i"] {
            update(&mut panel, Message::Resize(width, height));
            press(&mut panel, keys);
            screen(&panel);
        }
    }
}

#[test]
fn a_clock_that_is_set_back_and_a_screen_that_shrank_unseen_are_no_trouble() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = new(140, 40);
    let lines = [
        "{\"step\":1,\"wall_time\":2e9,\"loss\":2}\n",
        "{\"step\":2,\"wall_time\":1e9,\"loss\":1}\n",
    ];
    let found = vec![run(dir.path(), "a", lines.into_iter().map(String::from))];
    update(&mut panel, Message::Runs(Change::Found(found)));
    press(&mut panel, "Tab Enter x Right + Left x Right");
    screen(&panel);
    // The terminal is smaller than the state knows.
    let mut terminal = Terminal::new(TestBackend::new(30, 8)).expect("draws");
    for keys in ["Esc", "Enter", "?"] {
        press(&mut panel, keys);
        terminal.draw(|frame| view(&panel, frame)).expect("draws");
    }
}

#[test]
fn held_out_losses_stand_in_the_chart_of_the_training_loss() {
    let dir = tempfile::tempdir().expect("a folder");
    let line = |split: &str, step: u32, loss: f64| {
        format!(
            "{{\"step\":{step},\"stage\":\"a\",\"split\":\"{split}\",\"loss\":{loss},\"lr\":1}}\n"
        )
    };
    let lines = (1..=20).flat_map(|step| {
        let held_out = (step % 10 == 0).then(|| line("held_out", step, 7.5));
        std::iter::once(line("train", step, 5.0)).chain(held_out)
    });
    let mut panel = new(140, 40);
    update(&mut panel, Message::Runs(Change::Found(vec![run(dir.path(), "a", lines)])));
    let text = screen(&panel);
    assert!(text.contains("loss/train + loss/held_out"), "{text}");
    press(&mut panel, "Enter");
    let text = screen(&panel);
    assert!(text.contains("5 at step 20") && text.contains("held out 7.5 at 20"), "{text}");
    press(&mut panel, "Enter u");
    assert!(panel.charts.metrics.contains(&"loss/held_out".to_string()));
    // Charts are found by their names.
    press(&mut panel, "\\ h e l d Enter");
    assert_eq!(panel.charts.metrics, ["loss/held_out"]);
    press(&mut panel, "Esc");
    assert!(panel.charts.metrics.contains(&"lr".to_string()));
}

#[test]
fn the_saved_state_is_restored() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut first = panel(dir.path(), 140, 40);
    // Nothing is saved before the saved state is known.
    assert_eq!(update(&mut first, tick()), []);
    update(&mut first, Message::SavedState(Box::default(), "here".into()));
    press(&mut first, "/ r Enter \\ l Enter l ] S Down p Down Space Tab Down Enter + s");
    let effects = update(&mut first, tick());
    let [Effect::SaveState(change)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(update(&mut first, tick()), [], "it is saved once");
    let file = super::saved_state::path_in(dir.path());
    super::saved_state::write(&file, change).expect("writes");
    let saved = || Box::new(super::saved_state::read(&file).expect("reads"));
    let looks = |panel: &Panel| {
        let runs: Vec<_> = panel.runs.iter().map(|r| (r.shown, r.pinned, r.colour)).collect();
        let chosen = panel.chosen().map(|i| panel.run(i).path.clone());
        let words =
            (panel.list.filter.clone(), panel.charts.filter.clone(), chosen, panel.show_list);
        let charts = (panel.charts.open, panel.metric().map(String::from), panel.charts.window);
        (panel.charts.scale, panel.list.sort, charts, words, runs)
    };
    let mut again = panel(dir.path(), 140, 40);
    assert_ne!(looks(&again), looks(&first));
    update(&mut again, Message::SavedState(saved(), "here".into()));
    assert_eq!(looks(&again), looks(&first));
    // It may also come before the runs.
    let mut early = new(140, 40);
    update(&mut early, Message::SavedState(saved(), "here".into()));
    let runs = first.runs.iter().map(|listed| listed.run.clone()).collect();
    update(&mut early, Message::Runs(Change::Found(runs)));
    update(&mut early, Message::Runs(Change::Loaded));
    assert_eq!(looks(&early), looks(&first));
    // Other paths are looked at in their own way.
    let mut other = panel(dir.path(), 140, 40);
    update(&mut other, Message::SavedState(saved(), "elsewhere".into()));
    assert!(!other.charts.scale.log && !other.charts.open && other.list.filter.is_empty());
}

#[test]
fn notes_are_shown_found_and_typed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    press(&mut panel, "Down");
    let path = panel.run(1).path.clone();
    let wanted = press(&mut panel, "t # h o t Enter");
    assert_eq!(wanted, [Effect::SetNote(path.clone(), "#hot".into())]);
    update(&mut panel, Message::Notes([(path, "#hot".to_string())].into()));
    assert!(screen(&panel).contains("#hot"));
    press(&mut panel, "/ # h o t Enter");
    assert_eq!(panel.listed(), [1]);
}

#[test]
fn runs_are_ordered_and_the_cursor_stays_on_its_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    press(&mut panel, "Down");
    // By the last loss; the run that has none comes last.
    press(&mut panel, "S S");
    assert_eq!((panel.listed().to_vec(), panel.chosen()), (vec![0, 1, 2], Some(1)));
    press(&mut panel, "p");
    assert_eq!((panel.listed()[0], panel.list.cursor), (1, 0));
}

#[test]
fn the_table_has_values_and_what_runs_were_told() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, lr, kind) in [("a", 0.1, "lora"), ("b", 0.2, "lora")] {
        let folder = dir.path().join(name);
        std::fs::create_dir_all(&folder).expect("makes");
        let config = format!("lr = {lr}\n[method]\nkind = \"{kind}\"\nlayers_that_train = {lr}\n");
        std::fs::write(folder.join("config.toml"), config).expect("writes");
    }
    let lines = |scale: f64| {
        let line =
            |(step, loss)| format!("{{\"step\":{step},\"loss\":{},\"lr\":1}}\n", loss * scale);
        [(1, 3.0), (2, 1.0), (3, 2.0)].map(line)
    };
    let found = vec![
        run(dir.path(), "a", lines(1.0).into_iter()),
        run(dir.path(), "b", lines(10.0).into_iter()),
    ];
    let mut panel = new(160, 20);
    update(&mut panel, Message::Runs(Change::Found(found)));
    update(&mut panel, Message::Runs(Change::Loaded));
    press(&mut panel, "w");
    let text = screen(&panel);
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].contains("2 runs · values of loss"), "{text}");
    assert!(rows[1].contains("max") && rows[1].contains("…rs_that_train"), "{text}");
    assert!(!text.contains("lora"), "what is the same everywhere is left out: {text}");
    let words: Vec<&str> = rows[2].split_whitespace().collect();
    let wanted = ["a", "live", "3", "2.00000", "1.00000", "3.00000", "0.1", "0.1", "│"];
    assert_eq!(words[1..], wanted, "{text}");
    assert!(rows[3].contains("20") && rows[3].contains("0.2"), "{text}");
    press(&mut panel, "] Right");
    let text = screen(&panel);
    assert!(text.contains("values of lr") && !text.contains("state"), "{text}");
    // A run's page opens over it, and a filter is told.
    press(&mut panel, "Down Enter");
    assert!(panel.overlays.page().is_some_and(|page| page.run.ends_with("b")));
    press(&mut panel, "Esc / l r = 0 . 2 Enter");
    let text = screen(&panel);
    assert!(text.contains("1 runs · only /lr=0.2"), "{text}");
    // Columns that are no longer there leave none of the others away.
    press(&mut panel, "Right Right Right Right Right Right Right Right");
    let text = screen(&panel);
    assert!(text.contains("tags, note"), "{text}");
    press(&mut panel, "Esc");
    assert!(panel.table.open && panel.list.filter.is_empty());
    press(&mut panel, "Esc");
    assert!(!panel.table.open && screen(&panel).contains("Runs 2"));
}

#[test]
fn news_ring_and_gauges_stand_under_the_list() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    let item = |run: &str| Item {
        run: run.into(),
        name: Some("warm".into()),
        what: artgpt_runs::What::Failed,
        text: "why".into(),
    };
    let effects = update(&mut panel, Message::News(vec![item("A"), item("B")]));
    assert_eq!(effects, [Effect::Ring("warm (B) failed: why, and 1 more".into())]);
    assert!(screen(&panel).contains("warm (B) failed: why, and 1 more"));
    press(&mut panel, "g");
    let used = artgpt_machine::Used { used: 4_000_000_000, total: 8_000_000_000 };
    let gpu = artgpt_machine::Gpu {
        index: 1,
        name: "A100".into(),
        memory: used,
        busy: Some(0.5),
        celsius: Some(60),
        watts: Some(250.0),
        most_watts: Some(400.0),
        megahertz: Some(1410),
        fan: None,
    };
    let load = Load { cpu: 0.25, cores: 8, memory: used, gpus: vec![gpu], ..Load::default() };
    update(&mut panel, Message::Load(load));
    let text = screen(&panel);
    for part in ["CPU", "25% of 8", "4.0 of 8.0 GB", "cuda:1", "50% 60°C"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    // The window of the machine: minutes back, and the processes, with the run that one trains.
    assert_eq!(press(&mut panel, "m"), [Effect::ListProcesses]);
    assert_eq!(update(&mut panel, tick()), [], "one look at a time");
    let process = |pid, cpu| artgpt_machine::Process {
        pid,
        cpu,
        command: "train.py".into(),
        user: "ada".into(),
        gpu: (pid == 7).then_some(artgpt_machine::GpuUse { index: 1, memory: 3 << 30, busy: None }),
        ..Default::default()
    };
    update(&mut panel, Message::Processes(vec![process(8, 1.5), process(7, 0.5)]));
    let text = screen(&panel);
    let gpu = text.find("ada        cuda:1   3.22 GB").unwrap_or_else(|| panic!("{text}"));
    assert!(gpu < text.find("150").expect("the other"), "{text}");
    assert!(text.contains("cuda:1 50% 60°C 250 of 400 W 1410 MHz"), "{text}");
    press(&mut panel, "Esc");
    assert!(panel.overlays.machine().is_none());
}

#[test]
fn a_chart_is_exported_as_points_and_as_pictures() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    for (key, start) in [("e", &b"run,metric,step,epoch"[..]), ("E", b"<svg"), ("G", b"\x89PNG")] {
        let [Effect::Export(export)] = &press(&mut panel, key)[..] else { panic!("{key}") };
        let told = export.write(dir.path()).expect("writes");
        let path = told.rsplit(" in ").next().expect("a path");
        let bytes = std::fs::read(path).expect("reads");
        assert!(bytes.starts_with(start), "{told}");
    }
}
