//! A loaded model with its caches: prompts in, tokens out, on the calling thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{D, Device, Tensor};

use super::beam::BeamSearch;
use super::embedding_store::EmbeddingStore;
use super::image_cache::ImageCache;
use super::prefix::{Place, places, reusable};
use super::{Cancel, InferenceError, Picture, Prompt, Request, Result, ms};
use artgpt_chat::{
    Answer, Budget, ChatError, Detokenizer, FinishReason, IMAGE_MARKER, InstructionTokenizer,
    Piece, Role, StopFilter, Template, Timings, Tokenizer, Usage, fit, raw_prompt,
};
use artgpt_kernels::matrix::Precision;
use artgpt_model::LoadStage;
use artgpt_model::artgpt::{ArtGpt, Trained};
use artgpt_model::checkpoint::LanguageFile;
use artgpt_model::kv_cache::KvCache;
use artgpt_model::manifest::Model;
use artgpt_model::sampling::{NO_LOGITS, Said, Sampler, adjusted};

/// Tokens read in one pass; between passes a request can be cancelled.
const PREFILL_CHUNK: usize = 256;

/// The reference's window.
const MINIGPT4_WINDOW: usize = 2000;

/// How one model on a base is talked to.
struct Voice {
    /// For a Q-Former that reads the instruction.
    instructions: Option<InstructionTokenizer>,
    template: Template,
    /// See `PromptPart::alone_without_picture` in the manifest.
    alone_without_picture: bool,
}

/// A model that answers.
pub struct Engine {
    pub name: String,
    model: ArtGpt,
    /// [`Model::base_fingerprint`]; `None` where no other model can share it.
    base: Option<String>,
    pub tokenizer: Tokenizer,
    voice: Voice,
    cache: KvCache,
    /// What `cache` holds.
    held: Vec<Place>,
    images: ImageCache,
    /// What earlier sessions have seen.
    kept: Option<EmbeddingStore>,
    embeddings: Option<PathBuf>,
    /// Trained parts that were worn and may be again, newest last.
    shelf: Vec<(Tag, Trained)>,
    /// Of those that are worn.
    worn: Option<Tag>,
    load_ms: f64,
}

/// Which trained parts, and about how large.
struct Tag {
    /// [`Model::seeing_fingerprint`].
    print: String,
    bytes: u64,
}

impl Tag {
    /// `None` where it cannot be told; such parts are read again.
    fn of(model: &Model) -> Option<Self> {
        let print = model.seeing_fingerprint().ok()?;
        Some(Self { print, bytes: model.trained_bytes() })
    }
}

/// Bytes of trained parts kept in memory besides those that are worn.
const SHELF: u64 = 1 << 30;

impl Voice {
    fn of(model: &Model, tokenizer: &Tokenizer) -> Result<Self> {
        let reads = model.manifest.qformer.as_ref().filter(|q| q.config.text.is_some());
        let prompt = model.manifest.prompt.as_ref();
        Ok(Self {
            instructions: reads
                .map(|q| InstructionTokenizer::open(&model.path(&q.path)))
                .transpose()?,
            template: Template::of(&model.manifest, tokenizer)?,
            alone_without_picture: prompt.is_some_and(|p| p.alone_without_picture),
        })
    }
}

/// What happens while an answer is made.
#[derive(Debug, Clone, PartialEq)]
pub enum GenerateEvent<'a> {
    /// The prompt has been read.
    Prefilled(Usage),
    /// New text to show, and how many tokens the answer has so far.
    Text(&'a str, usize),
}

/// Log-probabilities (natural) of a given answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub token_ids: Vec<u32>,
    pub logprobs: Vec<f32>,
}

/// What a beam search found.
struct Found {
    ids: Vec<u32>,
    ended: bool,
}

/// A prompt ready to be read.
struct Prepared {
    places: Vec<Place>,
    /// The projected query tokens of each picture, (1, queries, hidden).
    images: Vec<Option<Tensor>>,
    pieces: Vec<Piece>,
    /// See [`Said::prompt`].
    penalised: Vec<u32>,
    encode_ms: f64,
    image_tokens: usize,
    dropped_turns: usize,
}

impl Engine {
    /// Loads an installed model.
    pub fn load(
        model: &Model,
        device: &Device,
        progress: impl FnMut(LoadStage, f32),
    ) -> Result<Self> {
        let started = Instant::now();
        let name = model.manifest.name.clone();
        let path = model
            .language_path()
            .ok_or_else(|| InferenceError::Incomplete { model: name.clone(), part: "language" })?;
        let mut file = LanguageFile::open(&path)?;
        // Another architecture is told as that, not as a tokenizer that is not ours.
        file.weights().config()?;
        let tokenizer = Tokenizer::of(model, &mut file)?;
        let (base, worn) = (model.base_fingerprint()?, Tag::of(model));
        let voice = Voice::of(model, &tokenizer)?;
        let model = ArtGpt::load(model, &mut file, device, progress)?;
        let cache = model.language.new_cache()?;
        Ok(Self {
            name,
            model,
            base,
            tokenizer,
            voice,
            cache,
            held: Vec::new(),
            images: ImageCache::default(),
            kept: None,
            embeddings: None,
            shelf: Vec::new(),
            worn,
            load_ms: ms(started),
        })
    }

    /// Becomes `model` without reading the frozen base again. `false`, and nothing is changed, if its
    /// base is another.
    pub fn switch(&mut self, model: &Model) -> Result<bool> {
        if self.base.is_none() || model.base_fingerprint()? != self.base {
            return Ok(false);
        }
        let wanted = Tag::of(model);
        let is_wanted = |tag: &Tag| wanted.as_ref().is_some_and(|w| w.print == tag.print);
        if self.worn.as_ref().is_some_and(is_wanted) {
            return Ok(true);
        }
        let started = Instant::now();
        let voice = Voice::of(model, &self.tokenizer)?;
        let trained = match self.shelf.iter().position(|(tag, _)| is_wanted(tag)) {
            Some(i) => self.shelf.remove(i).1,
            None => self.model.read_trained(model)?,
        };
        let before = self.model.wear(trained);
        if let Some(tag) = std::mem::replace(&mut self.worn, wanted) {
            self.shelf.push((tag, before));
            while self.shelf.iter().map(|(tag, _)| tag.bytes).sum::<u64>() > SHELF {
                self.shelf.remove(0);
            }
        }
        self.name.clone_from(&model.manifest.name);
        self.voice = voice;
        // What was seen and read is in the other model's terms.
        self.rewind(&[]);
        self.images = ImageCache::default();
        if let Some(folder) = self.embeddings.take() {
            self.keep(&folder);
        }
        self.load_ms = ms(started);
        Ok(true)
    }

    /// Keeps query tokens in this folder, and takes them from there. Where it cannot be told which
    /// weights made them, nothing is kept.
    pub fn keep_embeddings(mut self, folder: &Path) -> Self {
        self.keep(folder);
        self
    }

    fn keep(&mut self, folder: &Path) {
        let print = self.worn.as_ref().filter(|_| self.sees()).map(|tag| tag.print.clone());
        self.kept = print.map(|f| EmbeddingStore::new(folder, f));
        self.embeddings = Some(folder.to_path_buf());
    }

    /// Tokens of prompt and answer; the reference's conversation ends at 2000 (`conversation.py`).
    pub fn context_length(&self) -> usize {
        let model = self.model.language.config.context_length;
        match self.voice.template {
            Template::MiniGpt4 => model.min(MINIGPT4_WINDOW),
            Template::ChatMl | Template::Vicuna => model,
        }
    }

    pub fn sees(&self) -> bool {
        self.model.vision.is_some() && self.model.bridge.is_some()
    }

    /// Generates one answer. `on_event` gets the text as it comes.
    pub fn generate(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        mut on_event: impl FnMut(GenerateEvent),
    ) -> Result<Answer> {
        request.check()?;
        let prompt = self.prepare(&request.prompt, &request.pictures, request.max_new_tokens)?;
        let started = Instant::now();
        let cached_tokens = self.rewind(&prompt.places);
        let mut usage = Usage {
            prompt_tokens: prompt.places.len(),
            cached_tokens,
            image_tokens: prompt.image_tokens,
            answer_tokens: 0,
        };
        let mut timings =
            Timings { load_ms: self.load_ms, encode_ms: prompt.encode_ms, ..Timings::default() };
        let mut hidden = self.prefill(&prompt, cached_tokens, cancel, Precision::Fast)?;
        timings.prefill_ms = ms(started);
        on_event(GenerateEvent::Prefilled(usage));
        if let (true, Some(last)) = (request.sampling.beams > 1, &hidden) {
            let found = self.beam_search(last, request, &prompt.penalised, cancel)?;
            let mut stops = StopFilter::new(self.stop_strings(request));
            let (mut text, stopped) = stops.push(&self.tokenizer.decode(&found.ids));
            if !stopped {
                text.push_str(&stops.finish());
            }
            on_event(GenerateEvent::Text(&text, found.ids.len()));
            timings.decode_ms = ms(started) - timings.prefill_ms;
            timings.tokens_per_second =
                found.ids.len() as f64 * 1000.0 / timings.decode_ms.max(1e-3);
            usage.answer_tokens = found.ids.len();
            let finish_reason = match (cancel.is_cancelled(), stopped || found.ended) {
                (true, _) => FinishReason::Cancelled,
                (false, true) => FinishReason::Stop,
                (false, false) => FinishReason::Length,
            };
            let (token_ids, dropped_turns) = (found.ids, prompt.dropped_turns);
            return Ok(Answer { text, token_ids, finish_reason, usage, timings, dropped_turns });
        }

        let context = self.context_of(&request.prompt);
        let started = Instant::now();
        let mut sampler = Sampler::new(&request.sampling);
        let mut detokenizer = Detokenizer::new();
        let mut stops = StopFilter::new(self.stop_strings(request));
        let (mut ids, mut text) = (Vec::new(), String::new());
        let mut finish_reason = FinishReason::Length;
        let mut stop_string = false;
        let ends = self.end_tokens(&request.prompt);
        while let Some(last) = hidden.take() {
            if cancel.is_cancelled() {
                finish_reason = FinishReason::Cancelled;
                break;
            }
            if ids.len() >= request.max_new_tokens {
                break;
            }
            let logits = self.model.language.logits(&last, Precision::Fast)?.flatten_all()?; // (vocabulary)
            let said = Said { prompt: &prompt.penalised, answer: &ids };
            let id = sampler.next(&logits, said, &ends).map_err(|e| self.not_finite(e))?;
            if ends.contains(&id) {
                finish_reason = FinishReason::Stop;
                break;
            }
            ids.push(id);
            let (shown, stop) = stops.push(&detokenizer.push(id, &self.tokenizer));
            if !shown.is_empty() {
                text.push_str(&shown);
                on_event(GenerateEvent::Text(&shown, ids.len()));
            }
            if stop {
                finish_reason = FinishReason::Stop;
                stop_string = true;
                break;
            }
            if self.cache.len() < context && ids.len() < request.max_new_tokens {
                let x = self.model.language.embed(&[id])?;
                let y = self.model.language.extend(&x, &mut self.cache, Precision::Fast)?;
                hidden = Some(y);
                self.held.push(Place::Token(id));
            }
        }
        if cancel.is_cancelled() {
            finish_reason = FinishReason::Cancelled;
        }
        // A stop string ends the text; what the detokenizer holds lies behind it.
        if !stop_string {
            let (mut rest, stop) = stops.push(&detokenizer.finish(&self.tokenizer));
            if !stop {
                rest.push_str(&stops.finish());
            }
            if !rest.is_empty() {
                text.push_str(&rest);
                on_event(GenerateEvent::Text(&rest, ids.len()));
            }
        }
        timings.decode_ms = ms(started);
        if timings.decode_ms > 0.0 {
            timings.tokens_per_second = ids.len() as f64 * 1000.0 / timings.decode_ms;
        }
        usage.answer_tokens = ids.len();
        Ok(Answer {
            text,
            token_ids: ids,
            finish_reason,
            usage,
            timings,
            dropped_turns: prompt.dropped_turns,
        })
    }

    /// The likeliest whole answer after what the cache holds. The beams share it: each keeps only
    /// the keys and values of its own tokens.
    fn beam_search(
        &mut self,
        last: &Tensor,
        request: &Request,
        prompt: &[u32],
        cancel: &Cancel,
    ) -> Result<Found> {
        let ends = self.end_tokens(&request.prompt);
        let context = self.context_of(&request.prompt);
        let sampling = &request.sampling;
        let shared = self.cache.len();
        let stop_strings = self.stop_strings(request);
        let mut search = BeamSearch::new(sampling.beams, sampling.length_penalty, ends.clone());
        let mut hiddens = vec![last.clone()];
        let mut tails = vec![Vec::new()];
        for made in 0..request.max_new_tokens {
            if cancel.is_cancelled() {
                break;
            }
            let mut rows = Vec::with_capacity(hiddens.len());
            for (hidden, ids) in hiddens.iter().zip(search.open()) {
                let logits = self.model.language.logits(hidden, Precision::Fast)?.flatten_all()?;
                let row = candle_nn::ops::log_softmax(&logits, 0)?;
                let said = Said { prompt, answer: ids };
                let row = adjusted(sampling, &row, said, &ends).map_err(|e| self.not_finite(e))?;
                if !row.iter().any(|l| l.is_finite()) {
                    return Err(InferenceError::NotFinite(self.name.clone()));
                }
                rows.push(row);
            }
            let stops = |ids: &[u32]| {
                let text = self.tokenizer.decode(ids);
                stop_strings.iter().any(|s| text.contains(s.as_str()))
            };
            let next = search.step(&rows, &stops);
            let full = shared + made + 1 >= context;
            if search.is_done() || made + 1 == request.max_new_tokens || full {
                break;
            }
            hiddens.clear();
            let mut new_tails = Vec::with_capacity(next.len());
            for n in &next {
                self.cache.set_tail(shared, &tails[n.from])?;
                let x = self.model.language.embed(&[n.token])?;
                hiddens.push(self.model.language.extend(&x, &mut self.cache, Precision::Fast)?);
                new_tails.push(self.cache.tail(shared)?);
            }
            tails = new_tails;
        }
        // What the beams wrote behind the prompt is no one's.
        self.cache.truncate(shared);
        let (ids, ended) = search.best();
        Ok(Found { ids, ended })
    }

    /// The template's, and the user's; a raw prompt has no template.
    fn stop_strings(&self, request: &Request) -> Vec<String> {
        let own = match request.prompt {
            Prompt::Chat { .. } => self.voice.template.stop_strings(),
            Prompt::Raw(_) => &[],
        };
        own.iter().map(|s| s.to_string()).chain(request.sampling.stop.iter().cloned()).collect()
    }

    fn context_of(&self, prompt: &Prompt) -> usize {
        match prompt {
            Prompt::Chat { .. } => self.context_length(),
            Prompt::Raw(_) => self.model.language.config.context_length,
        }
    }

    fn not_finite(&self, e: candle_core::Error) -> InferenceError {
        match e.to_string().starts_with(NO_LOGITS) {
            true => InferenceError::NotFinite(self.name.clone()),
            false => e.into(),
        }
    }

    /// Log-probabilities of `answer` after `prompt`.
    pub fn score(&mut self, prompt: &Prompt, pictures: &[Picture], answer: &str) -> Result<Score> {
        let token_ids = match prompt {
            Prompt::Raw(_) => self.tokenizer.encode_with_special(answer)?,
            Prompt::Chat { .. } => self.tokenizer.encode(answer)?,
        };
        if token_ids.is_empty() {
            return Err(InferenceError::EmptyAnswer);
        }
        let prepared = self.prepare(prompt, pictures, token_ids.len())?;
        let total = prepared.places.len() + token_ids.len();
        let context = self.context_of(prompt);
        if total > context {
            return Err(ChatError::TooLong { tokens: total, context }.into());
        }
        // Nothing of an answer's cache, which was computed fast, is used again.
        self.rewind(&[]);
        let last = self.prefill(&prepared, 0, &Cancel::default(), Precision::Exact)?;
        let Some(last) = last else { return Err(InferenceError::EmptyAnswer) };
        let mut outputs = vec![last];
        let (_, given) = token_ids.split_last().unwrap_or((&0, &[]));
        if !given.is_empty() {
            let x = self.model.language.embed(given)?;
            outputs.push(self.model.language.extend(&x, &mut self.cache, Precision::Exact)?);
        }
        let hidden = Tensor::cat(&outputs, 1)?; // (1, answer tokens, hidden)
        let logits = self.model.language.logits(&hidden, Precision::Exact)?.squeeze(0)?;
        let rows = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        let index = Tensor::new(token_ids.as_slice(), rows.device())?.unsqueeze(1)?;
        let logprobs = rows.gather(&index, 1)?.flatten_all()?.to_vec1()?;
        self.rewind(&[]);
        let logprobs: Vec<f32> = logprobs;
        if logprobs.iter().any(|l| l.is_nan()) {
            return Err(InferenceError::NotFinite(self.name.clone()));
        }
        Ok(Score { token_ids, logprobs })
    }

    /// Renders a prompt and encodes its pictures.
    fn prepare(
        &mut self,
        prompt: &Prompt,
        pictures: &[Picture],
        max_new_tokens: usize,
    ) -> Result<Prepared> {
        let context = self.context_of(prompt);
        let queries = self.model.image_tokens;
        // Half the window at most is kept for the answer, so that a question always has room.
        let answer = max_new_tokens.clamp(1, (context / 2).max(1));
        let budget = Budget { context, answer, image: queries };
        let (pieces, dropped_turns) = match prompt {
            Prompt::Chat { system, turns } => {
                let blind = turns.iter().all(|t| t.images.is_empty());
                let turns = match turns.split_last() {
                    Some((last, _)) if blind && self.voice.alone_without_picture => {
                        std::slice::from_ref(last)
                    }
                    _ => turns,
                };
                let (template, tokenizer) = (self.voice.template, &self.tokenizer);
                fit(turns, budget, |turns| template.render(system.as_deref(), turns, tokenizer))?
            }
            Prompt::Raw(text) => {
                let pieces = raw_prompt(text, pictures.len(), &self.tokenizer)?;
                let tokens = budget.count(&pieces);
                if tokens >= context {
                    return Err(ChatError::TooLong { tokens, context }.into());
                }
                (pieces, 0)
            }
        };
        let instruction = self.instruction(prompt)?;
        let keys: Vec<Arc<str>> = pictures.iter().map(|p| seen_key(&p.key, &instruction)).collect();
        let started = Instant::now();
        let mut images = vec![None; pictures.len()];
        let mut image_tokens = 0;
        let mut encoded = false;
        for piece in &pieces {
            let Piece::Image(i) = piece else { continue };
            let Some(picture) = pictures.get(*i) else { continue };
            image_tokens += queries;
            if images[*i].is_none() {
                let (tensor, new) = self.encode(picture, &keys[*i], &instruction)?;
                images[*i] = Some(tensor);
                encoded |= new;
            }
        }
        let encode_ms = if encoded { ms(started) } else { 0.0 };
        let places = places(&pieces, &keys, queries);
        let tokens = |p: &Piece| match p {
            Piece::Tokens(ids) => Some(ids.clone()),
            Piece::Image(_) => None,
        };
        let penalised = pieces.iter().map(tokens).collect::<Option<Vec<_>>>();
        let penalised = penalised.unwrap_or_default().concat();
        Ok(Prepared { places, images, pieces, penalised, encode_ms, image_tokens, dropped_turns })
    }

    /// What the Q-Former reads besides the picture: the prompt without its markers, in a chat the
    /// last question. Empty for one that reads nothing.
    fn instruction(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let limit = self.model.bridge.as_ref().and_then(|b| b.instruction_limit());
        let (Some(tokenizer), Some(limit)) = (&self.voice.instructions, limit) else {
            return Ok(Vec::new());
        };
        let text = match prompt {
            Prompt::Raw(text) => text.as_str(),
            Prompt::Chat { turns, .. } => {
                let asked = turns.iter().rev().find(|t| t.role == Role::User);
                asked.map_or("", |t| t.text.as_str())
            }
        };
        Ok(tokenizer.encode(&text.replace(IMAGE_MARKER, ""), limit)?)
    }

    /// A picture's query tokens, and whether they had to be computed.
    fn encode(
        &mut self,
        picture: &Picture,
        key: &Arc<str>,
        instruction: &[u32],
    ) -> Result<(Tensor, bool)> {
        if let Some(tensor) = self.images.get(key) {
            return Ok((tensor, false));
        }
        let device = self.model.language.device();
        if let Some(tensor) = self.kept.as_ref().and_then(|k| k.get(key, device)) {
            self.images.insert(key.clone(), tensor.clone());
            return Ok((tensor, false));
        }
        let blind = || InferenceError::Blind(self.name.clone());
        // Where the Q-Former reads the instruction, another one needs it again, but not the encoder.
        let tensor = if instruction.is_empty() {
            self.model.encode(&picture.image, instruction)?.ok_or_else(blind)?
        } else {
            let seen: Arc<str> = format!("{} seen", picture.key).into();
            let stored = || self.kept.as_ref().and_then(|k| k.get(&seen, device));
            let tokens = match self.images.get(&seen) {
                Some(tokens) => tokens,
                None => match stored() {
                    Some(tokens) => tokens,
                    None => {
                        let tokens = self.model.see(&picture.image)?.ok_or_else(blind)?;
                        if let Some(kept) = &self.kept {
                            kept.insert(&seen, &tokens);
                        }
                        tokens
                    }
                },
            };
            self.images.insert(seen, tokens.clone());
            self.model.query(&tokens, instruction)?.ok_or_else(blind)?
        };
        if let Some(kept) = &self.kept {
            kept.insert(key, &tensor);
        }
        self.images.insert(key.clone(), tensor.clone());
        Ok((tensor, true))
    }

    /// Shortens the cache to what the prompt can use; returns how much that is.
    fn rewind(&mut self, prompt: &[Place]) -> usize {
        let keep = reusable(&self.held, prompt);
        self.held.truncate(keep);
        self.cache.truncate(keep);
        keep
    }

    /// Reads the prompt from place `from` on. The result is the last place's output,
    /// (1, 1, hidden); `None` when cancelled.
    fn prefill(
        &mut self,
        prompt: &Prepared,
        from: usize,
        cancel: &Cancel,
        precision: Precision,
    ) -> Result<Option<Tensor>> {
        let mut parts = Vec::new();
        for piece in &prompt.pieces {
            match piece {
                Piece::Tokens(ids) if ids.is_empty() => {}
                Piece::Tokens(ids) => parts.push(self.model.language.embed(ids)?),
                Piece::Image(i) => parts.extend(prompt.images.get(*i).cloned().flatten()),
            }
        }
        let all = Tensor::cat(&parts, 1)?; // (1, places, hidden)
        let mut at = from;
        let mut last = None;
        while at < prompt.places.len() {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let count = (prompt.places.len() - at).min(PREFILL_CHUNK);
            let x = all.narrow(1, at, count)?;
            let y = self.model.language.extend(&x, &mut self.cache, precision)?;
            self.held.extend_from_slice(&prompt.places[at..at + count]);
            last = Some(y.narrow(1, count - 1, 1)?);
            at += count;
        }
        Ok(last)
    }

    /// Tokens that end an answer.
    fn end_tokens(&self, prompt: &Prompt) -> Vec<u32> {
        let stops = match prompt {
            Prompt::Chat { .. } => self.voice.template.stop_strings(),
            Prompt::Raw(_) => &[],
        };
        let stops = stops.iter();
        let eos = self.tokenizer.eos.iter().copied();
        stops.filter_map(|s| self.tokenizer.special(s)).chain(eos).collect()
    }
}

/// A picture as it is seen with an instruction: equal keys mean equal query tokens.
fn seen_key(picture: &Arc<str>, instruction: &[u32]) -> Arc<str> {
    if instruction.is_empty() {
        return picture.clone();
    }
    let ids: Vec<String> = instruction.iter().map(u32::to_string).collect();
    format!("{picture} {}", ids.join(",")).into()
}
