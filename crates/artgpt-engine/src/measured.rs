//! Lines of measured features of the most recent pictures.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use lru::LruCache;

use crate::{Picture, Result};
use artgpt_art::measured_line;
use artgpt_chat::Turn;
use artgpt_model::detector::Detector;
use artgpt_model::manifest::Model;
use candle_core::Device;

/// Entries, of about 300 bytes each.
const CAPACITY: NonZeroUsize = match NonZeroUsize::new(64) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

/// The line of a picture, by its key. It depends on the pixels and the model's detector.
pub(crate) struct MeasuredCache {
    lines: LruCache<Arc<str>, String>,
    detector: Option<Detector>,
    /// The detector's file.
    path: Option<PathBuf>,
}

impl MeasuredCache {
    /// With the detector of `model`, if its prompts have measured lines.
    ///
    /// # Errors
    /// The detector cannot be read.
    pub(crate) fn of(model: &Model, measured: bool, device: &Device) -> Result<Self> {
        let path = detector_path(model, measured);
        let detector = Detector::for_prompts(model, measured, device)?;
        Ok(Self { lines: LruCache::new(CAPACITY), detector, path })
    }

    /// Whether the lines of `model` are these.
    pub(crate) fn serves(&self, model: &Model, measured: bool) -> bool {
        self.path == detector_path(model, measured)
    }

    /// The lines of the pictures that `turns` show, by their index in the request.
    ///
    /// # Errors
    /// The detector failed.
    pub(crate) fn lines(
        &mut self,
        turns: &[Turn],
        pictures: &[Picture],
    ) -> Result<Vec<Option<String>>> {
        let mut lines = vec![None; pictures.len()];
        for (index, _) in turns.iter().flat_map(|turn| &turn.images) {
            if let (Some(picture), Some(line @ None)) =
                (pictures.get(*index), lines.get_mut(*index))
            {
                *line = Some(self.line(picture)?);
            }
        }
        Ok(lines)
    }

    fn line(&mut self, picture: &Picture) -> Result<String> {
        let detector = self.detector.as_ref();
        let measure = || -> Result<String> {
            let objects = detector.map(|detector| detector.find(&picture.image)).transpose()?;
            Ok(measured_line(&picture.image, objects.as_ref()))
        };
        Ok(self.lines.try_get_or_insert(picture.key.clone(), measure)?.clone())
    }
}

fn detector_path(model: &Model, measured: bool) -> Option<PathBuf> {
    let part = model.manifest.detector.as_ref().filter(|_| measured)?;
    Some(model.path(&part.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_chat::Role;
    use image::{Rgb, RgbImage};

    #[test]
    fn only_pictures_that_are_shown_are_measured_and_each_once() {
        let picture = |key: &str, rgb| Picture {
            key: key.into(),
            image: Arc::new(RgbImage::from_pixel(20, 30, Rgb(rgb))),
        };
        let pictures = [picture("a", [200, 20, 30]), picture("b", [30, 60, 180])];
        let mut turn = Turn::new(Role::User, "Which?");
        turn.images = vec![(1, "none".into()), (7, "none".into())];
        let mut cache =
            MeasuredCache { lines: LruCache::new(CAPACITY), detector: None, path: None };
        let lines = cache.lines(std::slice::from_ref(&turn), &pictures).expect("measures");
        assert_eq!(lines[0], None);
        assert!(lines[1].as_deref().is_some_and(|l| l.starts_with("mostly blue;")), "{lines:?}");
        // The key identifies the pixels: a second look measures nothing.
        let other = [picture("a", [0; 3]), picture("b", [200, 20, 30])];
        assert_eq!(cache.lines(&[turn], &other).expect("measures"), lines);
    }

    #[test]
    fn a_model_with_another_detector_needs_other_lines() {
        let dir = tempfile::tempdir().expect("a folder");
        let model = |name: &str, detector: &str| {
            let path = dir.path().join(name);
            let detector = match detector {
                "" => String::new(),
                path => format!("[detector]\nkind = \"yolo_v2_tiny\"\npath = \"{path}\"\n"),
            };
            std::fs::write(&path, format!("name = \"m\"\n{detector}")).expect("writes");
            Model::find(&path.display().to_string(), dir.path()).expect("finds")
        };
        let (none, one, other) = (model("a", ""), model("b", "x.weights"), model("c", "y.weights"));
        let plain = MeasuredCache::of(&none, true, &Device::Cpu).expect("has no detector");
        assert!(plain.serves(&none, true) && plain.serves(&one, false));
        assert!(!plain.serves(&one, true));
        let path = Some(dir.path().join("x.weights"));
        let with =
            MeasuredCache { path, ..MeasuredCache::of(&none, true, &Device::Cpu).expect("none") };
        assert!(with.serves(&one, true) && !with.serves(&other, true) && !with.serves(&none, true));
        // One that cannot be read is no silent loss.
        assert!(MeasuredCache::of(&one, true, &Device::Cpu).is_err());
        assert!(MeasuredCache::of(&one, false, &Device::Cpu).is_ok());
    }
}
