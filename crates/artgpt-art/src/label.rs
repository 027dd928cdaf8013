//! Labels: what is known of an artwork besides its pixels.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ArtError;

/// A museum label. Every field is optional, and the program never guesses a missing one.
///
/// The sidecar file of `night.jpg` is `night.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Title of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// Date, as the museum writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Medium, such as "oil on canvas".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
    /// Culture or place of origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culture: Option<String>,
    /// Credit line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
}

impl Label {
    /// Reads the sidecar of the image at `path`; `None` if there is none, or if all its fields are blank.
    ///
    /// # Errors
    /// [`ArtError::Io`] if it cannot be read, [`ArtError::Label`] if it does not parse.
    pub fn beside(path: &Path) -> Result<Option<Self>, ArtError> {
        let sidecar = Self::sidecar(path);
        let text = match std::fs::read_to_string(&sidecar) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(ArtError::Io { path: sidecar.display().to_string(), source });
            }
        };
        let label: Self = toml::from_str(&text).map_err(|e| ArtError::Label {
            path: sidecar.display().to_string(),
            reason: e.message().to_string(),
        })?;
        Ok(Some(label.cleaned()).filter(|l| *l != Self::default()))
    }

    /// The path of the sidecar of the image at `path`.
    pub(crate) fn sidecar(path: &Path) -> PathBuf {
        path.with_extension("toml")
    }

    /// The fields that are known and that the prompt contains, in its order, as names and values.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("title", &self.title),
            ("artist", &self.artist),
            ("date", &self.date),
            ("medium", &self.medium),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|v| (name, v)))
    }

    /// The label as the prompt contains it: `title: …; artist: …`, or `none`.
    pub fn as_prompt(label: Option<&Self>) -> String {
        let known: Vec<_> = label
            .into_iter()
            .flat_map(Self::fields)
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        if known.is_empty() { "none".into() } else { known.join("; ") }
    }

    /// Removes control characters and blank fields, so that the label is safe to print.
    fn cleaned(mut self) -> Self {
        for field in [
            &mut self.title,
            &mut self.artist,
            &mut self.date,
            &mut self.medium,
            &mut self.culture,
            &mut self.credit,
        ] {
            *field = field
                .take()
                .map(|v| artgpt_base::text::printable(v.trim()))
                .filter(|v| !v.is_empty());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_fields_are_unknown_and_escapes_are_harmless() {
        let dir = tempfile::tempdir().expect("temp dir");
        let picture = dir.path().join("p.jpg");
        std::fs::write(Label::sidecar(&picture), "title = \"A\\u001b[31m\"\nartist = \"  \"\n")
            .expect("write");
        let label = Label::beside(&picture).expect("reads").expect("is there");
        assert_eq!(label.artist, None);
        assert!(!label.title.as_deref().unwrap_or_default().contains('\u{1b}'));
    }

    #[test]
    fn no_label_is_said_not_invented() {
        assert_eq!(Label::as_prompt(None), "none");
        let label = Label { date: Some("1660".into()), ..Label::default() };
        assert_eq!(Label::as_prompt(Some(&label)), "date: 1660");
    }
}
