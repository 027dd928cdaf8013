//! Bicubic resizing, bit-exact with Pillow (`Image.BICUBIC`).
//!
//! The reference implementations preprocess with Pillow, and query tokens react to single grey levels.
//! The crates `image` and `fast_image_resize` round differently and are one level off in some pixels.
//! The arithmetic is that of Pillow's `Resample.c`: columns first, 22-bit weights, bytes between the
//! passes.

use image::RgbImage;

/// Fractional bits of a weight.
const PRECISION: u32 = 32 - 8 - 2;
/// Support of the cubic kernel in source pixels at scale 1.
const SUPPORT: f64 = 2.0;

/// Resizes an image. An empty image becomes a black one.
pub(crate) fn bicubic(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if image.width() == 0 || image.height() == 0 {
        return RgbImage::new(width, height);
    }
    let across = match image.width() == width {
        true => image.clone(),
        false => columns(image, width),
    };
    match across.height() == height {
        true => across,
        false => rows(&across, height),
    }
}

/// The size with the longer side scaled down to `side` pixels and the aspect ratio kept; `None` if the
/// image fits already.
pub fn within((width, height): (u32, u32), side: u32) -> Option<(u32, u32)> {
    let long = width.max(height);
    let scale = |v: u32| (u64::from(v) * u64::from(side) / u64::from(long)).max(1) as u32;
    (long > side).then(|| (scale(width), scale(height)))
}

/// The source pixels of one output pixel, and their weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    (0..to)
        .map(|i| {
            let centre = (f64::from(i) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from as usize);
            let plain: Vec<f64> =
                (first..end).map(|x| cubic((x as f64 - centre + 0.5) * (1.0 / stretch))).collect();
            let sum: f64 = plain.iter().sum();
            let weights = plain
                .into_iter()
                .map(|w| if sum == 0.0 { w } else { w / sum })
                .map(|w| (w * f64::from(1 << PRECISION) + 0.5f64.copysign(w)) as i32)
                .collect();
            Window { first, weights }
        })
        .collect()
}

/// Keys's cubic kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn columns(image: &RgbImage, width: u32) -> RgbImage {
    let windows = windows(image.width(), width);
    let mut out = RgbImage::new(width, image.height());
    let stride = 3 * image.width() as usize;
    for (source, target) in
        image.as_raw().chunks_exact(stride).zip(out.chunks_exact_mut(3 * width as usize))
    {
        for (window, pixel) in windows.iter().zip(target.chunks_exact_mut(3)) {
            let source = source[3 * window.first..].chunks_exact(3);
            let mut sums = [1i32 << (PRECISION - 1); 3];
            for (weight, source) in window.weights.iter().zip(source) {
                for (sum, value) in sums.iter_mut().zip(source) {
                    *sum += weight * i32::from(*value);
                }
            }
            pixel.copy_from_slice(&sums.map(to_byte));
        }
    }
    out
}

fn rows(image: &RgbImage, height: u32) -> RgbImage {
    let mut out = RgbImage::new(image.width(), height);
    let stride = 3 * image.width() as usize;
    let mut sums = vec![0i32; stride];
    for (window, target) in windows(image.height(), height).iter().zip(out.chunks_exact_mut(stride))
    {
        sums.fill(1 << (PRECISION - 1));
        let source = image.as_raw()[stride * window.first..].chunks_exact(stride);
        for (weight, source) in window.weights.iter().zip(source) {
            for (sum, value) in sums.iter_mut().zip(source) {
                *sum += weight * i32::from(*value);
            }
        }
        for (byte, sum) in target.iter_mut().zip(&sums) {
            *byte = to_byte(*sum);
        }
    }
    out
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}
