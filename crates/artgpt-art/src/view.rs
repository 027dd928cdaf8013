//! Views: the square images that the vision encoder takes, and their augmentation in training.

use image::RgbImage;
use image::imageops::{self, crop_imm};
use rand::Rng;

use super::resample::bicubic;

/// Side of the default encoder's views, in pixels.
pub const VIEW_SIZE: u32 = 224;

/// A square RGB image.
#[derive(Debug, Clone)]
pub struct View(RgbImage);

impl View {
    /// The whole image, resized bicubically to [`VIEW_SIZE`] (MiniGPT-4's `blip_processors.py`).
    pub fn whole(image: &RgbImage) -> Self {
        Self::sized(image, VIEW_SIZE)
    }

    /// The whole image, resized for an encoder that takes `side` x `side` pixels.
    pub fn sized(image: &RgbImage, side: u32) -> Self {
        match image.dimensions() == (side, side) {
            true => Self(image.clone()),
            false => Self(bicubic(image, side, side)),
        }
    }

    /// A crop of the image, augmented by `jitter`, of [`VIEW_SIZE`].
    pub fn jittered(image: &RgbImage, jitter: &ViewJitter) -> Self {
        let (w, h) = image.dimensions();
        let (cw, ch) = (
            ((w as f32 * jitter.width) as u32).clamp(1, w),
            ((h as f32 * jitter.height) as u32).clamp(1, h),
        );
        let x = ((w - cw) as f32 * jitter.left) as u32;
        let y = ((h - ch) as f32 * jitter.top) as u32;
        let part = crop_imm(image, x, y, cw, ch).to_image();
        let mut view = bicubic(&part, VIEW_SIZE, VIEW_SIZE);
        if jitter.flip {
            imageops::flip_horizontal_in_place(&mut view);
        }
        mirror(&mut view, jitter.mirror, jitter.turned);
        for pixel in view.pixels_mut() {
            pixel.0 = jitter.colour(pixel.0);
        }
        Self(view)
    }

    /// The pixels.
    pub fn pixels(&self) -> &RgbImage {
        &self.0
    }
}

/// Blends the right half with the mirror image of the left one, upside down if `turned`.
fn mirror(view: &mut RgbImage, weight: f32, turned: bool) {
    if weight <= 0.0 {
        return;
    }
    let (width, height) = view.dimensions();
    for y in 0..height {
        let row = if turned { height - 1 - y } else { y };
        for x in width / 2..width {
            let left = view.get_pixel(width - 1 - x, row).0;
            let right = &mut view.get_pixel_mut(x, y).0;
            for (r, l) in right.iter_mut().zip(left) {
                let mixed = f32::from(*r) + (f32::from(l) - f32::from(*r)) * weight;
                *r = mixed.round() as u8;
            }
        }
    }
}

/// Parameters of an augmentation: crop, flip and colour. Answers are measured in the augmented view.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewJitter {
    /// Width of the crop as a fraction of the image's.
    pub width: f32,
    /// Height of the crop as a fraction of the image's.
    pub height: f32,
    /// Horizontal position of the crop, from 0 (left edge) to 1 (right edge).
    pub left: f32,
    /// Vertical position of the crop, from 0 (top edge) to 1 (bottom edge).
    pub top: f32,
    /// Whether to flip the crop horizontally.
    pub flip: bool,
    /// Weight of the left half's mirror image in the right half, 0 to 1.
    pub mirror: f32,
    /// Whether that mirror image is upside down, which breaks the symmetry and changes nothing else.
    pub turned: bool,
    /// Exponent on channel values; below 1 brightens.
    pub gamma: f32,
    /// Contrast factor around middle grey.
    pub contrast: f32,
    /// Saturation factor around the pixel's own grey.
    pub saturation: f32,
    /// Added to red and subtracted from blue, in units of full scale.
    pub warmth: f32,
}

impl ViewJitter {
    /// No augmentation.
    pub const NONE: Self = Self {
        width: 1.0,
        height: 1.0,
        left: 0.0,
        top: 0.0,
        flip: false,
        mirror: 0.0,
        turned: false,
        gamma: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        warmth: 0.0,
    };

    /// Draws a crop of at least half the image, flipped with probability 1/2, with unchanged colours.
    pub fn crop(rng: &mut impl Rng) -> Self {
        let area = rng.random_range(0.5f32..=1.0);
        let ratio = rng.random_range(-0.2f32..=0.2).exp();
        Self {
            width: (area * ratio).sqrt().min(1.0),
            height: (area / ratio).sqrt().min(1.0),
            left: rng.random(),
            top: rng.random(),
            flip: rng.random(),
            ..Self::NONE
        }
    }

    /// Draws a crop of a share of the area between `least` and `most`, neither flipped nor recoloured: for
    /// texts that speak of left, right and colours.
    pub fn part(least: f32, most: f32, rng: &mut impl Rng) -> Self {
        let area = rng.random_range(least..=most);
        let width = rng.random_range(area.ln()..=0.0).exp();
        let (left, top) = (rng.random(), rng.random());
        Self { width, height: area / width, left, top, ..Self::NONE }
    }

    /// Draws a full augmentation. A third of the views keep their colours, so that real ones are common.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut jitter = Self::crop(rng);
        // Few paintings are symmetrical, and most of those are portraits: the subject must not predict
        // the symmetry.
        if rng.random_range(0..3) == 0 {
            jitter.mirror = rng.random_range(0.2..=1.0);
            jitter.turned = rng.random();
        }
        if rng.random_range(0..3) > 0 {
            jitter.gamma = rng.random_range(-0.9f32..=0.9).exp();
            jitter.contrast = rng.random_range(0.4..=1.4);
            jitter.saturation = rng.random_range(0.1..=2.2);
            jitter.warmth = rng.random_range(-0.14..=0.14);
        }
        jitter
    }

    fn colour(&self, rgb: [u8; 3]) -> [u8; 3] {
        let mut c = rgb.map(|v| (f32::from(v) / 255.0).powf(self.gamma));
        let grey = 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
        let shift = [self.warmth, 0.0, -self.warmth];
        for (v, s) in c.iter_mut().zip(shift) {
            *v = grey + (*v - grey) * self.saturation + s;
            *v = 0.5 + (*v - 0.5) * self.contrast;
        }
        c.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_jitter_changes_nothing() {
        let image = RgbImage::from_fn(300, 200, |x, y| image::Rgb([x as u8, y as u8, 77]));
        let plain = View::whole(&image);
        let same = View::jittered(&image, &ViewJitter::NONE);
        assert_eq!(plain.pixels(), same.pixels());
    }

    #[test]
    fn a_part_has_the_area_that_was_asked_for_and_keeps_its_colours() {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (mut widest, mut narrowest) = (0f32, 1f32);
        for _ in 0..500 {
            let part = ViewJitter::part(0.85, 1.0, &mut rng);
            let area = part.width * part.height;
            assert!((0.849..=1.001).contains(&area), "{part:?}");
            assert!(part.width <= 1.0 && part.height <= 1.001, "{part:?}");
            assert!(!part.flip && part.mirror == 0.0 && part.gamma == 1.0 && part.warmth == 0.0);
            (widest, narrowest) = (widest.max(part.width), narrowest.min(part.width));
        }
        assert!(widest > 0.99 && narrowest < 0.9, "{narrowest} to {widest}");
        let whole = ViewJitter::part(1.0, 1.0, &mut rng);
        assert_eq!((whole.width, whole.height), (1.0, 1.0));
    }

    #[test]
    fn a_one_pixel_picture_has_a_view() {
        let image = RgbImage::from_pixel(1, 1, image::Rgb([200, 10, 10]));
        let view = View::whole(&image);
        assert_eq!(view.pixels().dimensions(), (VIEW_SIZE, VIEW_SIZE));
        assert_eq!(view.pixels().get_pixel(100, 100).0, [200, 10, 10]);
    }
}
