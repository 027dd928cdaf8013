//! Whether a model sees: held-out paintings with the right picture, a wrong one and none.

use std::path::PathBuf;

use super::EvalError;
use super::local::Local;
use crate::{App, AppError, Event, Result, backend, models};
use artgpt_art::{Paintings, Split};
use artgpt_base::files::read_text;
use artgpt_engine::{Cancel, SCHEME};
use artgpt_eval::{Extent, SeeingTable, seeing};
use artgpt_model::manifest::BUILTIN_SPLIT;

/// Bytes of the largest split that is read.
pub(super) const MAX_SPLIT_BYTES: u64 = 16 << 20;

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct SeeingRequest {
    /// The settings' model where it is `None`.
    pub model: Option<String>,
    /// A data set's name, or a directory with pictures and `objects.json`.
    pub data: String,
    /// The split file of a training run; the default model's where it is `None`.
    pub split: Option<PathBuf>,
    /// Views of each painting.
    pub views: usize,
    /// Objects to ask about that are in a painting, and as many that are not.
    pub things: usize,
    /// Ask with the wordings of the training data.
    pub trained_wording: bool,
    /// Write the measured line into prompts, if the model's manifest says so.
    pub measured: bool,
}

/// Asks a model about the paintings that it never saw.
pub fn see(app: &App, request: &SeeingRequest, cancel: &Cancel) -> Result<SeeingTable> {
    let split = split(request)?;
    let paintings = Paintings::open(&models::data_folder(app, &request.data)?)?;
    let held_out: Vec<_> = split.held_out.iter().filter_map(|id| paintings.get(*id)).collect();
    if held_out.is_empty() {
        return Err(EvalError::NoHeldOut.into());
    }
    let tags = paintings.common_tags(&split);
    let name = request.model.as_deref().unwrap_or(&app.settings.model);
    if name.starts_with(SCHEME) {
        return Err(EvalError::RemoteModel(name.to_string()).into());
    }
    let mut engine = backend::engine(app, name)?;
    if cancel.is_cancelled() {
        return Err(AppError::Interrupted);
    }
    let name = engine.name.clone();
    let extent = Extent {
        only: Vec::new(),
        views: request.views,
        things: request.things,
        trained_wording: request.trained_wording,
        controls: true,
    };
    let mut local = Local { engine: &mut engine, cancel, measured: request.measured };
    let progress = |done, total| app.tell(&Event::Evaluated { done, total });
    seeing(&mut local, &name, &held_out, &tags, extent, progress)
}

fn split(request: &SeeingRequest) -> std::result::Result<Split, EvalError> {
    let text = match &request.split {
        Some(path) => {
            let cannot = |source| EvalError::ReadSplit { path: path.clone(), source };
            &read_text(path, MAX_SPLIT_BYTES).map_err(cannot)?
        }
        None => BUILTIN_SPLIT,
    };
    serde_json::from_str(text).map_err(EvalError::Split)
}
