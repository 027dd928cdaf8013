//! Half-blocks: two pixels a cell, the upper one as foreground and the lower one as background.
//! They scroll, clip and redraw like any text.

use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColourDepth {
    True,
    Indexed256,
    Indexed16,
    /// None: light and dark are told by characters.
    None,
}

/// Dark to light.
const SHADES: &[char] = &[' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// Paints `image`, which is `area.width` x `2 * area.height` pixels, into `area`. Cells beyond
/// the image or the buffer are left alone.
pub(crate) fn paint(image: &RgbImage, area: Rect, depth: ColourDepth, buffer: &mut Buffer) {
    let visible = area.intersection(buffer.area);
    for y in visible.top()..visible.bottom() {
        for x in visible.left()..visible.right() {
            let (px, py) = (u32::from(x - area.x), 2 * u32::from(y - area.y));
            let Some(upper) = image.get_pixel_checked(px, py) else { continue };
            let lower = image.get_pixel_checked(px, py + 1).unwrap_or(upper);
            let cell = &mut buffer[(x, y)];
            match depth {
                ColourDepth::None => {
                    let light = (luma(upper.0) + luma(lower.0)) / 2;
                    cell.set_char(SHADES[usize::from(light) * (SHADES.len() - 1) / 255]);
                }
                depth => {
                    cell.set_char('▀');
                    cell.set_fg(colour(upper.0, depth)).set_bg(colour(lower.0, depth));
                }
            }
        }
    }
}

fn luma([r, g, b]: [u8; 3]) -> u16 {
    (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)).div_euclid(1000) as u16
}

fn colour(rgb: [u8; 3], depth: ColourDepth) -> Color {
    match depth {
        ColourDepth::True => Color::Rgb(rgb[0], rgb[1], rgb[2]),
        ColourDepth::Indexed256 => Color::Indexed(xterm256(rgb)),
        ColourDepth::Indexed16 | ColourDepth::None => Color::Indexed(ansi16(rgb)),
    }
}

/// The nearer of the 6x6x6 cube's colour and the grey ramp's.
fn xterm256(rgb: [u8; 3]) -> u8 {
    const STEPS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |v: u8| (0..6).min_by_key(|i| (STEPS[*i] - i32::from(v)).abs()).unwrap_or(0);
    let cube = rgb.map(nearest);
    let mean = rgb.iter().map(|v| i32::from(*v)).sum::<i32>() / 3;
    let step = ((mean - 8).max(0) / 10).min(23);
    let distance =
        |c: [i32; 3]| -> i32 { c.iter().zip(rgb).map(|(a, b)| (a - i32::from(b)).pow(2)).sum() };
    if distance([8 + 10 * step; 3]) < distance(cube.map(|i| STEPS[i])) {
        232 + step as u8
    } else {
        (16 + 36 * cube[0] + 6 * cube[1] + cube[2]) as u8
    }
}

/// The nearest of the 16 colours as most terminals show them.
fn ansi16(rgb: [u8; 3]) -> u8 {
    const COLOURS: [[i32; 3]; 16] = [
        [0, 0, 0],
        [170, 0, 0],
        [0, 170, 0],
        [170, 85, 0],
        [0, 0, 170],
        [170, 0, 170],
        [0, 170, 170],
        [170, 170, 170],
        [85, 85, 85],
        [255, 85, 85],
        [85, 255, 85],
        [255, 255, 85],
        [85, 85, 255],
        [255, 85, 255],
        [85, 255, 255],
        [255, 255, 255],
    ];
    let distance =
        |c: &[i32; 3]| -> i32 { c.iter().zip(rgb).map(|(a, b)| (a - i32::from(b)).pow(2)).sum() };
    (0..16u8).min_by_key(|i| distance(&COLOURS[usize::from(*i)])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn two_pixels_share_a_cell() {
        let image = RgbImage::from_fn(2, 2, |_, y| Rgb([if y == 0 { 255 } else { 0 }, 0, 0]));
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 2));
        paint(&image, Rect::new(1, 0, 2, 1), ColourDepth::True, &mut buffer);
        let cell = &buffer[(1, 0)];
        assert_eq!(
            (cell.symbol(), cell.fg, cell.bg),
            ("▀", Color::Rgb(255, 0, 0), Color::Rgb(0, 0, 0))
        );
        assert_eq!(buffer[(0, 0)].symbol(), " ");
        // Without colours, light and dark still differ.
        paint(&image, Rect::new(1, 0, 2, 1), ColourDepth::None, &mut buffer);
        assert_eq!(buffer[(1, 0)].symbol(), ".");
    }

    #[test]
    fn palette_colours_are_the_nearest() {
        assert_eq!(xterm256([255, 0, 0]), 196);
        assert_eq!(xterm256([128, 128, 128]), 244);
        assert_eq!(ansi16([250, 250, 250]), 15);
    }
}
