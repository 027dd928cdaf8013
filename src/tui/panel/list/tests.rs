//! Snapshots and tests of this feature.

use crate::tui::panel::Message;
use crate::tui::panel::fixtures::{assert_screens, empty, load, panel, press, type_text};
use crate::tui::panel::update;

#[test]
fn the_list_beside_or_above_the_charts() {
    assert_screens!("list", panel);
    assert_screens!("list_empty", |w, h| {
        let mut panel = empty(w, h);
        update(&mut panel, Message::Runs(artgpt_runs::Change::Loaded));
        panel
    });
    assert_screens!("list_reading", empty);
}

#[test]
fn selected_pinned_and_hidden_runs_with_notes() {
    assert_screens!("list_signs", |w, h| {
        let mut panel = panel(w, h);
        let note = (std::path::PathBuf::from("/runs/lora"), "too hot #lr".to_string());
        update(&mut panel, Message::Notes([note].into()));
        press(&mut panel, "* Down Space Up p");
        panel
    });
}

#[test]
fn a_filter_while_it_is_typed_and_afterwards() {
    assert_screens!("list_filter_typed", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "/");
        type_text(&mut panel, "lr<0.005");
        panel
    });
    assert_screens!("list_filter", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "/");
        type_text(&mut panel, "state=running");
        press(&mut panel, "Enter S S");
        panel
    });
    assert_screens!("list_no_match", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "/ x y z Enter");
        panel
    });
}

#[test]
fn gauges_below_the_list() {
    assert_screens!("list_gauges", |w, h| {
        let mut panel = panel(w, h);
        update(&mut panel, Message::Load(load(0.5)));
        press(&mut panel, "g");
        panel
    });
}

#[test]
fn notices_cover_the_status_line() {
    assert_screens!("list_notice", |w, h| {
        let mut panel = panel(w, h);
        update(&mut panel, Message::Notice("66 points are in loss.csv".into()));
        panel
    });
}
