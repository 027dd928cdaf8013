//! Snapshots and tests of this feature.

use crate::tui::panel::fixtures::{assert_screens, panel, press};

#[test]
fn the_charts_without_the_list() {
    assert_screens!("charts", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "s");
        panel
    });
}

#[test]
fn an_open_chart_with_held_out_curve_marks_and_legend() {
    assert_screens!("chart_open", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "Enter");
        panel
    });
}

#[test]
fn exact_values_at_the_cursor_on_a_zoomed_smoothed_logarithmic_chart() {
    assert_screens!("chart_reading", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "Enter ] ] l Right Right Right + c");
        panel
    });
}

#[test]
fn the_time_axis_that_follows() {
    assert_screens!("chart_following", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "Enter x f");
        panel
    });
}

#[test]
fn a_filter_that_no_chart_matches() {
    assert_screens!("chart_no_match", |w, h| {
        let mut panel = panel(w, h);
        press(&mut panel, "\\ x y z Enter");
        panel
    });
}
