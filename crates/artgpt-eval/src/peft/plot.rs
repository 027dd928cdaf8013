//! Plots of a comparison, as SVG.

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use super::{Measured, by_method, over_seeds};

const SIZE: (u32, u32) = (900, 480);

/// Why a plot cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the plot: {0}")]
pub struct PlotError(#[from] DrawingAreaErrorKind<std::io::Error>);

/// SVG text.
type Drawn = Result<String, PlotError>;

/// Training loss by step as SVG, a line for each method: the mean over its seeds.
///
/// # Errors
/// Those of drawing.
pub fn loss_plot(all: &[Measured]) -> Drawn {
    artgpt_plot::register();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let points = all.iter().flat_map(|m| &m.curve);
        let steps = points.clone().map(|(step, _)| *step).max().unwrap_or(1);
        let most = points.map(|(_, loss)| *loss).fold(0.1, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0..steps, 0.0..most * 1.05)?;
        chart.configure_mesh().x_desc("step").y_desc("training loss").draw()?;
        for (i, (method, runs)) in by_method(all).into_iter().enumerate() {
            let colour = Palette99::pick(i).to_rgba();
            let line = mean_curve(&runs.iter().map(|r| r.curve.as_slice()).collect::<Vec<_>>());
            chart
                .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                .label(method.describe())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// The mean over runs, and over a window of a fortieth of the steps: batches are small.
fn mean_curve(runs: &[&[(usize, f64)]]) -> Vec<(usize, f64)> {
    let steps = runs.iter().map(|r| r.len()).min().unwrap_or(0);
    let window = (steps / 40).max(1);
    (0..steps)
        .step_by(window)
        .map(|start| {
            let span = start..(start + window).min(steps);
            let values = runs.iter().flat_map(|run| &run[span.clone()]).map(|(_, loss)| *loss);
            (runs[0][start].0, super::mean(values))
        })
        .collect()
}

/// Mean held-out accuracy of each method as SVG, with its 95 % interval over seeds.
///
/// # Errors
/// Those of drawing.
pub fn accuracy_plot(all: &[Measured]) -> Drawn {
    artgpt_plot::register();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let groups = by_method(all);
        let names: Vec<String> = groups.iter().map(|(m, _)| m.kind().to_string()).collect();
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(-0.5..names.len() as f64 - 0.5, 0.0..100.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(names.len() * 2 + 1)
            .x_label_formatter(&|x| {
                let near = x.round();
                let name = names.get(near.max(0.0) as usize);
                name.filter(|_| (x - near).abs() < 1e-6).cloned().unwrap_or_default()
            })
            .y_desc("held-out accuracy, percent")
            .draw()?;
        for (i, (_, runs)) in groups.iter().enumerate() {
            let colour = Palette99::pick(i).to_rgba();
            let x = i as f64;
            let values: Vec<f64> = runs.iter().filter_map(|r| r.accuracy()).collect();
            if values.is_empty() {
                continue;
            }
            let (mean, half) = over_seeds(&values);
            let bar = Rectangle::new([(x - 0.3, 0.0), (x + 0.3, mean)], colour.mix(0.6).filled());
            chart.draw_series([bar])?;
            if let Some(half) = half {
                let (low, high) = ((mean - half).max(0.0), (mean + half).min(100.0));
                chart.draw_series([PathElement::new([(x, low), (x, high)], BLACK)])?;
            }
            chart.draw_series(values.iter().map(|v| Circle::new((x, *v), 3, BLACK.filled())))?;
        }
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_the_mean_over_runs_and_windows() {
        let one: Vec<(usize, f64)> = (1..=80).map(|s| (s, s as f64)).collect();
        let two: Vec<(usize, f64)> = (1..=80).map(|s| (s, s as f64 + 2.0)).collect();
        let curve = mean_curve(&[&one, &two]);
        assert_eq!(curve.len(), 40);
        // Steps 1 and 2 of both: (1 + 2 + 3 + 4) / 4.
        assert_eq!(curve[0], (1, 2.5));
    }
}
