//! Faces that a detector finds: how many there are, how large, and where. SeetaFace finds faces that look
//! at the viewer; those in profile, turned away or painted flat are often missed, so a count is a lower bound.

use image::RgbImage;
use image::imageops::{FilterType, grayscale, resize};
use rustface::{FaceInfo, ImageData};

use artgpt_base::panics::guarded;

/// SeetaFace's frontal model (BSD-2-Clause), as the crate `rustface` 0.1.7 carries it.
const MODEL: &[u8] = include_bytes!("../../../models/seeta-face-frontal.bin");
/// Longer side of the picture in which faces are sought, in pixels; smaller ones are enlarged.
const LONG_SIDE: u32 = 1000;
/// The smallest face, in those pixels; the detector knows none below 20.
const SMALLEST: u32 = 20;
/// The score of a face; the detector's own default is 2.
const SCORE: f64 = 2.0;
/// A face of this share of the picture's height is large.
const LARGE: f32 = 0.18;
/// One below this is small.
const SMALL: f32 = 0.07;

/// The faces found in a picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faces {
    /// The horizontal middle and the height of each, as shares of the picture; from left to right.
    pub found: Vec<(f32, f32)>,
}

impl Faces {
    /// Looks for faces; none if the detector fails.
    pub fn find(image: &RgbImage) -> Self {
        let (width, height) = image.dimensions();
        let scale = f64::from(LONG_SIDE) / f64::from(width.max(height).max(1));
        let side = |n: u32| ((f64::from(n) * scale).round() as u32).clamp(1, LONG_SIDE);
        let (w, h) = (side(width), side(height));
        if w.min(h) < 2 * SMALLEST {
            return Self::default();
        }
        let grey = resize(&grayscale(image), w, h, FilterType::Triangle);
        // It is not ours, and old.
        let boxes = guarded(|| detect(&grey, (w, h))).unwrap_or_default();
        let mut found: Vec<(f32, f32)> = boxes
            .iter()
            .map(|face| {
                let b = face.bbox();
                let middle = (b.x() as f32 + b.width() as f32 / 2.0) / w as f32;
                (middle.clamp(0.0, 1.0), b.height() as f32 / h as f32)
            })
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { found }
    }

    /// The faces in one line: `no face found`, `1 large face found, in the middle`, `3 faces found, small, from
    /// left to right`.
    pub fn as_prompt(&self) -> String {
        let Some(largest) = self.found.iter().map(|(_, height)| *height).reduce(f32::max) else {
            return "no face found".into();
        };
        let size = match largest {
            h if h >= LARGE => "large ",
            h if h < SMALL => "small ",
            _ => "",
        };
        let places: Vec<&str> = ["left", "middle", "right"]
            .into_iter()
            .enumerate()
            .filter(|(third, _)| {
                self.found.iter().any(|(x, _)| ((x * 3.0) as usize).min(2) == *third)
            })
            .map(|(_, name)| name)
            .collect();
        let (count, many) = (self.found.len(), if self.found.len() == 1 { "" } else { "s" });
        format!("{count} {size}face{many} found, {}", places.join(" and "))
    }
}

fn detect(grey: &[u8], (width, height): (u32, u32)) -> Vec<FaceInfo> {
    let Ok(model) = rustface::read_model(MODEL) else { return Vec::new() };
    let mut detector = rustface::create_detector_with_model(model);
    detector.set_min_face_size(SMALLEST);
    detector.set_score_thresh(SCORE);
    detector.set_pyramid_scale_factor(0.8);
    detector.set_slide_window_step(4, 4);
    detector.detect(&ImageData::new(grey, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(name: &str) -> RgbImage {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/faces");
        let path = folder.join(name);
        let bytes = std::fs::read(&path).expect("reads");
        crate::decode(&path, &bytes).expect("decodes").0
    }

    #[test]
    fn a_portrait_has_a_face_and_haystacks_have_none() {
        // Met 459087, seen from the front, and Met 437097, both smaller.
        let portrait = Faces::find(&picture("portrait.jpg"));
        assert_eq!(portrait.found.len(), 1);
        let (x, height) = portrait.found[0];
        assert!((0.4..0.7).contains(&x) && (0.1..0.4).contains(&height), "{portrait:?}");
        assert_eq!(Faces::find(&picture("haystacks.jpg")).as_prompt(), "no face found");
    }

    #[test]
    fn faces_are_counted_and_placed_in_words() {
        let line = |found: &[(f32, f32)]| Faces { found: found.to_vec() }.as_prompt();
        assert_eq!(line(&[(0.5, 0.3)]), "1 large face found, middle");
        assert_eq!(
            line(&[(0.1, 0.05), (0.2, 0.04), (1.0, 0.06)]),
            "3 small faces found, left and right"
        );
        assert_eq!(line(&[(0.1, 0.1), (0.5, 0.02)]), "2 faces found, left and middle");
    }

    #[test]
    fn odd_sizes_are_no_panic() {
        for (width, height) in [(1, 1), (1, 900), (900, 1), (3, 2), (61, 1000), (40, 41)] {
            let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * y) as u8; 3]));
            assert!(Faces::find(&image).found.len() < 3, "{width}x{height}");
        }
    }
}
