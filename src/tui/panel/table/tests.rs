//! Snapshots and tests of this feature.

use crate::tui::panel::fixtures::{assert_screens, panel, press};

#[test]
fn metrics_and_differing_configuration_keys() {
    assert_screens!("table", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "w Down");
        panel
    });
}

#[test]
fn configuration_columns() {
    assert_screens!("table_configuration", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "w Right Right Right Right Right Right");
        panel
    });
}

#[test]
fn columns_scrolled_and_another_metric_sorted() {
    assert_screens!("table_scrolled", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "w ] S S Right Right Right * Down");
        panel
    });
}
