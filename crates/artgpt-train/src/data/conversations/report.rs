//! `data check` of conversations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::{Conversations, Dialogue, PictureSource, Side};
use crate::data::check::{BAD, grouped, spread};
use crate::data::{BadItem, RejectedRow, Result, Spread};
use artgpt_art::Split;
use artgpt_rundir::ConversationsConfig;

/// Conversations that a report shows.
const SAMPLES: usize = 3;

/// What `data check` finds in conversations.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TalkReport {
    /// Files that were read.
    pub files: usize,
    /// All records.
    pub records: usize,
    /// Conversations that can train, with pictures that decode.
    pub conversations: usize,
    /// Their questions with an answer.
    pub rounds: usize,
    /// Conversations without a picture.
    pub text_only: usize,
    /// Conversations about two pictures.
    pub two_pictures: usize,
    /// Conversations that train.
    pub train: usize,
    /// Conversations about held-out pictures.
    pub held_out: usize,
    /// Conversations about pictures that give the validation loss while paintings are set aside for it.
    pub set_aside: usize,
    /// Pictures that decode.
    pub pictures: usize,
    /// Records and pictures that cannot train.
    pub bad: usize,
    /// They and the reasons, up to 100,000.
    pub bad_items: Vec<BadItem>,
    /// What is no record.
    pub unused: usize,
    /// Why it is not used. Of many with the same reason the first is named.
    pub unused_items: Vec<BadItem>,
    /// Conversations by kind; without one under an empty name.
    pub kinds: BTreeMap<String, usize>,
    /// Words of the questions.
    pub question_words: Spread,
    /// Words of the answers.
    pub answer_words: Spread,
    /// Questions that stand in more than one conversation.
    pub same_questions: usize,
    /// Answers that stand in more than one conversation.
    pub same_answers: usize,
    /// Some conversations, drawn with the split's seed.
    pub samples: Vec<TalkSample>,
}

/// A conversation of the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TalkSample {
    /// File and record.
    pub place: String,
    /// The names of its pictures.
    pub pictures: Vec<String>,
    /// Its kind.
    pub kind: Option<String>,
    /// Questions and answers in turn.
    pub turns: Vec<String>,
}

/// Reads every record and decodes every picture that no museum holds. `museum` is the split of the
/// museum that `images` names; without one, pictures are held out by `split_seed`.
///
/// # Errors
/// [`crate::data::DataError`] if a file cannot be read. Bad records are part of the report.
pub fn check(
    config: &ConversationsConfig,
    museum: Option<&Split>,
    split_seed: u64,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<TalkReport> {
    let ids = museum.map(|split| {
        let all = split.train.iter().chain(&split.held_out).chain(&split.set_aside);
        all.copied().collect::<HashSet<u64>>()
    });
    let read = Conversations::read(config, ids.as_ref())?;
    let none = Split::default();
    let split = museum.unwrap_or(&none);
    let mut bad = read.bad.clone();
    let broken = broken(&read, progress);
    bad.extend(broken.iter().map(|(at, reason)| {
        let place = read.pictures[*at].key.clone();
        RejectedRow { place, reason: reason.clone() }
    }));
    let good: Vec<&Dialogue> = read
        .all
        .iter()
        .filter(|dialogue| dialogue.pictures.iter().all(|at| !broken.contains_key(at)))
        .collect();
    let mut report = TalkReport {
        files: read.files,
        records: read.all.len() + read.bad.len(),
        conversations: good.len(),
        rounds: good.iter().map(|d| d.rounds.len()).sum(),
        text_only: good.iter().filter(|d| d.pictures.is_empty()).count(),
        two_pictures: good.iter().filter(|d| d.pictures.len() == 2).count(),
        pictures: read.pictures.len() - broken.len(),
        bad: bad.len(),
        unused: read.unused.len(),
        unused_items: grouped(read.unused.clone()),
        ..TalkReport::default()
    };
    let named = bad.into_iter().take(BAD);
    report.bad_items = named.map(|b| BadItem { place: b.place, reason: b.reason }).collect();
    for dialogue in &good {
        *report.kinds.entry(dialogue.kind.clone().unwrap_or_default()).or_default() += 1;
        let has = |side| {
            let of = |at: &usize| read.side(*at, split, split_seed, config.held_out);
            dialogue.pictures.iter().any(|at| of(at) == side)
        };
        match () {
            () if has(Side::HeldOut) || has(Side::Unused) => report.held_out += 1,
            () if has(Side::SetAside) => report.set_aside += 1,
            () => report.train += 1,
        }
    }
    let words = |text: &str| text.split_whitespace().count();
    let rounds = || good.iter().flat_map(|d| &d.rounds);
    report.question_words = spread(rounds().map(|round| words(&round.asked)));
    report.answer_words = spread(rounds().map(|round| words(&round.said)));
    report.same_questions = repeated(&good, |round| &round.asked);
    report.same_answers = repeated(&good, |round| &round.said);
    let drawn = good.choose_multiple(&mut ChaCha8Rng::seed_from_u64(split_seed), SAMPLES);
    report.samples = drawn.map(|dialogue| sample(&read, dialogue)).collect();
    Ok(report)
}

fn sample(read: &Conversations, dialogue: &Dialogue) -> TalkSample {
    TalkSample {
        place: dialogue.place.clone(),
        pictures: dialogue.pictures.iter().map(|at| read.pictures[*at].key.clone()).collect(),
        kind: dialogue.kind.clone(),
        turns: dialogue.rounds.iter().flat_map(|r| [r.asked.clone(), r.said.clone()]).collect(),
    }
}

/// Pictures that do not decode, and why. A museum's have been decoded when it was opened.
fn broken(read: &Conversations, progress: impl Fn(usize, usize) + Sync) -> HashMap<usize, String> {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let all = read.pictures.len();
    let look = |(at, shown): (usize, &super::ShownPicture)| {
        let found = match &shown.source {
            PictureSource::Painting(_) => None,
            PictureSource::Picture(picture) => {
                let read = picture.read();
                let path = picture.to_string();
                let decoded = read.and_then(|b| artgpt_art::decode(Path::new(&path), &b));
                decoded.err().map(|e| (at, e.to_string()))
            }
        };
        progress(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed), all);
        found
    };
    read.pictures.par_iter().enumerate().filter_map(look).collect()
}

/// Texts that stand in several conversations.
fn repeated<'a>(good: &[&'a Dialogue], text: impl Fn(&'a super::Round) -> &'a String) -> usize {
    let mut seen: HashMap<&str, (usize, bool)> = HashMap::new();
    for (i, dialogue) in good.iter().enumerate() {
        for round in &dialogue.rounds {
            let (first, again) = seen.entry(text(round)).or_insert((i, false));
            *again |= *first != i;
        }
    }
    seen.values().filter(|(_, again)| *again).count()
}
