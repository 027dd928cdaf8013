//! Snapshots and tests of this feature.

use crate::tui::panel::fixtures::{assert_screens, load, panel, press, processes};
use crate::tui::panel::{Message, update};

#[test]
fn the_machine_window() {
    assert_screens!("machine", |w, h| {
        let mut panel = panel(w, h);
        for i in 0..30_u8 {
            update(&mut panel, Message::Load(load(f32::from(i) / 30.0)));
        }
        press(&mut panel, "m");
        update(&mut panel, Message::Processes(processes()));
        panel
    });
}

#[test]
fn the_machine_window_before_the_first_answer() {
    assert_screens!("machine_reading", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "m");
        panel
    });
}
