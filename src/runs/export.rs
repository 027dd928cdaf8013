//! Curves as CSV: a row a step, a column a metric.

use std::collections::BTreeMap;
use std::io::Write;

use super::Curves;

/// Steps in rising order. Where a metric said two things about one step, the later one is written;
/// `wall_time` (seconds since 1970) is that of the step's first point, and empty where none is known.
pub fn csv(curves: &Curves, out: impl Write) -> csv::Result<()> {
    let names: Vec<&str> = curves.iter().map(|(name, _)| name).collect();
    let mut rows: BTreeMap<u64, (f64, Vec<Option<f64>>)> = BTreeMap::new();
    for (column, (_, series)) in curves.iter().enumerate() {
        for point in series.points() {
            let empty = || (f64::NAN, vec![None; names.len()]);
            let (wall, cells) = rows.entry(point.step).or_insert_with(empty);
            *wall = wall.min(point.wall);
            cells[column] = Some(point.value);
        }
    }
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["step", "wall_time"].into_iter().chain(names))?;
    for (step, (wall, cells)) in rows {
        let wall = if wall.is_finite() { wall.to_string() } else { String::new() };
        let cells = cells.into_iter().map(|c| c.map_or(String::new(), |v| v.to_string()));
        writer.write_record([step.to_string(), wall].into_iter().chain(cells))?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Point;

    #[test]
    fn what_is_exported_is_read_back_the_same() {
        let mut curves = Curves::default();
        let point = |step, wall, value| Point { step, wall, value };
        curves.push("loss", point(1, 10.5, 2.5));
        curves.push("loss", point(2, 11.5, f64::NAN));
        curves.push("a, \"b\"", point(2, f64::NAN, 0.1));
        let mut text = Vec::new();
        csv(&curves, &mut text).expect("writes");
        let text = String::from_utf8(text).expect("is text");
        assert_eq!(text, "step,wall_time,loss,\"a, \"\"b\"\"\"\n1,10.5,2.5,\n2,11.5,NaN,0.1\n");
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("metrics.csv");
        std::fs::write(&path, text).expect("writes");
        let found = crate::runs::catalogue::find(&path, false).pop().expect("a run");
        let mut run = crate::runs::Run::new(found, None);
        run.poll();
        let last = run.curves.get("a, \"b\"").and_then(|s| s.last());
        assert_eq!(last.map(|p| (p.step, p.wall, p.value)), Some((2, 11.5, 0.1)));
    }
}
