//! Text with `{fields}` of a row. A part in `[ ]` is omitted if the row lacks one of its fields.

use super::row::{Row, normalised};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(String),
    Optional(Vec<Part>),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// The syntax error, for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        let parts = parts(&mut chars, false).map_err(|what| format!("{what} in {text:?}"))?;
        Ok(Self(parts))
    }

    /// Fills in the fields of a row.
    ///
    /// # Errors
    /// The name of a missing field.
    pub(super) fn fill(&self, row: &Row) -> Result<String, String> {
        fill(&self.0, row)
    }
}

fn parts(chars: &mut std::str::Chars, inside: bool) -> Result<Vec<Part>, &'static str> {
    let mut out = Vec::new();
    let mut text = String::new();
    let end = |text: &mut String, out: &mut Vec<Part>| {
        if !text.is_empty() {
            out.push(Part::Text(std::mem::take(text)));
        }
    };
    loop {
        match chars.next() {
            None if inside => return Err("there is no ]"),
            Some(']') if inside => break,
            None => break,
            Some(']') => return Err("there is no ["),
            Some('[') if inside => return Err("there is a [ within [ ]"),
            Some('[') => {
                end(&mut text, &mut out);
                out.push(Part::Optional(parts(chars, true)?));
            }
            Some('{') => {
                end(&mut text, &mut out);
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => name.push(c),
                        None => return Err("there is no }"),
                    }
                }
                out.push(Part::Field(normalised(&name)));
            }
            Some(c) => text.push(c),
        }
    }
    end(&mut text, &mut out);
    Ok(out)
}

fn fill(parts: &[Part], row: &Row) -> Result<String, String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field(name) => out.push_str(row.get(name).ok_or_else(|| name.clone())?),
            Part::Optional(inner) => out.push_str(&fill(inner, row).unwrap_or_default()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_lacks_is_left_out_or_told() {
        let row = Row::of([("Title", "Wheat"), ("Object Date", "1565")]);
        let of = |text: &str| Template::parse(text).expect("parses").fill(&row);
        assert_eq!(of("{title}[ by {artist}][, {object_date}]."), Ok("Wheat, 1565.".into()));
        assert_eq!(of("{title} by {artist}"), Err("artist".into()));
        for wrong in ["{title", "[x", "x]", "[a[b]]"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
