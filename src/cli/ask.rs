//! `ask`: one answer, streamed as plain text.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::args::AskArgs;
use super::{Context, Failure, input};
use artgpt_art::{ArtError, Artwork};
use artgpt_base::text::printable_lines;
use artgpt_chat::{Answer, ArtworkRef, Conversation, FinishReason, Session, TurnRecord};
use artgpt_engine::{GenerateEvent, Picture, Prompt, Request};
use artgpt_manifest::SamplingConfig;
use artgpt_store::{Database, DraftKey, Pictures};

/// At most this much of an answer is lost when the process is killed.
const DRAFT_EVERY: Duration = Duration::from_secs(1);

pub fn run(context: &Context, args: AskArgs) -> Result<ExitCode, Failure> {
    let text = input::text_or_stdin(&args.prompt, args.input.raw_prompt)?;
    let sampling = sampling(context, &args)?;
    let max_new_tokens = args.max_new_tokens.unwrap_or(context.settings.max_new_tokens);
    if max_new_tokens == 0 {
        return Err(Failure::usage("--max-new-tokens is 0", "give 1 or more"));
    }
    let art = input::artworks(&args.input.images)?;
    let cancel = input::cancel_on_signal()?;
    let system = args.system.clone().or_else(|| context.settings.system.clone());
    // All that can fail comes before the question is stored.
    let open = args.session.as_deref().map(|id| Stored::open(context, id, &args, &system));
    let stored = open.transpose()?;
    let name = args.input.model.as_deref().or(stored.as_ref().map(|s| s.model()));
    let mut backend = input::backend(context, name)?;
    if cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let mut kept = stored.map(|s| s.question(&text, &art)).transpose()?;
    let (prompt, pictures) = match &kept {
        Some(kept) => (kept.prompt(), kept.shown.clone()),
        None => (input::prompt(&args.input, system, &text, &art), input::pictures(&art)),
    };
    let request = Request { prompt, pictures, sampling, max_new_tokens };
    let json = context.json;
    let mut out = std::io::stdout().lock();
    let mut trouble: Option<Failure> = None;
    let answer = backend.generate(&request, &cancel, |event| {
        let GenerateEvent::Text(text, _) = event else { return };
        if !json
            && out.write_all(printable_lines(text).as_bytes()).and_then(|()| out.flush()).is_err()
        {
            cancel.cancel(); // nobody reads any more
        }
        if let Some(Err(e)) = kept.as_mut().map(|k| k.draft(text)) {
            trouble.get_or_insert(e);
        }
    });
    let answer = match (answer, &mut kept) {
        (Ok(answer), _) => answer,
        (Err(e), Some(kept)) => {
            kept.give_up()?;
            return Err(e.into());
        }
        (Err(e), None) => return Err(e.into()),
    };
    let written =
        if json { writeln!(out, "{}", to_json(backend.name(), &answer)) } else { writeln!(out) };
    if answer.dropped_turns > 0 {
        eprintln!("artgpt-tui: {} old turn(s) no longer fit the context", answer.dropped_turns);
    }
    drop(out);
    // The answer has been shown; whether it was kept comes last.
    if let Some(kept) = &kept {
        kept.finish(&answer)?;
    }
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    Ok(match answer.finish_reason {
        FinishReason::Cancelled if written.is_ok() => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    })
}

fn sampling(context: &Context, args: &AskArgs) -> Result<SamplingConfig, Failure> {
    let mut sampling = context.settings.sampling.clone();
    if args.greedy {
        sampling.temperature = 0.0;
    }
    // Asking for a way to draw means drawing.
    let draws =
        args.top_p.is_some() || args.top_k.is_some() || args.min_p.is_some() || args.seed.is_some();
    if draws && args.temperature.is_none() && !args.greedy && sampling.temperature == 0.0 {
        sampling.temperature = 1.0;
    }
    sampling.temperature = args.temperature.unwrap_or(sampling.temperature);
    sampling.top_p = args.top_p.unwrap_or(sampling.top_p);
    sampling.top_k = args.top_k.unwrap_or(sampling.top_k);
    sampling.repetition_penalty = args.repetition_penalty.unwrap_or(sampling.repetition_penalty);
    sampling.min_p = args.min_p.unwrap_or(sampling.min_p);
    sampling.presence_penalty = args.presence_penalty.unwrap_or(sampling.presence_penalty);
    sampling.beams = args.beams.unwrap_or(sampling.beams);
    sampling.length_penalty = args.length_penalty.unwrap_or(sampling.length_penalty);
    sampling.min_new_tokens = args.min_new_tokens.unwrap_or(sampling.min_new_tokens);
    sampling.stop.extend(args.stop.iter().cloned());
    sampling.seed = args.seed.or(sampling.seed);
    match sampling.problem() {
        Some(problem) => Err(Failure::usage(problem, "see ask --help")),
        None => Ok(sampling),
    }
}

fn to_json(model: &str, answer: &Answer) -> serde_json::Value {
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

/// A session that is open, before this round.
struct Stored {
    database: Database,
    pictures: Pictures,
    conversation: Conversation,
    /// The pictures of earlier rounds.
    shown: Vec<Picture>,
}

impl Stored {
    /// Opens or begins the session and reads its pictures.
    fn open(
        context: &Context,
        id: &str,
        args: &AskArgs,
        system: &Option<String>,
    ) -> Result<Self, Failure> {
        let opened = Database::open(&context.paths.sessions())?;
        if let Some(notice) = opened.notice {
            eprintln!("artgpt-tui: {notice}");
        }
        let pictures = Pictures::new(context.paths.pictures());
        let mut conversation = match id {
            "new" => {
                let model = args.input.model.as_deref().unwrap_or(&context.settings.model);
                Conversation::new(Session::new(model, system.clone()))
            }
            id => opened.database.get(id)?,
        };
        if args.system.is_some() {
            conversation.session.system.clone_from(system);
        }
        let shown = conversation
            .session
            .artworks
            .iter()
            .map(|known| {
                let artwork = Artwork::open(&pictures.locate(known))?;
                if artwork.sha256 != known.sha256 {
                    return Err(ArtError::Changed(known.path.display().to_string()).into());
                }
                Ok(Picture::of(&artwork))
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self { database: opened.database, pictures, conversation, shown })
    }

    fn model(&self) -> &str {
        &self.conversation.session.model
    }

    /// Stores the question and begins the answer's draft.
    fn question(mut self, text: &str, art: &[Artwork]) -> Result<Kept, Failure> {
        let conversation = &mut self.conversation;
        let mut numbers = Vec::new();
        for a in art {
            self.pictures.keep(&a.path, &a.sha256)?;
            let number = conversation.session.add_artwork(ArtworkRef {
                path: std::path::absolute(&a.path).unwrap_or_else(|_| a.path.clone()),
                sha256: a.sha256.clone(),
                label: a.label.clone(),
            });
            if number == self.shown.len() {
                self.shown.push(Picture::of(a));
            }
            numbers.push(number);
        }
        if conversation.turns.is_empty() {
            eprintln!("session {}", conversation.session.id);
        }
        let question = conversation.user_turn(text, numbers);
        conversation.turns.push(question.clone());
        conversation.derive_title();
        conversation.session.updated = question.created;
        self.database.put_turn(&conversation.session, &question)?;
        let answer = conversation.assistant_turn("");
        let draft = self.database.begin_draft(&conversation.session, &answer)?;
        Ok(Kept {
            database: self.database,
            conversation: self.conversation,
            shown: self.shown,
            answer,
            draft,
            pieces: 0,
            waiting: String::new(),
            last: Instant::now(),
        })
    }
}

/// A round that is kept in a session.
struct Kept {
    database: Database,
    conversation: Conversation,
    shown: Vec<Picture>,
    answer: TurnRecord,
    draft: DraftKey,
    pieces: u32,
    waiting: String,
    last: Instant,
}

impl Kept {
    fn prompt(&self) -> Prompt {
        let system = self.conversation.session.system.clone();
        Prompt::Chat { system, turns: self.conversation.template_turns(None) }
    }

    /// The question stays, and so does what came of the answer before it failed.
    fn give_up(&mut self) -> Result<(), Failure> {
        if self.pieces == 0 && self.waiting.is_empty() {
            return Ok(self.database.drop_draft(&self.draft)?);
        }
        self.pieces += 1;
        Ok(self.database.append_draft(&self.draft, self.pieces, &self.waiting)?)
    }

    fn draft(&mut self, text: &str) -> Result<(), Failure> {
        self.waiting.push_str(text);
        if self.last.elapsed() >= DRAFT_EVERY {
            self.pieces += 1;
            self.database.append_draft(&self.draft, self.pieces, &self.waiting)?;
            self.waiting.clear();
            self.last = Instant::now();
        }
        Ok(())
    }

    fn finish(&self, answer: &Answer) -> Result<(), Failure> {
        let mut session = self.conversation.session.clone();
        let turn = self.answer.clone().finished(answer);
        session.updated = jiff::Timestamp::now();
        Ok(self.database.put_turn(&session, &turn)?)
    }
}
