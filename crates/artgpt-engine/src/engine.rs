//! A loaded model with its caches: a prompt in, tokens out, on the calling thread.
//!
//! An answer goes through `prepare` (text and images to positions), `prefill` (what the KV cache
//! lacks goes through the network), then `decode` or `beams` (new tokens) and `text_stream` (tokens
//! to text). `encode` holds the image tokens, `adapters` the models that share one base.

mod adapters;
mod beams;
mod decode;
mod encode;
mod prefill;
mod prepare;
mod score;
#[cfg(test)]
mod tests;
mod text_stream;

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Device;

use self::adapters::{AdapterCache, AdapterId};
use super::embedding_store::EmbeddingStore;
use super::image_cache::ImageCache;
use super::measured::MeasuredCache;
use super::notices::{VocabularyRows, notices};
use super::prefix::Position;
use super::{Cancel, InferenceError, Prompt, Request, Result, ms};
use artgpt_chat::{
    Answer, FinishReason, InstructionTokenizer, PromptStyle, Template, Timings, Tokenizer, Usage,
};
use artgpt_kernels::matrix::Precision;
use artgpt_manifest::SamplingConfig;
use artgpt_model::LoadStage;
use artgpt_model::artgpt::ArtGpt;
use artgpt_model::checkpoint::{LanguageFile, tokenizer_data};
use artgpt_model::kv_cache::KvCache;
use artgpt_model::manifest::Model;
use artgpt_model::sampling::SamplingError;

pub use self::score::Score;

/// Context length of the reference's conversations (`conversation.py`).
const MINIGPT4_CONTEXT: usize = 2000;

/// How a model's prompts are written.
struct PromptFormat {
    /// For a Q-Former that reads the instruction.
    instructions: Option<InstructionTokenizer>,
    style: PromptStyle,
    /// See `PromptPart::alone_without_picture` in the manifest.
    alone_without_picture: bool,
    /// See `PromptPart::stop_loops` in the manifest.
    stop_loops: bool,
    /// See `PromptPart::repetition_penalty` in the manifest.
    repetition_penalty: Option<f32>,
    /// See `PromptPart::questions` in the manifest.
    questions: Vec<String>,
}

impl PromptFormat {
    fn of(model: &Model, tokenizer: &Tokenizer) -> Result<Self> {
        let reads = model.manifest.qformer.as_ref().filter(|q| q.config.text.is_some());
        let prompt = model.manifest.prompt.as_ref();
        Ok(Self {
            instructions: reads
                .map(|q| InstructionTokenizer::open(&model.path(&q.path)))
                .transpose()?,
            style: PromptStyle::of(&model.manifest, tokenizer)?,
            alone_without_picture: prompt.is_some_and(|p| p.alone_without_picture),
            stop_loops: prompt.is_some_and(|p| p.stop_loops),
            repetition_penalty: prompt.and_then(|p| p.repetition_penalty),
            questions: prompt.map(|p| p.questions.clone()).unwrap_or_default(),
        })
    }
}

/// A model that runs in this process.
pub struct Engine {
    /// The name in the model's manifest.
    pub name: String,
    model: ArtGpt,
    /// [`Model::base_fingerprint`]; `None` where no other model can share the base.
    base: Option<String>,
    /// The language model's tokenizer.
    pub tokenizer: Tokenizer,
    format: PromptFormat,
    cache: KvCache,
    /// What `cache` holds, position by position.
    cached: Vec<Position>,
    /// The precision in which that was computed.
    cached_precision: Precision,
    images: ImageCache,
    /// Lines of measured features, for a model whose prompts have them.
    measured: MeasuredCache,
    /// Image tokens of earlier sessions, on disk.
    embeddings: Option<EmbeddingStore>,
    /// Where `embeddings` are; also set where nothing can be stored for the active adapter set.
    embedding_folder: Option<PathBuf>,
    inactive_adapters: AdapterCache,
    active_adapter: Option<AdapterId>,
    /// The table's rows against the tokens.
    rows: VocabularyRows,
    /// What the files hold and nothing uses, in sentences.
    notices: Vec<String>,
    load_ms: f64,
}

/// What happens during generation.
#[derive(Debug, Clone, PartialEq)]
pub enum GenerateEvent<'a> {
    /// The KV cache holds the whole prompt.
    Prefilled(Usage),
    /// New text, and the number of tokens in the answer so far, which a server does not tell.
    Text(&'a str, Option<usize>),
}

/// New tokens and their text, before timings and counts are added.
struct Generated {
    token_ids: Vec<u32>,
    text: String,
    finish_reason: FinishReason,
}

impl Engine {
    /// Loads an installed model. `progress` gets each stage with its fraction done.
    ///
    /// # Errors
    /// [`InferenceError::Incomplete`] without a language model; otherwise what the files' readers
    /// report.
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
        // First: an unsupported architecture is reported as that, not as an unknown tokenizer.
        file.weights().config()?;
        let tokenizer = Tokenizer::new(&tokenizer_data(model, &mut file))?;
        let (base, active_adapter) = (model.base_fingerprint()?, AdapterId::of(model));
        let format = PromptFormat::of(model, &tokenizer)?;
        let rows = VocabularyRows::with(&mut file, &tokenizer)?;
        let notices = notices(model, &rows);
        let measured = MeasuredCache::of(model, format.style.measured, device)?;
        let model = ArtGpt::load(model, &mut file, device, progress)?;
        let cache = model.language.new_cache()?;
        tracing::info!(model = %name, ms = ms(started), "loaded the model");
        Ok(Self {
            name,
            model,
            base,
            tokenizer,
            format,
            cache,
            cached: Vec::new(),
            cached_precision: Precision::Fast,
            images: ImageCache::default(),
            measured,
            embeddings: None,
            embedding_folder: None,
            inactive_adapters: AdapterCache::default(),
            active_adapter,
            rows,
            notices,
            load_ms: ms(started),
        })
    }

    /// What the model's files hold and nothing uses: factors of a LoRA that no target takes, rows of the
    /// vocabulary that stand for no token, tensors that the network does not have.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Stores image tokens in `folder`, and reads those of earlier sessions from there. Stores
    /// nothing if the weights that make them cannot be identified.
    #[must_use]
    pub fn keep_embeddings(mut self, folder: &Path) -> Self {
        self.open_embeddings(folder);
        self
    }

    fn open_embeddings(&mut self, folder: &Path) {
        let adapter = self.active_adapter.as_ref().filter(|_| self.sees());
        let fingerprint = adapter.map(|id| id.fingerprint.clone());
        self.embeddings = fingerprint.map(|f| EmbeddingStore::new(folder, f));
        self.embedding_folder = Some(folder.to_path_buf());
    }

    /// The most tokens of prompt and answer together in a chat.
    pub fn context_length(&self) -> usize {
        let model = self.model.language.config.context_length;
        match self.format.style.template {
            Template::MiniGpt4 => model.min(MINIGPT4_CONTEXT),
            Template::ChatMl | Template::Vicuna => model,
        }
    }

    /// The groups of suggested questions that the model can answer; all if it is empty.
    pub fn question_groups(&self) -> &[String] {
        &self.format.questions
    }

    /// Whether the model takes images.
    pub fn sees(&self) -> bool {
        self.model.vision.is_some() && self.model.bridge.is_some()
    }

    /// Generates one answer. `on_event` gets the text as it comes. After `cancel` the answer holds
    /// what was generated until then.
    ///
    /// # Errors
    /// [`InferenceError::Sampling`] for settings out of range, [`InferenceError::NoVision`] for an
    /// image without a vision encoder, [`InferenceError::NotFinite`] for damaged weights, and what
    /// prompt and tensor operations report.
    pub fn generate(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        mut on_event: impl FnMut(GenerateEvent),
    ) -> Result<Answer> {
        request.check()?;
        let prompt = self.prepare(&request.prompt, &request.pictures, request.max_new_tokens)?;
        let started = Instant::now();
        let cached_tokens = self.rewind(&prompt.positions, Precision::Fast);
        let mut usage = Usage {
            prompt_tokens: Some(prompt.positions.len()),
            cached_tokens: Some(cached_tokens),
            image_tokens: Some(prompt.image_tokens),
            answer_tokens: None,
        };
        let last = self.prefill(&prompt, cached_tokens, cancel, Precision::Fast)?;
        let prefill_ms = ms(started);
        on_event(GenerateEvent::Prefilled(usage));

        let started = Instant::now();
        let (request, penalised) = match self.own_penalty(request) {
            // The model's own penalty spares the words of the question.
            Some(repetition_penalty) => {
                let sampling = SamplingConfig { repetition_penalty, ..request.sampling.clone() };
                (&Request { sampling, ..request.clone() }, &[][..])
            }
            None => (request, &prompt.penalised[..]),
        };
        let generated = match last {
            Some(last) if request.sampling.beams > 1 => {
                self.generate_beams(&last, request, penalised, cancel, &mut on_event)?
            }
            last => self.generate_tokens(last, request, penalised, cancel, &mut on_event)?,
        };
        let decode_ms = ms(started);
        let answer_tokens = generated.token_ids.len();
        usage.answer_tokens = Some(answer_tokens);
        Ok(Answer {
            text: generated.text,
            token_ids: generated.token_ids,
            finish_reason: match cancel.is_cancelled() {
                true => FinishReason::Cancelled,
                false => generated.finish_reason,
            },
            usage,
            timings: Timings {
                load_ms: Some(self.load_ms),
                encode_ms: Some(prompt.encode_ms),
                prefill_ms: Some(prefill_ms),
                decode_ms: Some(decode_ms),
                tokens_per_second: Timings::rate(answer_tokens, decode_ms),
            },
            dropped_turns: prompt.dropped_turns,
        })
    }

    /// The repetition penalty of the model's manifest, in a chat whose settings have none.
    fn own_penalty(&self, request: &Request) -> Option<f32> {
        let is_chat = matches!(request.prompt, Prompt::Chat { .. });
        let open = (request.sampling.repetition_penalty - 1.0).abs() < f32::EPSILON;
        self.format.repetition_penalty.filter(|_| is_chat && open)
    }

    /// Stop strings of the template and of the request; a raw prompt has no template.
    fn stop_strings(&self, request: &Request) -> Vec<String> {
        let of_template = match request.prompt {
            Prompt::Chat { .. } => self.format.style.template.stop_strings(),
            Prompt::Raw(_) => &[],
        };
        let of_request = request.sampling.stop.iter().cloned();
        of_template.iter().map(|s| s.to_string()).chain(of_request).collect()
    }

    /// Tokens that end an answer.
    fn end_tokens(&self, prompt: &Prompt) -> Vec<u32> {
        let stops = match prompt {
            Prompt::Chat { .. } => self.format.style.template.stop_strings(),
            Prompt::Raw(_) => &[],
        };
        let stops = stops.iter();
        let eos = self.tokenizer.eos.iter().copied();
        stops.filter_map(|s| self.tokenizer.special(s)).chain(eos).collect()
    }

    fn context_of(&self, prompt: &Prompt) -> usize {
        match prompt {
            Prompt::Chat { .. } => self.context_length(),
            Prompt::Raw(_) => self.model.language.config.context_length,
        }
    }

    fn sampling_error(&self, e: SamplingError) -> InferenceError {
        match e {
            SamplingError::NotFinite => InferenceError::NotFinite(self.name.clone()),
            SamplingError::Tensor(e) => e.into(),
        }
    }
}
