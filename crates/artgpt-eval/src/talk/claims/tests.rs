use super::*;
use artgpt_art::{Balance, Colour, Contrast, LightKey, Saturation, Symmetry, Warmth};

/// A dark, brown, warm, muted, symmetrical picture with soft contrast.
fn dark_and_warm() -> FormalFeatures {
    FormalFeatures {
        palette: vec![(Colour::Brown, 0.7), (Colour::Black, 0.2), (Colour::Red, 0.1)],
        light_key: LightKey::Low,
        contrast: Contrast::Soft,
        warmth: Warmth::Warm,
        saturation: Saturation::Muted,
        symmetry: Symmetry::Symmetrical,
        balance: Balance::Even,
        edge_density: 0.1,
    }
}

/// Its opposite: light, blue, cool, vivid, asymmetrical, with strong contrast.
fn light_and_cool() -> FormalFeatures {
    FormalFeatures {
        palette: vec![(Colour::Blue, 0.7), (Colour::White, 0.3)],
        light_key: LightKey::High,
        contrast: Contrast::Strong,
        warmth: Warmth::Cool,
        saturation: Saturation::Vivid,
        symmetry: Symmetry::Asymmetrical,
        ..dark_and_warm()
    }
}

/// Each is true of the first picture, and so contradicts the second.
const CLAIMS: &[&str] = &[
    "The colours are warm.",
    "The palette is very warm overall.",
    "Warm colours dominate.",
    "Warm colours.",
    "The picture is dark in tone, and the figure stands out.",
    "It is a dark picture.",
    "Very dark in tone, with one small lamp.",
    "Low key: dark tones dominate.",
    "A fine thing. The contrast is soft.",
    "Soft contrast.",
    "Muted colours.",
    "The tones here are subdued.",
    "The composition is quite symmetrical.",
    "Symmetrical: left mirrors right.",
    "The picture is mostly brown.",
    "Warm browns lead, with a bit of red.",
    "Brown is the dominant colour.",
    "The main colour is brown.",
];

#[test]
fn a_plain_claim_contradicts_the_opposite_and_nothing_else() {
    for claim in CLAIMS {
        assert!(contradicts(&light_and_cool(), "Tell me more.", claim), "{claim}");
        assert!(!contradicts(&dark_and_warm(), "Tell me more.", claim), "{claim}");
    }
}

#[test]
fn the_opposite_claims_contradict_too() {
    for claim in [
        "The colours are cool.",
        "Cool, light tones. Cold colours dominate the picture.",
        "The image is bright.",
        "High key.",
        "The contrast is strong throughout.",
        "It is a fine picture, and the colours are vivid.",
        "The composition is asymmetrical.",
        "The halves differ.",
        "Blues dominate.",
        "The painting is mainly blue.",
    ] {
        assert!(contradicts(&dark_and_warm(), "Tell me more.", claim), "{claim}");
        assert!(!contradicts(&light_and_cool(), "Tell me more.", claim), "{claim}");
    }
}

#[test]
fn negations_hedges_and_remarks_about_a_part_are_no_contradictions() {
    for remark in [
        "The colours are not warm.",
        "The colours aren't warm at all.",
        "The white collar stands out.",
        "The background is dark, and the dress is warm red.",
        "The colours are warm in the foreground.",
        "The colours of her dress are warm.",
        "There is strong contrast between the white collar and the black coat.",
        "Soft contrast in the sky.",
        "Grey and brown rule, and blue is the accent.",
        "Dark in tone are the trees alone.",
        "The palette is both warm and cool.",
        "The picture is almost symmetrical.",
        "Her hat is mostly brown.",
        "Brown dominates the lower half.",
        "It is a dark night.",
        "Is the picture dark? Look at the sky.",
        "The colours there are warm.",
        "If the palette is warm, the eye rests.",
        "The colours would be warm without the sky.",
        "Light falls from the left, low and soft.",
        "She wears muted colours in the shade.",
        "The picture is darker than its neighbour.",
        "A warm welcome. A brown dog leads the way.",
    ] {
        for remark in [remark.to_string(), remark.replace('\'', "’")] {
            assert!(!contradicts(&light_and_cool(), "Tell me more.", &remark), "{remark}");
        }
    }
}

#[test]
fn both_forms_of_the_apostrophe_are_read() {
    for claim in ["It's a dark picture.", "It’s a dark picture."] {
        assert!(contradicts(&light_and_cool(), "Tell me more.", claim), "{claim}");
        assert!(!contradicts(&dark_and_warm(), "Tell me more.", claim), "{claim}");
    }
}

#[test]
fn a_bare_word_counts_where_the_question_asks_for_it() {
    let asked = |question, answer| contradicts(&light_and_cool(), question, answer);
    assert!(asked("Is it a warm or a cool painting?", "Mostly warm. The browns are deep."));
    assert!(asked("Which colours do you see?", "Mostly brown, with black."));
    assert!(!asked("Is it a warm or a cool painting?", "Cool."));
    assert!(!asked("What is her dress like?", "Mostly brown."));
    assert!(!asked("How does the sea feel?", "Warm."));
    assert!(!asked("Is her coat warm?", "Warm."));
}

#[test]
fn classes_in_the_middle_contradict_nothing() {
    let middle = FormalFeatures {
        light_key: LightKey::Middle,
        contrast: Contrast::Moderate,
        warmth: Warmth::Neutral,
        saturation: Saturation::Medium,
        symmetry: Symmetry::Partial,
        palette: vec![(Colour::Brown, 0.5), (Colour::Blue, 0.5)],
        ..dark_and_warm()
    };
    for claim in CLAIMS {
        assert!(!contradicts(&middle, "Tell me more.", claim), "{claim}");
    }
}
