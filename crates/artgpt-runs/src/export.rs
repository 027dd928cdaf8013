//! Curves as CSV: a row a step, a column a metric.

use std::io::Write;

use super::Curves;
use super::series::CALENDAR;

/// Steps in rising order. Where a metric said two things about one step, the later one is written;
/// `wall_time` (seconds since 1970) is that of the step's first point, and empty where none is known.
pub fn csv(curves: &Curves, out: impl Write) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let names = curves.iter().map(|(name, _)| name);
    writer.write_record(["step", "wall_time"].into_iter().chain(names))?;
    let mut places = vec![0; curves.iter().count()];
    loop {
        let next =
            curves.iter().zip(&places).filter_map(|((_, s), at)| Some(s.get(*at)?.step)).min();
        let Some(step) = next else { break };
        let mut wall = f64::NAN;
        let mut cells = Vec::with_capacity(places.len());
        for ((_, series), at) in curves.iter().zip(&mut places) {
            let mut cell = String::new();
            while let Some(point) = series.get(*at).filter(|p| p.step == step) {
                wall = wall.min(point.wall);
                cell = point.value.to_string();
                *at += 1;
            }
            cells.push(cell);
        }
        let wall = if wall >= CALENDAR { wall.to_string() } else { String::new() };
        writer.write_record([step.to_string(), wall].into_iter().chain(cells))?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    #[test]
    fn what_is_exported_is_read_back_the_same() {
        let mut curves = Curves::default();
        let point = |step, wall, value| Point { step, wall, value };
        curves.push("loss", point(1, 2e9, 2.5));
        curves.push("loss", point(2, 2e9 + 0.5, f64::NAN));
        curves.push("a, \"b\"", point(2, f64::NAN, 0.1));
        let mut text = Vec::new();
        csv(&curves, &mut text).expect("writes");
        let text = String::from_utf8(text).expect("is text");
        assert_eq!(
            text,
            "step,wall_time,loss,\"a, \"\"b\"\"\"\n1,2000000000,2.5,\n2,2000000000.5,NaN,0.1\n"
        );
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("metrics.csv");
        std::fs::write(&path, text).expect("writes");
        let found = crate::catalogue::find(&path, false).pop().expect("a run");
        let run = crate::RunReader::whole(found, None);
        let last = run.curves.get("a, \"b\"").and_then(|s| s.last());
        assert_eq!(last.map(|p| (p.step, p.wall, p.value)), Some((2, 2e9 + 0.5, 0.1)));
    }
}
