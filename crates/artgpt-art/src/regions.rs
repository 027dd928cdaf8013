//! Where colours and light lie in a view: the parts of a picture in words.

use super::features::{Colour, colour_name};
use super::{VIEW_SIZE, View};

/// Cells a side of the grid in which light is compared.
const GRID: usize = 3;
/// Chroma, 0 to 1, of a pixel whose colour can be an accent.
const VIVID: f32 = 0.28;
/// Least and largest share of the pixels of an accent's colour.
const ACCENT: (f32, f32) = (0.004, 0.12);
/// Difference of mean luma between two parts that is worth a word.
const VISIBLE: f32 = 0.06;

/// What the parts of a view look like. Left and right are the viewer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// The dominant colours of the top, bottom, left and right third, and of the middle of both.
    colours: [Colour; 5],
    /// The lightest and the darkest of nine fields, if they differ.
    light: Option<(usize, usize)>,
    /// Vivid colours that cover little, with the field where most of each is; the largest first.
    accents: Vec<(Colour, usize)>,
}

const PARTS: [&str; 5] = ["top", "bottom", "left", "right", "centre"];
const FIELDS: [&str; 9] = [
    "top left",
    "top centre",
    "top right",
    "left",
    "centre",
    "right",
    "bottom left",
    "bottom centre",
    "bottom right",
];

impl Regions {
    /// Measures a view of [`VIEW_SIZE`] x [`VIEW_SIZE`] pixels.
    pub fn measure(view: &View) -> Self {
        let side = VIEW_SIZE as usize;
        let third = |at: usize| (at * GRID / side).min(GRID - 1);
        let mut parts = [[0u32; Colour::ALL.len()]; 5];
        let mut luma = [(0.0f32, 0u32); GRID * GRID];
        let mut vivid = [[0u32; GRID * GRID]; Colour::ALL.len()];
        for (x, y, pixel) in view.pixels().enumerate_pixels() {
            let p = pixel.0.map(|v| f32::from(v) / 255.0);
            let (column, row) = (third(x as usize), third(y as usize));
            let (colour, field) = (colour_name(&p) as usize, row * GRID + column);
            let inside = [row == 0, row == 2, column == 0, column == 2, row == 1 && column == 1];
            for (part, _) in parts.iter_mut().zip(inside).filter(|(_, inside)| *inside) {
                part[colour] += 1;
            }
            luma[field].0 += 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            luma[field].1 += 1;
            let high = p.iter().fold(0.0, |a: f32, b| a.max(*b));
            let low = p.iter().fold(1.0, |a: f32, b| a.min(*b));
            if high - low > VIVID {
                vivid[colour][field] += 1;
            }
        }
        Self {
            colours: parts.map(|counts| Colour::ALL[largest(&counts)]),
            light: extremes(&luma.map(|(sum, count)| sum / count.max(1) as f32)),
            accents: accents(&vivid, (side * side) as f32),
        }
    }

    /// The parts in one line, such as `top blue, bottom green, left green, right brown, centre grey; lightest
    /// at the top left, darkest at the bottom right; accent of red at the left`.
    pub fn as_prompt(&self) -> String {
        let parts = PARTS.iter().zip(self.colours).map(|(part, c)| format!("{part} {}", c.word()));
        let mut line = parts.collect::<Vec<_>>().join(", ");
        if let Some((light, dark)) = self.light {
            let (light, dark) = (place(light), place(dark));
            line.push_str(&format!("; lightest {light}, darkest {dark}"));
        }
        for (colour, field) in self.accents.iter().take(2) {
            line.push_str(&format!("; accent of {} {}", colour.word(), place(*field)));
        }
        line
    }
}

/// A field as a place: `at the top left`, `in the centre`.
fn place(field: usize) -> String {
    match FIELDS[field] {
        "centre" => "in the centre".into(),
        "left" | "right" => format!("on the {}", FIELDS[field]),
        other => format!("at the {other}"),
    }
}

fn largest(counts: &[u32]) -> usize {
    // The first of equals.
    (0..counts.len()).rev().max_by_key(|i| counts[*i]).unwrap_or(0)
}

fn extremes(luma: &[f32; GRID * GRID]) -> Option<(usize, usize)> {
    let order = |a: &usize, b: &usize| luma[*a].total_cmp(&luma[*b]);
    let (light, dark) = ((0..luma.len()).max_by(order)?, (0..luma.len()).min_by(order)?);
    (luma[light] - luma[dark] > VISIBLE).then_some((light, dark))
}

fn accents(vivid: &[[u32; GRID * GRID]; Colour::ALL.len()], pixels: f32) -> Vec<(Colour, usize)> {
    let mut found: Vec<(Colour, usize, u32)> = Colour::ALL
        .iter()
        .zip(vivid)
        .filter(|(colour, _)| {
            !matches!(colour, Colour::Black | Colour::White | Colour::Grey | Colour::Brown)
        })
        .filter_map(|(colour, fields)| {
            let all: u32 = fields.iter().sum();
            let field = largest(fields);
            let share = all as f32 / pixels;
            // In one place, not everywhere.
            let gathered = fields[field] * 5 >= all * 2;
            (share > ACCENT.0 && share < ACCENT.1 && gathered).then_some((*colour, field, all))
        })
        .collect();
    found.sort_by_key(|(_, _, all)| std::cmp::Reverse(*all));
    found.into_iter().map(|(colour, field, _)| (colour, field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn of(pixel: impl Fn(u32, u32) -> [u8; 3]) -> Regions {
        let image = RgbImage::from_fn(VIEW_SIZE, VIEW_SIZE, |x, y| Rgb(pixel(x, y)));
        Regions::measure(&View::whole(&image))
    }

    #[test]
    fn a_sky_over_a_meadow_with_a_red_house_at_the_right() {
        let picture = of(|x, y| match (x, y) {
            (170..=195, 110..=140) => [200, 30, 30],
            (_, 0..=99) => [170, 200, 250],
            _ => [40, 120, 50],
        });
        assert_eq!(
            picture.as_prompt(),
            "top blue, bottom green, left green, right green, centre green; \
             lightest at the top right, darkest at the bottom left; accent of red on the right"
        );
    }

    #[test]
    fn a_flat_picture_has_no_light_and_no_accent() {
        let flat = of(|_, _| [120, 120, 120]);
        assert_eq!(flat.as_prompt(), "top grey, bottom grey, left grey, right grey, centre grey");
        // A colour that is everywhere is none.
        let dots =
            of(|x, y| if x % 20 < 4 && y % 20 < 4 { [220, 20, 20] } else { [120, 120, 120] });
        assert!(!dots.as_prompt().contains("accent"), "{}", dots.as_prompt());
    }
}
