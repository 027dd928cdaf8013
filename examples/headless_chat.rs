//! A conversation about one picture with no terminal interface.
//!
//!     cargo run --release --example headless_chat -- PICTURE "What is the palette?" "And the light?"

#![allow(clippy::print_stdout)]

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use artgpt_app::settings::{Paths, Settings};
use artgpt_art::{Artwork, Label};
use artgpt_chat::{Role, Turn};
use artgpt_engine::{Cancel, Engine, GenerateEvent, Picture, Prompt, Request};
use artgpt_fetch as fetch;
use artgpt_model::manifest::Model;
use candle_core::Device;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let artwork = Artwork::open(Path::new(&args.next().context("name a picture")?))?;
    let paths = Paths::new(None, None).context("no home folder is known")?;
    let settings = Settings::default();
    let model = Model::find(&settings.model, &paths.models())?;
    if !fetch::is_installed(&model) {
        fetch::install(&model, &fetch::network::Network::default(), |_| {})?;
    }
    let mut engine = Engine::load(&model, &Device::Cpu, |_, _| {})?;
    let mut turns: Vec<Turn> = Vec::new();
    for question in args {
        let mut turn = Turn::new(Role::User, question.as_str());
        if turns.is_empty() {
            turn.images.push((0, Label::as_prompt(artwork.label.as_ref())));
        }
        turns.push(turn);
        println!("> {question}");
        let request = Request {
            prompt: Prompt::Chat { system: None, turns: turns.clone(), measured: true },
            pictures: vec![Picture::of(&artwork)],
            sampling: settings.sampling.clone(),
            max_new_tokens: settings.max_new_tokens,
        };
        let answer = engine.generate(&request, &Cancel::default(), |event| {
            if let GenerateEvent::Text(text, _) = event {
                print!("{text}");
                let _ = std::io::stdout().flush();
            }
        })?;
        println!(
            "\n  ({} of {} prompt tokens were cached)",
            answer.usage.cached_tokens.unwrap_or_default(),
            answer.usage.prompt_tokens.unwrap_or_default()
        );
        turns.push(Turn::new(Role::Assistant, answer.text));
    }
    Ok(())
}
