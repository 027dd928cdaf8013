//! What several subcommands need: a loaded model, opened pictures, a stop on Ctrl-C.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::args::InputArgs;
use super::progress::install_with_bar;
use super::{Context, Failure};
use artgpt_art::Artwork;
use artgpt_base::text::printable;
use artgpt_engine::{Backend, Cancel, Engine, Picture, Prompt, Remote, SCHEME};
use artgpt_fetch::is_installed;
use artgpt_model::device;
use artgpt_model::manifest::Model;

/// A model whose files are here, fetched first if need be.
pub fn ready(context: &Context, name: &str) -> Result<Model, Failure> {
    let model = Model::find(name, &context.paths.models())?;
    if !is_installed(&model) {
        install_with_bar(&model)?;
    }
    Ok(model)
}

/// The folder of a data set: a manifest's, or the user's own.
pub fn data_folder(context: &Context, data: &str) -> Result<PathBuf, Failure> {
    if Path::new(data).join("objects.json").is_file() {
        return Ok(PathBuf::from(data));
    }
    match ready(context, data) {
        Ok(set) => Ok(set.dir.join("files")),
        Err(failure) if Model::find(data, &context.paths.models()).is_err() => Err(Failure {
            message: format!("{}: there is no data set of this name", printable(data)),
            hint:
                "met-paintings is built in; a folder with pictures and objects.json works as well"
                    .into(),
            ..failure
        }),
        Err(failure) => Err(failure),
    }
}

/// The model that the flag or the settings name: loaded here, or a server's.
pub fn backend(context: &Context, model: Option<&str>) -> Result<Backend, Failure> {
    let name = model.unwrap_or(&context.settings.model);
    match Remote::parse(name) {
        Some(remote) => Ok(Backend::Remote(remote?)),
        None => {
            let engine = load(context, name)?.keep_embeddings(&context.paths.embeddings());
            Ok(Backend::Local(Box::new(engine)))
        }
    }
}

/// Loads the model that the flag or the settings name.
pub fn engine(context: &Context, model: Option<&str>) -> Result<Engine, Failure> {
    let name = model.unwrap_or(&context.settings.model);
    if name.starts_with(SCHEME) {
        return Err(Failure::usage(
            format!(
                "{} runs on a server, which gives no log-probabilities",
                artgpt_base::text::printable(name)
            ),
            "name a local model",
        ));
    }
    load(context, name)
}

fn load(context: &Context, name: &str) -> Result<Engine, Failure> {
    let model = ready(context, name)?;
    let device = device::open(&context.settings.device)?;
    if context.verbose > 0 || context.asked_auto {
        eprintln!("{}: {}", model.manifest.name, device::reason(&context.settings.device, &device));
    }
    Ok(Engine::load(&model, &device, |_, _| {})?)
}

/// Opens all pictures; remarks go to stderr.
pub fn artworks(paths: &[PathBuf]) -> Result<Vec<Artwork>, Failure> {
    paths
        .iter()
        .map(|path| {
            let artwork = Artwork::open(path)?;
            for note in &artwork.notes {
                eprintln!("artgpt-tui: {}", artgpt_base::text::printable(note));
            }
            Ok(artwork)
        })
        .collect()
}

/// A prompt with pictures outside any session.
pub fn prompt(args: &InputArgs, system: Option<String>, text: &str, art: &[Artwork]) -> Prompt {
    if args.raw_prompt {
        return Prompt::Raw(text.to_string());
    }
    let mut turn = artgpt_chat::Turn::new(artgpt_chat::Role::User, text);
    turn.images = art
        .iter()
        .enumerate()
        .map(|(i, a)| (i, artgpt_art::Label::as_prompt(a.label.as_ref())))
        .collect();
    Prompt::Chat { system, turns: vec![turn] }
}

pub fn pictures(art: &[Artwork]) -> Vec<Picture> {
    art.iter().map(Picture::of).collect()
}

/// `-` is stdin; a raw prompt is taken as it comes, of another the last line break is left out.
pub fn text_or_stdin(text: &str, raw: bool) -> Result<String, Failure> {
    let text = match text {
        "-" => {
            let mut read = String::new();
            std::io::stdin().take(MAX_STDIN).read_to_string(&mut read).map_err(|e| {
                Failure::usage(format!("cannot read stdin: {e}"), "send UTF-8 text")
            })?;
            match raw {
                true => read,
                false => read.trim_end_matches(['\n', '\r']).to_string(),
            }
        }
        text => text.to_string(),
    };
    if text.trim().is_empty() {
        return Err(Failure::usage("the prompt is empty", "ask something"));
    }
    Ok(text)
}

/// Far beyond any context window.
const MAX_STDIN: u64 = 16 << 20;

/// The first Ctrl-C or SIGTERM cancels, so that what was made is kept; the second ends at once.
pub fn cancel_on_signal() -> Result<Cancel, Failure> {
    let cancel = Cancel::default();
    let seen = cancel.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", e))?;
    std::thread::spawn(move || {
        runtime.block_on(artgpt_machine::signals::terminate());
        seen.cancel();
        runtime.block_on(artgpt_machine::signals::terminate());
        std::process::exit(130);
    });
    Ok(cancel)
}
