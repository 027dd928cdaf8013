//! What TensorBoard's plugins write into event files besides numbers: texts, pictures, histograms and
//! hyperparameters (`tensorboard/plugins/*/metadata.py` and their `.proto` files).

use prost::bytes::Buf;

use super::events::{Field, Place, Plugins, field};
use crate::runs::about::{About, Bin, Picture, keep, keep_histogram, keep_text};
use crate::runs::settings::MOST_KEYS;

/// A `Summary.Value` that is no number.
#[derive(Debug, Default)]
pub struct Other<'a> {
    pub tag: &'a str,
    pub image: Option<&'a [u8]>,
    pub histogram: Option<&'a [u8]>,
    pub tensor: Option<&'a [u8]>,
    pub metadata: Option<&'a [u8]>,
}

impl Other<'_> {
    /// `whole` is the message in which it stands, at `place`. `None` if it is damaged.
    pub fn keep(
        &self,
        whole: &[u8],
        place: Place,
        step: u64,
        plugins: &mut Plugins,
        about: &mut About,
    ) -> Option<()> {
        if let Some(metadata) = self.metadata {
            let (name, content) = plugin(metadata)?;
            if name == "hparams" {
                return hyperparameters(content, about);
            }
            if plugins.get(self.tag).is_none_or(|known| known != name) {
                plugins.insert(self.tag.to_string(), name.to_string());
            }
        }
        let picture = |encoded: &[u8]| {
            // Its bytes lie within the message's.
            let start = place.at + (encoded.as_ptr().addr() - whole.as_ptr().addr()) as u64;
            Picture {
                path: place.path.to_path_buf(),
                bytes: Some(start..start + encoded.len() as u64),
                caption: String::new(),
            }
        };
        if let Some(image) = self.image {
            if let Some(encoded) = encoded_image(image)? {
                keep(&mut about.pictures, self.tag, step, picture(encoded));
            }
        } else if let Some(histogram) = self.histogram {
            keep_histogram(about, self.tag, step, buckets(histogram)?);
        } else if let Some(tensor) = self.tensor {
            match plugins.get(self.tag).map(String::as_str) {
                Some("text") => {
                    // What PyTorch puts behind each name.
                    let tag = self.tag.strip_suffix("/text_summary").unwrap_or(self.tag);
                    let texts = strings(tensor)?.into_iter().map(String::from_utf8_lossy);
                    let text = texts.collect::<Vec<_>>().join("\n");
                    keep_text(about, tag, step, text);
                }
                // Width and height stand before the pictures.
                Some("images") => {
                    for encoded in strings(tensor)?.into_iter().skip(2) {
                        keep(&mut about.pictures, self.tag, step, picture(encoded));
                    }
                }
                Some("histograms") => {
                    let numbers = doubles(tensor)?;
                    let bins = numbers.chunks_exact(3);
                    let bins = bins.map(|b| Bin { low: b[0], high: b[1], count: b[2] });
                    keep_histogram(about, self.tag, step, bins.collect());
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// Name and content of a `SummaryMetadata`'s plugin.
fn plugin(mut metadata: &[u8]) -> Option<(&str, &[u8])> {
    let (mut name, mut content): (&str, &[u8]) = ("", &[]);
    while !metadata.is_empty() {
        let (1, Field::Bytes(mut data)) = field(&mut metadata)? else { continue };
        while !data.is_empty() {
            match field(&mut data)? {
                (1, Field::Bytes(bytes)) => name = std::str::from_utf8(bytes).ok()?,
                (2, Field::Bytes(bytes)) => content = bytes,
                _ => {}
            }
        }
    }
    Some((name, content))
}

/// The file in a `Summary.Image`.
fn encoded_image(mut image: &[u8]) -> Option<Option<&[u8]>> {
    let mut encoded = None;
    while !image.is_empty() {
        if let (4, Field::Bytes(bytes)) = field(&mut image)? {
            encoded = Some(bytes);
        }
    }
    Some(encoded)
}

/// A `HistogramProto`: each bucket reaches to its limit, the outermost ones to the extremes.
fn buckets(mut histogram: &[u8]) -> Option<Vec<Bin>> {
    // What is 0 is left out of the message.
    let (mut min, mut max) = (0.0f64, 0.0f64);
    let (mut limits, mut counts) = (Vec::new(), Vec::new());
    while !histogram.is_empty() {
        match field(&mut histogram)? {
            (1, Field::Fixed64(bits)) => min = f64::from_bits(bits),
            (2, Field::Fixed64(bits)) => max = f64::from_bits(bits),
            (6, Field::Fixed64(bits)) => limits.push(f64::from_bits(bits)),
            (7, Field::Fixed64(bits)) => counts.push(f64::from_bits(bits)),
            (6, Field::Bytes(packed)) => unpack(packed, &mut limits),
            (7, Field::Bytes(packed)) => unpack(packed, &mut counts),
            _ => {}
        }
    }
    let mut low = min;
    let bins = limits.iter().zip(&counts).map(|(limit, count)| {
        let bin = Bin { low: low.max(min), high: limit.min(max), count: *count };
        low = *limit;
        bin
    });
    Some(bins.filter(|bin| bin.count > 0.0).collect())
}

fn unpack(mut packed: &[u8], into: &mut Vec<f64>) {
    while packed.remaining() >= 8 {
        into.push(packed.get_f64_le());
    }
}

/// `string_val` of a `TensorProto`.
fn strings(mut tensor: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !tensor.is_empty() {
        if let (8, Field::Bytes(text)) = field(&mut tensor)? {
            all.push(text);
        }
    }
    Some(all)
}

/// The numbers of a `TensorProto` of doubles or floats.
fn doubles(mut tensor: &[u8]) -> Option<Vec<f64>> {
    let (mut kind, mut raw, mut all): (u64, &[u8], _) = (0, &[], Vec::new());
    while !tensor.is_empty() {
        match field(&mut tensor)? {
            (1, Field::Varint(number)) => kind = number,
            (4, Field::Bytes(content)) => raw = content,
            (6, Field::Bytes(packed)) => unpack(packed, &mut all),
            (6, Field::Fixed64(bits)) => all.push(f64::from_bits(bits)),
            _ => {}
        }
    }
    // `DT_DOUBLE` and `DT_FLOAT`.
    match kind {
        2 => unpack(raw, &mut all),
        1 => {
            while raw.remaining() >= 4 {
                all.push(raw.get_f32_le().into());
            }
        }
        _ => {}
    }
    Some(all)
}

/// `HParamsPluginData`: what a run began with.
fn hyperparameters(mut content: &[u8], about: &mut About) -> Option<()> {
    while !content.is_empty() {
        // session_start_info; how it ended is written at the beginning by some.
        if let (3, Field::Bytes(mut start)) = field(&mut content)? {
            while !start.is_empty() {
                let (1, Field::Bytes(entry)) = field(&mut start)? else { continue };
                let (key, value) = hyperparameter(entry)?;
                if about.settings.len() < MOST_KEYS {
                    about.settings.insert(key.to_string(), value);
                }
            }
        }
    }
    Some(())
}

/// Name and `google.protobuf.Value` of one.
fn hyperparameter(mut entry: &[u8]) -> Option<(&str, String)> {
    let (mut key, mut value) = ("", String::new());
    while !entry.is_empty() {
        match field(&mut entry)? {
            (1, Field::Bytes(name)) => key = std::str::from_utf8(name).ok()?,
            (2, Field::Bytes(mut inner)) => {
                while !inner.is_empty() {
                    match field(&mut inner)? {
                        (2, Field::Fixed64(bits)) => value = f64::from_bits(bits).to_string(),
                        (3, Field::Bytes(text)) => value = String::from_utf8_lossy(text).into(),
                        (4, Field::Varint(truth)) => value = (truth != 0).to_string(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some((key, value))
}
