//! What a text file holds, by its first lines: tables and JSON whose names say nothing.

use std::io::Read;
use std::path::Path;

use super::readers::{is_counted_table, is_metrics_object, is_metrics_table};
use artgpt_base::decode;

/// Bytes that are looked at.
const HEAD: u64 = 16 << 10;

/// What the first lines of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// JSON objects with steps, one a line.
    Lines,
    /// One such object alone, which may be a result.
    Line,
    /// A `trainer_state.json` of another name.
    State,
    /// A table with a column of steps or epochs.
    Table,
    /// Rows of numbers without a head; the first number counts up.
    Numbers,
    /// Nothing that is read unasked, and why.
    Other(String),
}

/// Looks at the beginning of a file.
pub(super) fn content(path: &Path) -> Content {
    match head(path) {
        Ok(text) => of_text(&text),
        Err(e) => Content::Other(e.to_string()),
    }
}

fn head(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    // Reading a FIFO would block.
    if path.metadata()?.is_file() {
        std::fs::File::open(path)?.take(HEAD).read_to_end(&mut bytes)?;
    }
    Ok(decode::text(bytes)?)
}

fn of_text(text: &str) -> Content {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return Content::Other("it is empty".into()) };
    if first.starts_with(['{', '[']) {
        // Of an object over several lines the first alone is no JSON.
        let is_line = |line: &str| is_metrics_object(line.trim_end_matches(','));
        let head: Vec<&str> = std::iter::once(first).chain(lines.take(5)).collect();
        return match () {
            () if head.len() > 1 && head.iter().any(|line| is_line(line)) => Content::Lines,
            () if is_line(first) => Content::Line,
            () if text.contains("\"log_history\"") => Content::State,
            () => Content::Other("its first lines have no step and no epoch".into()),
        };
    }
    let table: Vec<&str> = std::iter::once(first).chain(lines.take(5)).collect();
    match () {
        () if is_metrics_table(&table) => Content::Table,
        () if is_counted_table(&table) => Content::Numbers,
        () => Content::Other("no column is named step or epoch".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_their_first_lines() {
        for (text, content) in [
            ("{\"iter\": 20, \"loss\": 0.5}\n", Content::Line),
            ("{\"iter\": 20, \"loss\": 0.5}\n{\"it", Content::Lines),
            ("{\"model\": \"x\"}\n{\"step\": 1, \"loss\": \"0.5\"}\n", Content::Lines),
            ("{\n \"global_step\": 40,\n \"log_history\": [\n", Content::State),
            ("Epoch\tAverageEpRet\n1\t0.5\n", Content::Table),
            ("title\nstep;loss\n1;0,5\n", Content::Table),
            ("1000, 0.01, 0.005\n2000, 0.005, 0.005\n", Content::Numbers),
        ] {
            assert_eq!(of_text(text), content, "{text}");
        }
        for text in [
            "",
            "title,artist,date\nJudith,Klimt,1901\n",
            "step,loss\n",
            "5,1,2\n5,3,4\n",
            "{\n \"epoch\": 3.0,\n \"train_loss\": 0.5\n}\n",
            "{\"text\": \"a\", \"label\": 1}\n",
            "plain text\nmore\n",
        ] {
            assert!(matches!(of_text(text), Content::Other(_)), "{text}");
        }
    }
}
