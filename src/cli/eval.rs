//! `eval seeing | peft`.

use std::process::ExitCode;

use super::args::{EvalCommand, PeftArgs, SeeingArgs};
use super::input::cancel_on_signal;
use super::{Context, Failure};
use artgpt_app::eval::{PeftRequest, SeeingRequest, compare, see};
use artgpt_base::output;
use artgpt_eval::peft::markdown;

pub(crate) fn run(context: &Context, command: EvalCommand) -> Result<ExitCode, Failure> {
    match command {
        EvalCommand::Seeing(args) => seeing(context, args)?,
        EvalCommand::Peft(args) => peft(context, args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn seeing(context: &Context, args: SeeingArgs) -> Result<(), Failure> {
    let request = SeeingRequest {
        model: args.model,
        data: args.data,
        split: args.split,
        views: args.views.into(),
        things: args.things.into(),
        trained_wording: args.trained_wording,
    };
    let table = see(&context.app, &request, &cancel_on_signal()?)?;
    match context.json {
        true => output::line(serde_json::json!(table)),
        false => output::write(table.to_markdown()),
    }
    Ok(())
}

fn peft(context: &Context, args: PeftArgs) -> Result<(), Failure> {
    let request = PeftRequest { config_file: args.config_file, set: args.set, out: args.out };
    let measured = compare(&context.app, &request, &cancel_on_signal()?)?;
    match context.json {
        true => output::line(serde_json::json!(measured)),
        false => output::write(markdown(&measured)),
    }
    Ok(())
}
