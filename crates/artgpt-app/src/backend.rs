//! A model that is ready to answer: loaded here, or on a server.

use super::models::ready;
use super::{App, Event, Result};
use artgpt_engine::{Backend, Engine, Remote};
use artgpt_model::device;

/// Opens the model that is named, or else the settings' model: loaded here, or a server's.
pub fn backend(app: &App, model: Option<&str>) -> Result<Backend> {
    let name = model.unwrap_or(&app.settings.model);
    match Remote::parse(name, &app.settings.network) {
        Some(remote) => Ok(Backend::Remote(Box::new(remote?))),
        None => {
            let engine = engine(app, name)?.keep_embeddings(&app.paths.embeddings());
            Ok(Backend::Local(Box::new(engine)))
        }
    }
}

/// Loads a local model, after fetching it where it is not installed.
pub fn engine(app: &App, name: &str) -> Result<Engine> {
    let model = ready(app, name)?;
    let device = device::open(&app.settings.device)?;
    let reason = device::reason(&app.settings.device, &device);
    app.tell(&Event::Device { model: &model.manifest.name, reason: &reason });
    let engine = Engine::load(&model, &device, |_, _| {})?;
    engine.notices().iter().for_each(|notice| app.tell(&Event::Model(notice)));
    Ok(engine)
}
