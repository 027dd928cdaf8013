//! `score`: log-probabilities of an answer's tokens, without sampling.

use std::process::ExitCode;

use super::args::ScoreArgs;
use super::{Context, Failure, input};
use artgpt_app::score::{ScoreRequest, score};
use artgpt_base::output;
use artgpt_base::text::printable;

pub(crate) fn run(context: &Context, args: ScoreArgs) -> Result<ExitCode, Failure> {
    let request = ScoreRequest {
        prompt: input::text_or_stdin(&args.prompt, args.input.raw_prompt)?,
        model: args.input.model,
        raw: args.input.raw_prompt,
        images: args.input.images,
        answer: args.answer,
    };
    let tokens = score(&context.app, &request)?;
    let sum: f64 = tokens.iter().map(|token| f64::from(token.logprob)).sum();
    if context.json {
        output::line(serde_json::json!({
            "token_ids": tokens.iter().map(|token| token.id).collect::<Vec<_>>(),
            "logprobs": tokens.iter().map(|token| token.logprob).collect::<Vec<_>>(),
            "sum": sum,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    for token in &tokens {
        let text = printable(&token.text);
        output::line(format_args!("{:>10.4}  {:>6}  {text}", token.logprob, token.id));
    }
    output::line(format_args!("{sum:>10.4}  sum"));
    Ok(ExitCode::SUCCESS)
}
