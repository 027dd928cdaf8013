//! Random crops, the augmentation of caption training.

use image::RgbImage;
use image::imageops::crop_imm;
use rand::Rng;

/// A random crop, chosen like torchvision's `RandomResizedCrop`: a uniform share `area` of the image and a
/// log-uniform aspect ratio from 3:4 to 4:3. After ten crops that do not fit, it is the largest centre
/// crop with a ratio in these bounds. The caller resizes it.
pub fn random_resized_crop(image: &RgbImage, area: (f32, f32), rng: &mut impl Rng) -> RgbImage {
    let (width, height) = image.dimensions();
    let (low, high) = (3.0f32 / 4.0, 4.0f32 / 3.0);
    for _ in 0..10 {
        let target = width as f32 * height as f32 * rng.random_range(area.0..=area.1);
        let ratio = rng.random_range(low.ln()..=high.ln()).exp();
        let w = (target * ratio).sqrt().round() as u32;
        let h = (target / ratio).sqrt().round() as u32;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let x = rng.random_range(0..=width - w);
            let y = rng.random_range(0..=height - h);
            return crop_imm(image, x, y, w, h).to_image();
        }
    }
    let ratio = width as f32 / height as f32;
    let w = if ratio > high { (height as f32 * high).round() as u32 } else { width };
    let h = if ratio < low { (width as f32 / low).round() as u32 } else { height };
    let (w, h) = (w.clamp(1, width), h.clamp(1, height));
    crop_imm(image, (width - w) / 2, (height - h) / 2, w, h).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn parts_keep_their_bounds_and_a_scroll_gives_its_middle() {
        let image = RgbImage::from_fn(200, 150, |x, _| image::Rgb([x as u8, 0, 0]));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut areas = Vec::new();
        for _ in 0..200 {
            let part = random_resized_crop(&image, (0.5, 1.0), &mut rng);
            let (w, h) = (part.width() as f32, part.height() as f32);
            assert!((0.74..1.35).contains(&(w / h)), "{w} x {h}");
            areas.push(w * h / 30_000.0);
        }
        let (least, most) = areas.iter().fold((1f32, 0f32), |(l, m), a| (l.min(*a), m.max(*a)));
        assert!((0.49..0.55).contains(&least) && (0.9..=1.0).contains(&most), "{least} {most}");
        let scroll = RgbImage::from_fn(2000, 30, |x, _| image::Rgb([(x / 8) as u8, 0, 0]));
        let part = random_resized_crop(&scroll, (0.5, 1.0), &mut rng);
        assert_eq!(part.dimensions(), (40, 30));
        assert_eq!(part.get_pixel(0, 0).0[0], 980u32.div_euclid(8) as u8);
    }
}
