//! Snapshots and tests of this feature.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::panel::fixtures::{assert_screens, empty, load, panel, press, screen, type_text};
use crate::tui::panel::{Message, Panel, update};
use artgpt_runs::{Change, Run};

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
    assert_screens!("list_filter_wrong", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "/");
        type_text(&mut panel, "lr>abc");
        press(&mut panel, "Enter");
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

#[test]
fn a_wrong_filter_stays_at_the_input_until_it_is_put_right() {
    let mut panel = panel(120, 40);
    press(&mut panel, "/");
    type_text(&mut panel, "lrr>1e-4");
    press(&mut panel, "Enter");
    let text = screen(&panel);
    assert!(text.contains("lrr>1e-4: no run has the key \"lrr\"; did you mean \"lr\"?"), "{text}");
    // Keys still go to the filter, and the message goes with the next one.
    press(&mut panel, "Home Right");
    let delete = KeyEvent::new(KeyCode::Delete, KeyModifiers::NONE);
    update(&mut panel, Message::Key(delete));
    let text = screen(&panel);
    assert!(text.contains("filter runs: l▏r>1e-4") && !text.contains("no run has"), "{text}");
    press(&mut panel, "Enter");
    assert!(panel.filtering.is_none() && panel.list.filter == "lr>1e-4");
    // Pasted text is typed text, and a filter of charts is any text.
    press(&mut panel, "\\");
    update(&mut panel, Message::Paste("lo>\nss".into()));
    assert_eq!(panel.charts.filter, "lo>ss");
    press(&mut panel, "Enter");
    assert!(panel.filtering.is_none());
}

#[test]
fn runs_that_somebody_deletes_leave_the_list_with_a_notice() {
    let mut panel = panel(120, 40);
    let delete = |panel: &mut Panel, runs: &[usize]| {
        let grown = runs.iter().map(|i| {
            let run = Run { gone: true, ..panel.run(*i).clone() };
            (*i, std::sync::Arc::new(run))
        });
        let change = Change::Grown(grown.collect());
        update(panel, Message::Runs(change));
    };
    delete(&mut panel, &[2]);
    assert_eq!(panel.notice.as_deref(), Some("other was deleted"));
    assert!(!screen(&panel).contains("○ other") && panel.listed().len() == 2);
    delete(&mut panel, &[0]);
    assert_eq!(
        panel.notice.as_deref(),
        Some("adapter was deleted; the cursor is on warm start now")
    );
    // It is said once.
    press(&mut panel, "g");
    delete(&mut panel, &[0, 2]);
    assert_eq!(panel.notice, None);
    let mut panel = crate::tui::panel::fixtures::panel(120, 40);
    delete(&mut panel, &[0, 2]);
    let notice = panel.notice.unwrap_or_default();
    assert!(notice.starts_with("2 runs were deleted, adapter to other"), "{notice}");
}
