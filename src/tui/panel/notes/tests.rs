//! Snapshots and tests of this feature.

use crate::tui::panel::fixtures::{assert_screens, panel, press, type_text};

#[test]
fn a_note_on_one_run_and_on_several() {
    assert_screens!("note", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "t");
        type_text(&mut panel, "too hot #lr");
        panel
    });
    assert_screens!("note_several", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "* * t");
        type_text(&mut panel, "#warm");
        panel
    });
}
