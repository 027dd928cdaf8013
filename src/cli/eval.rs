//! `eval seeing | talk | peft`.

use std::process::ExitCode;

use super::args::{EvalCommand, PeftArgs, SeeingArgs, TalkArgs, TalkMetrics};
use super::input::cancel_on_signal;
use super::{Context, Failure};
use artgpt_app::eval::{PeftRequest, SeeingRequest, TalkRequest, compare, see, talk as evaluate};
use artgpt_base::output;
use artgpt_eval::peft::markdown;
use artgpt_eval::talk::Extent;

pub(crate) fn run(context: &Context, command: EvalCommand) -> Result<ExitCode, Failure> {
    match command {
        EvalCommand::Seeing(args) => seeing(context, args)?,
        EvalCommand::Talk(args) => talk(context, args)?,
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
        measured: args.measured,
    };
    let table = see(&context.app, &request, &cancel_on_signal()?)?;
    match context.json {
        true => output::line(serde_json::json!(table)),
        false => output::write(table.to_markdown()),
    }
    Ok(())
}

fn talk(context: &Context, args: TalkArgs) -> Result<(), Failure> {
    let extent = Extent {
        paintings: args.limit.map(|limit| limit as usize),
        conversations: (!args.all).then_some(args.questions as usize),
        answers: args.metrics.contains(&TalkMetrics::Text),
        logprobs: args.metrics.contains(&TalkMetrics::Logprob),
    };
    let (model, museum) = (args.model, args.museum);
    let request = TalkRequest { model, museum, data: args.data, out: args.out, extent };
    let report = evaluate(&context.app, &request, &cancel_on_signal()?)?;
    match context.json {
        true => output::line(serde_json::json!(report)),
        false => output::write(report.to_markdown()),
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
