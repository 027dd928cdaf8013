//! Labels: what is known of an artwork besides its pixels.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ArtError;
use artgpt_base::decode::strict_text;
use artgpt_base::files::read_limited;

/// Limit on the bytes of a sidecar.
const MAX_BYTES: u64 = 1 << 20;
/// Limit on the characters of a field.
const MAX_CHARS: usize = 1000;

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
        let bytes = match read_limited(&sidecar, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(ArtError::Io { path: sidecar.display().to_string(), source });
            }
        };
        let wrong =
            |reason: String| ArtError::Label { path: sidecar.display().to_string(), reason };
        let text = strict_text(bytes).map_err(|e| wrong(e.to_string()))?;
        let label: Self = toml::from_str(&text).map_err(|e| wrong(e.message().to_string()))?;
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

    /// Removes control characters and blank fields, so that the label is safe to print, and cuts fields
    /// that are longer than a label's: every prompt and every stored turn contains it.
    pub(crate) fn cleaned(mut self) -> Self {
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
                .map(|v| shortened(artgpt_base::text::printable(v.trim())))
                .filter(|v| !v.is_empty());
        }
        self
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_small_regular_file_with_fields_of_bounded_length() {
        let dir = tempfile::tempdir().expect("temp dir");
        let picture = dir.path().join("p.jpg");
        let sidecar = Label::sidecar(&picture);
        std::fs::write(&sidecar, format!("title = \"{}\"", "é".repeat(5000))).expect("write");
        let label = Label::beside(&picture).expect("reads").expect("is there");
        let title = label.title.expect("a title");
        assert_eq!((title.chars().count(), title.ends_with('…')), (MAX_CHARS + 1, true));
        std::fs::write(&sidecar, b"\xff\xfet\0i\0t\0l\0e\0=\0'\0A\0'\0").expect("write");
        let title = Label::beside(&picture).expect("reads").and_then(|label| label.title);
        assert_eq!(title.as_deref(), Some("A"));
        std::fs::write(&sidecar, b"title = 'Caf\xe9'").expect("write");
        assert!(matches!(Label::beside(&picture), Err(ArtError::Label { .. })));
        std::fs::write(&sidecar, vec![b'#'; (1 << 20) + 1]).expect("write");
        assert!(matches!(Label::beside(&picture), Err(ArtError::Io { .. })));
        // Neither is read: one would never end, the other never begin.
        for device in ["/dev/zero", "/dev/tty"] {
            std::fs::remove_file(&sidecar).expect("removes");
            std::os::unix::fs::symlink(device, &sidecar).expect("links");
            assert!(matches!(Label::beside(&picture), Err(ArtError::Io { .. })), "{device}");
        }
        std::fs::remove_file(&sidecar).expect("removes");
        let made = std::process::Command::new("mkfifo").arg(&sidecar).status().expect("runs");
        assert!(made.success() && matches!(Label::beside(&picture), Err(ArtError::Io { .. })));
    }

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
