//! A hash that stays nearly the same when a picture is resized, compressed or slightly recoloured.
//!
//! Source: N. Krawetz, "Kind of Like That" (2013), the difference hash: whether each pixel of a small grey
//! copy is darker than its right neighbour.

use image::RgbImage;

use crate::resample::bicubic;

/// Pixels of the small copy: 8 comparisons a row, 8 rows.
const COLUMNS: u32 = 9;
const ROWS: u32 = 8;

/// The difference hash of a picture: one bit a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerceptualHash(u64);

impl PerceptualHash {
    /// The hash of `image`.
    pub fn of(image: &RgbImage) -> Self {
        let small = bicubic(image, COLUMNS, ROWS);
        // ITU-R BT.601.
        let grey = |x, y| {
            let [r, g, b] = small.get_pixel(x, y).0.map(u32::from);
            299 * r + 587 * g + 114 * b
        };
        let bits = (0..ROWS).flat_map(|y| (1..COLUMNS).map(move |x| (x, y)));
        Self(bits.fold(0, |hash, (x, y)| hash << 1 | u64::from(grey(x - 1, y) < grey(x, y))))
    }

    /// In how many of the 64 bits two hashes differ (Hamming distance).
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn each_bit_says_whether_the_row_becomes_brighter() {
        let brighter = RgbImage::from_fn(90, 80, |x, _| Rgb([(x * 2) as u8; 3]));
        let darker = RgbImage::from_fn(90, 80, |x, _| Rgb([200 - (x * 2) as u8; 3]));
        assert_eq!(PerceptualHash::of(&brighter).0, u64::MAX);
        assert_eq!(PerceptualHash::of(&darker).0, 0);
        assert_eq!(PerceptualHash::of(&brighter).distance(PerceptualHash::of(&darker)), 64);
        assert_eq!(PerceptualHash::of(&RgbImage::new(0, 0)).0, 0);
    }

    #[test]
    fn a_resized_and_dimmed_copy_is_near_and_another_picture_is_far() {
        let picture = |phase: f32, side: u32, dim: f32| {
            RgbImage::from_fn(side, side, |x, y| {
                let [x, y] = [x, y].map(|v| v as f32 / side as f32);
                let wave = (9.0 * x + phase).sin() * (7.0 * y - phase).cos();
                Rgb([(dim * (128.0 + 100.0 * wave)) as u8; 3])
            })
        };
        let hash = PerceptualHash::of(&picture(0.0, 256, 1.0));
        assert!(hash.distance(PerceptualHash::of(&picture(0.0, 100, 0.8))) <= 3);
        assert!(hash.distance(PerceptualHash::of(&picture(2.0, 256, 1.0))) > 12);
    }
}
