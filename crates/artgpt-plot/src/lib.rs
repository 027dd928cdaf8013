//! The font of charts. The program embeds it, because servers often have no fonts.

use std::sync::Once;

use plotters::style::{FontStyle, register_font};

/// Font names that plotters requests; its default is `sans-serif`.
const NAMES: [&str; 2] = ["monospace", "sans-serif"];

/// Registers the font with plotters. Call it before drawing, also for SVG, which needs text widths.
pub fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for name in NAMES {
            // With a damaged font drawing fails later, with an error.
            let _ = register_font(name, FontStyle::Normal, epaint_default_fonts::HACK_REGULAR);
        }
    });
}
