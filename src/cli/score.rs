//! `score`: log-probabilities of an answer's tokens, without sampling.

use std::process::ExitCode;

use super::args::ScoreArgs;
use super::{Context, Failure, input, out};

pub fn run(context: &Context, args: ScoreArgs) -> Result<ExitCode, Failure> {
    let text = input::text_or_stdin(&args.prompt, args.input.raw_prompt)?;
    if args.answer.is_empty() {
        return Err(Failure::usage("--answer is empty", "give the text to score"));
    }
    let art = input::artworks(&args.input.images)?;
    let mut engine = input::engine(context, args.input.model.as_deref())?;
    let prompt = input::prompt(&args.input, context.settings.system.clone(), &text, &art);
    let pictures = input::pictures(&art);
    let score = engine.score(&prompt, &pictures, &args.answer)?;
    let sum: f64 = score.logprobs.iter().map(|l| f64::from(*l)).sum();
    if context.json {
        out::line(serde_json::json!({
            "token_ids": score.token_ids,
            "logprobs": score.logprobs,
            "sum": sum,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    for (id, logprob) in score.token_ids.iter().zip(&score.logprobs) {
        let token = artgpt_base::text::printable(&engine.tokenizer.decode(&[*id]));
        out::line(format_args!("{logprob:>10.4}  {id:>6}  {token}"));
    }
    out::line(format_args!("{sum:>10.4}  sum"));
    Ok(ExitCode::SUCCESS)
}
