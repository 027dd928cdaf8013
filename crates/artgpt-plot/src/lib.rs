//! The font of charts. It comes with the program: machines without a screen have none.

use std::sync::Once;

use plotters::style::{FontStyle, register_font};

/// Names by which plotters asks for it; its own default is `sans-serif`.
const NAMES: [&str; 2] = ["monospace", "sans-serif"];

/// Makes text drawable, in files of vectors, too: there its width is measured. Call before drawing.
pub fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for name in NAMES {
            // A font that is damaged leaves a chart that cannot be drawn, and says so there.
            let _ = register_font(name, FontStyle::Normal, epaint_default_fonts::HACK_REGULAR);
        }
    });
}
