//! A chart as a real picture: SVG, or pixels for a file or for terminals that show them.

use image::RgbImage;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::RGBColor;
use ratatui::style::Color as Named;

use super::drawing::{Drawing, Kind};
use super::view::place_in_words;
use artgpt_base::text::printable;
use artgpt_rundir::MarkKind;
use artgpt_runs::XAxis;

const FONT: &str = "monospace";
/// A legend of more runs hides the curves.
const NAMED: usize = 12;

#[derive(Debug, thiserror::Error)]
#[error("the chart cannot be drawn: {0}; try a larger window")]
pub struct PictureError(String);

/// Colours of a page, or of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    White,
    Black,
}

pub fn svg(drawing: &Drawing, size: (u32, u32)) -> Result<String, PictureError> {
    let mut text = String::new();
    draw(drawing, &SVGBackend::with_string(&mut text, size).into_drawing_area(), Ground::White)?;
    Ok(text)
}

pub fn pixels(
    drawing: &Drawing,
    size: (u32, u32),
    ground: Ground,
) -> Result<RgbImage, PictureError> {
    let mut image = RgbImage::new(size.0, size.1);
    draw(drawing, &BitMapBackend::with_buffer(&mut image, size).into_drawing_area(), ground)?;
    Ok(image)
}

fn draw<B: DrawingBackend>(
    drawing: &Drawing,
    area: &DrawingArea<B, Shift>,
    ground: Ground,
) -> Result<(), PictureError> {
    artgpt_plot::register();
    plot(drawing, area, ground).map_err(|e| PictureError(e.to_string()))
}

fn plot<B: DrawingBackend>(
    drawing: &Drawing,
    area: &DrawingArea<B, Shift>,
    ground: Ground,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let (paper, ink) = match ground {
        Ground::White => (WHITE, BLACK),
        Ground::Black => (BLACK, RGBColor(220, 220, 220)),
    };
    let (width, height) = area.dim_in_pixel();
    let letters = (height / 28).clamp(11, 18);
    let font = |size: u32| (FONT, size).into_font().color(&ink);
    area.fill(&paper)?;
    let mut chart = ChartBuilder::on(area)
        .margin(letters / 2)
        .caption(printable(&drawing.title), font(letters + 2))
        .x_label_area_size(letters * 3)
        .y_label_area_size(letters * 5)
        .build_cartesian_2d(drawing.low..drawing.high, drawing.bottom..drawing.top)?;
    let length = drawing.high - drawing.low;
    let step = (drawing.top - drawing.bottom) / 8.0;
    let under = match drawing.axis {
        XAxis::Step => "step",
        XAxis::Epoch => "epoch",
        XAxis::Relative => "time since the start",
        XAxis::Wall => "time",
    };
    chart
        .configure_mesh()
        .x_desc(under)
        .axis_desc_style(font(letters))
        .axis_style(ink)
        .bold_line_style(ink.mix(0.2))
        .light_line_style(TRANSPARENT)
        .label_style(font(letters))
        .x_labels((width / (letters * 8)).max(2) as usize)
        .y_labels((height / (letters * 4)).max(2) as usize)
        .x_label_formatter(&|x| place_in_words(*x, drawing.axis, length))
        .y_label_formatter(&|y| drawing.label(*y, step))
        .draw()?;
    let at = letters as i32;
    let checkpoints = drawing.marks.iter().filter(|(_, kind)| *kind == MarkKind::Checkpoint);
    let troubles = drawing.marks.iter().filter(|(_, kind)| *kind != MarkKind::Checkpoint);
    let checkpoints: Vec<f64> = checkpoints.map(|(x, _)| *x).collect();
    let troubles: Vec<f64> = troubles.map(|(x, _)| *x).collect();
    for (all, name, style) in
        [(checkpoints, "checkpoint", ink.mix(0.25)), (troubles, "trouble", RED.mix(0.6))]
    {
        for (i, x) in all.into_iter().enumerate() {
            let line = [(x, drawing.bottom), (x, drawing.top)];
            let drawn = chart.draw_series(LineSeries::new(line, style))?;
            if i == 0 {
                drawn
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + at, y)], style));
            }
        }
    }
    let all = drawing.lines.iter().filter(|line| line.kind != Kind::Behind).count();
    let held_out = drawing.lines.iter().any(|line| line.kind == Kind::HeldOut);
    // Held-out curves have the colour of their runs, and are named once where there are many.
    let apart = all <= NAMED;
    let curves = drawing.lines.iter().filter(|line| line.kind == Kind::Curve).count();
    let mut named = 0;
    for line in &drawing.lines {
        let colour = rgb(line.colour, ground);
        let points = line.points.iter().copied();
        let drawn = match line.kind {
            Kind::Behind => {
                chart.draw_series(LineSeries::new(points, colour.mix(0.3).stroke_width(1)))?
            }
            Kind::Curve => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
            Kind::HeldOut => {
                let line = DashedLineSeries::new(points, 6, 4, colour.stroke_width(2));
                chart.draw_series(line)?
            }
        };
        let name = match line.kind {
            Kind::Behind => None,
            Kind::HeldOut if apart => Some(format!("{}, held out", printable(&line.run))),
            Kind::HeldOut => None,
            Kind::Curve => {
                named += 1;
                (named <= NAMED).then(|| printable(&line.run))
            }
        };
        if let Some(name) = name {
            drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + at, y)], colour));
        }
        if let [point] = line.points[..] {
            chart.draw_series([Circle::new(point, 2, colour.filled())])?;
        }
    }
    // What has no line of its own in the legend.
    let mut notes = Vec::new();
    notes.extend((held_out && !apart).then(|| "dashed: held out".to_string()));
    notes.extend((curves > NAMED).then(|| format!("and {} more", curves - NAMED)));
    for note in notes {
        let nothing = LineSeries::new(std::iter::empty::<(f64, f64)>(), ink);
        chart.draw_series(nothing)?.label(note).legend(|place| EmptyElement::at(place));
    }
    if all > 0 {
        chart
            .configure_series_labels()
            .background_style(paper.mix(0.8))
            .label_font(font(letters))
            .draw()?;
    }
    area.present()
}

/// The terminal's names as colours that can be read on paper, or on black.
fn rgb(colour: Named, ground: Ground) -> RGBColor {
    let (dark, light) = match colour {
        Named::Cyan => ((0, 139, 139), (0, 205, 205)),
        Named::Yellow => ((166, 124, 0), (205, 205, 0)),
        Named::Green => ((0, 128, 0), (0, 205, 0)),
        Named::Magenta => ((160, 0, 160), (205, 0, 205)),
        Named::LightBlue => ((65, 105, 225), (110, 140, 255)),
        Named::LightRed => ((220, 80, 60), (255, 110, 100)),
        Named::LightGreen => ((60, 160, 80), (110, 255, 130)),
        Named::LightMagenta => ((199, 80, 170), (255, 130, 230)),
        Named::LightYellow => ((140, 130, 40), (255, 255, 130)),
        Named::LightCyan => ((60, 150, 170), (130, 255, 255)),
        Named::Blue => ((0, 0, 200), (80, 80, 255)),
        Named::Red => ((180, 0, 0), (230, 60, 60)),
        Named::Rgb(r, g, b) => ((r, g, b), (r, g, b)),
        _ => ((90, 90, 90), (170, 170, 170)),
    };
    let (r, g, b) = if ground == Ground::White { dark } else { light };
    RGBColor(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::board::drawing::Line;

    fn drawing() -> Drawing {
        let points = (0..50).map(|i| (f64::from(i), 1.0 / f64::from(i + 1))).collect();
        Drawing {
            metric: "loss".into(),
            title: "loss + held".into(),
            lines: vec![Line {
                run: "adapter".into(),
                colour: Named::Red,
                kind: Kind::Curve,
                points,
            }],
            marks: vec![(10.0, MarkKind::Warning)],
            axis: XAxis::Step,
            log: false,
            low: 0.0,
            high: 49.0,
            bottom: 0.0,
            top: 1.0,
        }
    }

    #[test]
    fn the_picture_has_the_curve_its_names_and_marks() {
        let svg = svg(&drawing(), (800, 400)).expect("draws");
        for word in ["loss", "adapter", "trouble", "step"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
        assert!(svg.contains("<polyline"));
        let image = pixels(&drawing(), (800, 400), Ground::Black).expect("draws");
        let has = |colour: [u8; 3]| image.pixels().filter(|p| p.0 == colour).count();
        // The curve, and letters.
        assert!(has([230, 60, 60]) > 100, "{}", has([230, 60, 60]));
        assert!(has([220, 220, 220]) > 100, "{}", has([220, 220, 220]));
        // Many are named as far as there is room.
        let many = Drawing {
            lines: (0..20)
                .flat_map(|i| [Kind::Curve, Kind::HeldOut].map(|kind| (i, kind)))
                .map(|(i, kind)| Line {
                    run: format!("run-{i:02}"),
                    kind,
                    ..drawing().lines[0].clone()
                })
                .collect(),
            ..drawing()
        };
        let svg = super::svg(&many, (800, 400)).expect("draws");
        for word in ["run-00", "run-11", "and 8 more", "dashed: held out", "loss + held"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
        assert!(!svg.contains("run-12"));
        // One that is too small for anything is not a fault.
        assert!(pixels(&drawing(), (30, 20), Ground::White).is_ok());
    }
}
