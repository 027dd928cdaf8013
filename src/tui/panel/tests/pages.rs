//! Pages of runs: our own ones, and those in the reference files.

use super::*;
use crate::tui::panel::page::{MediaContent, PageData, load, tabs};
use artgpt_rundir::{RunState, Status};

#[test]
fn a_page_tells_of_the_run_and_how_it_differs() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    std::fs::write(dir.path().join("adapter/config.toml"), "lr = 0.1\nseed = 1\n").expect("writes");
    std::fs::write(dir.path().join("lora/config.toml"), "lr = 0.2\nseed = 1\n").expect("writes");
    std::fs::write(dir.path().join("adapter/log.txt"), "first\nlast\x1b[2J\n").expect("writes");
    let show = |panel: &mut Panel, keys: &str| {
        let mut effects = press(panel, keys);
        effects.extend(update(panel, tick()));
        for effect in effects {
            let Effect::LoadPage(request) = effect else { panic!("{effect:?}") };
            let data = load(&request);
            update(panel, Message::Page(request.run, Box::new(data)));
        }
        screen(panel)
    };
    // Samples and adapters are those of our own runs.
    change(&mut panel, 0, |run| {
        run.status = Some(Status::now(RunState::Finished, 200, 200, None));
    });
    assert!(show(&mut panel, "i").contains("max"));
    assert!(show(&mut panel, "Right").contains("seed"));
    let text = show(&mut panel, "Right");
    let row = text.lines().find(|line| line.contains("lr ")).expect("the key");
    assert!(row.contains("0.1") && row.contains("0.2") && !text.contains("seed"), "{text}");
    // What has no room is reached by columns; its own one stays.
    let text = show(&mut panel, "]");
    assert!(
        text.contains("adapter  ") && !text.contains("lora  ") && text.contains("other  "),
        "{text}"
    );
    // The same across axes, the last one for what came of it.
    let text = show(&mut panel, "Right");
    let axes = text.lines().nth(3).expect("a line");
    assert!(
        axes.contains("lr") && axes.contains("loss, last") && text.contains("● other"),
        "{text}"
    );
    let log = show(&mut panel, "Right");
    assert!(log.contains("first") && log.contains("last") && !log.contains('\x1b'), "{log}");
    assert!(show(&mut panel, "Right").contains("no checkpoints"));
    assert!(show(&mut panel, "Right").contains("no samples yet"));
    assert!(show(&mut panel, "Right").contains("no block statistics yet"));
    press(&mut panel, "Esc");
    assert!(panel.overlays.page().is_none());
}

#[test]
fn logged_pictures_texts_and_histograms_have_pages() {
    let (mut panel, show) = paged("pytorch-media");
    let text = show(&mut panel, "i Left");
    assert!(text.contains("weights") && text.contains("2 of 2") && text.contains('█'), "{text}");
    let text = show(&mut panel, "Left");
    assert!(text.contains("sample") && text.contains('▀'), "{text}");
    let shown = panel.overlays.page().and_then(|page| page.data.media.clone()).expect("a picture");
    let Ok(MediaContent::Picture(_, cells)) = shown.content else {
        panic!("no picture: {shown:?}")
    };
    assert!(cells.0 > 20 && cells.1 > 5, "{cells:?}");
    let text = show(&mut panel, "Left");
    assert!(text.contains("A **horse** at step 10."), "{text}");
    let text = show(&mut panel, "[");
    assert!(text.contains("A **horse** at step 0.") && text.contains("1 of 2"), "{text}");
}

/// A panel with one run of the reference files, and what loads what its page asks for.
fn paged(name: &str) -> (Panel, impl Fn(&mut Panel, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/runs").join(name);
    let found = find(&folder, false).pop().expect("a run");
    let run = read(found);
    let mut panel = new(100, 30);
    update(&mut panel, Message::Runs(Change::Found(vec![run])));
    let show = |panel: &mut Panel, keys: &str| {
        let mut effects = press(panel, keys);
        while let Some(Effect::LoadPage(request)) = effects.pop() {
            let data = load(&request);
            effects.extend(update(panel, Message::Page(request.run, Box::new(data))));
        }
        screen(panel)
    };
    (panel, show)
}

#[test]
fn sounds_tables_networks_and_the_like_have_pages() {
    let (mut panel, show) = paged("pytorch-more");
    show(&mut panel, "i");
    let text = show(&mut panel, "Left");
    assert!(text.contains("▸ ") && text.contains("inside") && text.contains(" graph "), "{text}");
    assert!(text.contains("aten::gelu  [1, 2]") && !text.contains("aten::linear"), "{text}");
    let text = show(&mut panel, "]");
    assert!(text.contains("▾ Linear[down]") && text.contains("aten::linear  [1, 2]"), "{text}");
    let text = show(&mut panel, "Left");
    assert!(text.contains("40 vectors of 3 numbers") && text.contains("● rococo 20"), "{text}");
    let text = show(&mut panel, "Left");
    assert!(text.contains("horse") && text.contains("0.50      0.750    0.750"), "{text}");
    let text = show(&mut panel, "Left");
    assert!(text.contains("0.10 s  8000 Hz  mono  16 bits   peak -6.0 dB"), "{text}");
    // The sound is written to a file that players open, the curve as numbers.
    let dir = tempfile::tempdir().expect("a folder");
    let saved = |panel: &mut Panel, keys: &str| {
        let mut effects = press(panel, keys);
        let Some(Effect::Save(save)) = effects.pop() else { panic!("nothing is saved") };
        save.write(dir.path()).expect("writes")
    };
    assert!(saved(&mut panel, "e").ends_with("artgpt-export-pytorch-more-tone-1.wav"));
    show(&mut panel, "Right");
    assert!(saved(&mut panel, "e").ends_with("artgpt-export-pytorch-more-horse-1.csv"));
    let numbers =
        std::fs::read_to_string(dir.path().join("artgpt-export-pytorch-more-horse-1.csv"));
    assert!(numbers.expect("reads").contains("\n0.5,0.75,0.75\n"));

    let (mut panel, show) = paged("wandb-more");
    show(&mut panel, "i");
    let text = show(&mut panel, "Left");
    assert!(text.contains("artwork  score") && text.contains("Judith   4.5"), "{text}");
    assert!(text.contains("rows 1 to 3 of 3"), "{text}");
    let text = show(&mut panel, "Left");
    assert!(text.contains("tone") && text.contains("8000 Hz"), "{text}");
}

/// At any size, and with everything open at once.
#[test]
fn every_part_of_a_page_is_drawn_at_any_size() {
    for name in ["pytorch-more", "pytorch-media", "wandb-more", "wandb-media"] {
        let (mut panel, show) = paged(name);
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), "lr = 1").expect("writes");
        let lines = (1..4).map(|step| format!("{{\"step\":{step},\"loss\":1}}\n"));
        let mut other = run(dir.path(), "other", lines);
        Arc::make_mut(&mut other).config = [("lr".to_string(), "1".to_string())].into();
        update(&mut panel, Message::Runs(Change::Found(vec![other])));
        show(&mut panel, "i");
        // One more than are told before its folder was read.
        let count = tabs(panel.page_run().expect("a run"), &PageData::default()).len() + 1;
        for _ in 0..count {
            show(&mut panel, "Right");
            for (width, height) in [(1, 1), (3, 2), (12, 5), (20, 9), (40, 10), (250, 60)] {
                panel.screen = Rect::new(0, 0, width, height);
                show(&mut panel, "] > PageDown [ < PageUp Down Up");
            }
        }
        press(&mut panel, "Esc w");
        for (width, height) in [(1, 1), (3, 2), (12, 5), (40, 10), (250, 60)] {
            panel.screen = Rect::new(0, 0, width, height);
            press(&mut panel, "Right Right Down");
            screen(&panel);
        }
    }
}
