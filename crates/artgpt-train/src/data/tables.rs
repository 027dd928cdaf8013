//! Lists of pictures and captions (JSON, JSONL, CSV, TSV), and folders with descriptive file names.

use std::path::Path;

use serde_json::{Map, Value};

use super::row::Row;
use super::{DataError, Result, foreign, io, table, text};
use artgpt_base::files::read_limited;

/// A row's location, and the row or why it is skipped.
pub(crate) type LocatedRow = (String, std::result::Result<Row, Skip>);

/// Why a row or a file is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    /// The reason, for people.
    pub reason: String,
    /// Whether something that should train is lost with it.
    pub is_loss: bool,
}

impl Skip {
    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_loss: true }
    }

    pub(crate) fn unused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_loss: false }
    }
}

/// The reason for [`is_of_system`].
pub(crate) const OF_SYSTEM: &str = "it belongs to the operating system";

/// Whether a file is one that macOS, Windows or a file server leaves behind.
pub(crate) fn is_of_system(name: &str) -> bool {
    let mut parts = name.split('/').rev();
    let file = parts.next().unwrap_or_default();
    let folders =
        ["__MACOSX", ".Spotlight-V100", ".Trashes", ".fseventsd", "@eaDir", "$RECYCLE.BIN"];
    file.starts_with("._")
        || [".DS_Store", ".localized", "Icon\r"].contains(&file)
        || ["thumbs.db", "ehthumbs.db", "desktop.ini"].contains(&file.to_lowercase().as_str())
        || parts.chain([file]).any(|part| folders.contains(&part))
}

/// The reason why a file with this extension is not used.
pub(crate) fn neither(ending: &str) -> String {
    match ending {
        "" => "it has no extension, and is neither picture nor text".into(),
        "gz" | "zst" | "bz2" | "xz" | "zip" => format!(".{ending} is compressed; unpack it first"),
        _ => format!(".{ending} is neither a picture nor a text that is read"),
    }
}

/// Limit on the bytes of a list that is read whole.
const MAX_LIST: u64 = 4 << 30;

/// File extensions of pictures.
pub(super) const PICTURES: &[&str] = &["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];

/// An iterator over rows: a museum's table may be larger than memory.
pub(super) type Rows = Box<dyn Iterator<Item = LocatedRow>>;

pub(super) fn read(path: &Path) -> Result<Rows> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    foreign::check(path)?;
    match ending.as_str() {
        "json" => Ok(Box::new(json(path)?.into_iter())),
        "jsonl" | "ndjson" => Ok(Box::new(json_lines(path)?.into_iter())),
        "csv" => table::read(path, None),
        "tsv" | "tab" => table::read(path, Some(b'\t')),
        _ => Err(DataError::Config(format!(
            "{} is none of .json, .jsonl, .csv and .tsv",
            path.display()
        ))),
    }
}

/// The text of a list.
fn whole(path: &Path, format: &'static str) -> Result<String> {
    let bytes = read_limited(path, MAX_LIST).map_err(io(path))?;
    text(bytes).map_err(|reason| DataError::Format {
        path: path.display().to_string(),
        format,
        reason,
    })
}

fn json(path: &Path) -> Result<Vec<LocatedRow>> {
    let text = whole(path, "JSON")?;
    let bad = |reason: String| DataError::Format {
        path: path.display().to_string(),
        format: "JSON",
        reason,
    };
    let value: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let items = match value {
        Value::Array(items) => items,
        // One object of the Met's API, which has lists of its own.
        Value::Object(object) if object.contains_key("objectID") => vec![Value::Object(object)],
        Value::Object(object) => match list_inside(&object) {
            Some(items) => items.clone(),
            // A table from picture to caption.
            None => object
                .into_iter()
                .map(|(image, caption)| serde_json::json!({"image": image, "caption": caption}))
                .collect(),
        },
        _ => return Err(bad("it is neither a list nor an object".into())),
    };
    Ok(items
        .into_iter()
        .enumerate()
        .flat_map(|(i, item)| rows(format!("item {i}"), item))
        .collect())
}

/// `{"annotations": […]}` and the like: the only list in an object.
fn list_inside(object: &Map<String, Value>) -> Option<&Vec<Value>> {
    let mut lists = object.values().filter_map(|value| match value {
        Value::Array(items) if items.iter().any(Value::is_object) => Some(items),
        _ => None,
    });
    lists.next().filter(|_| lists.next().is_none())
}

fn json_lines(path: &Path) -> Result<Vec<LocatedRow>> {
    let text = whole(path, "JSON Lines")?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(lines
        .flat_map(|(i, line)| {
            let place = format!("line {}", i + 1);
            match serde_json::from_str(line) {
                Ok(value) => rows(place, value),
                Err(e) => vec![(place, Err(Skip::lost(e.to_string())))],
            }
        })
        .collect())
}

/// One row for each caption of an item.
pub(crate) fn rows(place: String, item: Value) -> Vec<LocatedRow> {
    let Value::Object(mut object) = item else {
        return vec![(place, Err(Skip::lost("it is no object")))];
    };
    let many =
        ["caption", "captions"].into_iter().find(|k| object.get(*k).is_some_and(Value::is_array));
    let Some(Value::Array(captions)) = many.and_then(|key| object.remove(key)) else {
        return vec![(place, Ok(Row::of_json(&object)))];
    };
    if captions.is_empty() {
        return vec![(place, Err(Skip::lost("its list of captions is empty")))];
    }
    let shared = Row::of_json(&object);
    captions
        .into_iter()
        .map(|caption| match caption {
            Value::String(caption) => {
                let mut row = shared.clone();
                row.set("caption", caption);
                (place.clone(), Ok(row))
            }
            _ => (place.clone(), Err(Skip::lost("a caption of its list is no text"))),
        })
        .collect()
}

/// WikiArt folders: `Style/artist-name_title-of-it-1872.jpg`, or the same without styles.
pub(super) fn wikiart(folder: &Path) -> Result<Rows> {
    let mut out = Vec::new();
    for (name, path) in entries(folder)? {
        if !path.is_dir() || is_of_system(&name) {
            out.push(file_of(name.clone(), &name, &path, None));
            continue;
        }
        let style = words(&name);
        let files = entries(&path)?.into_iter();
        out.extend(files.map(|(file, path)| {
            let place = format!("{name}/{file}");
            match path.is_dir() && !is_of_system(&file) {
                true => (place, Err(Skip::lost("folders in the folder of a style are not read"))),
                false => file_of(place, &file, &path, Some(&style)),
            }
        }));
    }
    Ok(Box::new(out.into_iter()))
}

/// The painting in a file, or why it is none.
fn file_of(place: String, file: &str, path: &Path, style: Option<&str>) -> LocatedRow {
    let ending = || path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match () {
        () if is_of_system(file) => (place, Err(Skip::unused(OF_SYSTEM))),
        () if !is_picture(path) => (place, Err(Skip::unused(neither(&ending())))),
        () => painting(&place, file, style),
    }
}

fn painting(path: &str, file: &str, style: Option<&str>) -> LocatedRow {
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let Some((artist, title)) = stem.split_once('_') else {
        return (path.to_string(), Err(Skip::lost("its name is not artist_title")));
    };
    let (title, year) = match title.rsplit_once('-') {
        Some((title, year)) if year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) => {
            (title, year)
        }
        _ => (title, ""),
    };
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
    };
    let artist: Vec<String> = words(artist).split(' ').map(capital).collect();
    let row = Row::of([
        ("path", path),
        ("artist", &artist.join(" ")),
        ("title", &capital(&words(title))),
        ("date", year),
        ("style", style.unwrap_or_default()),
    ]);
    (path.to_string(), Ok(row))
}

fn words(name: &str) -> String {
    name.replace(['-', '_'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Entries sorted by name, so that a run draws the same on every machine.
pub(super) fn entries(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let mut all = std::fs::read_dir(folder)
        .map_err(io(folder))?
        .map(|entry| {
            let entry = entry.map_err(io(folder))?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        })
        .collect::<Result<Vec<_>>>()?;
    all.sort();
    Ok(all)
}

pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    PICTURES.contains(&ending.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Vec<LocatedRow> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        read(&path).expect("reads").collect()
    }

    fn captions(placed: &[LocatedRow]) -> Vec<(Option<&str>, Option<&str>)> {
        let rows = placed.iter().filter_map(|(_, row)| row.as_ref().ok());
        rows.map(|row| (row.get("image"), row.get("caption"))).collect()
    }

    #[test]
    fn lists_of_every_form_give_the_same_rows() {
        let both = [(Some("2"), Some("a")), (Some("3"), Some("b"))];
        let cap =
            r#"{"annotations":[{"image_id":"2","caption":"a"},{"image_id":3,"caption":"b"}]}"#;
        assert_eq!(captions(&of("filter_cap.json", cap)), both);
        let list = r#"[{"image":"2","text":"a"},{"image":"3","text":"b"}]"#;
        assert_eq!(captions(&of("list.json", list)), both);
        assert_eq!(captions(&of("map.json", r#"{"2":"a","3":"b"}"#)), both);
        assert_eq!(captions(&of("l.csv", "\u{feff}image,caption\n2,a\n3,b\n")), both);
        assert_eq!(captions(&of("l.tsv", "image\tcaption\n2\ta\n3\tb\n")), both);
        let many = of("many.jsonl", "{\"image\":\"2\",\"captions\":[\"a\",\"b\"]}\n\n{oops\n");
        assert_eq!(captions(&many), [(Some("2"), Some("a")), (Some("2"), Some("b"))]);
        assert!(many[2].0 == "line 3" && many[2].1.is_err());
    }

    #[test]
    fn a_row_of_another_length_is_bad_and_the_next_one_is_read() {
        let rows = of("l.csv", "image,caption\n1,a,b\n2,\"x,\ny\"\n");
        assert!(rows[0].1.is_err());
        assert_eq!(captions(&rows), [(Some("2"), Some("x,\ny"))]);
    }

    #[test]
    fn a_painting_s_file_tells_who_what_and_when() {
        let (_, row) = painting(
            "Post_Impressionism/x",
            "vincent-van-gogh_the-red-vineyard-1888.jpg",
            Some("Post Impressionism"),
        );
        let row = row.expect("is read");
        let get = |name| row.get(name);
        assert_eq!(get("artist"), Some("Vincent Van Gogh"));
        assert_eq!((get("title"), get("date")), (Some("The red vineyard"), Some("1888")));
        assert!(painting("x", "plain.jpg", None).1.is_err());
    }
}
