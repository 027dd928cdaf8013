//! Questions and true answers for one view.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::art::{FormalFeatures, Kind, Label, PRESENCE_WORDINGS, Painting, Question, description};
use crate::chat::{Role, Turn};

/// A conversation up to the assistant's last answer, and that answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub turns: Vec<Turn>,
    pub answer: String,
}

/// What the model says when there is nothing to look at.
pub const NO_PICTURE: &str = "I see no picture. Open one first.";
/// What it says when the label is silent.
pub const NOT_ON_LABEL: &str = "The label does not say.";

/// Draws `count` examples for one view: formal questions in random order, then one each of
/// label, contents and description, and now and then a question with no picture.
pub fn draw(
    painting: &Painting,
    features: &FormalFeatures,
    labels: &[&Label],
    tags: &[String],
    count: usize,
    rng: &mut impl Rng,
) -> Vec<Example> {
    let mut out = Vec::with_capacity(count);
    let mut types = Question::ALL.to_vec();
    types.shuffle(rng);
    let others = [Other::Label, Other::Contents, Other::Presence, Other::Describe, Other::Blind];
    let extra = (count / 4).max(1);
    for question in
        types.into_iter().cycle().take(Question::ALL.len().min(count - extra.min(count)))
    {
        let Some((_, answer)) = question.truth(features, painting.kind) else { continue };
        let wording = question.training_wordings().choose(rng).copied().unwrap_or_default();
        let mut turns = Vec::new();
        // Now and then an earlier round, so that a conversation is nothing new.
        if rng.random_range(0..5) == 0 {
            let before = Question::ALL.choose(rng).copied().unwrap_or(question);
            if let Some((_, said)) = before.truth(features, painting.kind) {
                let asked = before.training_wordings().choose(rng).copied().unwrap_or_default();
                turns.push(Turn::new(Role::User, asked));
                turns.push(Turn::new(Role::Assistant, said));
            }
        }
        turns.push(Turn::new(Role::User, wording));
        look(&mut turns, some_label(labels, rng));
        out.push(Example { turns, answer });
    }
    for _ in 0..extra {
        let kind = others.choose(rng).copied().unwrap_or(Other::Label);
        out.push(kind.example(painting, features, labels, tags, rng));
    }
    out
}

#[derive(Clone, Copy)]
enum Other {
    Label,
    Contents,
    Presence,
    Describe,
    Blind,
}

impl Other {
    fn example(
        self,
        painting: &Painting,
        features: &FormalFeatures,
        labels: &[&Label],
        tags: &[String],
        rng: &mut impl Rng,
    ) -> Example {
        let mut label = some_label(labels, rng);
        let (asked, answer) = match self {
            Self::Label => {
                // Half the time the label is there and, mostly, knows.
                label =
                    if rng.random() { labels.choose(rng).map(|l| partial(l, rng)) } else { label };
                label_question(label.as_ref(), rng)
            }
            Self::Contents => {
                let asked = pick(
                    &[
                        "What is in the picture?",
                        "What do you see?",
                        "Name what is shown.",
                        "What does the painting show?",
                    ],
                    rng,
                );
                (asked.to_string(), contents(painting))
            }
            Self::Presence => presence(painting, tags, rng),
            Self::Describe => {
                let asked = pick(
                    &[
                        "Describe this painting.",
                        "Describe the picture.",
                        "Tell me about this painting.",
                    ],
                    rng,
                );
                (asked.to_string(), description(features, painting.kind))
            }
            Self::Blind => {
                let question = Question::ALL.choose(rng).copied().unwrap_or(Question::Kind);
                let asked = pick(question.training_wordings(), rng);
                let turns = vec![Turn::new(Role::User, asked)];
                return Example { turns, answer: NO_PICTURE.into() };
            }
        };
        let mut turns = vec![Turn::new(Role::User, asked)];
        look(&mut turns, label);
        Example { turns, answer }
    }
}

/// The picture belongs to the first turn.
fn look(turns: &mut [Turn], label: Option<Label>) {
    if let Some(first) = turns.first_mut() {
        first.images.push((0, Label::as_prompt(label.as_ref())));
    }
}

/// Labels are drawn from all training paintings, so that the answer must be read, not recalled.
fn some_label(labels: &[&Label], rng: &mut impl Rng) -> Option<Label> {
    if rng.random_range(0..10) < 7 {
        return None;
    }
    labels.choose(rng).map(|l| partial(l, rng))
}

fn partial(label: &Label, rng: &mut impl Rng) -> Label {
    let mut keep = |v: &Option<String>| v.clone().filter(|_| rng.random_range(0..4) > 0);
    Label {
        title: keep(&label.title),
        artist: keep(&label.artist),
        date: keep(&label.date),
        medium: keep(&label.medium),
        ..Label::default()
    }
}

fn label_question(label: Option<&Label>, rng: &mut impl Rng) -> (String, String) {
    const TITLE: &[&str] = &["What is the title?", "What is this painting called?"];
    const ARTIST: &[&str] = &["Who painted this?", "Who is the artist?"];
    const DATE: &[&str] = &["When was it painted?", "What is the date of this painting?"];
    const MEDIUM: &[&str] = &["What is the medium?", "What is it painted with?"];
    let empty = Label::default();
    let label = label.unwrap_or(&empty);
    let (wordings, value) = match rng.random_range(0..4) {
        0 => (TITLE, &label.title),
        1 => (ARTIST, &label.artist),
        2 => (DATE, &label.date),
        _ => (MEDIUM, &label.medium),
    };
    let answer = value.as_ref().map_or_else(|| NOT_ON_LABEL.to_string(), |v| format!("{v}."));
    (pick(wordings, rng).to_string(), answer)
}

fn contents(painting: &Painting) -> String {
    let mut named: Vec<&str> = painting.tags.iter().map(String::as_str).take(4).collect();
    let Some(last) = named.pop() else { return "I cannot tell.".into() };
    let list = if named.is_empty() {
        last.to_string()
    } else {
        format!("{} and {last}", named.join(", "))
    };
    let mut chars = list.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => list,
    }
}

fn presence(painting: &Painting, tags: &[String], rng: &mut impl Rng) -> (String, String) {
    let yes = rng.random() && !painting.tags.is_empty();
    let tag = if yes {
        painting.tags.choose(rng)
    } else {
        let absent: Vec<_> = tags.iter().filter(|t| !painting.tags.contains(t)).collect();
        absent.choose(rng).copied()
    };
    let tag = tag.map_or("anything", String::as_str);
    let asked = pick(PRESENCE_WORDINGS, rng).replace("{}", tag);
    let answer = if painting.tags.iter().any(|t| t == tag) {
        format!("Yes, I see {tag}.")
    } else {
        format!("No, I do not see {tag}.")
    };
    (asked, answer)
}

fn pick<'a>(from: &[&'a str], rng: &mut impl Rng) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

/// The index of `kind` among the answers, for the align stage.
pub fn kind_index(kind: Option<Kind>) -> Option<usize> {
    kind.map(|k| k as usize)
}
