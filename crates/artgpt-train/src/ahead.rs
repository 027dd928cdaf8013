//! Pictures decoded and cut before their step comes, on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use image::RgbImage;
use rayon::prelude::*;

use super::cache::FrozenCache;
use super::data::{Feed, Pair};
use super::task::rng;
use super::{Result, TrainError, open_feed};
use artgpt_art::{View, random_resized_crop};
use artgpt_rundir::{Captions, TrainConfig};

/// A pair whose picture is ready.
pub struct Ready {
    pub pair: Pair,
    /// Under which its frozen outputs are kept; `None` if it never comes again.
    pub name: Option<String>,
    /// `None` where the frozen outputs are known already.
    pub view: Option<std::result::Result<RgbImage, String>>,
}

/// How pictures are cut.
#[derive(Clone)]
pub struct Cut {
    pub seed: u64,
    /// Side of the square that the encoder takes.
    pub side: u32,
}

impl Cut {
    /// The part of a pair's picture that is seen in its pass, and its name in the cache.
    pub fn name(&self, pair: &Pair, captions: &Captions, pass: u64) -> Option<String> {
        match (captions.crop, captions.variants) {
            (None, _) => Some(pair.key.clone()),
            (Some(_), 0) => None,
            (Some(_), variants) => Some(format!("{}#{}", pair.key, pass % variants as u64)),
        }
    }

    /// Reads and cuts it. What it is depends on the picture, and on its variant or `number`.
    pub fn view(
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

/// Micro-batches in order; one that is asked for out of order begins the walk anew.
pub struct Ahead {
    config: Arc<TrainConfig>,
    cut: Cut,
    cache: Arc<FrozenCache<()>>,
    running: Option<Walk>,
}

struct Walk {
    /// (step, micro-batch) that comes next.
    next: (usize, usize),
    batches: Receiver<Result<Vec<Ready>>>,
}

impl Ahead {
    pub fn new(config: Arc<TrainConfig>, cut: Cut, cache: Arc<FrozenCache<()>>) -> Self {
        Self { config, cut, cache, running: None }
    }

    /// Micro-batch `micro` of `step`.
    pub fn take(&mut self, step: usize, micro: usize) -> Result<Vec<Ready>> {
        let lost = || TrainError::Config("the thread that reads pictures has ended".into());
        let walk = match self.running.take().filter(|walk| walk.next == (step, micro)) {
            Some(walk) => walk,
            None => self.walk_from((step, micro))?,
        };
        let batch = walk.batches.recv().map_err(|_| lost())??;
        let next = after(&self.config, (step, micro));
        self.running = next.map(|next| Walk { next, ..walk });
        Ok(batch)
    }

    fn walk_from(&self, start: (usize, usize)) -> Result<Walk> {
        let needed = || TrainError::Config("a caption stage needs [data]".into());
        let mut feed = open_feed(&self.config)?.ok_or_else(needed)?;
        let (sender, batches) = sync_channel(self.config.prefetch);
        let (config, cut, cache) = (self.config.clone(), self.cut.clone(), self.cache.clone());
        std::thread::Builder::new()
            .name("pictures".into())
            .spawn(move || {
                let mut place = Some(start);
                while let Some(at) = place {
                    let batch = read(&config, &mut feed, &cut, &cache, at);
                    let failed = batch.is_err();
                    // The other side hangs up when it needs no more.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                    place = after(&config, at);
                }
            })
            .map_err(|e| TrainError::Config(format!("no thread can be started: {e}")))?;
        Ok(Walk { next: start, batches })
    }
}

fn read(
    config: &TrainConfig,
    feed: &mut Feed,
    cut: &Cut,
    cache: &FrozenCache<()>,
    (step, micro): (usize, usize),
) -> Result<Vec<Ready>> {
    let Some((_, stage, _)) = config.stage_at(step) else { return Ok(Vec::new()) };
    let captions = stage.captions();
    let first = config.samples_before(step) as u64 + (micro * stage.batch) as u64;
    let mut drawn = Vec::with_capacity(stage.batch);
    for number in first..first + stage.batch as u64 {
        let pair = feed.at(number)?;
        let name = cut.name(&pair, &captions, feed.pass());
        drawn.push((number, pair, name));
    }
    Ok(drawn
        .into_par_iter()
        .map(|(number, pair, name)| {
            let known = name.as_deref().is_some_and(|name| cache.contains(name));
            let view = (!known).then(|| cut.view(&pair, &captions, name.as_deref(), number));
            Ready { pair, name, view }
        })
        .collect())
}

/// The micro-batch that comes after one; `None` at the end of the run.
fn after(config: &TrainConfig, (step, micro): (usize, usize)) -> Option<(usize, usize)> {
    let (_, stage, _) = config.stage_at(step)?;
    let next = if micro + 1 < stage.accumulate { (step, micro + 1) } else { (step + 1, 0) };
    config.stage_at(next.0).map(|_| next)
}
