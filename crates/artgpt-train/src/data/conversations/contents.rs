//! What pictures contain, as somebody wrote it down: it corrects the number of persons that a detector finds in them, and
//! adds things, so that a model learns to believe its prompt.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::data::{DataError, Result};
use artgpt_art::{Objects, PERSON};
use artgpt_base::files::read_text;
use artgpt_base::text::printable;
use artgpt_model::detector::is_told;

/// Bytes of the largest file.
const MAX_BYTES: u64 = 64 << 20;

/// The contents of one picture.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contents {
    /// The museum's ID, or the path in the folder of the pictures.
    image: Value,
    /// Persons in it, also small ones.
    persons: usize,
    /// Other things in it, in the detector's words; no complete list.
    #[serde(default)]
    things: Vec<String>,
}

impl Contents {
    /// What is found, set right.
    pub(crate) fn correct(&self, found: &Objects) -> Objects {
        found.corrected(self.persons, &self.things)
    }
}

/// Reads a file of JSON Lines, `{"image": 436535, "persons": 0, "things": ["boat"]}`; by the picture's name.
///
/// # Errors
/// The file cannot be read, or a line is not of this form.
pub(super) fn read(path: &Path) -> Result<HashMap<String, Contents>> {
    let wrong = |reason: String| DataError::Config(format!("contents: {reason}"));
    let text = read_text(path, MAX_BYTES).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut all = HashMap::new();
    for (i, line) in lines {
        let at = |reason: String| wrong(format!("{}, line {}: {reason}", path.display(), i + 1));
        let contents: Contents = serde_json::from_str(line).map_err(|e| at(e.to_string()))?;
        let key = match &contents.image {
            Value::String(name) => name.clone(),
            Value::Number(id) => id.to_string(),
            _ => return Err(at("image is an ID or a path".into())),
        };
        let known = |name: &&String| *name != PERSON && is_told(name);
        if let Some(name) = contents.things.iter().find(|name| !known(name)) {
            return Err(at(format!("the detector has no thing `{}`", printable(name))));
        }
        if all.insert(key, contents).is_some() {
            return Err(at("the picture is there twice".into()));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_by_id_or_path_and_a_wrong_one_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("contents.jsonl");
        let lines = "{\"image\": 5, \"persons\": 2}\n\n{\"image\": \"a/b.png\", \"persons\": 0, \"things\": [\"dog\"]}\n";
        std::fs::write(&path, lines).expect("writes");
        let all = read(&path).expect("reads");
        assert_eq!(all["5"].correct(&Objects::default()).as_prompt(), "2 persons found");
        assert_eq!(all["a/b.png"].correct(&Objects::default()).as_prompt(), "no person found; dog");
        for wrong in [
            "{\"image\": 5}",
            "{\"image\": [], \"persons\": 1}",
            "no",
            "{\"image\": 5, \"persons\": 2}",
            "{\"image\": 6, \"persons\": 2, \"things\": [\"horses\"]}",
            "{\"image\": 6, \"persons\": 2, \"things\": [\"person\"]}",
        ] {
            std::fs::write(&path, format!("{lines}{wrong}\n")).expect("writes");
            let e = read(&path).expect_err("is refused").to_string();
            assert!(e.contains("contents.jsonl, line 4"), "{e}");
        }
    }
}
