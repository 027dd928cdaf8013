//! Questions and true answers for one view.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use artgpt_art::{
    FormalFeatures, Genre, Label, PRESENCE_WORDINGS, Painting, Question, description,
};
use artgpt_chat::{Role, Turn};
use artgpt_rundir::Stage;

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

/// What examples draw from besides the picture itself.
pub struct Museum<'a> {
    /// Of all training paintings.
    pub labels: Vec<&'a Label>,
    /// The common tags of all training paintings, each as often as it occurs.
    pub things: Vec<&'a String>,
}

/// A painting and what is measured in the view that is shown of it.
type Seen<'a> = (&'a Painting, FormalFeatures);

/// Draws what a stage asks of one view: formal questions in random order, then for every four
/// questions one about a thing that is or is not there, and one about the label, the contents, the
/// whole, with no picture, or in a conversation that goes on to the picture `second`; and besides
/// what the stage asks of every view.
pub fn draw(
    seen: &Seen,
    second: Option<&Seen>,
    museum: &Museum,
    stage: &Stage,
    rng: &mut impl Rng,
) -> Vec<Example> {
    let count = stage.questions;
    if !stage.only.is_empty() {
        // Each view begins with another type, so that all are asked as often.
        let first = rng.random_range(0..stage.only.len());
        let asked: Vec<_> = stage.only.iter().cycle().skip(first).take(count).collect();
        return asked
            .into_iter()
            .filter_map(|question| {
                let (asked, answer) = formal(*question, seen, rng)?;
                let mut turns = vec![Turn::new(Role::User, asked)];
                look(&mut turns, 0, None);
                Some(Example { turns, answer })
            })
            .collect();
    }
    let mut out = Vec::with_capacity(count + stage.always.len() + stage.presence);
    let mut types = Question::ALL.to_vec();
    types.shuffle(rng);
    let mut others = vec![Other::Label, Other::Contents, Other::Describe, Other::Blind];
    if let Some(second) = second {
        others.extend([Other::Second(second); 2]);
    }
    let extra = (count / 4).max(1);
    let drawn = types.into_iter().take(count.saturating_sub(2 * extra));
    for question in drawn.chain(stage.always.iter().copied()) {
        let Some((asked, answer)) = formal(question, seen, rng) else { continue };
        let label = some_label(museum, rng);
        // Now and then earlier rounds, so that a conversation is nothing new.
        let rounds = if rng.random_range(0..4) == 0 { rng.random_range(1..=3) } else { 0 };
        let mut turns = earlier_rounds(rounds, seen, label.as_ref(), rng);
        turns.push(Turn::new(Role::User, asked));
        look(&mut turns, 0, label);
        out.push(Example { turns, answer });
    }
    for _ in 0..extra {
        let other = others.choose(rng).copied().unwrap_or(Other::Label);
        out.push(Other::Presence.example(seen, museum, rng));
        out.push(other.example(seen, museum, rng));
    }
    out.extend((0..stage.presence).map(|_| Other::Presence.example(seen, museum, rng)));
    out.extend((0..stage.labels).map(|_| Other::Label.example(seen, museum, rng)));
    out
}

/// A formal question in a wording of training, and its true answer.
fn formal(question: Question, seen: &Seen, rng: &mut impl Rng) -> Option<(&'static str, String)> {
    let (_, answer) = question.truth(&seen.1, seen.0.kind)?;
    Some((pick(question.training_wordings(), rng), answer))
}

/// A formal question, `fallback` if the one drawn has no answer, and its answer.
fn earlier_round(fallback: Question, seen: &Seen, rng: &mut impl Rng) -> Vec<Turn> {
    let question = Question::ALL.choose(rng).copied().unwrap_or(fallback);
    formal(question, seen, rng)
        .or_else(|| formal(fallback, seen, rng))
        .map_or_else(Vec::new, |(asked, said)| {
            vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, said)]
        })
}

/// Rounds about the view and its label, in any order; whatever they were about, the label still holds
/// in the next one.
fn earlier_rounds(
    count: usize,
    seen: &Seen,
    label: Option<&Label>,
    rng: &mut impl Rng,
) -> Vec<Turn> {
    let mut turns = Vec::new();
    for _ in 0..count {
        match rng.random_range(0..4) {
            0 => turns.extend(round(label_question(label, rng))),
            1 => turns.extend(round(contents_question(seen, rng))),
            2 => turns.extend(round(description_question(seen, rng))),
            _ => turns.extend(earlier_round(Question::Palette, seen, rng)),
        }
    }
    turns
}

fn round((asked, said): (String, String)) -> [Turn; 2] {
    [Turn::new(Role::User, asked), Turn::new(Role::Assistant, said)]
}

fn contents_question(seen: &Seen, rng: &mut impl Rng) -> (String, String) {
    let wordings = [
        "What is in the picture?",
        "What do you see?",
        "Name what is shown.",
        "What does the painting show?",
    ];
    (pick(&wordings, rng).to_string(), contents(seen.0))
}

fn description_question(seen: &Seen, rng: &mut impl Rng) -> (String, String) {
    let wordings =
        ["Describe this painting.", "Describe the picture.", "Tell me about this painting."];
    (pick(&wordings, rng).to_string(), description(&seen.1, seen.0.kind))
}

#[derive(Clone, Copy)]
enum Other<'a> {
    Label,
    Contents,
    Presence,
    Describe,
    Blind,
    /// A round about the view, then one about another, whose label is another one.
    Second(&'a Seen<'a>),
}

impl Other<'_> {
    fn example(self, seen: &Seen, museum: &Museum, rng: &mut impl Rng) -> Example {
        let mut label = some_label(museum, rng);
        let (asked, answer) = match self {
            Self::Label => {
                // Half the time the label is there and, mostly, knows.
                label = if rng.random() { any_label(museum, rng) } else { label };
                label_question(label.as_ref(), rng)
            }
            Self::Contents => contents_question(seen, rng),
            Self::Presence => presence(seen.0, &museum.things, rng),
            Self::Describe => description_question(seen, rng),
            Self::Blind => {
                let question = Question::ALL.choose(rng).copied().unwrap_or(Question::Kind);
                let asked = pick(question.training_wordings(), rng);
                let turns = vec![Turn::new(Role::User, asked)];
                return Example { turns, answer: NO_PICTURE.into() };
            }
            Self::Second(second) => return go_on(seen, second, museum, rng),
        };
        // The label is asked for at any time.
        let rounds = match self {
            Self::Label if rng.random_range(0..3) > 0 => rng.random_range(1..=4),
            _ => 0,
        };
        let mut turns = earlier_rounds(rounds, seen, label.as_ref(), rng);
        turns.push(Turn::new(Role::User, asked));
        look(&mut turns, 0, label);
        Example { turns, answer }
    }
}

/// A conversation that goes on to a second picture: its own label and its own features count.
fn go_on(seen: &Seen, second: &Seen, museum: &Museum, rng: &mut impl Rng) -> Example {
    let first_label = any_label(museum, rng).filter(|_| rng.random_range(0..4) > 0);
    let mut turns = if rng.random() {
        earlier_round(Question::Palette, seen, rng)
    } else {
        let (asked, said) = label_question(first_label.as_ref(), rng);
        vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, said)]
    };
    look(&mut turns, 0, first_label);
    let label = any_label(museum, rng).filter(|_| rng.random_range(0..3) > 0);
    let question = Question::ALL.choose(rng).copied().unwrap_or(Question::Palette);
    let (asked, answer) = match formal(question, second, rng).filter(|_| rng.random()) {
        Some((asked, answer)) => (asked.to_string(), answer),
        None => label_question(label.as_ref(), rng),
    };
    let mut turn = vec![Turn::new(Role::User, asked)];
    look(&mut turn, 1, label);
    turns.extend(turn);
    Example { turns, answer }
}

/// The picture of this number belongs to the first of the turns.
fn look(turns: &mut [Turn], picture: usize, label: Option<Label>) {
    if let Some(first) = turns.first_mut() {
        first.images.push((picture, Label::as_prompt(label.as_ref())));
    }
}

/// Labels are drawn from all training paintings, so that the answer must be read, not recalled.
fn some_label(museum: &Museum, rng: &mut impl Rng) -> Option<Label> {
    if rng.random_range(0..10) < 7 {
        return None;
    }
    any_label(museum, rng)
}

fn any_label(museum: &Museum, rng: &mut impl Rng) -> Option<Label> {
    museum.labels.choose(rng).map(|l| partial(l, rng))
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

/// Asks as often for what is there as for what is not. A thing that is not there is drawn as
/// often as paintings show it, so that its name does not tell the answer.
fn presence(painting: &Painting, things: &[&String], rng: &mut impl Rng) -> (String, String) {
    let shown: Vec<_> = painting.tags.iter().filter(|t| things.contains(t)).collect();
    let yes = rng.random() && !shown.is_empty();
    let absent = || things.iter().copied().filter(|t| !painting.tags.contains(t));
    let tag = if yes {
        shown.choose(rng).copied()
    } else {
        absent().collect::<Vec<_>>().choose(rng).copied()
    };
    let tag = tag.map_or("anything", String::as_str);
    let asked = pick(PRESENCE_WORDINGS, rng).replace("{}", tag);
    let answer =
        if yes { format!("Yes, I see {tag}.") } else { format!("No, I do not see {tag}.") };
    (asked, answer)
}

fn pick<'a>(from: &[&'a str], rng: &mut impl Rng) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

/// The index of `kind` among the answers, for the align stage.
pub fn kind_index(kind: Option<Genre>) -> Option<usize> {
    kind.map(|k| k as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_art::View;
    use image::RgbImage;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_thing_is_as_often_there_as_not_and_the_answer_is_true() {
        let image = RgbImage::from_pixel(8, 8, image::Rgb([90, 60, 30]));
        let tags = ["men", "horses", "peacocks"].map(String::from);
        let painting =
            Painting { id: 1, image, label: Label::default(), tags: tags.into(), kind: None };
        // "peacocks" is rare, so it is never asked for.
        let common = ["men", "men", "men", "horses", "women", "women", "dogs"].map(String::from);
        let things: Vec<&String> = common.iter().collect();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut yes = 0;
        for _ in 0..400 {
            let (asked, answer) = presence(&painting, &things, &mut rng);
            let named = |tags: &[&str]| tags.iter().any(|t| asked.contains(t));
            assert!(!asked.contains("peacocks"));
            let there = answer.starts_with("Yes");
            assert_eq!(there, named(&[" men", "horses"]) && !named(&["women", "dogs"]), "{asked}");
            yes += usize::from(there);
        }
        assert!((150..250).contains(&yes), "{yes}");
    }

    #[test]
    fn a_classification_asks_nothing_else() {
        let image = RgbImage::from_pixel(8, 8, image::Rgb([90, 60, 30]));
        let features = FormalFeatures::measure(&View::whole(&image));
        let painting = Painting { id: 1, image, label: Label::default(), tags: vec![], kind: None };
        let stage: Stage = toml::from_str(
            "kind = \"answer\"\nsteps = 1\nbatch = 1\nlr = 1.0\nquestions = 3\nonly = [\"light_key\"]\n",
        )
        .expect("a stage");
        let museum = Museum { labels: vec![], things: vec![] };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (_, truth) = Question::LightKey.truth(&features, None).expect("has one");
        let drawn = draw(&(&painting, features), None, &museum, &stage, &mut rng);
        assert_eq!(drawn.len(), 3);
        for example in drawn {
            let [turn] = example.turns.as_slice() else { panic!("one round") };
            assert!(Question::LightKey.training_wordings().contains(&turn.text.as_str()));
            assert_eq!((turn.images.len(), &example.answer), (1, &truth));
        }
    }

    #[test]
    fn a_view_gets_as_many_questions_as_the_stage_says() {
        let image = RgbImage::from_pixel(8, 8, image::Rgb([90, 60, 30]));
        let features = FormalFeatures::measure(&View::whole(&image));
        let painting = Painting {
            id: 1,
            image,
            label: Label::default(),
            tags: vec![],
            kind: Some(Genre::Landscape),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for count in [2, 4, 8, 10] {
            let museum = Museum { labels: vec![], things: vec![] };
            let seen = (&painting, features.clone());
            let stage: Stage = toml::from_str(&format!(
                "kind = \"answer\"\nsteps = 1\nbatch = 1\nlr = 1.0\nquestions = {count}\n\
                 always = [\"symmetry\"]\npresence = 3\nlabels = 1\n"
            ))
            .expect("a stage");
            let drawn = draw(&seen, None, &museum, &stage, &mut rng);
            assert_eq!(drawn.len(), count + 5);
            for example in &drawn {
                // Rounds alternate, and the picture stands in the first one.
                let roles: Vec<Role> = example.turns.iter().map(|t| t.role).collect();
                assert!(roles.iter().step_by(2).all(|r| *r == Role::User), "{roles:?}");
                assert!(roles.len() % 2 == 1);
            }
        }
    }
}
