//! Snapshots and tests of this feature.

use std::sync::Arc;

use image::RgbImage;
use serde_json::json;

use super::{PageData, Tab};
use crate::tui::panel::Panel;
use crate::tui::panel::fixtures::{
    RunBuilder, assert_screens, open_page, panel, panel_with, press, runs,
};
use artgpt_jobs::Job;
use artgpt_runs::graph::{Graph, Row};

/// What is read for the page of the first run, beside the two others.
fn data() -> PageData {
    let told = |values: [&str; 3]| values.map(|value| Some(value.to_string())).to_vec();
    let block = |name: &str, ratio: f64| json!({"name": name, "norm": 12.5, "update_ratio": ratio});
    let look = |step: u64, ratio: f64| json!({"step": step, "blocks": [block("block 0", ratio), block("block 1", 1e-9)]});
    let samples = |step: u64, answer: &str| {
        json!({"step": step, "answers": [
            {"artwork": "Wheat Field", "question": "What is the palette?", "answer": answer},
        ]})
    };
    PageData {
        compared: runs().iter().map(|run| run.path.clone()).collect(),
        settings: runs()[0].config.clone(),
        differences: vec![
            ("lr".into(), told(["0.001", "0.0005", "0.01"])),
            ("method.kind".into(), told(["adapter", "lora", "prefix"])),
            ("seed".into(), told(["1", "1", "2"])),
        ],
        log: (1..=60).map(|line| format!("line {line}")).collect(),
        looks: serde_json::from_value(json!([look(20, 1e-3), look(40, 5e-4), look(60, 2e-3)]))
            .expect("looks"),
        samples: serde_json::from_value(json!([
            samples(50, "Mostly blue."),
            samples(100, "Mostly yellow.")
        ]))
        .expect("samples"),
        pictures: vec![Some(RgbImage::from_pixel(24, 24, image::Rgb([200, 30, 20])))],
        ..PageData::default()
    }
}

/// The page of the first run at a tab.
fn at(tab: Tab) -> impl Fn(u16, u16) -> Panel {
    move |width, height| {
        let mut panel = panel(width, height);
        open_page(&mut panel, tab, data());
        panel
    }
}

#[test]
fn the_overview() {
    assert_screens!("page_overview", at(Tab::Overview));
}

#[test]
fn the_overview_of_a_job() {
    assert_screens!("page_overview_job", |w, h| {
        let run = runs()[1].clone();
        let spec = json!({
            "submitted": "2033-05-18T03:00:00Z", "device": "cuda:0", "priority": 5,
            "after": ["01A"], "program": "artgpt-tui", "settings": "settings.toml",
        });
        let job = Job {
            id: "01B".into(),
            path: run.path.clone(),
            spec: serde_json::from_value(spec).expect("a spec"),
            request: Default::default(),
            progress: artgpt_rundir::job::Progress { starts: 2, ..Default::default() },
            status: run.status.clone().expect("a status"),
            damage: None,
        };
        let mut panel = panel_with(vec![run], w, h);
        open_page(&mut panel, Tab::Overview, PageData { job: Some(job), ..data() });
        panel
    });
}

#[test]
fn configuration_and_differences() {
    assert_screens!("page_config", at(Tab::Config));
    assert_screens!("page_differences", at(Tab::Differences));
    assert_screens!("page_parallel", at(Tab::Parallel));
    assert_screens!("page_differences_alone", |w, h| {
        let mut panel = panel_with(runs()[..1].to_vec(), w, h);
        open_page(&mut panel, Tab::Differences, PageData::default());
        panel
    });
}

#[test]
fn the_log_from_its_end() {
    assert_screens!("page_log", at(Tab::Log));
    assert_screens!("page_log_scrolled", |w, h| {
        let mut panel = at(Tab::Log)(w, h);
        press(&mut panel, "Down Down Down");
        panel
    });
}

#[test]
fn events_samples_and_adapters() {
    assert_screens!("page_events", at(Tab::Events));
    assert_screens!("page_samples", at(Tab::Samples));
    assert_screens!("page_adapters", at(Tab::Adapters));
}

#[test]
fn the_network() {
    let row = |depth, name: &str, what: &str, inside| Row {
        depth,
        name: name.into(),
        what: what.into(),
        inside,
    };
    let graph = Graph {
        rows: vec![
            row(0, "Net", "", 3),
            row(1, "Linear[down]", "", 2),
            row(2, "linear", "aten::linear  [1, 2]", 0),
            row(1, "gelu", "aten::gelu  [1, 2]", 0),
        ],
        operations: 3,
        left_out: 0,
    };
    assert_screens!("page_graph", |w, h| {
        let run = RunBuilder::new("net").with(|run| {
            run.curves.about_mut().graph = Some(Arc::new(graph.clone()));
        });
        let mut panel = panel_with(vec![run.build()], w, h);
        open_page(&mut panel, Tab::Graph, PageData::default());
        panel
    });
}

/// The extent is computed without drawing, so it must agree with what is drawn.
#[test]
fn scrolling_to_the_end_shows_the_last_line_at_the_bottom() {
    // One or two lines are visible.
    for (tab, last) in [
        (Tab::Overview, "lr "),
        (Tab::Config, "seed "),
        (Tab::Differences, "seed "),
        (Tab::Adapters, "block 1"),
    ] {
        for height in [6, 7] {
            let mut panel = at(tab)(120, height);
            press(&mut panel, &["PageDown"; 20].join(" "));
            let screen = crate::tui::panel::fixtures::screen(&panel);
            let lines: Vec<&str> = screen.lines().collect();
            let bottom = lines[usize::from(height) - 3];
            assert!(bottom.contains(last), "{tab:?} at {height}: {screen}");
            press(&mut panel, "Up");
            assert_ne!(
                crate::tui::panel::fixtures::screen(&panel),
                screen,
                "{tab:?}: one more line"
            );
        }
    }
}
