//! `eval seeing`: the table of the README.

use std::process::ExitCode;
use std::sync::Arc;

use super::args::{EvalCommand, SeeingArgs};
use super::{Context, Failure, out};
use artgpt_app::ask::AskError;
use artgpt_app::{backend, models};
use artgpt_art::{Label, Paintings, Split};
use artgpt_chat::{Role, Turn};
use artgpt_engine::{Cancel, Engine, InferenceError, Picture, Prompt, Request, SCHEME};
use artgpt_eval::{Answerer, Extent, Shown, seeing};
use artgpt_manifest::SamplingConfig;
use artgpt_model::manifest::BUILTIN_SPLIT;

/// Answers to closed questions are shorter.
const MAX_NEW_TOKENS: usize = 24;

pub(crate) fn run(context: &Context, command: EvalCommand) -> Result<ExitCode, Failure> {
    match command {
        EvalCommand::Seeing(args) => see(context, &args),
        EvalCommand::Peft(args) => super::eval_peft::run(context, &args),
    }
}

fn see(context: &Context, args: &SeeingArgs) -> Result<ExitCode, Failure> {
    let text = match &args.split {
        Some(path) => std::fs::read_to_string(path).map_err(|e| {
            Failure::usage(
                format!("cannot read {}: {e}", path.display()),
                "a training run writes split.json",
            )
        })?,
        None => BUILTIN_SPLIT.to_string(),
    };
    let split: Split = serde_json::from_str(&text)
        .map_err(|e| Failure::usage(format!("the split is not valid: {e}"), "name a split.json"))?;
    let paintings = Paintings::open(&models::data_folder(&context.app, &args.data)?)?;
    let held_out: Vec<_> = split.held_out.iter().filter_map(|id| paintings.get(*id)).collect();
    if held_out.is_empty() {
        return Err(Failure::usage(
            "none of the split's held-out paintings is in the data",
            "name the data set and the split of one training run",
        ));
    }
    let tags = paintings.common_tags(&split);
    let name = args.model.as_deref().unwrap_or(&context.app.settings.model);
    if name.starts_with(SCHEME) {
        return Err(AskError::RemoteScore(name.to_string()).into());
    }
    let mut engine = backend::engine(&context.app, name)?;
    let name = engine.name.clone();
    let table = seeing(
        &mut Local(&mut engine),
        &name,
        &held_out,
        &tags,
        Extent {
            only: Vec::new(),
            views: args.views.into(),
            things: args.things.into(),
            trained_wording: args.trained_wording,
            controls: true,
        },
        |done, all| {
            if context.verbose > 0 {
                eprintln!("{done}/{all} paintings");
            }
        },
    )?;
    if context.json {
        out::line(serde_json::json!(table));
    } else {
        out::write(table.to_markdown());
    }
    Ok(ExitCode::SUCCESS)
}

/// The engine as the evaluation sees it.
pub(crate) struct Local<'a>(pub &'a mut Engine);

impl Answerer for Local<'_> {
    type Error = InferenceError;

    fn answer(
        &mut self,
        picture: Option<&Shown>,
        question: &str,
    ) -> Result<String, InferenceError> {
        let mut turn = Turn::new(Role::User, question);
        turn.images = picture.iter().map(|_| (0, Label::as_prompt(None))).collect();
        let pictures = picture
            .map(|p| Picture {
                key: p.key.as_str().into(),
                image: Arc::new(p.view.pixels().clone()),
            })
            .into_iter()
            .collect();
        let request = Request {
            prompt: Prompt::Chat { system: None, turns: vec![turn] },
            pictures,
            sampling: SamplingConfig::greedy(),
            max_new_tokens: MAX_NEW_TOKENS,
        };
        Ok(self.0.generate(&request, &Cancel::default(), |_| {})?.text)
    }
}
