//! Snapshots and tests of this feature.

use super::export::{Export, Format};
use crate::tui::panel::Panel;
use crate::tui::panel::fixtures::{RunBuilder, assert_screens, panel, panel_with, press};

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

/// `value` is NaN from step 10 to 39, `up` infinite at step 10 and minus infinite at step 30; of `none`
/// no value is finite.
fn broken(width: u16, height: u16) -> Panel {
    let up = |step: u64| match step {
        10 => f64::INFINITY,
        30 => f64::NEG_INFINITY,
        step => step as f64,
    };
    let run = RunBuilder::new("gap")
        .curve("value", 50, |step| if (10..40).contains(&step) { f64::NAN } else { 1.0 })
        .curve("up", 50, up)
        .curve("none", 3, |_| f64::NAN);
    panel_with(vec![run.build()], width, height)
}

#[test]
fn gaps_and_marks_where_values_are_not_finite() {
    assert_screens!("chart_gaps", |w, h| {
        let mut panel = broken(w, h);
        press(&mut panel, "s");
        panel
    });
}

#[test]
fn smoothing_and_the_logarithmic_axis_keep_the_gaps() {
    assert_screens!("chart_gaps_smoothed", |w, h| {
        let mut panel = broken(w, h);
        press(&mut panel, "s Enter Down ] ] l");
        panel
    });
}

#[test]
fn no_line_of_an_exported_chart_crosses_a_gap() {
    let dir = tempfile::tempdir().expect("a folder");
    let panel = broken(120, 40);
    let export = Export::new(&panel, "value", Format::Svg);
    export.write(dir.path()).expect("writes");
    let file = dir.path().read_dir().expect("reads").flatten().next().expect("a file").path();
    let svg = std::fs::read_to_string(file).expect("text");
    // Horizontal positions of each line; the curve is a line of one height.
    let lines = svg.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let lines = lines.map(|points| {
        let numbers = points.split([' ', ',']).filter(|n| !n.is_empty());
        let numbers: Vec<f64> = numbers.map(|n| n.parse().expect("a number")).collect();
        let pairs: Vec<(f64, f64)> = numbers.chunks(2).map(|xy| (xy[0], xy[1])).collect();
        pairs
    });
    let lines: Vec<_> = lines.filter(|line| line.len() > 5).collect();
    // Steps 1 to 9 and 40 to 50.
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [9, 11], "{svg}");
    let last = lines[0][8].0;
    assert!(lines[1].iter().all(|(x, _)| *x > last + 100.0), "{lines:?}");
}
