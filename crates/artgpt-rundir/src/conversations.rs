//! `[data]` with `kind = "conversations"`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Conversations about pictures, and where the pictures are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationsConfig {
    /// Distinguishes the table from that of captions.
    pub kind: ConversationsKind,
    /// The files.
    pub path: Paths,
    /// A folder of pictures, or a museum, by whose IDs the files name paintings; by default the
    /// folder of each file, or `image` or `images` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// JSON Lines of what the pictures contain: it corrects the number of persons that a detector finds, and adds
    /// things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<PathBuf>,
    /// Share of the pictures held out from training; a museum has a split of its own.
    #[serde(default = "held_out")]
    pub held_out: f64,
}

/// The `kind` of [`ConversationsConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationsKind {
    /// The only one; the format of a file is recognised by its keys.
    Conversations,
}

/// One path or several; `*` matches any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Paths {
    /// One.
    One(PathBuf),
    /// Several.
    Many(Vec<PathBuf>),
}

fn held_out() -> f64 {
    0.02
}

impl Paths {
    /// All of them.
    pub fn all(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

impl std::fmt::Display for Paths {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let all: Vec<String> = self.all().iter().map(|p| p.display().to_string()).collect();
        f.write_str(&all.join(", "))
    }
}

impl ConversationsConfig {
    /// The first value out of range, if there is one.
    pub fn problem(&self) -> Option<&'static str> {
        if !(0.0..1.0).contains(&self.held_out) {
            return Some("held_out is a share, from 0 up to but not 1");
        }
        self.path.all().is_empty().then_some("path names no file")
    }

    /// The same with absolute paths; a museum keeps its name.
    pub(crate) fn absolute(self, here: &Path) -> Self {
        let path = match self.path {
            Paths::One(path) => Paths::One(rooted(here, &path)),
            Paths::Many(paths) => {
                Paths::Many(paths.iter().map(|path| rooted(here, path)).collect())
            }
        };
        let images = self.images.map(|images| match here.join(&images) {
            folder if folder.is_dir() => folder.display().to_string(),
            _ => images,
        });
        let contents = self.contents.map(|contents| here.join(contents));
        Self { path, images, contents, ..self }
    }
}

/// A path from `here`, in whose own name no character stands for others if the path is a pattern.
fn rooted(here: &Path, path: &Path) -> PathBuf {
    let plain = here.join(path);
    if path.is_absolute() || plain.is_file() || !path.to_string_lossy().contains(['*', '?', '[']) {
        return plain;
    }
    let escape = |c: char| match c {
        '*' | '?' | '[' => format!("[{c}]"),
        c => c.to_string(),
    };
    let here: String = here.to_string_lossy().chars().map(escape).collect();
    Path::new(&here).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_bracket_in_its_name_is_no_pattern() {
        let here = Path::new("/a [1]/b?");
        assert_eq!(rooted(here, Path::new("c.jsonl")), Path::new("/a [1]/b?/c.jsonl"));
        assert_eq!(rooted(here, Path::new("*.jsonl")), Path::new("/a [[]1]/b[?]/*.jsonl"));
        assert_eq!(rooted(here, Path::new("/d/*.jsonl")), Path::new("/d/*.jsonl"));
    }
}
