//! The panel as a user meets it: keys in, screen out.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::tui::board::page::{Content, parts};
use crate::tui::board::view::view;
use crate::tui::theme::Theme;
use artgpt_rundir::{RunState, Status};
use artgpt_runs::catalogue::find;
use artgpt_runs::{RunReader, Shared};

fn run(root: &Path, name: &str, lines: impl Iterator<Item = String>) -> Shared {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).expect("makes");
    std::fs::write(folder.join("metrics.jsonl"), lines.collect::<String>()).expect("writes");
    let found = find(&folder, false).pop().expect("a run");
    let (run, mut reader) = RunReader::open(found, None);
    reader.read(&run, &AtomicBool::new(false));
    run
}

/// Two runs whose loss falls as 1 / step, and one that logs something else.
fn board(root: &Path, width: u16, height: u16) -> Board {
    let loss = |scale: f64| {
        (1..=200).map(move |step| {
            let loss = scale / f64::from(step);
            format!(
                "{{\"step\":{step},\"_timestamp\":{},\"loss\":{loss},\"lr\":0.001}}\n",
                2_000_000_000_u32 + step
            )
        })
    };
    let mut board = Board::new(Theme::plain(), Rect::new(0, 0, width, height));
    let found = vec![
        run(root, "adapter", loss(2.0)),
        run(root, "lora", loss(4.0)),
        run(root, "other", (0..5).map(|i| format!("{{\"step\":{i},\"accuracy\":0.5}}\n"))),
    ];
    update(&mut board, Message::Runs(Change::Found(found)));
    update(&mut board, Message::Runs(Change::Loaded));
    board
}

fn screen(board: &Board) -> String {
    let mut terminal =
        Terminal::new(TestBackend::new(board.screen.width, board.screen.height)).expect("draws");
    terminal.draw(|frame| view(board, frame)).expect("draws");
    let buffer = terminal.backend().buffer().clone();
    let rows = buffer.content().chunks(board.screen.width.into());
    rows.map(|row| row.iter().map(|c| c.symbol()).collect::<String>().trim_end().to_string() + "\n")
        .collect()
}

fn press(board: &mut Board, keys: &str) -> Vec<Effect> {
    keys.split(' ')
        .flat_map(|key| {
            let code = match key {
                "Enter" => KeyCode::Enter,
                "Esc" => KeyCode::Esc,
                "Tab" => KeyCode::Tab,
                "Space" => KeyCode::Char(' '),
                "Up" => KeyCode::Up,
                "Down" => KeyCode::Down,
                "Left" => KeyCode::Left,
                "Right" => KeyCode::Right,
                key => KeyCode::Char(key.chars().next().expect("a key")),
            };
            update(board, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
        })
        .collect()
}

#[test]
fn the_wide_screen_has_the_list_and_all_charts() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = screen(&board(dir.path(), 140, 40));
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
    let text = screen(&board(dir.path(), 80, 24));
    assert!(text.contains("● adapter") && text.contains(" loss "), "{text}");
    assert!(text.contains("0.0100000 200 live"), "the last loss:\n{text}");
    let mut board = board(dir.path(), 80, 16);
    let text = screen(&board);
    assert!(text.contains("● adapter") && !text.contains(" loss "), "{text}");
    press(&mut board, "Tab");
    let text = screen(&board);
    assert!(!text.contains("● adapter") && text.contains(" loss "), "{text}");
}

#[test]
fn runs_are_hidden_pinned_found_and_shown_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    press(&mut board, "Down Down Space");
    assert_eq!(board.drawn().collect::<Vec<_>>(), [0, 1]);
    // Its metric has gone with it.
    assert_eq!(board.metrics, ["loss", "lr"]);
    press(&mut board, "p");
    assert_eq!((board.listed(), board.chosen()), (vec![2, 0, 1], Some(2)));
    press(&mut board, "/ L O R A");
    assert_eq!((board.listed(), board.chosen()), (vec![1], Some(1)));
    // Letters are text while the filter is typed.
    assert!(press(&mut board, "q").is_empty());
    press(&mut board, "Esc");
    assert_eq!(board.listed().len(), 3);
    press(&mut board, "Down o");
    assert_eq!(board.drawn().collect::<Vec<_>>(), [0]);
    press(&mut board, "n");
    assert!(screen(&board).contains("No curves to show"));
    press(&mut board, "a");
    assert_eq!(board.drawn().count(), 3);
    assert_eq!(press(&mut board, "q"), [Effect::Quit { by_user: true }]);
}

#[test]
fn an_open_chart_tells_exact_values_where_it_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    press(&mut board, "Tab Enter");
    let text = screen(&board);
    // The last values of both.
    assert!(text.contains("0.01 at step 200") && text.contains("0.02 at step 200"), "{text}");
    press(&mut board, "Right");
    let text = screen(&board);
    assert!(text.contains("1 at step 2,") && text.contains("2 at step 2,"), "{text}");
    // Zoomed around the reader, which stays where it is.
    let at = board.reading;
    press(&mut board, "+ +");
    let (low, high) = board.seen("loss").expect("is seen");
    assert!(
        (high - low - 199.0 / 4.0).abs() < 1e-9 && at.is_some_and(|at| (low..=high).contains(&at))
    );
    press(&mut board, "0");
    assert_eq!(board.seen("loss"), Some((1.0, 200.0)));
    press(&mut board, "x");
    assert_eq!(board.seen("loss"), Some((0.0, 199.0)));
    press(&mut board, "x");
    assert_eq!(board.seen("loss"), Some((2_000_000_001.0, 2_000_000_200.0)));
    press(&mut board, "l");
    assert!(screen(&board).contains("log"));
    press(&mut board, "Esc Esc");
    assert!(!board.open);
}

#[test]
fn smoothing_and_following_go_along_with_a_run_that_grows() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    press(&mut board, "] ]");
    let length =
        |board: &Board| board.smoothed.get(&(0, "loss".to_string())).map(|s| s.series.len());
    assert_eq!((length(&board), board.scale.smoothing), (Some(200), 0.8));
    press(&mut board, "f");
    assert_eq!(board.seen("loss").map(|(_, high)| high), Some(200.0));
    let file = dir.path().join("adapter/metrics.jsonl");
    let text = std::fs::read_to_string(&file).expect("reads");
    std::fs::write(&file, text + "{\"step\":201,\"loss\":0.5}\n").expect("writes");
    let found = find(&dir.path().join("adapter"), false).pop().expect("a run");
    RunReader::open(found, None).1.read(&board.runs[0].run, &AtomicBool::new(false));
    update(&mut board, Message::Runs(Change::Grown(vec![0])));
    assert_eq!(length(&board), Some(201));
    assert_eq!(board.seen("loss").map(|(_, high)| high), Some(201.0));
    press(&mut board, "[ [ [");
    assert!(board.smoothed.is_empty());
}

#[test]
fn any_size_is_drawn_and_every_key_is_in_the_help() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    press(&mut board, "?");
    let text = screen(&board);
    for (keys, what) in crate::tui::board::keys::HELP {
        assert!(text.contains(keys) && text.contains(what), "{keys} {what}:\n{text}");
    }
    press(&mut board, "Esc i");
    assert!(screen(&board).contains("greatest"));
    for (width, height) in [(1, 1), (3, 2), (20, 5), (43, 9), (99, 12), (500, 100)] {
        for keys in ["Esc", "Tab", "Enter", "i"] {
            update(&mut board, Message::Resize(width, height));
            press(&mut board, keys);
            screen(&board);
        }
    }
}

#[test]
fn a_clock_that_is_set_back_and_a_screen_that_shrank_unseen_are_no_trouble() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = Board::new(Theme::plain(), Rect::new(0, 0, 140, 40));
    let lines = [
        "{\"step\":1,\"wall_time\":2e9,\"loss\":2}\n",
        "{\"step\":2,\"wall_time\":1e9,\"loss\":1}\n",
    ];
    let found = vec![run(dir.path(), "a", lines.into_iter().map(String::from))];
    update(&mut board, Message::Runs(Change::Found(found)));
    press(&mut board, "Tab Enter x Right + Left x Right");
    screen(&board);
    // The terminal is smaller than the state knows.
    let mut terminal = Terminal::new(TestBackend::new(30, 8)).expect("draws");
    for keys in ["Esc", "Enter", "?"] {
        press(&mut board, keys);
        terminal.draw(|frame| view(&board, frame)).expect("draws");
    }
}

#[test]
fn a_page_tells_of_the_run_and_how_it_differs() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    std::fs::write(dir.path().join("adapter/config.toml"), "lr = 0.1\nseed = 1\n").expect("writes");
    std::fs::write(dir.path().join("lora/config.toml"), "lr = 0.2\nseed = 1\n").expect("writes");
    std::fs::write(dir.path().join("adapter/log.txt"), "first\nlast\x1b[2J\n").expect("writes");
    let load = |board: &mut Board, keys: &str| {
        let mut effects = press(board, keys);
        effects.extend(update(board, Message::Tick));
        for effect in effects {
            let Effect::Load(needs) = effect else { panic!("{effect:?}") };
            let texts = crate::tui::board::page::load(&needs, None);
            update(board, Message::Page(needs.run, Box::new(texts)));
        }
        screen(board)
    };
    // Samples and adapters are those of our own runs.
    board.runs[0].run.write().expect("is whole").status =
        Some(Status::now(RunState::Finished, 200, 200, None));
    assert!(load(&mut board, "i").contains("greatest"));
    assert!(load(&mut board, "Right").contains("seed"));
    let text = load(&mut board, "Right");
    let row = text.lines().find(|line| line.contains("lr ")).expect("the key");
    assert!(row.contains("0.1") && row.contains("0.2") && !text.contains("seed"), "{text}");
    // What has no room is reached by columns; its own one stays.
    let text = load(&mut board, "]");
    assert!(
        text.contains("adapter  ") && !text.contains("lora  ") && text.contains("other  "),
        "{text}"
    );
    // The same across axes, the last one for what came of it.
    let text = load(&mut board, "Right");
    let axes = text.lines().nth(3).expect("a line");
    assert!(
        axes.contains("lr") && axes.contains("loss, last") && text.contains("● other"),
        "{text}"
    );
    let log = load(&mut board, "Right");
    assert!(log.contains("first") && log.contains("last") && !log.contains('\x1b'), "{log}");
    assert!(load(&mut board, "Right").contains("no checkpoints"));
    assert!(load(&mut board, "Right").contains("no samples yet"));
    assert!(load(&mut board, "Right").contains("no look at the trained weights"));
    press(&mut board, "Esc");
    assert!(board.page.is_none());
}

#[test]
fn logged_pictures_texts_and_histograms_have_pages() {
    let (mut board, load) = paged("pytorch-media");
    let text = load(&mut board, "i Left");
    assert!(text.contains("weights") && text.contains("2 of 2") && text.contains('█'), "{text}");
    let text = load(&mut board, "Left");
    assert!(text.contains("sample") && text.contains('▀'), "{text}");
    let shown = board.page.as_ref().and_then(|page| page.texts.shown.clone()).expect("a picture");
    let Ok(Content::Picture(_, cells)) = shown.content else { panic!("no picture: {shown:?}") };
    assert!(cells.0 > 20 && cells.1 > 5, "{cells:?}");
    let text = load(&mut board, "Left");
    assert!(text.contains("A **horse** at step 10."), "{text}");
    let text = load(&mut board, "[");
    assert!(text.contains("A **horse** at step 0.") && text.contains("1 of 2"), "{text}");
}

/// A panel with one run of the reference files, and what loads what its page asks for.
fn paged(name: &str) -> (Board, impl Fn(&mut Board, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/runs").join(name);
    let found = find(&folder, false).pop().expect("a run");
    let (run, mut reader) = RunReader::open(found, None);
    reader.read(&run, &AtomicBool::new(false));
    let mut board = Board::new(Theme::plain(), Rect::new(0, 0, 100, 30));
    update(&mut board, Message::Runs(Change::Found(vec![run])));
    let load = |board: &mut Board, keys: &str| {
        let mut effects = press(board, keys);
        while let Some(Effect::Load(needs)) = effects.pop() {
            let texts = crate::tui::board::page::load(&needs, None);
            effects.extend(update(board, Message::Page(needs.run, Box::new(texts))));
        }
        screen(board)
    };
    (board, load)
}

#[test]
fn sounds_tables_networks_and_the_like_have_pages() {
    let (mut board, load) = paged("pytorch-more");
    load(&mut board, "i");
    let text = load(&mut board, "Left");
    assert!(text.contains("▸ ") && text.contains("inside") && text.contains(" graph "), "{text}");
    assert!(text.contains("aten::gelu  [1, 2]") && !text.contains("aten::linear"), "{text}");
    let text = load(&mut board, "]");
    assert!(text.contains("▾ Linear[down]") && text.contains("aten::linear  [1, 2]"), "{text}");
    let text = load(&mut board, "Left");
    assert!(text.contains("40 vectors of 3 numbers") && text.contains("● rococo 20"), "{text}");
    let text = load(&mut board, "Left");
    assert!(text.contains("horse") && text.contains("0.50      0.750    0.750"), "{text}");
    let text = load(&mut board, "Left");
    assert!(text.contains("0.10 s  8000 Hz  mono  16 bits   peak -6.0 dB"), "{text}");
    // The sound is written to a file that players open, the curve as numbers.
    let dir = tempfile::tempdir().expect("a folder");
    let saved = |board: &mut Board, keys: &str| {
        let mut effects = press(board, keys);
        let Some(Effect::Save(save)) = effects.pop() else { panic!("nothing is saved") };
        save.write(dir.path()).expect("writes")
    };
    assert!(saved(&mut board, "e").ends_with("artgpt-export-pytorch-more-tone-1.wav"));
    load(&mut board, "Right");
    assert!(saved(&mut board, "e").ends_with("artgpt-export-pytorch-more-horse-1.csv"));
    let numbers =
        std::fs::read_to_string(dir.path().join("artgpt-export-pytorch-more-horse-1.csv"));
    assert!(numbers.expect("reads").contains("\n0.5,0.75,0.75\n"));

    let (mut board, load) = paged("wandb-more");
    load(&mut board, "i");
    let text = load(&mut board, "Left");
    assert!(text.contains("artwork  score") && text.contains("Judith   4.5"), "{text}");
    assert!(text.contains("rows 1 to 3 of 3"), "{text}");
    let text = load(&mut board, "Left");
    assert!(text.contains("tone") && text.contains("8000 Hz"), "{text}");
}

/// At any size, and with everything open at once.
#[test]
fn every_part_of_a_page_is_drawn_at_any_size() {
    for name in ["pytorch-more", "pytorch-media", "wandb-more", "wandb-media"] {
        let (mut board, load) = paged(name);
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), "lr = 1").expect("writes");
        let lines = (1..4).map(|step| format!("{{\"step\":{step},\"loss\":1}}\n"));
        let other = run(dir.path(), "other", lines);
        other.write().expect("is whole").config = [("lr".to_string(), "1".to_string())].into();
        update(&mut board, Message::Runs(Change::Found(vec![other])));
        load(&mut board, "i");
        // One more than are told before its folder was read.
        let count = parts(&board.paged().expect("a run"), &Default::default()).len() + 1;
        for _ in 0..count {
            load(&mut board, "Right");
            for (width, height) in [(1, 1), (3, 2), (12, 5), (20, 9), (40, 10), (250, 60)] {
                board.screen = Rect::new(0, 0, width, height);
                load(&mut board, "] > PageDown [ < PageUp Down Up");
            }
        }
        press(&mut board, "Esc w");
        for (width, height) in [(1, 1), (3, 2), (12, 5), (40, 10), (250, 60)] {
            board.screen = Rect::new(0, 0, width, height);
            press(&mut board, "Right Right Down");
            screen(&board);
        }
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
    let mut board = Board::new(Theme::plain(), Rect::new(0, 0, 140, 40));
    update(&mut board, Message::Runs(Change::Found(vec![run(dir.path(), "a", lines)])));
    let text = screen(&board);
    assert!(text.contains("loss/train + loss/held_out"), "{text}");
    press(&mut board, "Enter");
    let text = screen(&board);
    assert!(text.contains("5 at step 20") && text.contains("held out 7.5 at 20"), "{text}");
    press(&mut board, "Enter u");
    assert!(board.metrics.contains(&"loss/held_out".to_string()));
    // Charts are found by their names.
    press(&mut board, "\\ h e l d Enter");
    assert_eq!(board.metrics, ["loss/held_out"]);
    press(&mut board, "Esc");
    assert!(board.metrics.contains(&"lr".to_string()));
}

#[test]
fn the_panel_is_found_again_as_it_was_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut first = board(dir.path(), 140, 40);
    // Nothing is kept before it is known what was.
    assert_eq!(update(&mut first, Message::Tick), []);
    update(&mut first, Message::Kept(Box::default(), "here".into()));
    press(&mut first, "/ r Enter \\ l Enter l ] S Down p Down Space Tab Down Enter + s");
    let effects = update(&mut first, Message::Tick);
    let [Effect::Keep(change)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(update(&mut first, Message::Tick), [], "it is kept once");
    let file = crate::tui::board::kept::place(dir.path());
    crate::tui::board::kept::write(&file, change).expect("writes");
    let kept = || Box::new(crate::tui::board::kept::read(&file).expect("reads"));
    let looks = |board: &Board| {
        let runs: Vec<_> = board.runs.iter().map(|r| (r.shown, r.pinned, r.colour)).collect();
        let chosen = board.chosen().map(|i| board.run(i).path.clone());
        let words = (board.filter.clone(), board.charts_with.clone(), chosen, board.show_list);
        let charts = (board.open, board.metric().map(String::from), board.window);
        (board.scale, board.sort, charts, words, runs)
    };
    let mut again = board(dir.path(), 140, 40);
    assert_ne!(looks(&again), looks(&first));
    update(&mut again, Message::Kept(kept(), "here".into()));
    assert_eq!(looks(&again), looks(&first));
    // It may also come before the runs.
    let mut early = Board::new(Theme::plain(), Rect::new(0, 0, 140, 40));
    update(&mut early, Message::Kept(kept(), "here".into()));
    let runs = first.runs.iter().map(|listed| listed.run.clone()).collect();
    update(&mut early, Message::Runs(Change::Found(runs)));
    update(&mut early, Message::Runs(Change::Loaded));
    assert_eq!(looks(&early), looks(&first));
    // Other paths are looked at in their own way.
    let mut other = board(dir.path(), 140, 40);
    update(&mut other, Message::Kept(kept(), "elsewhere".into()));
    assert!(!other.scale.log && !other.open && other.filter.is_empty());
}

#[test]
fn notes_are_shown_found_and_typed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    press(&mut board, "Down");
    let path = board.run(1).path.clone();
    let wanted = press(&mut board, "t # h o t Enter");
    assert_eq!(wanted, [Effect::SetNote(path.clone(), "#hot".into())]);
    update(&mut board, Message::Notes([(path, "#hot".to_string())].into()));
    assert!(screen(&board).contains("#hot"));
    press(&mut board, "/ # h o t Enter");
    assert_eq!(board.listed(), [1]);
}

#[test]
fn runs_are_ordered_and_the_cursor_stays_on_its_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    press(&mut board, "Down");
    // By the last loss; the run that has none comes last.
    press(&mut board, "S S");
    assert_eq!((board.listed(), board.chosen()), (vec![0, 1, 2], Some(1)));
    press(&mut board, "p");
    assert_eq!((board.listed()[0], board.cursor), (1, 0));
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
    let mut board = Board::new(Theme::plain(), Rect::new(0, 0, 160, 20));
    update(&mut board, Message::Runs(Change::Found(found)));
    update(&mut board, Message::Runs(Change::Loaded));
    press(&mut board, "w");
    let text = screen(&board);
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].contains("2 runs · values of loss"), "{text}");
    assert!(rows[1].contains("greatest") && rows[1].contains("…rs_that_train"), "{text}");
    assert!(!text.contains("lora"), "what is the same everywhere is left out: {text}");
    let words: Vec<&str> = rows[2].split_whitespace().collect();
    let wanted = ["a", "live", "3", "2.00000", "1.00000", "3.00000", "0.1", "0.1", "│"];
    assert_eq!(words[1..], wanted, "{text}");
    assert!(rows[3].contains("20") && rows[3].contains("0.2"), "{text}");
    press(&mut board, "] Right");
    let text = screen(&board);
    assert!(text.contains("values of lr") && !text.contains("state"), "{text}");
    // A run's page opens over it, and a filter is told.
    press(&mut board, "Down Enter");
    assert!(board.page.as_ref().is_some_and(|page| page.run.ends_with("b")));
    press(&mut board, "Esc / l r = 0 . 2 Enter");
    let text = screen(&board);
    assert!(text.contains("1 runs · only /lr=0.2"), "{text}");
    // Columns that are no longer there leave none of the others away.
    press(&mut board, "Right Right Right Right Right Right Right Right");
    let text = screen(&board);
    assert!(text.contains("tags, note"), "{text}");
    press(&mut board, "Esc");
    assert!(board.table && board.filter.is_empty());
    press(&mut board, "Esc");
    assert!(!board.table && screen(&board).contains("Runs 2"));
}

#[test]
fn jobs_are_asked_for_what_the_keys_say() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    // A panel that cannot steer does not pretend to.
    assert!(press(&mut board, "P X N").is_empty() && !board.is_busy());
    board.steers = true;
    let path = board.run(0).path.clone();
    // It is not running, as far as it says: it is asked to go on.
    assert_eq!(press(&mut board, "P"), [Effect::Wish(vec![path.clone()], Wanted::Run)]);
    assert!(press(&mut board, "X").is_empty());
    assert!(screen(&board).contains("Stop adapter?"));
    assert!(press(&mut board, "n").is_empty());
    assert_eq!(press(&mut board, "X y"), [Effect::Wish(vec![path], Wanted::Stop)]);
    // Several at once: those that it can be done to.
    let told = |board: &Board, run: usize, state| {
        board.runs[run].run.write().expect("is whole").status =
            Some(Status::now(state, 5, 10, None));
    };
    told(&board, 0, RunState::Finished);
    told(&board, 1, RunState::Paused);
    told(&board, 2, RunState::Failed);
    let paths: Vec<PathBuf> = (0..3).map(|i| board.run(i).path.clone()).collect();
    press(&mut board, "A");
    assert!(screen(&board).contains("· 3 marked"), "{}", screen(&board));
    // What failed had a reason to end, and is not started by the way.
    let again = Effect::Wish(vec![paths[1].clone()], Wanted::Run);
    assert_eq!(press(&mut board, "P"), [again]);
    assert!(press(&mut board, "D").is_empty());
    let text = screen(&board);
    assert!(text.contains("Delete these 2 runs: adapter, other?"), "{text}");
    assert!(text.contains("Of the marked runs 1 cannot be meant"), "{text}");
    let removed = Effect::Remove(vec![paths[0].clone(), paths[2].clone()]);
    assert_eq!(press(&mut board, "y"), [removed]);
    assert!(screen(&board).contains("3 marked"), "it is not done yet");
    update(
        &mut board,
        Message::Steered(vec![paths[0].clone(), paths[2].clone()], "2 runs are deleted".into()),
    );
    let text = screen(&board);
    assert!(text.contains("1 marked") && text.contains("2 runs are deleted"), "{text}");
    press(&mut board, "Esc");
    // Words are put behind each one's note; what a filter hides is not meant, and stays marked.
    update(&mut board, Message::Notes([(paths[0].clone(), "hot".to_string())].into()));
    press(&mut board, "A / a d a p Enter t");
    assert_eq!(board.noting.as_ref().map(|n| (n.runs.len(), n.note.as_str())), Some((1, "hot")));
    press(&mut board, "Esc Esc");
    assert!(screen(&board).contains("3 marked"));
    press(&mut board, "Esc Home * * t # y");
    let runs = paths[..2].iter().map(|path| (path.clone(), String::new())).collect();
    assert_eq!(press(&mut board, "Enter"), [Effect::AddNotes(runs, "#y".into())]);
    press(&mut board, "Esc");
    // The cursor stays on its run when others go.
    press(&mut board, "End");
    let other = board.chosen();
    board.runs[0].run.write().expect("is whole").gone = true;
    update(&mut board, Message::Runs(Change::Grown(vec![0])));
    assert_eq!((board.chosen(), board.cursor), (other, 1));
    board.runs[2].run.write().expect("is whole").gone = true;
    update(&mut board, Message::Runs(Change::Grown(vec![2])));
    assert_eq!((board.chosen(), board.cursor), (Some(1), 0));
    for run in [0, 2] {
        board.runs[run].run.write().expect("is whole").gone = false;
    }
    press(&mut board, "Home");
    // The form is checked before it is submitted, and again after a change.
    press(&mut board, "N");
    update(&mut board, Message::Paste("a.toml\n".into()));
    let check = press(&mut board, "Enter");
    assert!(matches!(&check[..], [Effect::Check(form)] if form.value("configuration") == "a.toml"));
    assert!(press(&mut board, "Enter").is_empty(), "it is being checked");
    let asked = |board: &Board| Box::new(board.form.as_ref().expect("is open").form());
    let other = Box::new(Form::default());
    update(&mut board, Message::Checked(other, Ok("another".into())));
    assert!(!screen(&board).contains("another"));
    let form = asked(&board);
    update(&mut board, Message::Checked(form, Ok("about 2.0 GB".into())));
    assert!(screen(&board).contains("good: about 2.0 GB"));
    assert!(matches!(press(&mut board, "Enter")[..], [Effect::Submit(_)]));
    let form = asked(&board);
    update(&mut board, Message::Submitted(form, Err("the disk is full".into())));
    assert!(screen(&board).contains("the disk is full"));
    press(&mut board, "x");
    assert!(matches!(press(&mut board, "Enter")[..], [Effect::Check(_)]));
    let form = asked(&board);
    update(&mut board, Message::Submitted(form, Ok(("01A is queued".into(), vec![]))));
    assert!(screen(&board).contains("01A is queued") && board.form.is_none());
}

#[test]
fn news_ring_and_gauges_stand_under_the_list() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    let item = |run: &str| Item {
        run: run.into(),
        name: Some("warm".into()),
        what: artgpt_runs::What::Failed,
        text: "why".into(),
    };
    let effects = update(&mut board, Message::News(vec![item("A"), item("B")]));
    assert_eq!(effects, [Effect::Ring("warm (B) failed: why, and 1 more".into())]);
    assert!(screen(&board).contains("warm (B) failed: why, and 1 more"));
    press(&mut board, "g");
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
    update(&mut board, Message::Gauges(load));
    let text = screen(&board);
    for part in ["CPU", "25% of 8", "4.0 of 8.0 GB", "cuda:1", "50% 60°C"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    // The window of the machine: minutes back, and the processes, with the run that one trains.
    assert_eq!(press(&mut board, "m"), [Effect::Processes]);
    assert_eq!(update(&mut board, Message::Tick), [], "one look at a time");
    let process = |pid, cpu| artgpt_machine::Process {
        pid,
        cpu,
        command: "train.py".into(),
        user: "ada".into(),
        gpu: (pid == 7).then_some(artgpt_machine::GpuUse { index: 1, memory: 3 << 30, busy: None }),
        ..Default::default()
    };
    update(&mut board, Message::Processes(vec![process(8, 1.5), process(7, 0.5)]));
    let text = screen(&board);
    let gpu = text.find("ada        cuda:1   3.22 GB").unwrap_or_else(|| panic!("{text}"));
    assert!(gpu < text.find("150").expect("the other"), "{text}");
    assert!(text.contains("cuda:1 50% 60°C 250 of 400 W 1410 MHz"), "{text}");
    press(&mut board, "Esc");
    assert!(board.machine.is_none());
}

#[test]
fn a_chart_is_exported_as_points_and_as_pictures() {
    use crate::tui::board::export::Export;
    let dir = tempfile::tempdir().expect("a folder");
    let mut board = board(dir.path(), 140, 40);
    for (key, start) in [("e", &b"run,metric,step,epoch"[..]), ("E", b"<svg"), ("G", b"\x89PNG")] {
        let [Effect::Export(metric, format)] = &press(&mut board, key)[..] else { panic!("{key}") };
        let told = Export::of(&board, metric, *format).write(dir.path()).expect("writes");
        let path = told.rsplit(" in ").next().expect("a path");
        let bytes = std::fs::read(path).expect("reads");
        assert!(bytes.starts_with(start), "{told}");
    }
}
