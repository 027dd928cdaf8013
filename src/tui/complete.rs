//! Completion of a path to a picture or a configuration.

use std::path::{Path, PathBuf};

const EXTENSIONS: &[&str] = &["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];
/// Names listed at most.
const LIMIT: usize = 500;

/// `~` is the home folder, as in a shell.
pub(crate) fn expand(text: &str) -> PathBuf {
    match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => directories::BaseDirs::new()
            .map_or_else(
                || PathBuf::from(text),
                |b| b.home_dir().join(rest.trim_start_matches('/')),
            ),
        _ => PathBuf::from(text),
    }
}

/// What is meant by a text in which a new path begins: after `//`, or at a `~` behind a slash.
pub(crate) fn restart(text: &str) -> &str {
    let slash = text.rfind("//").map(|at| at + 1);
    let home = text.rfind("/~").map(|at| at + 1);
    &text[slash.max(home).unwrap_or(0)..]
}

/// A path that could be meant, and the title of the picture there, where a museum says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub path: String,
    pub title: Option<String>,
}

impl From<&str> for Candidate {
    fn from(path: &str) -> Self {
        Self { path: path.into(), title: None }
    }
}

/// What could stand in place of `text`: folders (with a slash) and pictures, in order; pictures also
/// by a part of their titles.
pub(crate) fn candidates(text: &str) -> Vec<Candidate> {
    matching(text, &is_picture)
}

/// The same for files whose names `suits`.
pub(crate) fn matching(text: &str, suits: &dyn Fn(&str) -> bool) -> Vec<Candidate> {
    let (folder, start) = match text.rfind('/') {
        Some(at) => text.split_at(at + 1),
        None => ("", text),
    };
    let path = if folder.is_empty() { PathBuf::from(".") } else { expand(folder) };
    let Ok(entries) = std::fs::read_dir(&path) else { return Vec::new() };
    let titles = artgpt_art::titles(&path);
    let wanted = start.to_lowercase();
    let mut found: Vec<Candidate> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !start.starts_with('.');
            let title = titles.get(&name).cloned();
            let called = |t: &String| !start.is_empty() && t.to_lowercase().contains(&wanted);
            if hidden || !(name.starts_with(start) || title.as_ref().is_some_and(called)) {
                return None;
            }
            if entry.path().is_dir() {
                return Some(Candidate { path: format!("{folder}{name}/"), title: None });
            }
            suits(&name).then(|| Candidate { path: format!("{folder}{name}"), title })
        })
        .take(LIMIT)
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The longest beginning that all candidates share.
pub(crate) fn common_prefix(candidates: &[Candidate]) -> Option<String> {
    let first = &candidates.first()?.path;
    let shared = candidates[1..].iter().fold(first.len(), |n, c| {
        let same = first.bytes().zip(c.path.bytes()).take_while(|(a, b)| a == b).count();
        n.min(same)
    });
    let end = (0..=shared).rev().find(|i| first.is_char_boundary(*i))?;
    Some(first[..end].to_string())
}

fn is_picture(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_pictures_complete_and_other_files_do_not() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("night")).expect("dir");
        for name in ["night.jpg", "night.txt", "née.png", ".night.png"] {
            std::fs::write(dir.path().join(name), b"x").expect("write");
        }
        let base = format!("{}/", dir.path().display());
        let found = candidates(&format!("{base}ni"));
        let paths: Vec<&str> = found.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(paths, [format!("{base}night.jpg"), format!("{base}night/")]);
        assert_eq!(common_prefix(&found), Some(format!("{base}night")));
        assert_eq!(candidates(&format!("{base}n")).len(), 3);
        assert_eq!(common_prefix(&["é".into(), "è".into()]), Some(String::new()));
        assert!(candidates("/no/such/folder/").is_empty());
        // A museum's record says what a number shows.
        let record =
            r#"{"objects": [{"objectID": 7, "title": "Wheat", "artistDisplayName": "A. B."}]}"#;
        std::fs::write(dir.path().join("objects.json"), record).expect("write");
        std::fs::write(dir.path().join("7.jpg"), b"x").expect("write");
        assert_eq!(candidates(&format!("{base}7"))[0].title.as_deref(), Some("Wheat, A. B."));
        assert_eq!(candidates(&format!("{base}whe"))[0].path, format!("{base}7.jpg"));
        assert_eq!(restart("/a/b//tmp/x"), "/tmp/x");
        assert_eq!(restart("/a/b/~/x"), "~/x");
        assert_eq!(restart("/a/b"), "/a/b");
    }
}
