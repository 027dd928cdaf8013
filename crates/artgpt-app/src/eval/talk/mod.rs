//! Whether a model talks about the picture: questions with reference answers about held-out paintings.

mod answers;
mod identity;
mod talker;

use std::path::PathBuf;
use std::time::Instant;

use super::EvalError;
use crate::{App, AppError, Event, Result, backend, models};
use answers::Answers;
use artgpt_art::Paintings;
use artgpt_base::files::read_text;
use artgpt_engine::{Cancel, SCHEME};
use artgpt_eval::talk::{Corpus, Extent, Line, Plan, Report, Talker, ask};
use artgpt_model::detector::Detector;
use artgpt_model::manifest::Model;
use candle_core::Device;
use identity::Identity;
use talker::Local;

/// Bytes of the largest file of conversations that is read.
const MAX_BYTES: u64 = 256 << 20;

/// Conversations about the default model's held-out paintings.
const BUILTIN: &str = include_str!("../../../../../data/critiques/held-out.jsonl");

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct TalkRequest {
    /// The settings' model where it is `None`.
    pub model: Option<String>,
    /// The data set of the paintings, or a directory with pictures and `objects.json`.
    pub museum: String,
    /// The conversations; those about the default model's held-out paintings where it is `None`.
    pub data: Option<PathBuf>,
    /// The directory in which answers are kept.
    pub out: Option<PathBuf>,
    /// How much is asked.
    pub extent: Extent,
}

/// Asks a model about paintings and compares its answers with references.
pub fn talk(app: &App, request: &TalkRequest, cancel: &Cancel) -> Result<Report> {
    let name = request.model.as_deref().unwrap_or(&app.settings.model);
    if name.starts_with(SCHEME) {
        return Err(EvalError::RemoteModel(name.to_string()).into());
    }
    let text = conversations(request)?;
    let museum = Paintings::open(&models::data_folder(app, &request.museum)?)?;
    let corpus = Corpus::read(&text, |id| museum.get(id).is_some());
    corpus.skipped.sentences().for_each(|sentence| app.tell(&Event::Evaluation(&sentence)));
    let mut plan = Plan::new(&museum, &corpus, request.extent).map_err(EvalError::Talk)?;
    let model = models::ready(app, name)?;
    let measured = model.manifest.prompt.as_ref().is_some_and(|prompt| prompt.measured);
    if let Some(detector) = Detector::for_prompts(&model, measured, &Device::Cpu)? {
        plan.name_objects(|image| match cancel.is_cancelled() {
            true => Err(AppError::Interrupted),
            false => Ok(detector.find(image)?),
        })?;
    }
    let mut answers = match &request.out {
        Some(folder) => Answers::open(folder, &Identity::of(&model, &text, &museum)?)?,
        None => Answers::default(),
    };
    answers.damaged().iter().for_each(|sentence| app.tell(&Event::Evaluation(sentence)));
    let mut report = asked(app, name, &model, &plan, &mut answers, cancel)?;
    let left_out: usize = report.skipped.values().sum();
    if left_out > 0 {
        let sentence = format!("left {left_out} of the questions out of all cells: too long");
        app.tell(&Event::Evaluation(&sentence));
    }
    let skipped = corpus.skipped.0.into_iter().map(|(why, (count, _))| (why, count));
    report.skipped.extend(skipped);
    Ok(report)
}

fn conversations(request: &TalkRequest) -> std::result::Result<String, EvalError> {
    let Some(path) = &request.data else { return Ok(BUILTIN.to_string()) };
    let cannot = |source| EvalError::ReadConversations { path: path.clone(), source };
    read_text(path, MAX_BYTES).map_err(cannot)
}

fn asked(
    app: &App,
    name: &str,
    model: &Model,
    plan: &Plan,
    answers: &mut Answers,
    cancel: &Cancel,
) -> Result<Report> {
    let mut engine = backend::engine(app, name)?;
    if cancel.is_cancelled() {
        return Err(AppError::Interrupted);
    }
    let name = engine.name.clone();
    let mut local = Local::new(&mut engine, model, cancel);
    if !local.sees() {
        app.tell(&Event::Evaluation(&format!("{name} takes no pictures: only text is given")));
    }
    let mut left = Remaining::new(plan.tasks.len());
    let progress = |done| {
        app.tell(&Event::Evaluated { done, total: plan.tasks.len() });
        if let Some(seconds) = left.after(done) {
            app.tell(&Event::EvaluationLeft { seconds });
        }
    };
    app.tell(&Event::EvaluationPlanned {
        paintings: plan.tasks.len(),
        questions: plan.rounds(),
        known: answers.known().len(),
    });
    let known = answers.known().to_vec();
    let keep = |line: &Line| answers.keep(line);
    let lines = ask(&mut local, plan, known, keep, progress)?;
    Ok(Report::new(&name, plan, &lines))
}

/// Estimates how long the rest takes, once.
struct Remaining {
    total: usize,
    /// The paintings that were known before take no time: the estimate begins behind them.
    from: usize,
    since: Instant,
    told: bool,
}

impl Remaining {
    fn new(total: usize) -> Self {
        Self { total, from: 0, since: Instant::now(), told: false }
    }

    /// The seconds that the paintings after the first `done` take.
    fn after(&mut self, done: usize) -> Option<f64> {
        if done == 0 || done >= self.total || self.told {
            return None;
        }
        let seconds = self.since.elapsed().as_secs_f64();
        if seconds < 1.0 {
            (self.from, self.since) = (done, Instant::now());
            return None;
        }
        self.told = true;
        Some(seconds / (done - self.from) as f64 * (self.total - done) as f64)
    }
}
