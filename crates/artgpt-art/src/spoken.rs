//! Answers to closed questions in whole sentences. The first answer word of each is the answer, as
//! [`Question::read_answer`] reads it.

use super::{
    Balance, Contrast, FormalFeatures, Genre, LightKey, Question, Saturation, Symmetry, Warmth,
};

impl Question {
    /// The correct answer in a whole sentence, worded in the way number `wording`; `None` for the genre if it is
    /// unknown.
    pub fn spoken(self, f: &FormalFeatures, kind: Option<Genre>, wording: usize) -> Option<String> {
        if self == Self::Palette {
            return Some(palette(f, wording));
        }
        let all = match self {
            Self::Palette => return None,
            Self::LightKey => light_key(f.light_key),
            Self::Contrast => contrast(f.contrast),
            Self::Warmth => warmth(f.warmth),
            Self::Saturation => saturation(f.saturation),
            Self::Symmetry => symmetry(f.symmetry),
            Self::Composition => balance(f.balance),
            Self::Kind => genre(kind?),
        };
        all.get(wording % all.len()).map(|sentence| (*sentence).to_string())
    }
}

fn palette(f: &FormalFeatures, wording: usize) -> String {
    let (first, second) = f.main_colours();
    let first = first.word();
    match second {
        Some(second) => {
            let second = second.word();
            match wording % 3 {
                0 => format!("It is mostly {first}, with {second} as the second colour."),
                1 => format!("The picture is dominated by {first}, and {second} comes next."),
                _ => format!("The main colour is {first}; there is also a good deal of {second}."),
            }
        }
        None => match wording % 3 {
            0 => format!("It is mostly {first}."),
            1 => format!("The picture is dominated by {first}; no other colour comes near it."),
            _ => format!("The main colour by far is {first}."),
        },
    }
}

fn light_key(key: LightKey) -> &'static [&'static str] {
    match key {
        LightKey::Low => &[
            "It is painted in a low key: dark tones cover most of it.",
            "The picture is dark on the whole, what is called a low key.",
            "Most of it is dark, so the key is low.",
        ],
        LightKey::Middle => &[
            "It is in a middle key, neither dark nor bright.",
            "The tones lie in between, so the key is a middle one.",
            "On the whole it is neither dark nor bright: a middle key.",
        ],
        LightKey::High => &[
            "It is painted in a high key: bright tones cover most of it.",
            "The picture is bright on the whole, what is called a high key.",
            "Most of it is bright, so the key is high.",
        ],
    }
}

fn contrast(contrast: Contrast) -> &'static [&'static str] {
    match contrast {
        Contrast::Soft => &[
            "The contrast is soft: light and dark lie close together.",
            "Light and dark differ little, so it has a soft contrast.",
        ],
        Contrast::Moderate => &[
            "The contrast is moderate.",
            "It has a moderate contrast between its light and its dark parts.",
        ],
        Contrast::Strong => &[
            "The contrast is strong: light and dark lie far apart.",
            "It has a strong contrast between its light and its dark parts.",
        ],
    }
}

fn warmth(warmth: Warmth) -> &'static [&'static str] {
    match warmth {
        Warmth::Cool => &[
            "The colours are cool on the whole.",
            "Taken together they are cool, more blue than red.",
        ],
        Warmth::Neutral => &[
            "The colours are neutral, neither warm nor cool.",
            "On balance they are neutral: red and blue keep each other in check.",
        ],
        Warmth::Warm => &[
            "The colours are warm on the whole.",
            "Taken together they are warm, more red than blue.",
        ],
    }
}

fn saturation(saturation: Saturation) -> &'static [&'static str] {
    match saturation {
        Saturation::Muted => &[
            "The colours are muted, close to grey.",
            "They are muted rather than bright: much grey is mixed in.",
        ],
        Saturation::Medium => &[
            "The colours have a medium saturation.",
            "Their strength is medium, between pale and intense.",
        ],
        Saturation::Vivid => &[
            "The colours are vivid, with little grey in them.",
            "They are vivid: the hues are strong and clear.",
        ],
    }
}

fn symmetry(symmetry: Symmetry) -> &'static [&'static str] {
    match symmetry {
        Symmetry::Symmetrical => &[
            "It is largely symmetrical: the left half mirrors the right.",
            "The two halves are alike, so it is symmetrical.",
        ],
        Symmetry::Partial => &[
            "It is partly symmetrical: the halves agree in some of their shapes.",
            "The halves are partly alike.",
        ],
        Symmetry::Asymmetrical => &[
            "It is asymmetrical: the two halves differ.",
            "The left half and the right differ, so it is asymmetrical.",
        ],
    }
}

fn balance(balance: Balance) -> &'static [&'static str] {
    match balance {
        Balance::Left => {
            &["Most of the detail is on the left.", "The left side is the busiest part of it."]
        }
        Balance::Right => {
            &["Most of the detail is on the right.", "The right side is the busiest part of it."]
        }
        Balance::Top => {
            &["Most of the detail is at the top.", "The top is the busiest part of it."]
        }
        Balance::Bottom => {
            &["Most of the detail is at the bottom.", "The bottom is the busiest part of it."]
        }
        Balance::Even => &[
            "The detail has an even spread over the whole.",
            "It is even: no part has much more detail than another.",
        ],
    }
}

fn genre(kind: Genre) -> &'static [&'static str] {
    match kind {
        Genre::Portrait => &["It is a portrait.", "This is a portrait, I think."],
        Genre::Landscape => &["It is a landscape.", "This is a landscape, I think."],
        Genre::StillLife => &["It is a still life.", "This is a still life, I think."],
        Genre::Religious => &["It is a religious scene.", "This is a religious picture, I think."],
        Genre::Mythological => {
            &["It is a mythological scene.", "This is a mythological picture, I think."]
        }
        Genre::Figures => &["It is a scene with figures.", "This shows figures in a scene."],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{View, ViewJitter};
    use image::{Rgb, RgbImage};
    use rand::{Rng, SeedableRng};

    #[test]
    fn every_wording_reads_back_as_the_truth() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..400 {
            let (a, b): ([u8; 3], [u8; 3]) = (rng.random(), rng.random());
            let cut = rng.random_range(0..120);
            let image = RgbImage::from_fn(120, 120, |x, y| match n % 3 {
                0 => Rgb(if x < cut { a } else { b }),
                1 => Rgb(if y < cut { a } else { b }),
                _ => Rgb(if (x + y * y) % 7 < 3 && x > cut { a } else { b }),
            });
            let features = FormalFeatures::measure(&View::jittered(&image, &ViewJitter::NONE));
            let kind = Genre::ALL.get(n % Genre::ALL.len()).copied();
            for question in Question::ALL {
                let (truth, _) = question.truth(&features, kind).expect("has an answer");
                for wording in 0..3 {
                    let said = question.spoken(&features, kind, wording).expect("is said");
                    assert_eq!(question.read_answer(&said), Some(truth), "{question:?}: {said}");
                    assert!(said.ends_with('.') && said.contains(' '), "{said}");
                }
                seen.insert((question.name(), truth));
            }
            assert_eq!(Question::Kind.spoken(&features, None, 0), None);
        }
        assert!(seen.len() > 30, "{seen:?}");
    }
}
