//! W&B's tables: `media/table/*.table.json` beside a run's log (`wandb/data_types.py`).

use serde::Deserialize;
use serde_json::Value;

/// More rows than this nobody turns over.
const MOST_ROWS: usize = 10_000;
/// Letters of a cell; the rest is cut.
const LONGEST: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    /// Each as long as the columns.
    pub rows: Vec<Vec<String>>,
    /// Rows that are not among them.
    pub left_out: usize,
}

#[derive(Deserialize)]
struct File {
    columns: Vec<Value>,
    data: Vec<Vec<Value>>,
}

/// A table as W&B writes it; the error says why it cannot be read.
pub fn table(json: &[u8]) -> Result<Rows, String> {
    let file: File = serde_json::from_slice(json)
        .map_err(|e| format!("it is no table that can be read: {e}"))?;
    let columns: Vec<String> = file.columns.iter().map(cell).collect();
    let left_out = file.data.len().saturating_sub(MOST_ROWS);
    let rows = file.data.iter().take(MOST_ROWS).map(|row| {
        let mut row: Vec<String> = row.iter().map(cell).collect();
        row.resize(columns.len(), String::new());
        row
    });
    Ok(Rows { rows: rows.collect(), columns, left_out })
}

/// A picture or another file in a cell is told by its place.
fn cell(value: &Value) -> String {
    let path = value.get("_type").and_then(|_| value.get("path"));
    let mut text = match path.unwrap_or(value) {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ragged_rows_are_made_even_and_files_are_told_by_their_place() {
        let json = r#"{"columns": ["id", 2], "data": [[1, "a", "too much"], [null],
            [2.5, {"_type": "image-file", "path": "media/images/x.png", "sha256": "00"}]]}"#;
        let rows = table(json.as_bytes()).expect("a table");
        assert_eq!(rows.columns, ["id", "2"]);
        assert_eq!(rows.rows, [["1", "a"], ["", ""], ["2.5", "media/images/x.png"]]);
        assert!(table(b"[]").is_err());
    }
}
