//! A detector of persons, animals and things: YOLOv2-tiny (Redmon and Farhadi 2016), trained on COCO's
//! photographs. It names what the small vision encoder does not, in a line of text for the prompt.

mod boxes;
mod darknet;
mod letterbox;
mod names;
mod network;

use std::path::{Path, PathBuf};

use candle_core::Device;
use image::RgbImage;

use self::letterbox::Letterbox;
pub use self::names::is_told;
use self::network::Network;
use super::manifest::Model;
use super::{Error, Result};
use artgpt_art::Objects;
use artgpt_manifest::DetectorKind;

/// Side of the square in which it looks, in pixels: 32 a cell. It was trained at 416; figures of paintings are
/// smaller than those of photographs.
const SIDE: usize = 608;

/// A detector, loaded.
pub struct Detector {
    network: Network,
    device: Device,
    path: PathBuf,
}

impl Detector {
    /// The detector that the manifest names; `None` without one, or if prompts have no measured lines.
    ///
    /// # Errors
    /// The file cannot be read, or it is not of this network.
    pub fn for_prompts(model: &Model, measured: bool, device: &Device) -> Result<Option<Self>> {
        let Some(part) = model.manifest.detector.as_ref().filter(|_| measured) else {
            return Ok(None);
        };
        let DetectorKind::YoloV2Tiny = part.kind;
        Self::open(&model.path(&part.path), device).map(Some)
    }

    /// The manifest's file and the numbers in it; `None` without a detector.
    ///
    /// # Errors
    /// As for [`Self::for_prompts`].
    pub(crate) fn examine(model: &Model) -> Result<Option<(PathBuf, u64)>> {
        let Some(part) = &model.manifest.detector else { return Ok(None) };
        let path = model.path(&part.path);
        darknet::read(&path, &network::LAYERS)?;
        let numbers: usize = network::LAYERS.iter().map(network::Layer::floats).sum();
        Ok(Some((path, numbers as u64)))
    }

    /// Reads weights in darknet's format.
    ///
    /// # Errors
    /// As for [`Self::for_prompts`].
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let layers = darknet::read(path, &network::LAYERS)?;
        let network = Network::new(layers, device).map_err(|e| Error::in_part(path, e))?;
        Ok(Self { network, device: device.clone(), path: path.to_path_buf() })
    }

    /// What is in a picture, the surest first.
    ///
    /// # Errors
    /// The computation failed, or the weights are damaged: the result is not finite.
    pub fn find(&self, image: &RgbImage) -> Result<Objects> {
        let (frame, pixels) = Letterbox::of(image, SIDE, &self.device)?;
        let (grid, values) = self.network.forward(&pixels)?;
        if !values.iter().all(|v| v.is_finite()) {
            return Err(Error::corrupt(&self.path, "its numbers are not finite"));
        }
        let found = boxes::decode(&values, grid).into_iter();
        let found = found.filter(|found| names::is_told(&found.name));
        // What lies in the grey around the picture is nothing.
        let found = found.filter_map(|found| frame.undo(found)).collect();
        Ok(Objects(boxes::without_doubles(found)))
    }
}

#[cfg(test)]
mod tests;
