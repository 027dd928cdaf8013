//! Pictures in a terminal: half-blocks inside ratatui's buffer everywhere, a real picture by
//! viuer where the terminal has said that it can show one.

mod blocks;
mod picture;
mod probe;

pub(crate) use blocks::{ColourDepth, paint};
pub(crate) use picture::PicturePrinter;
pub(crate) use probe::{Replies, probe};

use ratatui::layout::Rect;

use artgpt_app::settings::GraphicsChoice;

/// How pictures are drawn in this terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Kitty,
    Iterm,
    Sixel,
    Blocks,
    None,
}

impl Protocol {
    /// Whether ratatui draws the picture as text.
    pub(crate) fn in_buffer(self) -> bool {
        matches!(self, Self::Blocks | Self::None)
    }
}

/// What is known about the terminal before it was asked anything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub term: String,
    pub colorterm: String,
    /// Inside tmux or screen, which swallow or garble picture escapes.
    pub multiplexer: bool,
    pub no_color: bool,
    /// iTerm2's protocol can only be told from the environment.
    pub iterm: bool,
}

impl Environment {
    pub(crate) fn read() -> Self {
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        let term = var("TERM");
        Self {
            multiplexer: std::env::var_os("TMUX").is_some()
                || std::env::var_os("STY").is_some()
                || term.starts_with("tmux")
                || term.starts_with("screen"),
            // https://no-color.org: set and not empty.
            no_color: std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()),
            iterm: viuer::is_iterm_supported(),
            colorterm: var("COLORTERM"),
            term,
        }
    }

    pub(crate) fn colours(&self) -> ColourDepth {
        let direct = ["kitty", "alacritty", "wezterm", "ghostty", "foot", "direct"];
        if self.no_color || self.term == "dumb" {
            ColourDepth::None
        } else if matches!(self.colorterm.as_str(), "truecolor" | "24bit")
            || direct.iter().any(|d| self.term.contains(d))
        {
            ColourDepth::True
        } else if self.term.contains("256") || self.multiplexer || self.term.starts_with("xterm") {
            ColourDepth::Indexed256
        } else {
            ColourDepth::Indexed16
        }
    }

    /// Whether asking the terminal is of any use.
    pub(crate) fn wants_probe(&self, choice: GraphicsChoice) -> bool {
        match choice {
            GraphicsChoice::Auto => !self.multiplexer && self.term != "dumb",
            GraphicsChoice::Kitty | GraphicsChoice::Sixel | GraphicsChoice::Iterm => true,
            GraphicsChoice::Blocks | GraphicsChoice::None => false,
        }
    }
}

/// Chooses a protocol. A terminal that did not answer gets half-blocks.
pub(crate) fn choose(
    choice: GraphicsChoice,
    env: &Environment,
    replies: Option<&Replies>,
) -> Protocol {
    let says = |f: fn(&Replies) -> bool| replies.is_some_and(f);
    let when = |yes: bool, protocol: Protocol| if yes { protocol } else { Protocol::Blocks };
    match choice {
        GraphicsChoice::None => Protocol::None,
        GraphicsChoice::Blocks => Protocol::Blocks,
        GraphicsChoice::Kitty => when(says(|r| r.kitty), Protocol::Kitty),
        GraphicsChoice::Sixel => when(says(|r| r.sixel), Protocol::Sixel),
        GraphicsChoice::Iterm => when(env.iterm && says(|r| r.answered), Protocol::Iterm),
        GraphicsChoice::Auto if env.multiplexer || env.no_color => Protocol::Blocks,
        GraphicsChoice::Auto if says(|r| r.kitty) => Protocol::Kitty,
        GraphicsChoice::Auto if env.iterm && says(|r| r.answered) => Protocol::Iterm,
        GraphicsChoice::Auto => when(says(|r| r.sixel), Protocol::Sixel),
    }
}

/// Cells for a picture of `size` pixels inside `area`, centred, its shape kept. `cell` is a
/// cell's size in pixels. Empty where nothing fits.
pub(crate) fn fit(size: (u32, u32), area: Rect, cell: (u16, u16)) -> Rect {
    let (w, h) = (f64::from(size.0.max(1)), f64::from(size.1.max(1)));
    let (cw, ch) = (f64::from(cell.0.max(1)), f64::from(cell.1.max(1)));
    let scale = (f64::from(area.width) * cw / w).min(f64::from(area.height) * ch / h);
    let cells = |pixels: f64, cell: f64, room: u16| {
        ((pixels * scale / cell).round().max(1.0) as u16).min(room)
    };
    let (width, height) = (cells(w, cw, area.width), cells(h, ch, area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_terminal_and_a_multiplexer_get_blocks() {
        let env = Environment { term: "xterm-256color".into(), ..Environment::default() };
        assert_eq!(choose(GraphicsChoice::Auto, &env, None), Protocol::Blocks);
        let kitty = Replies { answered: true, kitty: true, ..Replies::default() };
        assert_eq!(choose(GraphicsChoice::Auto, &env, Some(&kitty)), Protocol::Kitty);
        let tmux = Environment { multiplexer: true, iterm: true, ..env.clone() };
        assert_eq!(choose(GraphicsChoice::Auto, &tmux, Some(&kitty)), Protocol::Blocks);
        let no_sixel = Replies { answered: true, ..Replies::default() };
        assert_eq!(choose(GraphicsChoice::Sixel, &env, Some(&no_sixel)), Protocol::Blocks);
        assert_eq!(choose(GraphicsChoice::None, &env, Some(&kitty)), Protocol::None);
    }

    #[test]
    fn a_picture_keeps_its_shape_and_stays_inside() {
        let area = Rect::new(5, 2, 40, 20);
        let wide = fit((800, 400), area, (10, 20));
        assert_eq!((wide.width, wide.height), (40, 10));
        let tall = fit((100, 4000), area, (10, 20));
        assert_eq!((tall.width, tall.height), (1, 20));
        for size in [(1, 1), (10_000, 1), (1, 10_000)] {
            assert_eq!(area.intersection(fit(size, area, (8, 16))), fit(size, area, (8, 16)));
        }
    }
}
