//! `data` of a configuration: the name of a museum, or a table that locates captioned pictures.

use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{ConversationsConfig, ConversationsKind, Paths};

/// The training data of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DataConfig {
    /// A data manifest's name, or a folder with pictures and `objects.json`: the run asks questions
    /// about its paintings.
    Museum(String),
    /// Pictures with captions.
    Pairs(PairsConfig),
    /// Conversations about pictures.
    Conversations(ConversationsConfig),
}

impl<'de> Deserialize<'de> for DataConfig {
    // By hand: serde's untagged enums lose the error inside the table.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = DataConfig;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("the name of a data set, or a table [data] with its kind and path")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<DataConfig, E> {
                Ok(DataConfig::Museum(name.to_string()))
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                map: A,
            ) -> std::result::Result<DataConfig, A::Error> {
                // Not by way of a `toml::Table`, which forgets the lines.
                DataTable::deserialize(MapAccessDeserializer::new(map))?
                    .config()
                    .map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The table `[data]`, of whatever kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataTable {
    kind: DataKind,
    path: Paths,
    images: Option<String>,
    image: Option<String>,
    caption: Option<String>,
    min_score: Option<f32>,
    score: Option<String>,
    contents: Option<PathBuf>,
    shuffle_buffer: Option<usize>,
    held_out: Option<f64>,
}

/// [`PairsKind`], or conversations.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DataKind {
    Pairs,
    Webdataset,
    Artemis,
    Wikiart,
    Met,
    Conversations,
}

impl DataTable {
    fn config(self) -> std::result::Result<DataConfig, String> {
        let kind = match self.kind {
            DataKind::Pairs => PairsKind::Pairs,
            DataKind::Webdataset => PairsKind::Webdataset,
            DataKind::Artemis => PairsKind::Artemis,
            DataKind::Wikiart => PairsKind::Wikiart,
            DataKind::Met => PairsKind::Met,
            DataKind::Conversations => return self.conversations().map(DataConfig::Conversations),
        };
        if self.contents.is_some() {
            return Err("contents is for conversations".into());
        }
        let Paths::One(path) = self.path else {
            return Err("path is a list, and only conversations have several files".into());
        };
        Ok(DataConfig::Pairs(PairsConfig {
            kind,
            path,
            images: self.images.map(PathBuf::from),
            image: self.image,
            caption: self.caption,
            min_score: self.min_score,
            score: self.score,
            shuffle_buffer: self.shuffle_buffer.unwrap_or_else(shuffle_buffer),
            held_out: self.held_out.unwrap_or_else(held_out),
        }))
    }

    fn conversations(self) -> std::result::Result<ConversationsConfig, String> {
        let others = [
            ("image", self.image.is_some()),
            ("caption", self.caption.is_some()),
            ("min_score", self.min_score.is_some()),
            ("score", self.score.is_some()),
            ("shuffle_buffer", self.shuffle_buffer.is_some()),
        ];
        if let Some((key, _)) = others.iter().find(|(_, given)| *given) {
            return Err(format!("{key} is for pictures with captions, not for conversations"));
        }
        Ok(ConversationsConfig {
            kind: ConversationsKind::Conversations,
            path: self.path,
            images: self.images,
            contents: self.contents,
            held_out: self.held_out.unwrap_or_else(held_out),
        })
    }
}

impl DataConfig {
    /// The same with absolute paths, resolved against `here`.
    pub fn absolute(self, here: &Path) -> Self {
        match self {
            Self::Pairs(pairs) => Self::Pairs(PairsConfig {
                path: here.join(&pairs.path),
                images: pairs.images.map(|images| here.join(images)),
                ..pairs
            }),
            Self::Conversations(config) => Self::Conversations(config.absolute(here)),
            museum => museum,
        }
    }
}

impl std::fmt::Display for DataConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Museum(name) => f.write_str(name),
            Self::Pairs(pairs) => write!(f, "{}", pairs.path.display()),
            Self::Conversations(config) => f.write_str(&config.path.to_string()),
        }
    }
}

/// `[data]`: captioned pictures and how to read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsConfig {
    /// The format of the source.
    pub kind: PairsKind,
    /// The list (`.json`, `.jsonl`, `.csv`, `.tsv`), a folder (wikiart), or shards, where `*`
    /// matches any text and `{0000..0011}` each number with as many digits.
    pub path: PathBuf,
    /// The pictures' folder; by default the list's own, or `image` or `images` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Template of a picture's file name in that folder, with `{fields}` of its row; the extension is
    /// optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Template of the caption, with `{fields}` of the row. Text in `[ ]` is omitted if the row lacks
    /// one of its fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Lowest score of a row that trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f32>,
    /// The field of the score; by default the first whose name starts with `aesthetic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Size of the shuffle buffer, in pairs (shards).
    #[serde(default = "shuffle_buffer")]
    pub shuffle_buffer: usize,
    /// Share of the pictures held out from training, if the source has no split of its own.
    #[serde(default = "held_out")]
    pub held_out: f64,
}

fn shuffle_buffer() -> usize {
    10_000
}

fn held_out() -> f64 {
    0.02
}

/// Formats of captioned pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PairsKind {
    /// A list of pictures and captions, among them MiniGPT-4's `filter_cap.json`.
    Pairs,
    /// Tar files of pictures with `.txt` or `.json` of the same name beside them.
    Webdataset,
    /// ArtEmis, first and second version: `art_style,painting,emotion,utterance`.
    Artemis,
    /// Folders of styles with `artist_title-year.jpg` in them.
    Wikiart,
    /// The Met's `MetObjects.csv`, or objects of its API in JSON.
    Met,
}

impl PairsConfig {
    /// The first value out of range, if there is one. The reader of the data checks the templates.
    pub fn problem(&self) -> Option<&'static str> {
        if !(0.0..1.0).contains(&self.held_out) {
            return Some("held_out is a share, from 0 up to but not 1");
        }
        if self.shuffle_buffer == 0 {
            return Some("shuffle_buffer must be above 0");
        }
        if self.kind == PairsKind::Webdataset && (self.images.is_some() || self.image.is_some()) {
            return Some("shards bring their own pictures; leave images and image out");
        }
        None
    }

    /// The folder of the pictures: `images`, or the default of the format.
    pub fn images_folder(&self) -> PathBuf {
        if let Some(images) = &self.images {
            return images.clone();
        }
        match self.kind {
            PairsKind::Wikiart => self.path.clone(),
            _ => folder_beside(&self.path),
        }
    }

    /// The template of a picture's file name: `image`, or the default of the format.
    pub fn image_template(&self) -> &str {
        self.image.as_deref().unwrap_or(match self.kind {
            PairsKind::Pairs | PairsKind::Webdataset => "{image}",
            PairsKind::Artemis => "{artstyle}/{painting}",
            PairsKind::Wikiart => "{path}",
            PairsKind::Met => "{objectid}",
        })
    }

    /// The template of a caption: `caption`, or the default of the format.
    pub fn caption_template(&self) -> &str {
        self.caption.as_deref().unwrap_or(match self.kind {
            PairsKind::Pairs | PairsKind::Webdataset => "{caption}",
            PairsKind::Artemis => "{utterance}",
            PairsKind::Wikiart => "{title} by {artist}[, {date}][, {style}].",
            PairsKind::Met => "{title}[ by {artist}][, {date}][, {medium}].",
        })
    }
}

/// The folder of a list's pictures: `image` or `images` beside it, or its own.
pub fn folder_beside(list: &Path) -> PathBuf {
    let beside = list.parent().unwrap_or(Path::new("."));
    ["image", "images"]
        .iter()
        .map(|name| beside.join(name))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| beside.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<DataConfig, String> {
        #[derive(Deserialize)]
        struct Holder {
            data: DataConfig,
        }
        toml::from_str::<Holder>(text).map(|h| h.data).map_err(|e| e.message().to_string())
    }

    #[test]
    fn conversations_have_a_path_or_several_and_pictures_of_a_folder_or_a_museum() {
        let here = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(here.path().join("pictures")).expect("makes");
        let of = |keys: &str| {
            let data = parse(&format!("[data]\nkind = \"conversations\"\n{keys}"));
            match data.expect("parses").absolute(here.path()) {
                DataConfig::Conversations(config) => config,
                other => panic!("{other:?}"),
            }
        };
        let one = of("path = \"a.jsonl\"\nimages = \"pictures\"");
        assert_eq!(one.path.all(), [here.path().join("a.jsonl")]);
        assert_eq!(one.images, Some(here.path().join("pictures").display().to_string()));
        let many = of("path = [\"a.jsonl\", \"b/*.json\"]\nimages = \"met-paintings\"");
        assert_eq!(many.path.all().len(), 2);
        assert_eq!(many.images.as_deref(), Some("met-paintings"));
        // What is written into a run's folder is read again.
        let text = toml::to_string(&DataConfig::Conversations(many.clone())).expect("TOML");
        let again = parse(&format!("[data]\n{text}")).expect("parses");
        assert_eq!(again, DataConfig::Conversations(many));
        let typo = parse("[data]\nkind = \"conversations\"\npath = \"a\"\nimage = \"b\"");
        assert!(typo.expect_err("is told").contains("image"));
    }

    #[test]
    fn a_name_is_a_museum_and_a_table_says_where_pairs_are() {
        assert_eq!(parse("data = \"met\""), Ok(DataConfig::Museum("met".into())));
        let pairs = parse("[data]\nkind = \"artemis\"\npath = \"a.csv\"").expect("parses");
        let DataConfig::Pairs(pairs) = pairs else { panic!("a table") };
        assert_eq!(pairs.caption_template(), "{utterance}");
        assert_eq!(
            DataConfig::Pairs(pairs).absolute(Path::new("/here")).to_string(),
            "/here/a.csv"
        );
        let typo = parse("[data]\nkind = \"pairs\"\npath = \"a\"\ncaptoin = \"x\"");
        assert!(typo.expect_err("is told").contains("captoin"));
        assert!(parse("[data]\nkind = \"pairs\"\npath = [\"a\"]").is_err());
        let kind = parse("[data]\nkind = \"laion\"\npath = \"a\"").expect_err("is told");
        assert!(kind.contains("webdataset") && kind.contains("conversations"), "{kind}");
    }

    #[test]
    fn an_error_keeps_its_line() {
        #[derive(Deserialize)]
        struct Holder {
            #[serde(rename = "data")]
            _data: DataConfig,
        }
        for (text, wanted) in [
            ("[data]\nkind = \"pairs\"\npath = \"a\"\ncaptoin = \"x\"", "captoin"),
            ("[data]\nkind = \"laion\"\npath = \"a\"", "\"laion\""),
            ("[data]\npath = \"a\"\nkind = \"conversations\"\nheld_out = \"x\"", "\"x\""),
        ] {
            let span = toml::from_str::<Holder>(text).err().and_then(|e| e.span());
            let at = span.expect("has a place").start;
            assert!(text[at..].starts_with(wanted), "{text:?}: {:?}", &text[at..]);
        }
    }
}
