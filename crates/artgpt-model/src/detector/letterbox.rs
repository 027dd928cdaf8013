//! A picture in a grey square.

use candle_core::{Device, Result, Tensor};
use image::RgbImage;
use image::imageops::{FilterType, resize};

use artgpt_art::Found;

/// What is around the picture.
const GREY: f32 = 0.5;

/// Where the picture lies in the square, in pixels.
pub(super) struct Letterbox {
    side: f32,
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

impl Letterbox {
    /// Fits a picture into a square of `side` pixels: (1, 3, side, side), 0 to 1.
    pub(super) fn of(image: &RgbImage, side: usize, device: &Device) -> Result<(Self, Tensor)> {
        let (w, h) = (image.width().max(1) as usize, image.height().max(1) as usize);
        let fit = |n: usize| (n * side / w.max(h)).clamp(1, side);
        let (width, height) = (fit(w), fit(h));
        let (left, top) = ((side - width) / 2, (side - height) / 2);
        let small = resize(image, width as u32, height as u32, FilterType::Triangle);
        let mut square = vec![GREY; 3 * side * side];
        for (x, y, pixel) in small.enumerate_pixels() {
            let at = (y as usize + top) * side + x as usize + left;
            for (channel, value) in pixel.0.into_iter().enumerate() {
                square[channel * side * side + at] = f32::from(value) / 255.0;
            }
        }
        let pixels = Tensor::from_vec(square, (1, 3, side, side), device)?;
        let [side, left, top, width, height] = [side, left, top, width, height].map(|n| n as f32);
        Ok((Self { side, left, top, width, height }, pixels))
    }

    /// From shares of the square to shares of the picture; `None` for what lies outside it.
    pub(super) fn undo(&self, found: Found) -> Option<Found> {
        let x = |v: f32| ((v * self.side - self.left) / self.width).clamp(0.0, 1.0);
        let y = |v: f32| ((v * self.side - self.top) / self.height).clamp(0.0, 1.0);
        let [left, top, right, bottom] = found.edges?;
        let edges = [x(left), y(top), x(right), y(bottom)];
        let inside = edges[0] < edges[2] && edges[1] < edges[3];
        inside.then_some(Found { edges: Some(edges), ..found })
    }
}
