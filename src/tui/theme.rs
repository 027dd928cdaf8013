//! Colours, from TOML. The shipped themes are inside the program.

use std::path::Path;
use std::str::FromStr;

use artgpt_base::files::read_text;
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

const MAX_BYTES: u64 = 1 << 20;

pub(crate) const BUILTIN: &[(&str, &str)] = &[
    ("gallery", include_str!("../../themes/gallery.toml")),
    ("paper", include_str!("../../themes/paper.toml")),
    ("night", include_str!("../../themes/night.toml")),
];

#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    #[error("there is no theme `{0}`")]
    Unknown(String),
    #[error("the theme {name} is wrong ({reason})")]
    Invalid { name: String, reason: String },
}

impl ThemeError {
    /// What the user can do.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Unknown(_) => "use gallery, paper, night or the path of a theme file",
            Self::Invalid { .. } => "compare it with themes/gallery.toml",
        };
        hint.into()
    }
}

/// Styles by meaning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theme {
    pub text: Style,
    pub dim: Style,
    pub accent: Style,
    pub user: Style,
    pub assistant: Style,
    pub border: Style,
    pub success: Style,
    pub error: Style,
    pub selected: Style,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    name: String,
    colours: Colours,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Colours {
    text: String,
    dim: String,
    accent: String,
    user: String,
    assistant: String,
    border: String,
    success: String,
    error: String,
    background: Option<String>,
}

impl Theme {
    /// A shipped theme's name, or a file's path. Without `colour` (NO_COLOR) only modifiers stay.
    pub(crate) fn load(name: &str, colour: bool) -> Result<Self, ThemeError> {
        if !colour {
            return Ok(Self::plain());
        }
        if let Some((_, text)) = BUILTIN.iter().find(|(n, _)| *n == name) {
            return Self::parse(name, text);
        }
        if !Path::new(name).is_file() {
            return Err(ThemeError::Unknown(artgpt_base::text::printable(name)));
        }
        let text = read_text(Path::new(name), MAX_BYTES)
            .map_err(|e| ThemeError::Invalid { name: name.into(), reason: e.to_string() })?;
        Self::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, ThemeError> {
        let bad = |reason: String| ThemeError::Invalid { name: name.into(), reason };
        let file: ThemeFile = toml::from_str(text).map_err(|e| bad(e.message().into()))?;
        let colour = |s: &str| {
            Color::from_str(s).map_err(|_| bad(format!("`{s}` is no colour (in {})", file.name)))
        };
        let background = file.colours.background.as_deref().map(colour).transpose()?;
        let style = |s: &str| -> Result<Style, ThemeError> {
            let style = Style::new().fg(colour(s)?);
            Ok(background.map_or(style, |b| style.bg(b)))
        };
        let accent = style(&file.colours.accent)?;
        Ok(Self {
            text: style(&file.colours.text)?,
            dim: style(&file.colours.dim)?,
            accent,
            user: style(&file.colours.user)?,
            assistant: style(&file.colours.assistant)?,
            border: style(&file.colours.border)?,
            success: style(&file.colours.success)?,
            error: style(&file.colours.error)?,
            selected: accent.add_modifier(Modifier::REVERSED),
        })
    }

    /// No colours at all.
    pub(crate) fn plain() -> Self {
        let plain = Style::new();
        Self {
            text: plain,
            dim: plain,
            accent: plain.add_modifier(Modifier::BOLD),
            user: plain.add_modifier(Modifier::BOLD),
            assistant: plain,
            border: plain,
            success: plain,
            error: plain.add_modifier(Modifier::BOLD),
            selected: plain.add_modifier(Modifier::REVERSED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_themes_load_and_a_wrong_one_is_named() {
        for (name, _) in BUILTIN {
            Theme::load(name, true).expect("loads");
        }
        assert!(matches!(Theme::load("no-such", true), Err(ThemeError::Unknown(_))));
        let text = BUILTIN[0].1.replace("cyan", "cyanide");
        let e = Theme::parse("mine", &text).expect_err("no colour");
        assert!(e.to_string().contains("cyanide"), "{e}");
        assert_eq!(Theme::load("paper", false).expect("plain").text.fg, None);
    }
}
