//! Captions of pictures: the paper's two stages (`minigpt4/models/mini_gpt4.py`).

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use rand::Rng;

use super::cache::FrozenCache;
use super::data::{Feed, Pair};
use super::pack::{end_of, pack_pieces};
use super::prefetch::{Cropper, Prefetcher, PreparedPair};
use super::samples::SampledAnswer;
use super::task::{Batch, Network, StepContext, Task, UnitLoss};
use super::{Packed, Result, TrainError, answer_loss};
use artgpt_chat::{IMAGE_MARKER, Piece, Role, Turn, raw_prompt};
use artgpt_kernels::mode::Differentiable;
use artgpt_rundir::DataConfig;
use artgpt_rundir::{BridgeParts, Stage, StageKind, TrainConfig, Weigh};
use artgpt_rundir::{Captions, Sample};

/// Longest sample answer, in tokens.
const ANSWER_TOKENS: usize = 48;
/// Held-out pictures of a validation.
const VALIDATION_PICTURES: usize = 32;

/// Learns captions from pictures: the caption stage.
pub struct CaptionTask<'a> {
    network: Network<'a>,
    prefetcher: Mutex<Prefetcher>,
    cropper: Cropper,
    cache: Arc<FrozenCache<()>>,
    /// The Q-Former is frozen, so the cache holds its outputs instead of the encoder's.
    caches_queries: bool,
    held_out: Vec<Pair>,
    feed: Mutex<Feed>,
    /// Settings of the first stage.
    first: Captions,
    /// Pairs in a pass, if known.
    length: Option<usize>,
}

impl<'a> CaptionTask<'a> {
    /// `feed` comes from [`open_feed`] with the same configuration.
    ///
    /// # Errors
    /// Those of reading the held-out pairs, and [`TrainError::Run`] if early stopping has none.
    pub fn new(network: Network<'a>, config: &TrainConfig, feed: Feed) -> Result<Self> {
        let cropper = Cropper { seed: config.seed, side: network.vision.side() as u32 };
        let cache = Arc::new(FrozenCache::new(config.cache_mb << 20));
        let prefetcher = Prefetcher::new(Arc::new(config.clone()), cropper.clone(), cache.clone());
        let held_out = match config.validate_every {
            0 => Vec::new(),
            _ => feed.held_out(VALIDATION_PICTURES)?,
        };
        if held_out.is_empty() && config.early_stop.is_some() {
            return Err(crate::config_error(
                "early_stop needs held-out pictures, and data.held_out leaves none",
            ));
        }
        Ok(Self {
            network,
            prefetcher: Mutex::new(prefetcher),
            cropper,
            cache,
            caches_queries: config.bridge != BridgeParts::All,
            held_out,
            first: config.stage[0].captions(),
            length: feed.pass_length(),
            feed: Mutex::new(feed),
        })
    }

    /// The outputs of the frozen parts for a picture: the Q-Former's or the encoder's.
    fn frozen(&self, ready: &PreparedPair, captions: &Captions) -> Result<Tensor> {
        let compute = || {
            let view = match &ready.view {
                Some(Ok(view)) => self.network.encode(view)?,
                // The cache has evicted it since the prefetch.
                _ => {
                    let name = ready.name.as_deref();
                    let view = self.cropper.view(&ready.pair, captions, name, 0);
                    self.network.encode(&view.map_err(TrainError::Picture)?)?
                }
            };
            let kept = match self.caches_queries {
                true => self.network.bridge.query::<Differentiable>(&view, &[])?.detach(),
                false => view,
            };
            Ok((kept, ()))
        };
        match &ready.name {
            Some(name) => Ok(self.cache.get(name, compute)?.0),
            None => Ok(compute()?.0),
        }
    }

    fn batch<'s>(
        &'s self,
        context: StepContext<'s>,
        ready: Vec<PreparedPair>,
        position: u64,
    ) -> Result<Box<dyn Batch + 's>> {
        if context.stage.kind != StageKind::Caption {
            return Err(crate::config_error("only caption stages learn from [data] with captions"));
        }
        let captions = context.stage.captions();
        let mut rng = self.network.rng("prompts", position);
        let mut items = Vec::with_capacity(ready.len());
        let mut left_out = Vec::new();
        for ready in ready {
            // Drawn for each pair, so that an unreadable picture does not change the prompts of others.
            let draw = rng.random::<u32>() as usize;
            if let Some(Err(reason)) = &ready.view {
                left_out.push(reason.clone());
                continue;
            }
            let Some(packed) = self.packed(&ready.pair, &captions, draw)? else {
                left_out.push(format!("{}: nothing is left of its caption", ready.pair.picture));
                continue;
            };
            let here = context.share.has(items.len());
            let kept = here.then(|| self.frozen(&ready, &captions)).transpose()?;
            items.push((kept, packed));
        }
        Ok(Box::new(CaptionBatch { task: self, items, left_out }))
    }

    /// The prompt before a caption.
    fn prompt(&self, captions: &Captions, draw: usize) -> Result<Vec<Piece>> {
        let (tokenizer, style) = (self.network.tokenizer, &self.network.style);
        if let Some(n) = captions.instructions.len().checked_sub(1) {
            let mut turn = Turn::new(Role::User, &captions.instructions[draw % (n + 1)]);
            turn.images.push((0, "none".into()));
            return Ok(style.render(None, &[turn], &[], tokenizer)?);
        }
        let prompt = match captions.prompts.len() {
            0 => IMAGE_MARKER,
            n => captions.prompts[draw % n].as_str(),
        };
        Ok(raw_prompt(prompt, 1, tokenizer)?)
    }

    /// `None` if cleaning leaves nothing of the caption.
    fn packed(&self, pair: &Pair, captions: &Captions, draw: usize) -> Result<Option<Packed>> {
        let network = &self.network;
        let (tokenizer, template) = (network.tokenizer, network.style.template);
        let pieces = self.prompt(captions, draw)?;
        let caption = match captions.clean {
            true => clean(&pair.caption, captions.words),
            false => pair.caption.clone(),
        };
        if caption.is_empty() {
            return Ok(None);
        }
        let mut answer = match &captions.end {
            // As the reference does: caption and end symbol are tokenised as one text.
            Some(end) if tokenizer.special(end).is_none() => {
                tokenizer.encode(&format!("{caption}{end}"))?
            }
            end => {
                let end = end.as_deref().unwrap_or(template.stop_strings()[0]);
                let mut answer = tokenizer.encode(&caption)?;
                answer.extend(end_of(end, tokenizer)?);
                answer
            }
        };
        answer.truncate(captions.answer_length);
        let queries = network.bridge.query_tokens();
        let packed = pack_pieces(vec![(pieces, answer)], queries)?;
        network.check_fits(&packed)?;
        Ok(Some(packed))
    }
}

impl Task for CaptionTask<'_> {
    fn draw<'s>(&'s self, context: StepContext<'s>, micro: usize) -> Result<Box<dyn Batch + 's>> {
        let ready = {
            let mut prefetcher = self.prefetcher.lock().unwrap_or_else(PoisonError::into_inner);
            prefetcher.take(context.step, micro)?
        };
        self.batch(context, ready, (context.step * context.stage.accumulate + micro) as u64)
    }

    fn held_out<'s>(&'s self, context: StepContext<'s>) -> Result<Option<Box<dyn Batch + 's>>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let whole = Captions { crop: None, ..context.stage.captions() };
        let ready = self.held_out.iter().map(|pair| {
            let name = format!("{} whole", pair.key);
            let known = self.cache.contains(&name);
            let view = (!known).then(|| self.cropper.view(pair, &whole, Some(&name), 0));
            PreparedPair { pair: pair.clone(), name: Some(name), view }
        });
        self.batch(context, ready.collect(), u64::MAX >> 20).map(Some)
    }

    fn samples(&self, stage: &Stage, count: usize) -> Result<Vec<SampledAnswer>> {
        let network = &self.network;
        let whole = Captions { crop: None, ..stage.captions() };
        let end = whole.end.as_deref().unwrap_or(network.style.template.stop_strings()[0]);
        let end = end_of(end, network.tokenizer)?;
        let mut all = Vec::new();
        for pair in self.held_out.iter().take(count) {
            // Training reports unreadable pictures.
            let Ok(view) = self.cropper.view(pair, &whole, None, 0) else { continue };
            let tokens = network.encode(&view)?;
            let image = network.bridge.forward::<Differentiable>(&tokens, &[])?;
            let sample = Sample {
                artwork: pair.key.clone(),
                question: whole.instructions.first().cloned().unwrap_or_default(),
                answer: network.greedy_answer(
                    &self.prompt(&whole, 0)?,
                    &image,
                    &end,
                    ANSWER_TOKENS,
                )?,
            };
            all.push(SampledAnswer { sample, picture: view });
        }
        Ok(all)
    }

    fn views(&self, number: usize, count: usize) -> Result<Tensor> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut views = Vec::new();
        for place in number * count..(number + 1) * count {
            let pair = feed.at(place as u64)?;
            if let Ok(view) = self.cropper.view(&pair, &self.first, None, place as u64) {
                views.push(self.network.encode(&view)?);
            }
        }
        if views.is_empty() {
            return Err(TrainError::Picture("none of the first pictures can be read".into()));
        }
        Ok(Tensor::cat(&views, 0)?)
    }

    fn epoch(&self, samples: usize) -> f64 {
        self.length.map_or(0.0, |length| samples as f64 / length.max(1) as f64)
    }
}

struct CaptionBatch<'s> {
    task: &'s CaptionTask<'s>,
    /// Frozen outputs of a picture, if this process trains on it, and the packed sequence.
    items: Vec<(Option<Tensor>, Packed)>,
    left_out: Vec<String>,
}

impl Batch for CaptionBatch<'_> {
    fn units(&self) -> usize {
        self.items.len()
    }

    /// The reference's loss is the mean over all scored tokens of a batch.
    fn weight(&self, unit: usize) -> f64 {
        let scored = |(_, packed): &(_, Packed)| packed.targets.len();
        let all: usize = self.items.iter().map(scored).sum();
        scored(&self.items[unit]) as f64 / all.max(1) as f64
    }

    fn loss(&self, unit: usize) -> Result<UnitLoss> {
        let (Some(kept), packed) = &self.items[unit] else {
            return Err(crate::config_error("another process trains on this picture"));
        };
        let network = &self.task.network;
        let image = match self.task.caches_queries {
            true => network.bridge.project(kept)?,
            false => network.bridge.forward::<Differentiable>(kept, &[])?,
        };
        let loss = answer_loss(network.language, packed, &image, None, Weigh::Tokens)?;
        Ok(UnitLoss { loss, tokens: packed.len(), accuracy: None })
    }

    fn remarks(&self) -> &[String] {
        &self.left_out
    }
}

/// BLIP's caption processor (`lavis/processors/blip_processors.py`).
fn clean(caption: &str, words: usize) -> String {
    let plain: String = caption
        .to_lowercase()
        .chars()
        .map(|c| if ".!\"()*#:;~".contains(c) { ' ' } else { c })
        .collect();
    plain.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
}

/// Opens the pairs of a configuration, before the model loads; `None` for a museum.
///
/// # Errors
/// Those of the source.
pub fn open_feed(config: &TrainConfig) -> Result<Option<Feed>> {
    match &config.data {
        DataConfig::Pairs(pairs) => {
            Ok(Some(Feed::open(pairs, config.seed, config.split_drawn_by())?))
        }
        DataConfig::Museum(_) | DataConfig::Conversations(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_cleaned_as_blip_does() {
        // `BlipCaptionProcessor()(…)` of LAVIS 1.0.2.
        assert_eq!(clean("A Man, (old) sat:  \"here\"!\n", 50), "a man, old sat here");
        assert_eq!(clean("one two three", 2), "one two");
    }

    #[test]
    fn a_prompt_without_its_picture_is_told() {
        let of = |text: &str| toml::from_str::<Captions>(text).expect("parses").problem();
        assert_eq!(of("prompts = [\"###Human: <Img><image></Img> Say. ###Assistant: \"]"), None);
        assert!(of("prompts = [\"Say.\"]").expect("is told").contains("<image>"));
        assert!(of("prompts = [\"<image>\"]\ninstructions = [\"Say.\"]").is_some());
        assert!(of("crop = [0.0, 1.0]").is_some() && of("answer_length = 1").is_some());
    }
}
