//! `ask`: one answer, streamed as plain text.

use std::process::ExitCode;

use super::args::AskArgs;
use super::{Context, Failure, input};
use artgpt_app::ask::{AskRequest, Asked, SamplingRequest, SessionChoice, ask};
use artgpt_base::output;
use artgpt_base::text::printable_lines;
use artgpt_chat::FinishReason;

pub(crate) fn run(context: &Context, args: AskArgs) -> Result<ExitCode, Failure> {
    let app = &context.app;
    let question = input::text_or_stdin(&args.prompt, args.input.raw_prompt)?;
    let request = AskRequest {
        question,
        raw: args.input.raw_prompt,
        session: args.session.clone().map(|id| match id.as_str() {
            "new" => SessionChoice::New,
            _ => SessionChoice::Existing(id),
        }),
        system: args.system.clone(),
        max_new_tokens: args.max_new_tokens.unwrap_or(app.settings.max_new_tokens),
        sampling: sampling(&args).over(&app.settings.sampling),
        model: args.input.model,
        images: args.input.images,
    };
    let cancel = input::cancel_on_signal()?;
    let json = context.json;
    let asked = ask(app, &request, &cancel, |text| {
        if !json {
            output::write(printable_lines(text));
        }
        if output::stdout_error().is_some() {
            cancel.cancel(); // nobody reads any more
        }
    })?;
    output::line(if json { to_json(&asked).to_string() } else { String::new() });
    let Asked { answer, not_saved, .. } = asked;
    if answer.dropped_turns > 0 {
        output::note(format_args!(
            "artgpt-tui: {} old turn(s) no longer fit the context",
            answer.dropped_turns
        ));
    }
    // The answer has been shown; whether it was stored comes last.
    if let Some(error) = not_saved {
        return Err(error.into());
    }
    Ok(match answer.finish_reason {
        FinishReason::Cancelled if output::stdout_error().is_none() => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    })
}

fn sampling(args: &AskArgs) -> SamplingRequest {
    SamplingRequest {
        greedy: args.greedy,
        temperature: args.temperature,
        top_p: args.top_p,
        top_k: args.top_k,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty,
        presence_penalty: args.presence_penalty,
        beams: args.beams,
        length_penalty: args.length_penalty,
        min_new_tokens: args.min_new_tokens,
        stop: args.stop.clone(),
        seed: args.seed,
    }
}

fn to_json(Asked { model, answer, .. }: &Asked) -> serde_json::Value {
    serde_json::json!({
        "model": model,
        "prompt_tokens": answer.usage.prompt_tokens,
        "cached_tokens": answer.usage.cached_tokens,
        "image_tokens": answer.usage.image_tokens,
        "token_ids": answer.token_ids,
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "timings": answer.timings,
    })
}
