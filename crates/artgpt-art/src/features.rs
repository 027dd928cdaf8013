//! Formal features, computed from the pixels of a view.
//!
//! The thresholds split the paintings of the default training set, in random views, into classes
//! of similar size. They are conventions of this program, not of art history.

use serde::{Deserialize, Serialize};

use super::{VIEW_SIZE, View};

/// A closed set of answers; `word` is the one word by which an answer is told from the others.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal => $sentence:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The short answer that training teaches.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),+ }
            }
        }
    };
}

closed_set! {
    /// A colour name, decided per pixel from hue, chroma and value.
    Colour {
        Black = "black" => "Mostly black", White = "white" => "Mostly white",
        Grey = "grey" => "Mostly grey", Brown = "brown" => "Mostly brown",
        Red = "red" => "Mostly red", Orange = "orange" => "Mostly orange",
        Yellow = "yellow" => "Mostly yellow", Green = "green" => "Mostly green",
        Blue = "blue" => "Mostly blue", Purple = "purple" => "Mostly purple",
    }
}
closed_set! {
    /// Mean luma: how light the picture is as a whole.
    LightKey {
        Low = "low" => "Low key: dark tones dominate.",
        Middle = "middle" => "Middle key: neither dark nor light.",
        High = "high" => "High key: light tones dominate.",
    }
}
closed_set! {
    /// Standard deviation of luma.
    Contrast {
        Soft = "soft" => "Soft contrast.",
        Moderate = "moderate" => "Moderate contrast.",
        Strong = "strong" => "Strong contrast.",
    }
}
closed_set! {
    /// Mean of red minus blue.
    Warmth {
        Cool = "cool" => "Cool colours.",
        Neutral = "neutral" => "Neutral, neither warm nor cold.",
        Warm = "warm" => "Warm colours.",
    }
}
closed_set! {
    /// Mean chroma.
    Saturation {
        Muted = "muted" => "Muted colours.",
        Medium = "medium" => "Medium saturation.",
        Vivid = "vivid" => "Vivid colours.",
    }
}
closed_set! {
    /// Correlation of the picture with its mirror image, at low resolution.
    Symmetry {
        Symmetrical = "symmetrical" => "Symmetrical: left mirrors right.",
        Partial = "partly" => "Partly symmetrical.",
        Asymmetrical = "asymmetrical" => "Asymmetrical: the halves differ.",
    }
}
closed_set! {
    /// Where the detail (gradient energy) lies.
    Balance {
        Left = "left" => "Left: most detail lies there.",
        Right = "right" => "Right: most detail lies there.",
        Top = "top" => "Top: most detail lies there.",
        Bottom = "bottom" => "Bottom: most detail lies there.",
        Even = "even" => "Even: detail is spread evenly.",
    }
}
closed_set! {
    /// What kind of picture it is, told from a museum's subject tags.
    Kind {
        Portrait = "portrait" => "A portrait.",
        Landscape = "landscape" => "A landscape.",
        StillLife = "still life" => "A still life.",
        Religious = "religious" => "A religious scene.",
        Mythological = "mythological" => "A mythological scene.",
        Figures = "figures" => "A scene with figures.",
    }
}

impl Kind {
    /// From the museum's tags, most telling first; `None` when they do not say.
    pub fn from_tags<S: AsRef<str>>(tags: &[S]) -> Option<Self> {
        const RULES: &[(Kind, &[&str])] = &[
            (Kind::StillLife, &["Still Life"]),
            (
                Kind::Religious,
                &[
                    "Virgin Mary",
                    "Madonna and Child",
                    "Jesus",
                    "Christ",
                    "Crucifixion",
                    "Saints",
                    "Annunciation",
                    "Holy Family",
                    "Archangel Gabriel",
                    "Saint Jerome",
                    "Saint John the Baptist",
                    "Adoration of the Magi",
                    "Buddhism",
                    "Bodhisattvas",
                    "Buddha",
                    "Mary Magdalene",
                    "Saint Anne",
                    "Angels",
                    "Nativity",
                    "Apostles",
                ],
            ),
            (
                Kind::Mythological,
                &["Venus", "Cupid", "Diana", "Gods", "Goddesses", "Nymphs", "Mars"],
            ),
            (Kind::Portrait, &["Portraits", "Self-portraits", "Profiles"]),
            (Kind::Landscape, &["Landscapes", "Mountains", "Forests", "Seascapes", "Rivers"]),
            (Kind::Figures, &["Men", "Women", "Girls", "Boys", "Children", "Couples"]),
            (Kind::StillLife, &["Flowers", "Food", "Skulls", "Grapes", "Eggs"]),
        ];
        RULES
            .iter()
            .find(|(_, words)| tags.iter().any(|t| words.contains(&t.as_ref())))
            .map(|(kind, _)| *kind)
    }
}

/// What can be measured in a view. Means are over all pixels, values in 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormalFeatures {
    /// Colours by share of pixels, largest first; never empty.
    pub palette: Vec<(Colour, f32)>,
    pub light_key: LightKey,
    pub contrast: Contrast,
    pub warmth: Warmth,
    pub saturation: Saturation,
    pub symmetry: Symmetry,
    pub balance: Balance,
    /// Mean gradient magnitude of luma.
    pub edge_density: f32,
}

impl FormalFeatures {
    pub fn measure(view: &View) -> Self {
        let pixels: Vec<[f32; 3]> =
            view.pixels().pixels().map(|p| p.0.map(|v| f32::from(v) / 255.0)).collect();
        let luma: Vec<f32> =
            pixels.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect();
        let n = pixels.len() as f32;
        let mean = luma.iter().sum::<f32>() / n;
        let deviation = (luma.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / n).sqrt();
        let warmth = pixels.iter().map(|[r, _, b]| r - b).sum::<f32>() / n;
        let chroma = pixels.iter().map(|p| max(p) - min(p)).sum::<f32>() / n;
        let (edge_density, balance) = gradients(&luma);
        Self {
            palette: palette(&pixels),
            light_key: three(mean, 0.27, 0.42, LightKey::ALL),
            contrast: three(deviation, 0.115, 0.165, Contrast::ALL),
            warmth: three(warmth, 0.05, 0.15, Warmth::ALL),
            saturation: three(chroma, 0.12, 0.20, Saturation::ALL),
            symmetry: match mirror_correlation(&luma) {
                // The thirds of crops of the training paintings (`ViewJitter::crop`).
                c if c > 0.40 => Symmetry::Symmetrical,
                c if c > 0.16 => Symmetry::Partial,
                _ => Symmetry::Asymmetrical,
            },
            balance,
            edge_density,
        }
    }

    /// The largest colour.
    pub fn dominant(&self) -> Colour {
        self.palette.first().map_or(Colour::Grey, |(c, _)| *c)
    }

    /// The palette as training says it: the largest colour, and the second if it matters.
    pub fn palette_sentence(&self) -> String {
        let first = self.dominant().sentence();
        match self.palette.get(1) {
            Some((second, share)) if *share > 0.15 => format!("{first}, with {}.", second.word()),
            _ => format!("{first}."),
        }
    }
}

fn three<T: Copy>(value: f32, low: f32, high: f32, classes: &[T]) -> T {
    classes[usize::from(value > low) + usize::from(value > high)]
}

fn max(p: &[f32; 3]) -> f32 {
    p[0].max(p[1]).max(p[2])
}

fn min(p: &[f32; 3]) -> f32 {
    p[0].min(p[1]).min(p[2])
}

fn palette(pixels: &[[f32; 3]]) -> Vec<(Colour, f32)> {
    let mut counts = vec![0usize; Colour::ALL.len()];
    for p in pixels {
        counts[colour_name(p) as usize] += 1;
    }
    let mut shares: Vec<_> = Colour::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(colour, count)| (*colour, count as f32 / pixels.len() as f32))
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

fn colour_name(p: &[f32; 3]) -> Colour {
    let (value, chroma) = (max(p), max(p) - min(p));
    if value < 0.18 {
        return Colour::Black;
    }
    if chroma < 0.09 || chroma / value < 0.14 {
        return if value > 0.8 { Colour::White } else { Colour::Grey };
    }
    match hue(p, chroma) {
        h if !(18.0..330.0).contains(&h) && value > 0.35 => Colour::Red,
        h if !(50.0..330.0).contains(&h) => {
            if value < 0.68 || chroma / value < 0.45 {
                Colour::Brown
            } else {
                Colour::Orange
            }
        }
        h if h < 68.0 => {
            if value < 0.5 {
                Colour::Brown
            } else {
                Colour::Yellow
            }
        }
        h if h < 165.0 => Colour::Green,
        h if h < 260.0 => Colour::Blue,
        _ => Colour::Purple,
    }
}

/// Degrees; `chroma` must not be 0.
fn hue([r, g, b]: &[f32; 3], chroma: f32) -> f32 {
    let sector = if r >= g && r >= b {
        ((g - b) / chroma).rem_euclid(6.0)
    } else if g >= b {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    sector * 60.0
}

/// Mean gradient and where it lies.
fn gradients(luma: &[f32]) -> (f32, Balance) {
    let side = VIEW_SIZE as usize;
    let (mut total, mut right, mut bottom) = (1e-6f32, 0.0, 0.0);
    for y in 0..side - 1 {
        for x in 0..side - 1 {
            let here = luma[y * side + x];
            let e = (luma[y * side + x + 1] - here).abs() + (luma[(y + 1) * side + x] - here).abs();
            total += e;
            right += if x >= side / 2 { e } else { -e };
            bottom += if y >= side / 2 { e } else { -e };
        }
    }
    let (dx, dy) = (right / total, bottom / total);
    let balance = if dx.abs().max(dy.abs()) < 0.08 {
        Balance::Even
    } else if dx.abs() > dy.abs() {
        if dx < 0.0 { Balance::Left } else { Balance::Right }
    } else if dy < 0.0 {
        Balance::Top
    } else {
        Balance::Bottom
    };
    (total / (side * side) as f32, balance)
}

/// Pearson correlation of an 8x8-pixel mosaic of the view with its mirror image.
fn mirror_correlation(luma: &[f32]) -> f32 {
    const CELL: usize = 8;
    let side = VIEW_SIZE as usize;
    let cells = side / CELL;
    let mut mosaic = vec![0f32; cells * cells];
    for (i, y) in luma.iter().enumerate() {
        mosaic[(i / side / CELL) * cells + (i % side) / CELL] += y;
    }
    let mean = mosaic.iter().sum::<f32>() / mosaic.len() as f32;
    let (mut with_mirror, mut with_self) = (0f32, 1e-6f32);
    for row in mosaic.chunks(cells) {
        for (x, v) in row.iter().enumerate() {
            with_mirror += (v - mean) * (row[cells - 1 - x] - mean);
            with_self += (v - mean).powi(2);
        }
    }
    with_mirror / with_self
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn of(f: impl Fn(u32, u32) -> [u8; 3]) -> FormalFeatures {
        FormalFeatures::measure(&View::whole(&RgbImage::from_fn(224, 224, |x, y| Rgb(f(x, y)))))
    }

    #[test]
    fn plain_fields_have_the_names_people_use() {
        for (rgb, colour) in [
            ([10, 10, 10], Colour::Black),
            ([250, 250, 248], Colour::White),
            ([128, 128, 130], Colour::Grey),
            ([200, 20, 30], Colour::Red),
            ([250, 140, 20], Colour::Orange),
            ([110, 70, 40], Colour::Brown),
            ([240, 230, 60], Colour::Yellow),
            ([40, 140, 60], Colour::Green),
            ([30, 60, 180], Colour::Blue),
            ([120, 40, 160], Colour::Purple),
        ] {
            assert_eq!(of(|_, _| rgb).dominant(), colour, "{rgb:?}");
        }
    }

    #[test]
    fn key_warmth_and_contrast_follow_the_pixels() {
        let dark = of(|_, _| [30, 20, 10]);
        assert_eq!((dark.light_key, dark.contrast), (LightKey::Low, Contrast::Soft));
        let blue = of(|_, _| [120, 140, 220]);
        assert_eq!((blue.warmth, blue.light_key), (Warmth::Cool, LightKey::High));
        let split = of(|x, _| if x < 112 { [0; 3] } else { [255; 3] });
        assert_eq!((split.contrast, split.symmetry), (Contrast::Strong, Symmetry::Asymmetrical));
    }

    #[test]
    fn a_mirrored_picture_is_symmetrical_and_noise_pulls_the_balance() {
        let arch = of(|x, y| [((x as i32 - 112).unsigned_abs() * 2) as u8, y as u8, 90]);
        assert_eq!(arch.symmetry, Symmetry::Symmetrical);
        let left = of(|x, y| if x < 90 && (x + y) % 8 < 4 { [220; 3] } else { [60; 3] });
        assert_eq!(left.balance, Balance::Left);
    }

    #[test]
    fn kind_comes_from_the_most_telling_tag() {
        assert_eq!(Kind::from_tags(&["Men", "Crucifixion"]), Some(Kind::Religious));
        assert_eq!(Kind::from_tags(&["Women", "Portraits"]), Some(Kind::Portrait));
        assert_eq!(Kind::from_tags(&["Poetry"]), None);
    }
}
