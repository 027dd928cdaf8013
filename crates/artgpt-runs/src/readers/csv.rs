//! CSV, TSV and other tables of text with a head, such as Lightning's `metrics.csv`. Empty cells are no points.

use std::borrow::Cow;

use super::number::Notation;
use super::role::Role;
use super::row::{Placing, Row};
use super::table::{
    Column, Delimiter, Head, are_names, is_closed, is_head_of, is_number, is_rule, may_be_head,
};
use super::words::{Texts, Words, quoted};
use super::{Curves, Format, Tailed};
use crate::skipped::Skipped;
use crate::tail::Tail;

/// Follows a CSV or TSV file.
pub type CsvFile = Tailed<Csv>;

/// State of the CSV parser.
#[derive(Debug, Default)]
pub struct Csv {
    before: BeforeHead,
    head: Option<Head>,
    notation: Notation,
    places: Placing,
    words: Words,
    /// The lines of a row whose quoted cell goes on, and the number of the first.
    open: Option<(Vec<String>, u64)>,
    is_over: bool,
    skipped: Skipped,
}

/// Lines before the first row, which shows which of them is the head.
#[derive(Debug, Default)]
struct BeforeHead {
    /// The last line that may be the head, and its number.
    line: Option<(String, u64)>,
    /// The last comment: numpy writes the head into one.
    comment: Option<String>,
}

/// Limit on the bytes of a line: a hundred thousand columns are less.
const MAX_LINE: usize = 4 << 20;
/// Limits on the lines and bytes of one row. A quote that is not closed within them is damage.
const MAX_ROW_LINES: usize = 100;
const MAX_ROW: usize = 16 << 10;

impl Format for Csv {
    const IS_TEXT: bool = true;

    fn reset(&self) -> Self {
        Self::default()
    }

    fn parse(&mut self, tail: &mut Tail, into: &mut Curves) {
        let dropped = tail.text_lines(|text, number| self.line(text, number, into));
        if dropped > 0 {
            self.skipped.add_first("lines that are too long", 1, || format!("{dropped} bytes"));
        }
        if self.is_over {
            self.give_up_open(into);
        }
        self.words.settle(into, &mut self.skipped);
    }

    fn finish(&mut self, tail: &mut Tail) {
        self.is_over = true;
        tail.finish();
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

impl Csv {
    fn line(&mut self, text: &str, number: u64, into: &mut Curves) {
        if let Some((lines, _)) = &mut self.open {
            lines.push(text.to_string());
            return self.close(into);
        }
        if text.len() > MAX_LINE {
            return self.lost("lines that are too long", number, "");
        }
        let trimmed = text.trim();
        if trimmed.is_empty() || is_rule(trimmed) {
            return;
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            self.before.comment = Some(comment.trim().to_string());
            return;
        }
        match &self.head {
            Some(_) => self.row(text, number, into),
            // A quoted name goes on in the next line.
            None if self.before.line.is_none() && !is_closed(text) => {
                self.open = Some((vec![text.to_string()], number));
            }
            None => self.line_before_head(text, number, into),
        }
    }

    /// Reads the open row, if its last line closes the quote.
    fn close(&mut self, into: &mut Curves) {
        let Some((lines, number)) = &self.open else { return };
        let (first, row) = (*number, lines.join("\n"));
        let is_closed = || match &self.head {
            Some(head) => head.delimiter.cells(&row).is_some(),
            None => is_closed(&row),
        };
        if lines.last().is_some_and(|line| line.contains('"')) && is_closed() {
            self.open = None;
            self.row_or_head(&row, first, into);
        } else if lines.len() >= MAX_ROW_LINES || row.len() >= MAX_ROW {
            self.give_up_open(into);
        }
    }

    /// The quote is not closed: each line of the open row is a row.
    fn give_up_open(&mut self, into: &mut Curves) {
        let Some((lines, first)) = self.open.take() else { return };
        for (text, number) in lines.iter().zip(first..) {
            self.row_or_head(text, number, into);
            if self.open.take().is_some() {
                self.lost("rows with a quote that is not closed", number, text);
            }
        }
    }

    fn row_or_head(&mut self, text: &str, number: u64, into: &mut Curves) {
        match &self.head {
            Some(_) => self.row(text, number, into),
            None => self.line_before_head(text, number, into),
        }
    }

    /// A line of a file whose head is not known yet.
    fn line_before_head(&mut self, text: &str, number: u64, into: &mut Curves) {
        let like = |line: &str, is: fn(&[Cow<str>]) -> bool| {
            let best = Delimiter::candidates(line).into_iter().next();
            best.and_then(|d| d.cells(line)).is_some_and(|cells| is(&cells))
        };
        let Some((head, at)) = self.before.line.take() else {
            match like(text, may_be_head) {
                true => self.before.line = Some((text.to_string(), number)),
                false => self.first_row_without_head(text, number, into),
            }
            return;
        };
        let delimiter = Delimiter::of(&head, text);
        let cells = delimiter.cells(&head).unwrap_or_default();
        let known = Head::of(&cells, delimiter);
        if delimiter.cells(text).is_some_and(|row| !is_head_of(&cells, &row)) {
            self.first_row_without_head(&head, at, into);
            return self.row(text, number, into);
        }
        // A title stands above the head; a row of words below it.
        let counts = |head: &Head| head.has(|role| matches!(role, Role::Step(_) | Role::Epoch));
        let is_title = || {
            let best = Delimiter::candidates(text)[0];
            let cells = best.cells(text).unwrap_or_default();
            counts(&Head::of(&cells, best)) || (known.columns.len() == 1 && cells.len() > 1)
        };
        let may_follow = || match known.columns.len() {
            1 => like(text, may_be_head),
            _ => like(text, are_names),
        };
        if !counts(&known) && may_follow() && is_title() {
            self.skipped
                .add_first("lines above the head", 1, || format!("line {at}: {}", quoted(&head)));
            self.before.line = Some((text.to_string(), number));
            return;
        }
        self.begin(known);
        self.row(text, number, into);
    }

    /// The first row of a table whose head is in a comment, or that has none.
    fn first_row_without_head(&mut self, text: &str, number: u64, into: &mut Curves) {
        let delimiter = Delimiter::of(text, text);
        let row = delimiter.cells(text).unwrap_or_default();
        let comment = self.before.comment.take().unwrap_or_default();
        let named = [delimiter, Delimiter::Blanks].into_iter().find_map(|of_comment| {
            let cells = of_comment.cells(&comment)?;
            (cells.len() == row.len() && are_names(&cells)).then(|| Head::of(&cells, delimiter))
        });
        self.begin(named.unwrap_or_else(|| Head::numbered(&row, delimiter)));
        self.row(text, number, into);
    }

    /// Rows stand under this head from now on.
    fn begin(&mut self, head: Head) {
        let mut head = head;
        self.before.comment = None;
        match &self.head {
            Some(known) if known.delimiter == head.delimiter => head.spell_like(known),
            known => {
                known.iter().for_each(|known| head.spell_like(known));
                self.notation = head.delimiter.notation();
            }
        }
        if head.has(|role| matches!(role, Role::Step(_))) {
            self.places.expect_steps();
        } else if head.has(|role| role == Role::Epoch) {
            self.places.expect_epochs();
        }
        self.head = Some(head);
    }

    fn row(&mut self, text: &str, number: u64, into: &mut Curves) {
        let Some(head) = &self.head else { return };
        let Some(cells) = head.delimiter.cells(text) else {
            self.open = Some((vec![text.to_string()], number));
            return;
        };
        if let Some(comment) = self.before.comment.take()
            && let Some(new) = head.changed_in(&comment, &cells)
        {
            self.begin(new);
            return self.row(text, number, into);
        }
        let fits = head.fits(&cells);
        // Most rows begin with a number.
        if !fits || cells.iter().find(|cell| !cell.is_empty()).is_some_and(|cell| !is_number(cell))
        {
            if head.is_head_again(&cells) {
                return self.begin(Head::of(&cells, head.delimiter));
            }
            if !fits && let Some(new) = head.with_another_delimiter(text) {
                return self.begin(new);
            }
        }
        match fits {
            true => self.numbers(&cells, number, into),
            false => self.lost("rows with another number of cells than the head", number, text),
        }
    }

    fn lost(&mut self, reason: &'static str, number: u64, text: &str) {
        self.skipped.add_first(reason, 1, || format!("line {number}: {}", quoted(text)));
    }

    /// Adds the numbers of a row to the curves.
    fn numbers(&mut self, cells: &[Cow<str>], number: u64, into: &mut Curves) {
        let Self { head, notation, places, words, skipped, .. } = self;
        let Some(head) = head else { return };
        head.learn(cells, notation);
        let mut row = Row::default();
        let (mut split, mut found) = (None, Vec::new());
        for (column, cell) in head.columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let Column { name, role, notation: shown } = column;
            // Without a name: the row numbers that pandas writes.
            if name.is_empty() {
                continue;
            }
            if *role == Role::Split && !is_number(cell) {
                split = Some(cell);
            } else if !row.text(*role, name.as_str(), cell, notation.of_column(*shown)) {
                found.push((name, &**cell));
            }
        }
        let full = |name: &str| match split {
            Some(split) => format!("{name}/{split}"),
            None => name.to_string(),
        };
        let found = found.into_iter().map(|(name, cell)| match split {
            Some(_) => (full(name).into(), cell),
            None => (name.as_str().into(), cell),
        });
        let texts = Texts { words, found: found.collect() };
        if split.is_some() {
            row.rename(|name| Some(full(name)));
        }
        row.push_into(places, into, texts, skipped, &|| format!("line {number}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::read_all;

    fn read(text: &str) -> (Curves, Skipped) {
        read_all(text, |path| Box::new(CsvFile::new(path)))
    }

    /// Steps and values of a metric.
    fn points(curves: &Curves, name: &str) -> Vec<(f64, f64)> {
        let series = curves.get(name).map(|series| series.points().map(|p| (p.step, p.value)));
        series.into_iter().flatten().collect()
    }

    fn names(curves: &Curves) -> Vec<&str> {
        curves.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn cells_that_are_empty_or_words_are_no_points() {
        let text = "epoch,step,train_loss,\"val, loss\",note\n0,10,2.5,,a\n0,20,,3.5,\"b, c\"\n0,30\n1,40,nan,1e-3,\n1,50,0.5,,";
        let (curves, skipped) = read(text);
        assert_eq!(skipped.total(), 1);
        // A last line with no end counts when nothing more comes.
        let train = curves.get("train_loss").expect("is there");
        assert_eq!(train.get(0).map(|p| (p.step, p.value)), Some((10.0, 2.5)));
        assert!(train.get(1).is_some_and(|p| p.step == 40.0 && p.value.is_nan()));
        assert_eq!(points(&curves, "val, loss"), [(20.0, 3.5), (40.0, 1e-3)]);
        assert!(curves.get("note").is_none() && curves.get("step").is_none());
        assert_eq!(points(&read("a;b\n1;2\n").0, "b"), [(0.0, 2.0)]);
    }

    #[test]
    fn names_lose_their_padding_and_steps_are_known_by_any_case() {
        let padded = "        epoch,   train/box_loss\n            1,         1.50000\n            2,         0.75000\n";
        let (curves, skipped) = read(padded);
        assert_eq!(points(&curves, "train/box_loss"), [(1.0, 1.5), (2.0, 0.75)]);
        assert_eq!((points(&curves, "epoch"), skipped.total()), (vec![(1.0, 1.0), (2.0, 2.0)], 0));
        let download = "Wall time,Step,Value\n1700000000.5,0,1.0\n1700000060.5,100,0.5\n";
        let (curves, _) = read(download);
        assert_eq!(points(&curves, "Value"), [(0.0, 1.0), (100.0, 0.5)]);
        assert_eq!(names(&curves), ["Value"]);
        assert_eq!(curves.began(), Some(1_700_000_000.5));
    }

    #[test]
    fn a_head_that_comes_again_or_changes_holds_for_the_rows_below_it() {
        let again = "step,loss\n0,0.5\n1,1.5\nstep,loss,val_acc\n2,2.5,0.25\nSTEP;LOSS\n3;3,5\n";
        let (curves, skipped) = read(again);
        assert_eq!(points(&curves, "loss"), [(0.0, 0.5), (1.0, 1.5), (2.0, 2.5), (3.0, 3.5)]);
        assert_eq!((points(&curves, "val_acc"), skipped.total()), (vec![(2.0, 0.25)], 0));
        let reordered = "step,loss,acc\n0,0.5,0.0\nacc,step,loss\n0.1,1,1.5\n";
        let (curves, skipped) = read(reordered);
        assert_eq!(points(&curves, "loss"), [(0.0, 0.5), (1.0, 1.5)]);
        assert_eq!((points(&curves, "acc"), skipped.total()), (vec![(0.0, 0.0), (1.0, 0.1)], 0));
    }

    #[test]
    fn separators_and_notations_of_other_countries_are_read() {
        let expected = [(1000.0, 0.75), (2000.0, 0.5), (3000.0, 0.125)];
        for text in [
            "step;loss\n1.000;0,75\n2.000;0,5\n3.000;0,125\n",
            "step;loss\n1000;0.75\n2000;0.5\n3000;0.125\n",
            "step,loss\n\"1,000\",0.75\n\"2,000\",0.5\n\"3,000\",0.125\n",
            "step,loss\n1000,\"0,75\"\n2000,\"0,5\"\n3000,\"0,125\"\n",
            "step\tloss\n1 000\t0,75\n2 000\t0,5\n3 000\t0,125\n",
            "step  loss\n1_000   0.75\n 2_000  0.5\n3_000 0.125\n",
            "| step | loss |\n|-----:|-----:|\n| 1000 | 0.75 |\n| 2000 | 0.5 |\n| 3000 | 0.125 |\n",
            "# a comment\r\n# step loss\r\n1000 0.75\r\n2000 0.5\r\n3000 0.125\r\n",
            "My run\nstep,loss\n1000,0.75\n# stopped\n2000,0.5\n\n3000,0.125\n",
            ",step,loss\n0,1000,0.75\n1,2000,0.5\n2,3000,0.125\n",
            "step,loss,\n1000,0.75,\n2000,0.5\n3000,0.125,,\n",
            "step,note,loss\n1000,\"two\nlines\",0.75\n2000,,0.5\n3000,\"a \"\"b\"\"\",0.125\n",
            "\u{feff}step,loss\r1000,0.75\r2000,0.5\r3000,0.125\r",
        ] {
            let (curves, _) = read(text);
            assert_eq!(points(&curves, "loss"), expected, "{text}");
            assert_eq!(names(&curves), ["loss"], "{text}");
        }
    }

    #[test]
    fn cells_and_rows_that_cannot_be_read_are_counted_with_their_reason() {
        for (text, count, reason, example) in [
            (
                "step,loss\n10,0.5\n20,0.4\nlast,0.3\n40,0.2\n",
                1,
                "rows whose step is not a number",
                "line 4: \"last\"",
            ),
            ("step,loss\n1,0.5\n,0.4\n", 1, "rows without a step", "line 3"),
            (
                "step,loss,acc\n1,n/a,50%\n2,0.5,60%\n3,-,1\n",
                2,
                "values of loss that are not numbers",
                "line 2: \"n/a\"",
            ),
            (
                "step,loss\nfirst,many\nsecond,few\n",
                2,
                "rows whose step is not a number",
                "line 2: \"first\"",
            ),
            ("name,city\na,b\n", 2, "values of city that are not numbers", "line 2: \"b\""),
            (
                "step,loss\n1,0.5\n2\n3,0.25\n",
                1,
                "rows with another number of cells than the head",
                "line 3: \"2\"",
            ),
        ] {
            let (_, skipped) = read(text);
            let told = skipped.iter().next().map(|s| s.to_string()).unwrap_or_default();
            assert_eq!(skipped.total(), count, "{text}: {told}");
            assert!(told.contains(reason) && told.contains(example), "{told}");
        }
        let (curves, _) = read("step,loss\n10,0.5\n20,0.4\nlast,0.3\n40,0.2\n");
        assert_eq!(points(&curves, "loss"), [(10.0, 0.5), (20.0, 0.4), (40.0, 0.2)]);
        let (curves, skipped) = read("step,acc,loss\n1,50%,0.5\n2,60%,n/a\n3,75%,0.125\n");
        assert_eq!(points(&curves, "acc"), [(1.0, 50.0), (2.0, 60.0), (3.0, 75.0)]);
        assert_eq!((points(&curves, "loss").len(), skipped.total()), (2, 1));
    }

    #[test]
    fn a_table_without_a_head_has_numbered_columns() {
        // DeepLabCut's learning_stats.csv.
        let (curves, skipped) = read("1000, 0.01, 0.005\n2000, 0.005, 0.005\n");
        assert_eq!(points(&curves, "column 2"), [(1000.0, 0.01), (2000.0, 0.005)]);
        assert_eq!(skipped.total(), 0);
    }

    #[test]
    fn rows_about_splits_are_kept_apart() {
        let (curves, _) =
            read("epoch,phase,loss\n1,train,0.5\n1,val,0.75\n2,train,0.25\n2,val,0.5\n");
        assert_eq!(points(&curves, "loss/train"), [(1.0, 0.5), (2.0, 0.25)]);
        assert_eq!(points(&curves, "loss/val"), [(1.0, 0.75), (2.0, 0.5)]);
        assert_eq!(points(&curves, "epoch"), [(1.0, 1.0), (2.0, 2.0)]);
    }

    #[test]
    fn cells_that_are_no_metric_do_not_change_how_numbers_are_read() {
        let dated = "date,step,loss\n01.12.2024,1,1.125\n01.12.2024,2,0.5\n";
        let versions = "version,step,loss\n2.1.0,1,1.125\n2.1.0,2,0.5\n";
        let hosts = "step,loss,host\n1,1.125,10.0.0.1\n2,0.5,10.0.0.1\n";
        let lists = "step,gpus,loss\n1,\"0,1\",1.125\n2,\"0,1\",0.5\n";
        let semicolons = "epoch;loss;date\n1;1.125;01.12.2024\n2;0.5;02.12.2024\n";
        for text in [dated, versions, hosts, lists, semicolons] {
            assert_eq!(points(&read(text).0, "loss"), [(1.0, 1.125), (2.0, 0.5)], "{text}");
        }
    }

    #[test]
    fn commas_and_points_in_one_row_between_semicolons_show_the_notation() {
        let expected = [(1000.0, 2.125), (2000.0, 1.875), (3000.0, 0.75)];
        for text in [
            "step;loss\n1.000;2,125\n2.000;1,875\n3.000;0,75\n",
            "step;loss\n1,000;2.125\n2,000;1.875\n3,000;0.75\n",
        ] {
            assert_eq!(points(&read(text).0, "loss"), expected, "{text}");
        }
    }

    #[test]
    fn heads_may_have_numbers_and_line_breaks_and_may_follow_in_comments() {
        let (curves, _) = read("epoch,loss,0,1\n1,0.5,0.1,0.2\n2,0.4,0.2,0.3\n");
        assert_eq!(points(&curves, "loss"), [(1.0, 0.5), (2.0, 0.4)]);
        assert_eq!(points(&curves, "1"), [(1.0, 0.2), (2.0, 0.3)]);
        let (curves, _) = read("step,5%,50%,95%\n1,0.1,0.5,0.9\n2,0.2,0.6,0.95\n");
        assert_eq!(points(&curves, "50%"), [(1.0, 0.5), (2.0, 0.6)]);
        let (curves, _) = read("step,loss,0\n1,0.5,\"two\nlines\"\n2,0.4,1\n");
        assert_eq!(points(&curves, "loss"), [(1.0, 0.5), (2.0, 0.4)]);
        let (curves, _) = read("step,\"train\nloss\",val\n1,0.5,0.6\n2,0.4,0.5\n");
        assert_eq!(points(&curves, "train loss"), [(1.0, 0.5), (2.0, 0.4)]);
        let blanks =
            "#step loss acc\n1 0.5 0.1\n#step size was\n2 0.4 0.2\n#step acc loss\n3 0.3 0.35\n";
        let (curves, skipped) = read(blanks);
        assert_eq!(points(&curves, "loss"), [(1.0, 0.5), (2.0, 0.4), (3.0, 0.35)]);
        assert_eq!(skipped.total(), 0);
        let (curves, _) = read("step,loss\n1,0.5\n2,0.4\n# restarted\n#step,acc,loss\n3,0.9,0.3\n");
        assert_eq!(points(&curves, "loss"), [(1.0, 0.5), (2.0, 0.4), (3.0, 0.3)]);
        assert_eq!(points(&curves, "acc"), [(3.0, 0.9)]);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_a_part_of_the_file_only() {
        let mut text = "step,loss,note\n1,0.5,\"never closed\n".to_string();
        (2..9_000).for_each(|step| text.push_str(&format!("{step},0.25,\n")));
        let (curves, skipped) = read(&text);
        assert!(points(&curves, "loss").len() > 1_000);
        assert!(skipped.total() >= 1);
    }
}
