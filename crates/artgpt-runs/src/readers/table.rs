//! Rows and heads of delimited text: how cells are parted, what a head is, what a row says under it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::number::{Notation, unsure_sign};
use super::role::{Role, normal};
use crate::series::CALENDAR;

/// What parts cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Sign(char),
    /// Any number of blanks.
    Blanks,
}

/// Signs that part cells, the most certain first.
const SIGNS: [char; 4] = ['\t', ';', '|', ','];

impl Delimiter {
    /// What may part the cells of a line, the best first: what parts it into most.
    pub(crate) fn candidates(line: &str) -> Vec<Self> {
        let mut all: Vec<(usize, Self)> = SIGNS
            .map(|sign| {
                (Self::Sign(sign).cells(line).map_or(1, |cells| cells.len()), Self::Sign(sign))
            })
            .into_iter()
            .collect();
        // Stable: of equal counts the more certain sign stays first.
        all.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let best = all.first().map_or(1, |(count, _)| *count);
        let mut all: Vec<Self> = all.into_iter().map(|(_, sign)| sign).collect();
        // Names may have blanks; names that are parted by nothing else hardly do.
        all.insert(if best > 1 { all.len() } else { 0 }, Self::Blanks);
        all
    }

    /// What parts both a head and its first row: into the same number of cells, and as many as possible.
    pub(crate) fn of(head: &str, row: &str) -> Self {
        let counts = |delimiter: Self, line| {
            delimiter.cells(line).map_or((0, 0), |cells| (cells.len(), width(&cells)))
        };
        let all = Self::candidates(head);
        let fits = |d: &&Self| {
            let (head, row) = (counts(**d, head), counts(**d, row));
            head.0 > 1 && (head.0 == row.0 || head.1 == row.1)
        };
        // Of equal counts the first. Blanks are in names and drawn tables, too.
        let signs = all.iter().rev().filter(|d| **d != Self::Blanks).filter(fits);
        let best = signs.max_by_key(|d| counts(**d, head).0);
        let best = best.or_else(|| Some(&Self::Blanks).filter(fits));
        // One column has no delimiter; a first row that is damaged decides nothing.
        let is_single = |line: &str| SIGNS.iter().all(|sign| !line.contains(*sign));
        match best {
            Some(best) => *best,
            None if is_single(head) && !row.trim().contains(char::is_whitespace) => Self::Sign(','),
            None => all[0],
        }
    }

    /// The cells of a line, trimmed; `None` if a quote is not closed.
    pub(crate) fn cells<'a>(self, line: &'a str) -> Option<Vec<Cow<'a, str>>> {
        match self {
            Self::Blanks => Some(line.split_whitespace().map(Cow::from).collect()),
            Self::Sign(sign) if !line.contains('"') => {
                let mut cells: Vec<_> = line.split(sign).map(|cell| cell.trim().into()).collect();
                self.trim_frame(line, &mut cells);
                Some(cells)
            }
            Self::Sign(sign) => {
                let mut cells = quoted_cells(line, sign)?;
                self.trim_frame(line, &mut cells);
                Some(cells)
            }
        }
    }

    /// The sign in tables where it may be in a cell, too.
    pub(crate) fn notation(self) -> Notation {
        match self {
            Self::Sign(sign) => Notation::of_table(sign),
            Self::Blanks => Notation::default(),
        }
    }

    /// `| step | loss |`: the bars at both ends part nothing.
    fn trim_frame(self, line: &str, cells: &mut Vec<Cow<str>>) {
        if self == Self::Sign('|') && line.trim_start().starts_with('|') && cells.len() > 1 {
            cells.remove(0);
            if line.trim_end().ends_with('|') {
                cells.pop();
            }
        }
    }
}

/// Cells of a line in which some are quoted, as RFC 4180 says.
fn quoted_cells(line: &str, sign: char) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let inner = rest.trim_start_matches(' ').strip_prefix('"');
        let (cell, after): (Cow<str>, &str) = match inner {
            // A quote within a cell is a letter.
            None => {
                let (cell, after) = match rest.find(sign) {
                    Some(end) => rest.split_at(end),
                    None => (rest, ""),
                };
                (cell.trim().into(), after)
            }
            Some(inner) => {
                let mut from = 0;
                let end = loop {
                    let at = from + inner[from..].find('"')?;
                    if !inner[at + 1..].starts_with('"') {
                        break at;
                    }
                    from = at + 2;
                };
                let cell = inner[..end].trim();
                let cell = match cell.contains("\"\"") {
                    true => Cow::Owned(cell.replace("\"\"", "\"")),
                    false => cell.into(),
                };
                let after = &inner[end + 1..];
                (cell, &after[after.find(sign).unwrap_or(after.len())..])
            }
        };
        cells.push(cell);
        match after.strip_prefix(sign) {
            Some(next) => rest = next,
            None => return Some(cells),
        }
    }
}

/// Whether all quotes of a line are closed, whatever parts its cells.
pub(super) fn is_closed(line: &str) -> bool {
    !line.contains('"') || SIGNS.iter().all(|sign| quoted_cells(line, *sign).is_some())
}

/// Number of cells without the empty ones at the end.
pub(super) fn width(cells: &[Cow<str>]) -> usize {
    cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1)
}

/// Whether a line is a rule between the rows of a drawn table: `|---|:--:|`.
pub(super) fn is_rule(line: &str) -> bool {
    line.len() >= 3
        && line.contains(['-', '='])
        && line.chars().all(|c| matches!(c, '-' | '=' | '+' | '|' | ':' | ' '))
}

/// Whether a cell holds a number, at least in some notation.
pub(super) fn is_number(cell: &str) -> bool {
    Notation::default().number(cell).is_some()
}

/// Whether the cells are like names of columns: none is a number, and one at least says something.
pub(super) fn are_names(cells: &[Cow<str>]) -> bool {
    cells.iter().any(|cell| !cell.is_empty()) && !cells.iter().any(|cell| is_number(cell))
}

/// Whether the cells may be names of columns of which some are numbers, as those of classes and quantiles. The
/// first row shows whether they are: see [`is_head_of`].
pub(super) fn may_be_head(cells: &[Cow<str>]) -> bool {
    let said = || cells.iter().filter(|cell| !cell.is_empty());
    let numbers = said().filter(|cell| is_number(cell)).count();
    let counts = |cell: &Cow<str>| matches!(Role::of(cell), Role::Step(_) | Role::Epoch);
    cells.first().is_some_and(|cell| !is_number(cell))
        && said().next().is_some()
        && (numbers * 2 < said().count() || cells.iter().any(counts))
}

/// Whether a line that may be a head is that of this row: it has no numbers, or a word above one.
pub(super) fn is_head_of(head: &[Cow<str>], row: &[Cow<str>]) -> bool {
    let is_word = |cell: &Cow<str>| !cell.is_empty() && !is_number(cell);
    are_names(head) || head.iter().zip(row).any(|(name, cell)| is_word(name) && is_number(cell))
}

/// The head of a table.
#[derive(Debug)]
pub(super) struct Head {
    pub(crate) delimiter: Delimiter,
    pub(crate) columns: Vec<Column>,
    /// The names as they are compared, with the first column of each.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// What its own cells have shown.
    pub(crate) notation: Notation,
}

impl Column {
    fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, notation: Notation::default() }
    }
}

impl Head {
    pub(crate) fn of(cells: &[Cow<str>], delimiter: Delimiter) -> Self {
        let mut columns: Vec<Column> = Vec::with_capacity(cells.len());
        let (mut places, mut counts) = (HashMap::new(), HashMap::new());
        for cell in cells {
            let name = cell.trim_start_matches('#').trim();
            // A quoted name may go on in the next line.
            let name = &*match name.contains('\n') {
                true => Cow::from(name.split_whitespace().collect::<Vec<_>>().join(" ")),
                false => Cow::from(name),
            };
            let known: &mut usize = counts.entry(normal(name)).or_default();
            *known += 1;
            if *known == 1 {
                places.insert(normal(name), columns.len());
            }
            columns.push(match *known {
                1 => Column::new(name, Role::of(name)),
                _ if name.is_empty() => Column::new("", Role::Metric),
                // The second column of a name is no step of its own.
                n => Column::new(format!("{name} ({n})"), Role::Metric),
            });
        }
        Self { delimiter, columns, places }
    }

    /// Names for the columns of a table without a head. Whole numbers in the first one are steps.
    pub(crate) fn numbered(cells: &[Cow<str>], delimiter: Delimiter) -> Self {
        let counts = |cell: &Cow<str>| cell.parse::<u64>().is_ok_and(|n| (n as f64) < CALENDAR);
        let has_steps = cells.len() > 1 && cells.first().is_some_and(counts);
        let role = |at| if at == 0 && has_steps { Role::Step(0) } else { Role::Metric };
        let column = |at| Column::new(format!("column {}", at + 1), role(at));
        let columns = (0..cells.len()).map(column).collect();
        Self { delimiter, columns, places: HashMap::new() }
    }

    /// Gives columns that another head has, too, the same spelling, and the same notation if the same sign
    /// parts them.
    pub(crate) fn spell_like(&mut self, other: &Self) {
        for column in &mut self.columns {
            if let Some(known) = other.places.get(&normal(&column.name)) {
                let known = &other.columns[*known];
                column.name.clone_from(&known.name);
                if self.delimiter == other.delimiter {
                    column.notation = known.notation;
                }
            }
        }
    }

    /// Learns from a row how its columns, and how others write their numbers.
    pub(crate) fn learn(&mut self, cells: &[Cow<str>], others: &mut Notation) {
        // Numbers with a comma are quoted where commas part cells: `"0,1"` may well be a list.
        let has_commas = self.delimiter == Delimiter::Sign(',');
        let is_measured = |column: &Column| {
            !column.name.is_empty() && !matches!(column.role, Role::Split | Role::Wall)
        };
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.notation.learn(cell);
            let shown = column.notation.fraction();
            if is_measured(column) && !(has_commas && shown == Some(',')) {
                others.follow(shown);
            }
        }
        if self.delimiter != Delimiter::Sign(';') || others.fraction().is_some() {
            return;
        }
        // `1.000;2,125`: one of the signs parts thousands, and steps have no fraction.
        let (mut signs, mut of_step) = (Vec::new(), None);
        for (column, cell) in self.columns.iter().zip(cells).filter(|(c, _)| is_measured(c)) {
            match (unsure_sign(cell), column.role) {
                (Some(sign), Role::Step(_)) => of_step = of_step.or(Some(sign)),
                (Some(sign), _) => signs.push(sign),
                (None, _) => {}
            }
        }
        let is_comma_of_step = of_step == Some(',') && signs.iter().all(|sign| *sign == '.');
        signs.extend(of_step);
        if signs.contains(&',') && signs.contains(&'.') {
            others.follow(Some(if is_comma_of_step { '.' } else { ',' }));
        }
    }

    /// The changed head that a comment between two rows holds: its cells are as many as those of the row below
    /// it, and most are known, or the row does not fit this head.
    pub(crate) fn changed_in(&self, comment: &str, row: &[Cow<str>]) -> Option<Self> {
        [self.delimiter, Delimiter::Blanks].into_iter().find_map(|delimiter| {
            let cells = delimiter.cells(comment)?;
            let is_known = |cell: &&Cow<str>| self.places.contains_key(&normal(cell));
            let known = cells.iter().filter(is_known).count();
            (cells.len() > 1
                && cells.len() == row.len()
                && self.is_head_again(&cells)
                && row.iter().any(|cell| is_number(cell))
                && (known * 2 > cells.len() || !self.fits(row)))
            .then(|| Self::of(&cells, self.delimiter))
        })
    }

    /// This line as a changed head, if other signs part it.
    pub(crate) fn with_another_delimiter(&self, line: &str) -> Option<Self> {
        let all = Delimiter::candidates(line).into_iter();
        let other = all.filter(|other| *other != self.delimiter).find_map(|other| {
            let cells = other.cells(line).filter(|cells| cells.len() > 1)?;
            Some((other, cells))
        });
        let (other, cells) = other?;
        self.is_head_again(&cells).then(|| Self::of(&cells, other))
    }

    /// Whether this line repeats the head or is a changed one.
    pub(crate) fn is_head_again(&self, cells: &[Cow<str>]) -> bool {
        let is_known = |cell: &Cow<str>| {
            !cell.is_empty()
                && (self.places.contains_key(&normal(cell))
                    || matches!(Role::of(cell), Role::Step(_) | Role::Epoch))
        };
        let is_place = |cell: &Cow<str>| matches!(Role::of(cell), Role::Step(_) | Role::Epoch);
        // Numbers are names only if they were before.
        let has_known_numbers = || {
            let known = |cell: &Cow<str>| self.places.contains_key(&normal(cell));
            may_be_head(cells)
                && cells.iter().any(is_place)
                && cells.iter().all(|cell| cell.is_empty() || known(cell))
        };
        (are_names(cells) && cells.iter().any(is_known)) || has_known_numbers()
    }

    /// Whether one of its columns places the rows.
    pub(crate) fn has(&self, role: impl Fn(Role) -> bool) -> bool {
        self.columns.iter().any(|column| role(column.role))
    }

    /// Whether a row of this many cells stands under it: columns without a name may be missing.
    pub(crate) fn fits(&self, cells: &[Cow<str>]) -> bool {
        let named =
            self.columns.iter().rposition(|c| !c.name.is_empty()).map_or(0, |last| last + 1);
        width(cells) <= self.columns.len() && cells.len() >= named
    }
}

/// Whether some first lines are a table with a column of steps or epochs, and numbers in another one.
pub(crate) fn is_metrics_table(lines: &[&str]) -> bool {
    let counts = |role| matches!(role, Role::Step(_) | Role::Epoch);
    lines.windows(2).any(|pair| {
        let delimiter = Delimiter::of(pair[0], pair[1]);
        let Some((head, row)) = delimiter.cells(pair[0]).zip(delimiter.cells(pair[1])) else {
            return false;
        };
        if !may_be_head(&head) || !is_head_of(&head, &row) {
            return false;
        }
        let head = Head::of(&head, delimiter);
        let mut cells = head.columns.iter().zip(&row);
        head.has(counts) && cells.any(|(c, cell)| c.role == Role::Metric && is_number(cell))
    })
}

/// Whether some first lines are rows of numbers of which the first counts up.
pub(crate) fn is_counted_table(lines: &[&str]) -> bool {
    let count = |line: &&str| {
        let cells = Delimiter::of(line, line).cells(line)?;
        let is_row = cells.len() > 1 && cells.iter().all(|cell| is_number(cell));
        cells[0].parse::<u64>().ok().filter(|_| is_row)
    };
    let counts: Vec<Option<u64>> = lines.iter().map(count).collect();
    // The last line may be cut.
    counts.len() > 1 && counts.windows(2).take(3).all(|pair| pair[0].is_some() && pair[0] < pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(delimiter: Delimiter, line: &str) -> Option<Vec<String>> {
        Some(delimiter.cells(line)?.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn cells_are_parted_as_the_first_row_shows() {
        let sign = Delimiter::Sign;
        for (head, row, expected) in [
            ("step,loss", "1,0.5", sign(',')),
            ("step;loss", "1;0,5", sign(';')),
            ("step\tloss, smooth", "1\t0.5", sign('\t')),
            ("step;loss (a, b, c, d)", "1;0.5", sign(';')),
            ("| step | loss |", "| 1 | 0.5 |", sign('|')),
            ("step   loss acc", "1  0.5   0.25", Delimiter::Blanks),
            ("step", "1", sign(',')),
            ("Wall time,Step,Value", "1.0,2,3", sign(',')),
            // The first row has lost a cell.
            ("step,loss,acc", "1,0.5", sign(',')),
        ] {
            assert_eq!(Delimiter::of(head, row), expected, "{head}");
        }
    }

    #[test]
    fn quotes_and_frames_are_taken_off() {
        let comma = Delimiter::Sign(',');
        for (line, expected) in [
            ("\"a, b\",c", Some(vec!["a, b", "c"])),
            ("\"say \"\"no\"\"\", 5\" ,", Some(vec!["say \"no\"", "5\"", ""])),
            (" \"1,000\" ,0.5", Some(vec!["1,000", "0.5"])),
            ("\"not closed,1", None),
        ] {
            let expected: Option<Vec<String>> =
                expected.map(|all| all.into_iter().map(String::from).collect());
            assert_eq!(cells(comma, line), expected, "{line}");
        }
        assert_eq!(cells(Delimiter::Sign('|'), "| 1 | 2 |"), Some(vec!["1".into(), "2".into()]));
        assert!(is_rule("|---|:--:|") && is_rule("-----") && !is_rule("-1") && !is_rule("a-b"));
    }

    #[test]
    fn some_names_of_columns_may_be_numbers() {
        let of = |line| Delimiter::Sign(',').cells(line).expect("cells");
        for (head, row, is_head) in [
            ("epoch,loss,0,1", "1,0.5,0.1,0.2", true),
            ("step,5%,50%,95%", "1,0.1,0.5,0.9", true),
            ("name,loss,0", "a,0.5,1", true),
            ("adam,cnn,3", "sgd,cnn,4", false),
            ("epoch,1,loss,0.5", "epoch,2,loss,0.25", false),
            ("last,0.5", "1,0.25", false),
            ("1,step,loss", "2,1,0.5", false),
            (",,", "1,2,3", false),
        ] {
            let known = may_be_head(&of(head)) && is_head_of(&of(head), &of(row));
            assert_eq!(known, is_head, "{head}");
        }
    }

    #[test]
    fn a_head_is_known_again_in_any_order_and_a_row_of_words_is_none() {
        let delimiter = Delimiter::Sign(',');
        let of = |line| delimiter.cells(line).expect("cells");
        let head = Head::of(&of("step, Loss ,loss,note,LOSS,,"), delimiter);
        let names: Vec<&str> = head.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["step", "Loss", "loss (2)", "note", "LOSS (3)", "", ""]);
        for (line, is_head) in [
            ("loss,step", true),
            ("STEP,acc,lr", true),
            ("iteration,error", true),
            ("last,0.5,,", false),
            ("none,n/a,,", false),
            ("loss,0.5,,", false),
        ] {
            assert_eq!(head.is_head_again(&of(line)), is_head, "{line}");
        }
        let head = Head::of(&of("step,Loss,loss,note"), delimiter);
        let classes = Head::of(&of("epoch,loss,0,1"), delimiter);
        assert!(classes.is_head_again(&of("epoch,loss,0,1")));
        assert!(
            !classes.is_head_again(&of("epoch,loss,2,1")) && !classes.is_head_again(&of("0,1"))
        );
        assert!(
            head.fits(&of("1,2,3,4,,")) && !head.fits(&of("1,2,3")) && !head.fits(&of("1,2,3,4,5"))
        );
    }
}
