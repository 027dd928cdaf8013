//! CSV and TSV with a header line, such as Lightning's `metrics.csv`. Empty cells are no points.

use super::{Curves, Format, Line, Skipped, Tailed};
use crate::tail::Tail;

/// Follows a CSV or TSV file.
pub type CsvFile = Tailed<Csv>;

/// State of the CSV parser.
#[derive(Debug, Default)]
pub struct Csv {
    header: Option<Header>,
    rows: u64,
    skipped: Skipped,
}

#[derive(Debug)]
struct Header {
    delimiter: u8,
    names: Vec<String>,
}

impl Format for Csv {
    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        let Self { header, rows, skipped } = self;
        tail.lines(b'\n', |text| {
            if text.iter().all(u8::is_ascii_whitespace) {
                return;
            }
            let Some(known) = header else {
                let delimiter = delimiter(text);
                *header = cells(text, delimiter).map(|names| Header { delimiter, names });
                return;
            };
            match cells(text, known.delimiter) {
                Some(cells) if cells.len() == known.names.len() => {
                    let mut line = Line::default();
                    for (name, cell) in known.names.iter().zip(&cells) {
                        if let Ok(value) = cell.trim().parse::<f64>() {
                            line.put(name.clone(), value);
                        }
                    }
                    line.push_into(into, *rows);
                    *rows += 1;
                }
                _ => skipped.add("rows with more or fewer cells than the header", 1),
            }
        });
    }

    fn finish(&mut self, tail: &mut Tail) {
        tail.finish();
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// The delimiter that occurs most often in the header.
fn delimiter(header: &[u8]) -> u8 {
    let count = |d: &u8| header.iter().filter(|b| *b == d).count();
    [b',', b'\t', b';'].into_iter().max_by_key(count).unwrap_or(b',')
}

fn cells(line: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(line);
    let record = reader.byte_records().next()?.ok()?;
    Some(record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::read_all;

    #[test]
    fn cells_that_are_empty_or_words_are_no_points() {
        let text = "epoch,step,train_loss,\"val, loss\",note\n0,10,2.5,,a\n0,20,,3.5,\"b, c\"\n0,30\n1,40,nan,1e-3,\n1,50,0.5,,";
        let (curves, skipped) = read_all(text, |path| Box::new(CsvFile::new(path)));
        assert_eq!(skipped, 1);
        // A last line with no end counts when nothing more comes.
        let train = curves.get("train_loss").expect("is there");
        assert_eq!(train.get(0).map(|p| (p.step, p.value)), Some((10.0, 2.5)));
        assert!(train.get(1).is_some_and(|p| p.step == 40.0 && p.value.is_nan()));
        let held_out: Vec<f64> =
            curves.get("val, loss").expect("is").points().map(|p| p.step).collect();
        assert_eq!(held_out, [20.0, 40.0]);
        assert!(curves.get("note").is_none() && curves.get("step").is_none());
        let (curves, _) = read_all("a;b\n1;2\n", |path| Box::new(CsvFile::new(path)));
        assert_eq!(curves.get("b").and_then(|s| s.last()).map(|p| p.value), Some(2.0));
    }
}
