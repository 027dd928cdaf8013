//! Reads W&B's tables: `media/table/*.table.json` beside a run's log (`wandb/data_types.py`).

use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::MediaError;
use crate::readers::{repaired, unrepaired};

/// Limit on a table file's bytes.
pub const LARGEST: u64 = 32 << 20;
/// Limit on the rows kept.
const MAX_ROWS: usize = 10_000;
/// Limit on the columns kept.
const MAX_COLUMNS: usize = 500;
/// Limit on a cell's characters; the rest is cut.
const MAX_CELL_CHARS: usize = 1_000;
/// Cells with more bytes of JSON are shown unparsed.
const MAX_PARSED_CELL: usize = 16 << 10;

/// The first rows of a table, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows; none has more cells than there are columns.
    pub rows: Vec<Vec<String>>,
    /// Number of rows that are not kept.
    pub left_out: usize,
    /// Whether all rows, columns and cells are complete.
    pub is_whole: bool,
}

#[derive(serde::Deserialize)]
struct File {
    columns: First<Cell, MAX_COLUMNS>,
    data: First<First<Cell, MAX_COLUMNS>, MAX_ROWS>,
}

/// Parses a table in W&B's JSON format.
///
/// # Errors
/// [`MediaError::Table`]
pub fn table(json: &[u8]) -> Result<Rows, MediaError> {
    let file: File = serde_json::from_slice(&repaired(json))?;
    let whole =
        |cells: &First<Cell, MAX_COLUMNS>| cells.more == 0 && !cells.kept.iter().any(|c| c.cut);
    let is_whole = whole(&file.columns) && file.data.more == 0 && file.data.kept.iter().all(whole);
    let text = |cells: First<Cell, MAX_COLUMNS>| -> Vec<String> {
        cells.kept.into_iter().map(|cell| cell.text).collect()
    };
    let columns = text(file.columns);
    let is_whole = is_whole && file.data.kept.iter().all(|row| row.kept.len() <= columns.len());
    let rows = file.data.kept.into_iter().map(|row| {
        let mut row = text(row);
        row.truncate(columns.len());
        row
    });
    Ok(Rows { rows: rows.collect(), columns, left_out: file.data.more, is_whole })
}

/// The first `N` items of a list; the others are counted but not parsed.
struct First<T, const N: usize> {
    kept: Vec<T>,
    more: usize,
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for FirstVisitor<T, N> {
            type Value = First<T, N>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut kept, mut more) = (Vec::new(), 0);
                while kept.len() < N {
                    let Some(item) = list.next_element()? else { break };
                    kept.push(item);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    more += 1;
                }
                Ok(First { kept, more })
            }
        }
        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

struct Cell {
    text: String,
    cut: bool,
}

impl<'de> Deserialize<'de> for Cell {
    /// A cell that refers to a file becomes the file's path. Large cells are cut without being parsed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let value =
            if raw.len() <= MAX_PARSED_CELL { serde_json::from_str(raw).ok() } else { None };
        let mut text = match value {
            None => raw.chars().take(MAX_CELL_CHARS + 1).collect(),
            Some(value) => cell_text(&value),
        };
        let end = text.char_indices().nth(MAX_CELL_CHARS).map(|(end, _)| end);
        if let Some(end) = end {
            text.truncate(end);
            text.shrink_to_fit();
        }
        Ok(Self { text, cut: end.is_some() })
    }
}

/// A cell's value as text.
fn cell_text(value: &Value) -> String {
    let path = value.get("_type").and_then(|_| value.get("path"));
    match path.unwrap_or(value) {
        Value::String(text) => match unrepaired(text) {
            Some(number) => number.to_string(),
            None => text.clone(),
        },
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_cells_show_their_path_and_excess_rows_are_skipped() {
        let json = r#"{"columns": ["id", 2], "data": [[1, "a", "too much"], [null],
            [NaN, {"_type": "image-file", "path": "media/images/x.png", "sha256": "00"}]]}"#;
        let rows = table(json.as_bytes()).expect("a table");
        assert_eq!(rows.columns, ["id", "2"]);
        assert_eq!(rows.rows[0], ["1", "a"]);
        assert_eq!(rows.rows[1], [""]);
        assert_eq!(rows.rows[2], ["NaN", "media/images/x.png"]);
        assert!(!rows.is_whole, "a cell has no column");
        assert!(table(br#"{"columns": ["a"], "data": [[1], []]}"#).expect("a table").is_whole);
        // A cell of many megabytes costs no more than it shows.
        let large =
            format!(r#"{{"columns": ["a"], "data": [[[{}0]]]}}"#, "{\"\":0},".repeat(1_000_000));
        let rows = table(large.as_bytes()).expect("a table");
        assert!(rows.rows[0][0].len() == MAX_CELL_CHARS && !rows.is_whole);
        // A million columns with ten thousand rows under them.
        let wide = format!("[{}0]", "0,".repeat(1_000_000));
        let high = format!("[{}[]]", "[],".repeat(20_000));
        let json = format!(r#"{{"columns": {wide}, "data": {high}}}"#);
        let rows = table(json.as_bytes()).expect("a table");
        assert_eq!((rows.columns.len(), rows.rows.len(), rows.left_out), (500, 10_000, 10_001));
        assert!(!rows.is_whole);
        assert!(table(b"[]").is_err());
    }
}
