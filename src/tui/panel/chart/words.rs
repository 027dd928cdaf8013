//! Values and axis positions as text.

use jiff::tz::TimeZone;

use artgpt_runs::XAxis;

/// As many digits as an `f32` has.
pub(crate) fn digits(value: f64) -> String {
    if value == value.round() && value.abs() < 1e15 {
        return format!("{value}");
    }
    let short = format!("{value:.7e}").parse::<f64>();
    short.unwrap_or(value).to_string()
}

/// A position on the horizontal axis; `length` is that of the visible part.
pub(crate) fn position(x: f64, axis: XAxis, length: f64, zone: &TimeZone) -> String {
    match axis {
        XAxis::Step if x.abs() >= 1e6 => format!("{:.2}M", x / 1e6),
        XAxis::Step if length < 10.0 && x.fract() != 0.0 => format!("{x:.1}"),
        XAxis::Step => format!("{x:.0}"),
        XAxis::Epoch => format!("{x:.2}"),
        XAxis::Relative => {
            let seconds = x.max(0.0);
            let (h, m, s) = (seconds as u64 / 3600, seconds as u64 / 60 % 60, seconds as u64 % 60);
            match (h, m) {
                (0, 0) => format!("{seconds:.1} s"),
                (0, _) => format!("{m}:{s:02}"),
                _ => format!("{h}:{m:02}:{s:02}"),
            }
        }
        XAxis::Wall => {
            let at = jiff::Timestamp::from_second(x as i64);
            match at.map(|at| at.to_zoned_datetime(zone.clone())) {
                Ok(at) if length > 86_400.0 => at.strftime("%m-%d %H:%M").to_string(),
                Ok(at) => at.strftime("%H:%M:%S").to_string(),
                Err(_) => String::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_what_people_write() {
        let texts = [0.5, 75.0, 3700.0].map(|x| position(x, XAxis::Relative, 1.0, &TimeZone::UTC));
        assert_eq!(texts, ["0.5 s", "1:15", "1:01:40"]);
        assert_eq!(position(2_500_000.0, XAxis::Step, 1.0, &TimeZone::UTC), "2.50M");
        assert_eq!([1.5, 2.0].map(|x| position(x, XAxis::Step, 4.5, &TimeZone::UTC)), ["1.5", "2"]);
        assert_eq!(position(1.5, XAxis::Step, 100.0, &TimeZone::UTC), "2");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(position(2_000_000_000.0, XAxis::Wall, 60.0, &zone), "05:33:20");
    }
}
