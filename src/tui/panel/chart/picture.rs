//! Renders a chart as SVG, or as pixels for a file or a terminal that shows pictures.

use image::RgbImage;
use plotters::chart::SeriesAnno;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::RGBColor;
use ratatui::style::Color as Named;

use super::drawing::{Drawing, Line, LineKind};
use super::trace::GapKind;
use super::words::position;
use artgpt_base::text::printable;
use artgpt_rundir::MarkKind;
use artgpt_runs::XAxis;

const FONT: &str = "monospace";
/// Runs in the legend; more would hide the curves.
const NAMED: usize = 12;

#[derive(Debug, thiserror::Error)]
#[error("the chart cannot be drawn: {0}; try a larger window")]
pub(crate) struct PictureError(String);

/// Background: white for files, black for the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    White,
    Black,
}

pub(crate) fn svg(drawing: &Drawing, size: (u32, u32)) -> Result<String, PictureError> {
    let mut text = String::new();
    draw(drawing, &SVGBackend::with_string(&mut text, size).into_drawing_area(), Ground::White)?;
    Ok(text)
}

pub(crate) fn pixels(
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

type Error<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;
type Plot<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Colours and letter size of a picture.
struct Style {
    ground: Ground,
    paper: RGBColor,
    ink: RGBColor,
    letters: u32,
}

impl Style {
    fn new(ground: Ground, height: u32) -> Self {
        let (paper, ink) = match ground {
            Ground::White => (WHITE, BLACK),
            Ground::Black => (BLACK, RGBColor(220, 220, 220)),
        };
        Self { ground, paper, ink, letters: (height / 28).clamp(11, 18) }
    }

    fn font(&self, size: u32) -> TextStyle<'static> {
        (FONT, size).into_font().color(&self.ink)
    }
}

fn plot<B: DrawingBackend>(
    drawing: &Drawing,
    area: &DrawingArea<B, Shift>,
    ground: Ground,
) -> Result<(), Error<B>> {
    let (width, height) = area.dim_in_pixel();
    let style = Style::new(ground, height);
    let letters = style.letters;
    area.fill(&style.paper)?;
    let mut chart = ChartBuilder::on(area)
        .margin(letters / 2)
        .caption(printable(&drawing.title), style.font(letters + 2))
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
        .axis_desc_style(style.font(letters))
        .axis_style(style.ink)
        .bold_line_style(style.ink.mix(0.2))
        .light_line_style(TRANSPARENT)
        .label_style(style.font(letters))
        .x_labels((width / (letters * 8)).max(2) as usize)
        .y_labels((height / (letters * 4)).max(2) as usize)
        .x_label_formatter(&|x| position(*x, drawing.axis, length, &drawing.zone))
        .y_label_formatter(&|y| drawing.label(*y, step))
        .draw()?;
    draw_marks(drawing, &mut chart, &style)?;
    draw_lines(drawing, &mut chart, &style)?;
    if drawing.lines.iter().any(|line| line.kind != LineKind::Raw) {
        chart
            .configure_series_labels()
            .background_style(style.paper.mix(0.8))
            .label_font(style.font(letters))
            .draw()?;
    }
    area.present()
}

/// Vertical lines at checkpoints and warnings.
fn draw_marks<'a, B: DrawingBackend + 'a>(
    drawing: &Drawing,
    chart: &mut Plot<'a, B>,
    style: &Style,
) -> Result<(), Error<B>> {
    let at = style.letters as i32;
    let of = |checkpoints: bool| -> Vec<f64> {
        let is = |kind: MarkKind| (kind == MarkKind::Checkpoint) == checkpoints;
        drawing.marks.iter().filter(|(_, kind)| is(*kind)).map(|(x, _)| *x).collect()
    };
    for (all, name, colour) in
        [(of(true), "checkpoint", style.ink.mix(0.25)), (of(false), "warning", RED.mix(0.6))]
    {
        for (i, x) in all.into_iter().enumerate() {
            let line = [(x, drawing.bottom), (x, drawing.top)];
            let drawn = chart.draw_series(LineSeries::new(line, colour))?;
            if i == 0 {
                drawn
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + at, y)], colour));
            }
        }
    }
    Ok(())
}

/// The curves, and their names in the legend.
fn draw_lines<'a, B: DrawingBackend + 'a>(
    drawing: &Drawing,
    chart: &mut Plot<'a, B>,
    style: &Style,
) -> Result<(), Error<B>> {
    let at = style.letters as i32;
    let count =
        |of: &dyn Fn(LineKind) -> bool| drawing.lines.iter().filter(|line| of(line.kind)).count();
    let curves = count(&|kind| kind == LineKind::Curve);
    // Held-out curves have the colour of their run. With many curves one note names them all.
    let all_named = count(&|kind| kind != LineKind::Raw) <= NAMED;
    let mut named = 0;
    for line in &drawing.lines {
        let colour = rgb(line.colour, style.ground);
        let name = match line.kind {
            LineKind::Raw => None,
            LineKind::HeldOut if all_named => Some(format!("{}, held out", printable(&line.run))),
            LineKind::HeldOut => None,
            LineKind::Curve => {
                named += 1;
                (named <= NAMED).then(|| printable(&line.run))
            }
        };
        let drawn = draw_line(line, colour, chart)?;
        if let Some(name) = name {
            drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + at, y)], colour));
        }
        // A line of one point, or of equal ones, has no length.
        let dots = line.segments.iter().filter(|points| points.iter().all(|p| *p == points[0]));
        chart.draw_series(dots.map(|points| Circle::new(points[0], 2, colour.filled())))?;
        draw_gaps(line, colour, drawing, chart)?;
    }
    // Legend entries without a line.
    let mut notes = Vec::new();
    let held_out = count(&|kind| kind == LineKind::HeldOut) > 0;
    notes.extend((held_out && !all_named).then(|| "dashed: held out".to_string()));
    notes.extend((curves > NAMED).then(|| format!("and {} more", curves - NAMED)));
    for note in notes {
        let nothing = LineSeries::new(std::iter::empty::<(f64, f64)>(), style.ink);
        chart.draw_series(nothing)?.label(note).legend(|place| EmptyElement::at(place));
    }
    Ok(())
}

/// Draws the connected parts of a line; returns the first for the legend.
fn draw_line<'a, 'b, B: DrawingBackend + 'a>(
    line: &Line,
    colour: RGBColor,
    chart: &'b mut Plot<'a, B>,
) -> Result<&'b mut SeriesAnno<'a, B>, Error<B>> {
    let style = match line.kind {
        LineKind::Raw => colour.mix(0.3).stroke_width(1),
        LineKind::Curve | LineKind::HeldOut => colour.stroke_width(2),
    };
    let mut dashes = Vec::new();
    let mut lines = Vec::new();
    for points in &line.segments {
        match line.kind {
            LineKind::HeldOut => dashes.push(DashedPathElement::new(points.clone(), 6, 4, style)),
            _ => lines.push(PathElement::new(points.clone(), style)),
        }
    }
    chart.draw_series(dashes)?;
    chart.draw_series(lines)
}

/// Size of the mark of a gap in pixels.
const MARK: i32 = 5;

/// Marks where values are not finite: a bar along the edge to which they lie, NaN at the bottom, with
/// a cross for NaN and an arrow for infinities.
fn draw_gaps<'a, B: DrawingBackend + 'a>(
    line: &Line,
    colour: RGBColor,
    drawing: &Drawing,
    chart: &mut Plot<'a, B>,
) -> Result<(), Error<B>> {
    for gap in &line.gaps {
        // Down is positive.
        let (y, way) = match gap.kind {
            GapKind::Nan | GapKind::Below => (drawing.bottom, -1),
            GapKind::Above => (drawing.top, 1),
        };
        let style = colour.stroke_width(3);
        chart.draw_series([PathElement::new(vec![(gap.from, y), (gap.to, y)], style)])?;
        let place = ((gap.from + gap.to) / 2.0, y);
        let at = |x: i32, y: i32| (x * MARK, y * MARK * way);
        match gap.kind {
            GapKind::Nan => {
                let cross = EmptyElement::at(place)
                    + PathElement::new(vec![at(-1, 1), at(1, 3)], colour.stroke_width(2))
                    + PathElement::new(vec![at(1, 1), at(-1, 3)], colour.stroke_width(2));
                chart.draw_series([cross])?;
            }
            GapKind::Above | GapKind::Below => {
                let arrow = vec![at(-1, 2), at(1, 2), at(0, 0)];
                let arrow = EmptyElement::at(place) + Polygon::new(arrow, colour.filled());
                chart.draw_series([arrow])?;
            }
        }
    }
    Ok(())
}

/// RGB of a named terminal colour, legible on the background.
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
    use crate::tui::panel::chart::trace::Gap;

    fn svg_lines(svg: &str) -> usize {
        svg.matches("<polyline").count() + svg.matches("<line").count()
    }

    fn drawing() -> Drawing {
        let points = (0..50).map(|i| (f64::from(i), 1.0 / f64::from(i + 1))).collect();
        Drawing {
            metric: "loss".into(),
            title: "loss + held".into(),
            lines: vec![Line {
                run: "adapter".into(),
                colour: Named::Red,
                kind: LineKind::Curve,
                segments: vec![points],
                gaps: Vec::new(),
            }],
            marks: vec![(10.0, MarkKind::Warning)],
            axis: XAxis::Step,
            zone: jiff::tz::TimeZone::UTC,
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
        for word in ["loss", "adapter", "warning", "step"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
        assert!(svg.contains("<polyline"));
        let image = pixels(&drawing(), (800, 400), Ground::Black).expect("draws");
        let has = |colour: [u8; 3]| image.pixels().filter(|p| p.0 == colour).count();
        // The curve, and letters.
        assert!(has([230, 60, 60]) > 100, "{}", has([230, 60, 60]));
        assert!(has([220, 220, 220]) > 100, "{}", has([220, 220, 220]));
        // The legend names as many as fit.
        let many = Drawing {
            lines: (0..20)
                .flat_map(|i| [LineKind::Curve, LineKind::HeldOut].map(|kind| (i, kind)))
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
        // Each connected part is a line of its own, and each gap has its mark.
        let gap = |from, to, kind| Gap { from, to, kind };
        let line = Line {
            segments: vec![
                vec![(0.0, 0.5), (9.0, 0.5)],
                vec![(40.0, 0.5), (49.0, 0.5)],
                vec![(20.0, 0.2)],
            ],
            gaps: vec![gap(10.0, 39.0, GapKind::Nan), gap(45.0, 45.0, GapKind::Above)],
            ..drawing().lines[0].clone()
        };
        let broken = Drawing { lines: vec![line], marks: Vec::new(), ..drawing() };
        let svg = super::svg(&broken, (800, 400)).expect("draws");
        let (whole, parts) =
            (svg_lines(&super::svg(&drawing(), (800, 400)).expect("draws")), svg_lines(&svg));
        // Two lines, two bars and the two strokes of a cross in place of one line.
        assert_eq!(parts, whole + 5 - 1, "{svg}");
        assert!(svg.contains("<circle") && svg.contains("<polygon"), "{svg}");
        // A picture that is too small for its labels is no error.
        assert!(pixels(&drawing(), (30, 20), Ground::White).is_ok());
    }
}
