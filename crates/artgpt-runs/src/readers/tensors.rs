//! Values of TensorBoard's plugins other than scalars: texts, images, audio, histograms, precision-recall
//! curves and hyperparameters (`tensorboard/plugins/*/metadata.py` and their `.proto` files).

use prost::bytes::Buf;

use super::events::{FilePosition, Plugins};
use super::protobuf::{Field, fields};
use crate::about::{About, Bin, Cut, Media, keep, keep_histogram, keep_precision, keep_text};
use crate::settings::MAX_KEYS;

/// A `Summary.Value` that is not a scalar, with its fields unparsed.
#[derive(Debug, Default)]
pub(crate) struct SummaryValue<'a> {
    pub tag: &'a str,
    pub image: Option<&'a [u8]>,
    pub histogram: Option<&'a [u8]>,
    pub sound: Option<&'a [u8]>,
    pub tensor: Option<&'a [u8]>,
    pub metadata: Option<&'a [u8]>,
}

impl SummaryValue<'_> {
    /// Parses the value and adds it to `about`. `whole` is the message that contains it, at `position` in
    /// the file. Whether it is a kind that is shown; `None` if it is damaged.
    pub(crate) fn keep(
        &self,
        whole: &[u8],
        position: FilePosition,
        step: u64,
        plugins: &mut Plugins,
        about: &mut About,
    ) -> Option<bool> {
        if let Some(metadata) = self.metadata {
            let (name, content) = plugin(metadata)?;
            if name == "hparams" {
                return hyperparameters(content, about).map(|()| true);
            }
            if plugins.get(self.tag).is_none_or(|known| known != name) {
                plugins.insert(self.tag.to_string(), name.to_string());
            }
        }
        let media = |encoded: &[u8], caption: &str| {
            // `encoded` is a slice of `whole`.
            let start = position.offset + (encoded.as_ptr().addr() - whole.as_ptr().addr()) as u64;
            let part = start..start + encoded.len() as u64;
            Media::new(position.path.to_path_buf(), Some(part), caption)
        };
        let bare = |encoded: &[u8]| media(encoded, "");
        // `Summary.Image` and `Summary.Audio` have the file in their fourth field.
        if let Some(image) = self.image {
            if let Some(encoded) = encoded_file(image)? {
                keep(&mut about.pictures, self.tag, step, bare(encoded));
            }
        } else if let Some(sound) = self.sound {
            if let Some(encoded) = encoded_file(sound)? {
                keep(&mut about.sounds, self.tag, step, bare(encoded));
            }
        } else if let Some(histogram) = self.histogram {
            keep_histogram(about, self.tag, step, buckets(histogram)?);
        } else if let Some(tensor) = self.tensor {
            match plugins.get(self.tag).map(String::as_str) {
                Some("text") => {
                    // PyTorch appends this to each tag.
                    let tag = self.tag.strip_suffix("/text_summary").unwrap_or(self.tag);
                    let texts = strings(tensor)?.into_iter().map(String::from_utf8_lossy);
                    let text = texts.collect::<Vec<_>>().join("\n");
                    keep_text(about, tag, step, text);
                }
                // Width and height come before the images.
                Some("images") => {
                    for encoded in strings(tensor)?.into_iter().skip(2) {
                        keep(&mut about.pictures, self.tag, step, bare(encoded));
                    }
                }
                // Pairs of a sound and its label.
                Some("audio") => {
                    for pair in strings(tensor)?.chunks(2) {
                        let label = pair.get(1).map(|label| String::from_utf8_lossy(label));
                        let sound = media(pair[0], &label.unwrap_or_default());
                        keep(&mut about.sounds, self.tag, step, sound);
                    }
                }
                Some("pr_curves") => {
                    keep_precision(about, self.tag, step, &cuts(&doubles(tensor)?));
                }
                Some("histograms") => {
                    let numbers = doubles(tensor)?;
                    let bins = numbers.chunks_exact(3);
                    let bins = bins.map(|b| Bin { low: b[0], high: b[1], count: b[2] });
                    keep_histogram(about, self.tag, step, bins.collect());
                }
                _ => return Some(false),
            }
        }
        Some(true)
    }
}

/// Name and content of a `SummaryMetadata`'s plugin.
fn plugin(metadata: &[u8]) -> Option<(&str, &[u8])> {
    let (mut name, mut content): (&str, &[u8]) = ("", &[]);
    for entry in fields(metadata) {
        let (1, Field::Bytes(data)) = entry? else { continue };
        for entry in fields(data) {
            match entry? {
                (1, Field::Bytes(bytes)) => name = std::str::from_utf8(bytes).ok()?,
                (2, Field::Bytes(bytes)) => content = bytes,
                _ => {}
            }
        }
    }
    Some((name, content))
}

/// The points of a precision-recall curve. The tensor holds true and false positives, true and false
/// negatives, precision and recall, each at evenly spaced thresholds from 0 to 1.
fn cuts(numbers: &[f64]) -> Vec<Cut> {
    let count = numbers.len() / 6;
    let cut = |at: usize| Cut {
        threshold: at as f64 / (count - 1).max(1) as f64,
        precision: numbers[4 * count + at],
        recall: numbers[5 * count + at],
    };
    (0..count).map(cut).collect()
}

/// The file in a `Summary.Image` or a `Summary.Audio`.
fn encoded_file(message: &[u8]) -> Option<Option<&[u8]>> {
    let mut encoded = None;
    for entry in fields(message) {
        if let (4, Field::Bytes(bytes)) = entry? {
            encoded = Some(bytes);
        }
    }
    Some(encoded)
}

/// The bins of a `HistogramProto`: each bucket ends at its limit, the outermost ones at min and max.
fn buckets(histogram: &[u8]) -> Option<Vec<Bin>> {
    // Protobuf omits fields that are 0.
    let (mut min, mut max) = (0.0f64, 0.0f64);
    let (mut limits, mut counts) = (Vec::new(), Vec::new());
    for entry in fields(histogram) {
        match entry? {
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

/// Appends packed doubles.
fn unpack(mut packed: &[u8], into: &mut Vec<f64>) {
    while packed.remaining() >= 8 {
        into.push(packed.get_f64_le());
    }
}

/// `string_val` of a `TensorProto`.
fn strings(tensor: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    for entry in fields(tensor) {
        if let (8, Field::Bytes(text)) = entry? {
            all.push(text);
        }
    }
    Some(all)
}

/// The numbers of a `TensorProto` of doubles or floats.
fn doubles(tensor: &[u8]) -> Option<Vec<f64>> {
    let (mut kind, mut raw, mut all): (u64, &[u8], _) = (0, &[], Vec::new());
    for entry in fields(tensor) {
        match entry? {
            (1, Field::Varint(number)) => kind = number,
            (4, Field::Bytes(content)) => raw = content,
            (5, Field::Bytes(mut packed)) => {
                while packed.remaining() >= 4 {
                    all.push(packed.get_f32_le().into());
                }
            }
            (5, Field::Fixed32(bits)) => all.push(f32::from_bits(bits).into()),
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

/// Adds the hyperparameters of an `HParamsPluginData`.
fn hyperparameters(content: &[u8], about: &mut About) -> Option<()> {
    for entry in fields(content) {
        // session_start_info; session_end_info is unreliable: some programs write it at the start.
        if let (3, Field::Bytes(start)) = entry? {
            for entry in fields(start) {
                let (1, Field::Bytes(entry)) = entry? else { continue };
                let (key, value) = hyperparameter(entry)?;
                if about.settings.len() < MAX_KEYS {
                    about.settings.insert(key.to_string(), value);
                }
            }
        }
    }
    Some(())
}

/// Name of a hyperparameter, and its `google.protobuf.Value` as text.
fn hyperparameter(entry: &[u8]) -> Option<(&str, String)> {
    let (mut key, mut value) = ("", String::new());
    for entry in fields(entry) {
        match entry? {
            (1, Field::Bytes(name)) => key = std::str::from_utf8(name).ok()?,
            (2, Field::Bytes(inner)) => {
                for entry in fields(inner) {
                    match entry? {
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
