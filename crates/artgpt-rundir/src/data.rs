//! `data` of a configuration: the name of a museum, or a table that says where pairs are.

use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

/// What a run learns from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DataConfig {
    /// A data manifest's name, or a folder with pictures and `objects.json`: questions are made of
    /// its paintings.
    Museum(String),
    /// Pictures with captions.
    Pairs(PairsConfig),
}

impl<'de> Deserialize<'de> for DataConfig {
    // By hand: serde's untagged enums lose what is wrong inside the table.
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
                PairsConfig::deserialize(MapAccessDeserializer::new(map)).map(DataConfig::Pairs)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl DataConfig {
    /// The same with paths that hold wherever the program is started.
    pub fn absolute(self, here: &Path) -> Self {
        match self {
            Self::Pairs(pairs) => Self::Pairs(PairsConfig {
                path: here.join(&pairs.path),
                images: pairs.images.map(|images| here.join(images)),
                ..pairs
            }),
            museum => museum,
        }
    }
}

impl std::fmt::Display for DataConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Museum(name) => f.write_str(name),
            Self::Pairs(pairs) => write!(f, "{}", pairs.path.display()),
        }
    }
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsConfig {
    pub kind: PairsKind,
    /// The list (`.json`, `.jsonl`, `.csv`, `.tsv`), a folder (wikiart), or shards: `*` stands for
    /// any text, and `{0000..0011}` for numbers of as many digits.
    pub path: PathBuf,
    /// The pictures' folder; by default the list's own, or `image` or `images` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// A picture's name in that folder, with `{fields}` of its row; its ending may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The caption, with `{fields}` of the row. What stands in `[ ]` is left out where the row
    /// lacks a field of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Only rows whose score is no lower than this train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f32>,
    /// The field of the score; by default the one whose name begins with `aesthetic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Pairs in memory from which the next one is drawn (shards).
    #[serde(default = "shuffle_buffer")]
    pub shuffle_buffer: usize,
    /// Share of the pictures that is kept out of training, where the source has no split of its own.
    #[serde(default = "held_out")]
    pub held_out: f64,
}

fn shuffle_buffer() -> usize {
    10_000
}

fn held_out() -> f64 {
    0.02
}

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
    /// What is out of range, in words. The templates are checked by whoever reads the data.
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

    pub fn images_folder(&self) -> PathBuf {
        if let Some(images) = &self.images {
            return images.clone();
        }
        let beside = match self.kind {
            PairsKind::Wikiart => return self.path.clone(),
            _ => self.path.parent().unwrap_or(Path::new(".")),
        };
        ["image", "images"]
            .iter()
            .map(|name| beside.join(name))
            .find(|folder| folder.is_dir())
            .unwrap_or_else(|| beside.to_path_buf())
    }

    pub fn image_template(&self) -> &str {
        self.image.as_deref().unwrap_or(match self.kind {
            PairsKind::Pairs | PairsKind::Webdataset => "{image}",
            PairsKind::Artemis => "{artstyle}/{painting}",
            PairsKind::Wikiart => "{path}",
            PairsKind::Met => "{objectid}",
        })
    }

    pub fn caption_template(&self) -> &str {
        self.caption.as_deref().unwrap_or(match self.kind {
            PairsKind::Pairs | PairsKind::Webdataset => "{caption}",
            PairsKind::Artemis => "{utterance}",
            PairsKind::Wikiart => "{title} by {artist}[, {date}][, {style}].",
            PairsKind::Met => "{title}[ by {artist}][, {date}][, {medium}].",
        })
    }
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
        let kind = parse("[data]\nkind = \"laion\"\npath = \"a\"").expect_err("is told");
        assert!(kind.contains("webdataset"), "{kind}");
    }
}
