//! One row of a source: named values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Part;

/// Values by their [`normalised`] field names, without empty ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row(BTreeMap<String, String>);

/// The name of a field in templates, and its names in known sources.
const ALIASES: &[(&str, &[&str])] = &[
    (
        "image",
        &["imagepath", "imagefile", "filename", "filepath", "file", "path", "imageid", "key"],
    ),
    ("caption", &["text", "description", "utterance", "textinput", "alttext"]),
    ("artist", &["artistdisplayname", "artistname", "creator", "author"]),
    ("date", &["objectdate", "year", "completiton"]),
    ("style", &["artstyle"]),
    ("objectid", &["id", "objectnumber"]),
];

/// Lower case, letters and digits only: `Artist Display Name` and `artistDisplayName` are one.
pub(super) fn normalised(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a [`normalised`] name is a field of templates, or another name of one.
pub(crate) fn is_known(name: &str) -> bool {
    ALIASES.iter().any(|(field, others)| *field == name || others.contains(&name))
}

impl Row {
    pub(super) fn of<K: AsRef<str>, V: Into<String>>(
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut row = Self::default();
        for (name, value) in fields {
            row.set(name.as_ref(), value.into());
        }
        row
    }

    /// The simple values of an object; a list is joined by commas, its `term` taken of objects.
    pub(super) fn of_json(object: &serde_json::Map<String, Value>) -> Self {
        Self::of(object.iter().filter_map(|(name, value)| Some((name, text(value)?))))
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        let value = value.trim();
        if !value.is_empty() {
            self.0.insert(normalised(name), value.to_string());
        }
    }

    /// Adds the fields of `other` that this row lacks.
    pub(super) fn fill(&mut self, other: Self) {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    /// The value of a field, by its own name or an alias.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let known = self.0.get(name);
        known
            .or_else(|| {
                let (_, others) = ALIASES.iter().find(|(field, _)| *field == name)?;
                others.iter().find_map(|other| self.0.get(*other))
            })
            .map(String::as_str)
    }

    /// The score in the field `name`, or in the first whose name starts with `aesthetic`.
    pub(super) fn score(&self, name: Option<&str>) -> Option<f32> {
        let value = match name {
            Some(name) => self.0.get(&normalised(name))?,
            None => self.0.iter().find(|(name, _)| name.starts_with("aesthetic"))?.1,
        };
        value.parse().ok().filter(|score: &f32| score.is_finite())
    }

    /// The source's own split, if it has one.
    ///
    /// # Errors
    /// The split's name, if it is unknown.
    pub(super) fn split(&self) -> Result<Option<Part>, String> {
        let Some(split) = self.0.get("split") else { return Ok(None) };
        match split.to_lowercase().as_str() {
            "train" | "training" => Ok(Some(Part::Train)),
            "val" | "valid" | "validation" | "test" | "testing" | "dev" => Ok(Some(Part::HeldOut)),
            _ => Err(split.clone()),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Array(items) => {
            let parts: Vec<String> = items
                .iter()
                .filter_map(|item| match item {
                    Value::Object(object) => text(object.get("term").or(object.get("name"))?),
                    other => text(other),
                })
                .collect();
            Some(parts.join(", "))
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_spelling_and_nothing_is_made_of_an_empty_value() {
        let json = serde_json::json!({
            "artistDisplayName": "Goya", "Object ID": 7, "medium": " ",
            "tags": [{"term": "Men"}, {"term": "Horses"}], "AESTHETIC_SCORE": "6.5",
        });
        let row = Row::of_json(json.as_object().expect("is one"));
        assert_eq!(row.get("artist"), Some("Goya"));
        assert_eq!(row.get("objectid"), Some("7"));
        assert_eq!(row.get("medium"), None);
        assert_eq!(row.get("tags"), Some("Men, Horses"));
        assert_eq!(row.score(None), Some(6.5));
        assert_eq!(row.score(Some("punsafe")), None);
        let split = |name: &str| Row::of([("split", name)]).split();
        assert_eq!(split("Valid"), Ok(Some(Part::HeldOut)));
        assert_eq!((split("train"), split("")), (Ok(Some(Part::Train)), Ok(None)));
        assert!(split("rest").is_err());
    }
}
