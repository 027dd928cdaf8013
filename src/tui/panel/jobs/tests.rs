//! Snapshots and tests of this feature.

use crate::tui::panel::fixtures::{assert_screens, panel, press, type_text};
use crate::tui::panel::{Message, Panel, update};

/// A panel that controls jobs.
fn steering(width: u16, height: u16) -> Panel {
    let mut panel = panel(width, height);
    panel.steers = true;
    panel
}

#[test]
fn the_form_empty_and_filled_in() {
    assert_screens!("form", |w, h| {
        let mut panel = steering(w, h);
        press(&mut panel, "N");
        panel
    });
    assert_screens!("form_completed", |w, h| {
        let mut panel = steering(w, h);
        press(&mut panel, "N");
        type_text(&mut panel, "ex");
        let all = vec!["examples/a.toml".to_string(), "examples/b.toml".to_string()];
        update(&mut panel, Message::Completed("ex".into(), Some("examples/".into()), all));
        panel
    });
}

#[test]
fn the_form_checking_and_checked() {
    let checking = |w, h| {
        let mut panel = steering(w, h);
        press(&mut panel, "N");
        type_text(&mut panel, "a.toml");
        press(&mut panel, "Enter");
        panel
    };
    assert_screens!("form_checking", checking);
    let answered = |w, h, answer: Result<String, String>| {
        let mut panel = checking(w, h);
        let form = panel.overlays.form().expect("is open").form();
        update(&mut panel, Message::Checked(Box::new(form), answer));
        panel
    };
    assert_screens!("form_good", |w, h| answered(w, h, Ok("about 2.0 GB and 3 h".into())));
    assert_screens!("form_wrong", |w, h| answered(w, h, Err("a.toml: unknown key `stps`".into())));
}

#[test]
fn questions_about_one_run_and_about_several() {
    assert_screens!("question_stop", |w, h| {
        let mut panel = steering(w, h);
        press(&mut panel, "Down X");
        panel
    });
    assert_screens!("question_delete", |w, h| {
        let mut panel = steering(w, h);
        press(&mut panel, "A D");
        panel
    });
}
