//! Formal features, measured in the pixels of a view.
//!
//! The thresholds split random views of the default training set into classes of similar size. They
//! are conventions of this program, not of art history.

use serde::{Deserialize, Serialize};

use super::{VIEW_SIZE, View};

/// Defines an enum of answers. Each has a word that identifies it in free text, and a sentence.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal => $sentence:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(
                #[doc = concat!("“", $sentence, "”")]
                $variant
            ),+
        }

        impl $name {
            /// All answers, in the order of their discriminants.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that identifies this answer in free text.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The short answer of the training data.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),+ }
            }
        }
    };
}

closed_set! {
    /// A basic colour, classified per pixel from hue, chroma and value.
    Colour {
        Black = "black" => "Mostly black", White = "white" => "Mostly white",
        Grey = "grey" => "Mostly grey", Brown = "brown" => "Mostly brown",
        Red = "red" => "Mostly red", Orange = "orange" => "Mostly orange",
        Yellow = "yellow" => "Mostly yellow", Green = "green" => "Mostly green",
        Blue = "blue" => "Mostly blue", Purple = "purple" => "Mostly purple",
    }
}
closed_set! {
    /// Lightness of the whole image: mean luma.
    LightKey {
        Low = "low" => "Low key: dark tones dominate.",
        Middle = "middle" => "Middle key: neither dark nor light.",
        High = "high" => "High key: light tones dominate.",
    }
}
closed_set! {
    /// Contrast: standard deviation of luma.
    Contrast {
        Soft = "soft" => "Soft contrast.",
        Moderate = "moderate" => "Moderate contrast.",
        Strong = "strong" => "Strong contrast.",
    }
}
closed_set! {
    /// Colour temperature: mean of red minus blue.
    Warmth {
        Cool = "cool" => "Cool colours.",
        Neutral = "neutral" => "Neutral, neither warm nor cold.",
        Warm = "warm" => "Warm colours.",
    }
}
closed_set! {
    /// Saturation: mean chroma.
    Saturation {
        Muted = "muted" => "Muted colours.",
        Medium = "medium" => "Medium saturation.",
        Vivid = "vivid" => "Vivid colours.",
    }
}
closed_set! {
    /// Symmetry: correlation of the image with its mirror image, at low resolution.
    Symmetry {
        Symmetrical = "symmetrical" => "Symmetrical: left mirrors right.",
        Partial = "partly" => "Partly symmetrical.",
        Asymmetrical = "asymmetrical" => "Asymmetrical: the halves differ.",
    }
}
closed_set! {
    /// Balance: where most detail (gradient energy) lies.
    Balance {
        Left = "left" => "Left: most detail lies there.",
        Right = "right" => "Right: most detail lies there.",
        Top = "top" => "Top: most detail lies there.",
        Bottom = "bottom" => "Bottom: most detail lies there.",
        Even = "even" => "Even: detail is spread evenly.",
    }
}
closed_set! {
    /// Genre, derived from a museum's subject tags.
    Genre {
        Portrait = "portrait" => "A portrait.",
        Landscape = "landscape" => "A landscape.",
        StillLife = "still life" => "A still life.",
        Religious = "religious" => "A religious scene.",
        Mythological = "mythological" => "A mythological scene.",
        Figures = "figures" => "A scene with figures.",
    }
}

impl Genre {
    /// The genre of these subject tags, by the most specific rule; `None` if no rule matches.
    pub(crate) fn from_tags<S: AsRef<str>>(tags: &[S]) -> Option<Self> {
        const RULES: &[(Genre, &[&str])] = &[
            (Genre::StillLife, &["Still Life"]),
            (
                Genre::Religious,
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
                Genre::Mythological,
                &["Venus", "Cupid", "Diana", "Gods", "Goddesses", "Nymphs", "Mars"],
            ),
            (Genre::Portrait, &["Portraits", "Self-portraits", "Profiles"]),
            (Genre::Landscape, &["Landscapes", "Mountains", "Forests", "Seascapes", "Rivers"]),
            (Genre::Figures, &["Men", "Women", "Girls", "Boys", "Children", "Couples"]),
            (Genre::StillLife, &["Flowers", "Food", "Skulls", "Grapes", "Eggs"]),
        ];
        RULES
            .iter()
            .find(|(_, words)| tags.iter().any(|t| words.contains(&t.as_ref())))
            .map(|(kind, _)| *kind)
    }
}

/// Features measured in a view. Means are over all pixels, with channel values from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormalFeatures {
    /// Colours with their share of pixels, largest first; never empty.
    pub palette: Vec<(Colour, f32)>,
    /// Class of the mean luma.
    pub light_key: LightKey,
    /// Class of the standard deviation of luma.
    pub contrast: Contrast,
    /// Class of the mean of red minus blue.
    pub warmth: Warmth,
    /// Class of the mean chroma.
    pub saturation: Saturation,
    /// Class of the correlation with the mirror image.
    pub symmetry: Symmetry,
    /// Where the gradient energy lies.
    pub balance: Balance,
    /// Mean gradient magnitude of luma.
    pub edge_density: f32,
}

impl FormalFeatures {
    /// Measures a view of [`VIEW_SIZE`] x [`VIEW_SIZE`] pixels.
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
            light_key: classify(mean, 0.27, 0.42, LightKey::ALL),
            contrast: classify(deviation, 0.115, 0.165, Contrast::ALL),
            warmth: classify(warmth, 0.05, 0.15, Warmth::ALL),
            saturation: classify(chroma, 0.12, 0.20, Saturation::ALL),
            symmetry: match mirror_correlation(&luma) {
                // The terciles over crops of the training paintings (`ViewJitter::crop`).
                c if c > 0.40 => Symmetry::Symmetrical,
                c if c > 0.16 => Symmetry::Partial,
                _ => Symmetry::Asymmetrical,
            },
            balance,
            edge_density,
        }
    }

    /// The classes in one line, as a prompt gives them to a model, such as `mostly brown, with grey;
    /// middle key; soft contrast; neutral colours; medium saturation; symmetrical; detail spread evenly`.
    pub fn as_prompt(&self) -> String {
        let palette = self.palette_sentence().trim_end_matches('.').to_lowercase();
        let key = match self.light_key {
            LightKey::Low => "low key, dark",
            LightKey::Middle => "middle key",
            LightKey::High => "high key, light",
        };
        let saturation = match self.saturation {
            Saturation::Medium => "medium saturation",
            other => other.word(),
        };
        let symmetry = match self.symmetry {
            Symmetry::Partial => "partly symmetrical",
            other => other.word(),
        };
        let balance = match self.balance {
            Balance::Left => "most detail on the left",
            Balance::Right => "most detail on the right",
            Balance::Top => "most detail at the top",
            Balance::Bottom => "most detail at the bottom",
            Balance::Even => "detail spread evenly",
        };
        let (contrast, warmth) = (self.contrast.word(), self.warmth.word());
        format!(
            "{palette}; {key}; {contrast} contrast; {warmth} colours; {saturation}; {symmetry}; {balance}"
        )
    }

    /// The colour with the largest share.
    pub(crate) fn dominant(&self) -> Colour {
        self.palette.first().map_or(Colour::Grey, |(c, _)| *c)
    }

    /// The dominant colour, and the second one if it is above 15 %.
    pub(crate) fn main_colours(&self) -> (Colour, Option<Colour>) {
        let second = self.palette.get(1).filter(|(_, share)| *share > 0.15);
        (self.dominant(), second.map(|(colour, _)| *colour))
    }

    /// The palette in the words of the training data.
    pub(crate) fn palette_sentence(&self) -> String {
        match self.main_colours() {
            (first, Some(second)) => format!("{}, with {}.", first.sentence(), second.word()),
            (first, None) => format!("{}.", first.sentence()),
        }
    }
}

/// The class of a value, by two thresholds.
fn classify<T: Copy>(value: f32, low: f32, high: f32, classes: &[T]) -> T {
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

pub(crate) fn colour_name(p: &[f32; 3]) -> Colour {
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

/// Hue in degrees; `chroma` must not be 0.
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

/// Mean gradient magnitude of luma, and where the gradients lie.
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
    fn a_prompt_names_every_class_in_one_line() {
        // Right of the middle black lines on brown, so the detail and the asymmetry are there.
        let brown = of(|x, _| if x > 150 && x % 8 < 2 { [10, 8, 6] } else { [140, 95, 50] });
        assert_eq!(
            brown.as_prompt(),
            "mostly brown; middle key; soft contrast; warm colours; vivid; asymmetrical; \
             most detail on the right"
        );
        let halves = of(|x, _| if x < 90 { [250, 250, 252] } else { [30, 60, 200] });
        let line = halves.as_prompt();
        assert!(line.starts_with("mostly blue, with white; "), "{line}");
        assert!(line.contains("; strong contrast; cool colours; "), "{line}");
    }

    #[test]
    fn kind_comes_from_the_most_telling_tag() {
        assert_eq!(Genre::from_tags(&["Men", "Crucifixion"]), Some(Genre::Religious));
        assert_eq!(Genre::from_tags(&["Women", "Portraits"]), Some(Genre::Portrait));
        assert_eq!(Genre::from_tags(&["Poetry"]), None);
    }
}
