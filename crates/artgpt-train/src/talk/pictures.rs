//! The pictures of conversations in memory: a museum's, and the most recent ones of files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use image::RgbImage;
use lru::LruCache;

use crate::data::Picture;
use crate::data::conversations::{Contents, PictureSource, ShownPicture};
use artgpt_art::{Artwork, Label, Objects, Painting, Paintings, decode, measured_line, within};
use artgpt_model::detector::Detector;

/// Limit on the longer side, in pixels, of a picture in memory; a museum has the same.
const LONG_SIDE: u32 = 512;

/// A picture, ready to be cropped.
pub(super) struct Loaded<'a> {
    pixels: Pixels<'a>,
    pub label: Option<Label>,
    /// The museum's record.
    pub painting: Option<&'a Painting>,
    measured: Arc<OnceLock<Measured>>,
    detector: Option<&'a Detector>,
    contents: Option<Contents>,
    /// The museum's file.
    file: Option<PathBuf>,
}

/// What is measured in a whole picture.
struct Measured {
    line: String,
    objects: Option<Objects>,
    /// Why the detector found nothing.
    failure: Option<String>,
}

impl Measured {
    fn of(image: &RgbImage, detector: Option<&Detector>, known: Option<&Contents>) -> Self {
        let found = detector.map(|detector| detector.find(image)).transpose();
        let (objects, failure) = match found {
            Ok(objects) => (objects, None),
            Err(e) => (None, Some(format!("the detector failed: {e}"))),
        };
        let objects = match (objects, known) {
            (Some(found), Some(known)) => Some(known.correct(&found)),
            (found, _) => found,
        };
        Self { line: measured_line(image, objects.as_ref()), objects, failure }
    }
}

/// What the cell has, or what is computed now. Not within the cell: the detector works on several threads, and one that
/// waits there may come back to the same cell.
fn kept(cell: &OnceLock<Measured>, compute: impl FnOnce() -> Measured) -> &Measured {
    match cell.get() {
        Some(known) => known,
        None => {
            let computed = compute();
            cell.get_or_init(|| computed)
        }
    }
}

enum Pixels<'a> {
    Museum(&'a RgbImage),
    Own(RgbImage),
}

impl Loaded<'_> {
    pub(super) fn image(&self) -> &RgbImage {
        match &self.pixels {
            Pixels::Museum(image) => image,
            Pixels::Own(image) => image,
        }
    }

    /// The line of the whole picture's measured features, as in a chat: of the file in its own size.
    pub(super) fn measured(&self) -> &str {
        &self.measure().line
    }

    /// What the detector found in the whole picture.
    pub(super) fn objects(&self) -> Option<&Objects> {
        self.measure().objects.as_ref()
    }

    fn measure(&self) -> &Measured {
        kept(&self.measured, || {
            let file = self.file.as_ref().and_then(|path| Artwork::open(path).ok());
            let image = file.as_ref().map_or(self.image(), |artwork| &artwork.image);
            Measured::of(image, self.detector, self.contents.as_ref())
        })
    }

    fn bytes(&self) -> usize {
        match &self.pixels {
            Pixels::Museum(_) => 0,
            Pixels::Own(image) => image.as_raw().len(),
        }
    }
}

/// Reads pictures; the most recently used ones stay in memory.
pub(super) struct Pictures<'a> {
    paintings: Option<&'a Paintings>,
    /// The folder of the museum's files.
    pub museum: Option<PathBuf>,
    cache: Mutex<Cache<'a>>,
    /// The measured lines, which are short and take long to compute.
    lines: Mutex<HashMap<usize, Arc<OnceLock<Measured>>>>,
    /// What pictures contain, by their names: it corrects the detector.
    pub contents: HashMap<String, Contents>,
    /// Whether lines are needed.
    measured: bool,
    /// Finds what the lines name.
    detector: Option<&'a Detector>,
    /// Max bytes of pixels in memory.
    limit: usize,
}

struct Cache<'a> {
    by_number: LruCache<usize, Arc<Loaded<'a>>>,
    bytes: usize,
}

impl<'a> Pictures<'a> {
    /// `measured` says whether the measured lines are needed.
    pub(super) fn new(
        paintings: Option<&'a Paintings>,
        limit: usize,
        measured: bool,
        detector: Option<&'a Detector>,
    ) -> Self {
        let cache = Mutex::new(Cache { by_number: LruCache::unbounded(), bytes: 0 });
        let (lines, contents) = (Mutex::default(), HashMap::new());
        Self { paintings, museum: None, cache, lines, contents, measured, detector, limit }
    }

    /// Picture number `at`.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    pub(super) fn get(&self, at: usize, shown: &ShownPicture) -> Result<Arc<Loaded<'a>>, String> {
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().by_number.get(&at) {
            return Ok(known.clone());
        }
        let loaded = Arc::new(self.load(at, shown)?);
        let mut cache = lock();
        cache.bytes += loaded.bytes();
        if let Some((_, old)) = cache.by_number.push(at, loaded.clone()) {
            cache.bytes -= old.bytes();
        }
        while cache.bytes > self.limit
            && let Some((_, old)) = cache.by_number.pop_lru()
        {
            cache.bytes -= old.bytes();
        }
        Ok(loaded)
    }

    fn load(&self, at: usize, shown: &ShownPicture) -> Result<Loaded<'a>, String> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let measured = lines.entry(at).or_default().clone();
        drop(lines);
        let detector = self.detector;
        let contents = self.contents.get(&shown.key).cloned();
        let (image, label) = match &shown.source {
            PictureSource::Painting(id) => {
                let painting = self.paintings.and_then(|all| all.get(*id));
                let painting =
                    painting.ok_or_else(|| format!("the museum has no painting {id}"))?;
                let file = self.museum.as_ref().map(|folder| folder.join(format!("{id}.jpg")));
                let loaded = Loaded {
                    pixels: Pixels::Museum(&painting.image),
                    label: Some(painting.label.clone()),
                    painting: Some(painting),
                    measured,
                    detector,
                    contents,
                    file,
                };
                if self.measured {
                    loaded.measure().failure.clone().map_or(Ok(()), Err)?;
                }
                return Ok(loaded);
            }
            PictureSource::Picture(Picture::File(path)) => {
                let artwork = Artwork::open(path).map_err(|e| e.to_string())?;
                (Arc::unwrap_or_clone(artwork.image), artwork.label)
            }
            PictureSource::Picture(picture) => {
                let bytes = picture.read().map_err(|e| e.to_string())?;
                let read = decode(Path::new(&picture.to_string()), &bytes);
                (read.map_err(|e| e.to_string())?.0, None)
            }
        };
        if self.measured {
            let known = kept(&measured, || Measured::of(&image, detector, contents.as_ref()));
            known.failure.clone().map_or(Ok(()), Err)?;
        }
        let pixels = match within(image.dimensions(), LONG_SIDE) {
            Some((w, h)) => {
                image::imageops::resize(&image, w, h, image::imageops::FilterType::Triangle)
            }
            None => image,
        };
        let pixels = Pixels::Own(pixels);
        Ok(Loaded { pixels, label, painting: None, measured, detector, contents, file: None })
    }
}
