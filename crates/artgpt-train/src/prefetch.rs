//! Prefetch: one thread decodes and crops the pictures of later steps.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use image::RgbImage;
use rayon::prelude::*;

use super::cache::FrozenCache;
use super::data::{Feed, Pair};
use super::task::rng;
use super::{Result, open_feed};
use artgpt_art::{View, random_resized_crop};
use artgpt_rundir::{Captions, TrainConfig};

/// A pair and its cropped picture.
pub(crate) struct PreparedPair {
    pub pair: Pair,
    /// The key of its frozen outputs in the cache; `None` if this crop never comes again.
    pub name: Option<String>,
    /// The crop, or why it cannot be read; `None` if the cache has the frozen outputs.
    pub view: Option<std::result::Result<RgbImage, String>>,
}

/// Decodes and crops pictures.
#[derive(Clone)]
pub(crate) struct Cropper {
    pub seed: u64,
    /// Side of the encoder's square input, in pixels.
    pub side: u32,
}

impl Cropper {
    /// The cache key of a pair's crop in pass number `pass`; `None` if the crop never comes again.
    pub(crate) fn name(&self, pair: &Pair, captions: &Captions, pass: u64) -> Option<String> {
        match (captions.crop, captions.variants) {
            (None, _) => Some(pair.key.clone()),
            (Some(_), 0) => None,
            (Some(_), variants) => Some(format!("{}#{}", pair.key, pass % variants as u64)),
        }
    }

    /// Decodes and crops a picture. The crop depends on the picture, and on its variant or `number`.
    pub(crate) fn view(
        &self,
        pair: &Pair,
        captions: &Captions,
        name: Option<&str>,
        number: u64,
    ) -> std::result::Result<RgbImage, String> {
        let image = pair.picture.decode().map_err(|e| e.to_string())?;
        let part = match captions.crop {
            None => image,
            Some((least, most)) => {
                let mut rng = match name {
                    Some(name) => rng(self.seed, name, 0),
                    None => rng(self.seed, "crops", number),
                };
                random_resized_crop(&image, (least, most), &mut rng)
            }
        };
        Ok(View::sized(&part, self.side).pixels().clone())
    }
}

/// Gives micro-batches in order; a request out of order restarts the thread there.
pub(crate) struct Prefetcher {
    config: Arc<TrainConfig>,
    cropper: Cropper,
    cache: Arc<FrozenCache<()>>,
    running: Option<Prefetch>,
}

/// A running thread and its results.
struct Prefetch {
    /// (step, micro-batch) of the next result.
    next: (usize, usize),
    batches: Receiver<Result<Vec<PreparedPair>>>,
}

impl Prefetcher {
    pub(crate) fn new(
        config: Arc<TrainConfig>,
        cropper: Cropper,
        cache: Arc<FrozenCache<()>>,
    ) -> Self {
        Self { config, cropper, cache, running: None }
    }

    /// Micro-batch `micro` of `step`.
    ///
    /// # Errors
    /// Those of the data, and [`crate::TrainError::Run`] if the thread ended.
    pub(crate) fn take(&mut self, step: usize, micro: usize) -> Result<Vec<PreparedPair>> {
        let lost = || crate::config_error("the thread that reads pictures has ended");
        let prefetch = match self.running.take().filter(|prefetch| prefetch.next == (step, micro)) {
            Some(prefetch) => prefetch,
            None => self.start_at((step, micro))?,
        };
        let batch = prefetch.batches.recv().map_err(|_| lost())??;
        let next = after(&self.config, (step, micro));
        self.running = next.map(|next| Prefetch { next, ..prefetch });
        Ok(batch)
    }

    fn start_at(&self, start: (usize, usize)) -> Result<Prefetch> {
        let needed = || crate::config_error("a caption stage needs [data]");
        let mut feed = open_feed(&self.config)?.ok_or_else(needed)?;
        let (sender, batches) = sync_channel(self.config.prefetch);
        let (config, cropper, cache) =
            (self.config.clone(), self.cropper.clone(), self.cache.clone());
        std::thread::Builder::new()
            .name("pictures".into())
            .spawn(move || {
                let mut next = Some(start);
                while let Some(position) = next {
                    let batch = read(&config, &mut feed, &cropper, &cache, position);
                    let failed = batch.is_err();
                    // The receiver is dropped when the run needs no more.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                    next = after(&config, position);
                }
            })
            .map_err(|e| crate::config_error(format!("no thread can be started: {e}")))?;
        Ok(Prefetch { next: start, batches })
    }
}

/// Draws a micro-batch and prepares its pictures in parallel.
fn read(
    config: &TrainConfig,
    feed: &mut Feed,
    cropper: &Cropper,
    cache: &FrozenCache<()>,
    (step, micro): (usize, usize),
) -> Result<Vec<PreparedPair>> {
    let Some((_, stage, _)) = config.stage_at(step) else { return Ok(Vec::new()) };
    let captions = stage.captions();
    let first = config.samples_before(step) as u64 + (micro * stage.batch) as u64;
    let mut drawn = Vec::with_capacity(stage.batch);
    for number in first..first + stage.batch as u64 {
        let pair = feed.at(number)?;
        let name = cropper.name(&pair, &captions, feed.pass());
        drawn.push((number, pair, name));
    }
    Ok(drawn
        .into_par_iter()
        .map(|(number, pair, name)| {
            let known = name.as_deref().is_some_and(|name| cache.contains(name));
            let view = (!known).then(|| cropper.view(&pair, &captions, name.as_deref(), number));
            PreparedPair { pair, name, view }
        })
        .collect())
}

/// The micro-batch that comes after one; `None` at the end of the run.
fn after(config: &TrainConfig, (step, micro): (usize, usize)) -> Option<(usize, usize)> {
    let (_, stage, _) = config.stage_at(step)?;
    let next = if micro + 1 < stage.accumulate { (step, micro + 1) } else { (step + 1, 0) };
    config.stage_at(next.0).map(|_| next)
}
