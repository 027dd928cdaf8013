//! Questions and true answers for one view.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use artgpt_art::{
    FormalFeatures, Genre, Label, PRESENCE_WORDINGS, Painting, Question, description,
};
use artgpt_chat::{Role, Turn};
use artgpt_rundir::Stage;

/// A conversation up to the last question, and its true answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Alternating turns; the last one is the question.
    pub turns: Vec<Turn>,
    /// The answer to learn.
    pub answer: String,
}

/// The answer to a question without a picture.
pub const NO_PICTURE: &str = "I see no picture. Open one first.";
/// The answer if the label lacks the fact.
pub const NOT_ON_LABEL: &str = "The label does not say.";

/// Wordings of an answer in whole sentences; some answers have fewer.
const WORDINGS: usize = 6;

/// Labels and tags of all training paintings.
pub(crate) struct Museum<'a> {
    /// The labels of all training paintings.
    pub labels: Vec<&'a Label>,
    /// The common tags of all training paintings, each as often as it occurs.
    pub things: Vec<&'a String>,
    pub manner: Manner,
}

/// How answers are worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// In a few words, each answer always in the same ones.
    Terse,
    /// In whole sentences. What conversations answer at length, the contents and the whole, is not asked.
    Spoken,
}

/// A painting and the formal features of its view.
type Seen<'a> = (&'a Painting, FormalFeatures);

/// Draws the examples of one view: formal questions in random order; for every four questions one
/// about the presence of a thing and one about the label, the contents or the whole, without a
/// picture, or in a conversation that continues with the picture `second`; and the questions that
/// the stage adds to every view.
pub(crate) fn draw(
    seen: &Seen,
    second: Option<&Seen>,
    museum: &Museum,
    stage: &Stage,
    rng: &mut impl Rng,
) -> Vec<Example> {
    let count = stage.questions;
    if !stage.only.is_empty() {
        // A random first type, so that all types are equally frequent.
        let first = rng.random_range(0..stage.only.len());
        let asked: Vec<_> = stage.only.iter().cycle().skip(first).take(count).collect();
        return asked
            .into_iter()
            .filter_map(|question| {
                let (asked, answer) = formal(*question, seen, museum.manner, rng)?;
                let mut turns = vec![Turn::new(Role::User, asked)];
                attach_image(&mut turns, 0, None);
                Some(Example { turns, answer })
            })
            .collect();
    }
    let mut out = Vec::with_capacity(count + stage.always.len() + stage.presence);
    let mut types = Question::ALL.to_vec();
    types.shuffle(rng);
    let mut extras = vec![ExtraQuestion::Label];
    if museum.manner == Manner::Terse {
        extras.extend([ExtraQuestion::Contents, ExtraQuestion::Describe]);
    }
    extras.push(ExtraQuestion::NoPicture);
    if let Some(second) = second {
        extras.extend([ExtraQuestion::Second(second); 2]);
    }
    let extra = (count / 4).max(1);
    let drawn = types.into_iter().take(count.saturating_sub(2 * extra));
    for question in drawn.chain(stage.always.iter().copied()) {
        let Some((asked, answer)) = formal(question, seen, museum.manner, rng) else { continue };
        let label = some_label(museum, rng);
        // Some examples have earlier turns, so that the model learns conversations.
        let rounds = if rng.random_range(0..4) == 0 { rng.random_range(1..=3) } else { 0 };
        let mut turns = earlier_rounds(rounds, seen, label.as_ref(), museum.manner, rng);
        turns.push(Turn::new(Role::User, asked));
        attach_image(&mut turns, 0, label);
        out.push(Example { turns, answer });
    }
    for _ in 0..extra {
        let other = extras.choose(rng).copied().unwrap_or(ExtraQuestion::Label);
        out.push(ExtraQuestion::Presence.example(seen, museum, rng));
        out.push(other.example(seen, museum, rng));
    }
    out.extend((0..stage.presence).map(|_| ExtraQuestion::Presence.example(seen, museum, rng)));
    out.extend((0..stage.labels).map(|_| ExtraQuestion::Label.example(seen, museum, rng)));
    out
}

/// One question of each of `types` about a view of which nothing is known but its pixels.
pub(crate) fn of_pixels(
    features: &FormalFeatures,
    types: &[Question],
    rng: &mut impl Rng,
) -> Vec<Example> {
    let asked = types.iter().filter_map(|question| {
        let answer = question.spoken(features, None, rng.random_range(0..WORDINGS))?;
        let mut turns = vec![Turn::new(Role::User, pick(question.training_wordings(), rng))];
        attach_image(&mut turns, 0, None);
        Some(Example { turns, answer })
    });
    asked.collect()
}

/// A formal question in a wording of training, and its true answer.
fn formal(
    question: Question,
    seen: &Seen,
    manner: Manner,
    rng: &mut impl Rng,
) -> Option<(&'static str, String)> {
    let answer = match manner {
        Manner::Terse => question.truth(&seen.1, seen.0.kind)?.1,
        Manner::Spoken => question.spoken(&seen.1, seen.0.kind, rng.random_range(0..WORDINGS))?,
    };
    Some((pick(question.training_wordings(), rng), answer))
}

/// A random formal question and its answer; `fallback` if the random one has no answer.
fn earlier_round(fallback: Question, seen: &Seen, manner: Manner, rng: &mut impl Rng) -> Vec<Turn> {
    let question = Question::ALL.choose(rng).copied().unwrap_or(fallback);
    formal(question, seen, manner, rng)
        .or_else(|| formal(fallback, seen, manner, rng))
        .map_or_else(Vec::new, |(asked, said)| {
            vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, said)]
        })
}

/// Questions and answers about the view and its label, in random order.
fn earlier_rounds(
    count: usize,
    seen: &Seen,
    label: Option<&Label>,
    manner: Manner,
    rng: &mut impl Rng,
) -> Vec<Turn> {
    let mut turns = Vec::new();
    for _ in 0..count {
        match (rng.random_range(0..4), manner) {
            (0, _) => turns.extend(round(label_question(label, manner, rng))),
            (1, Manner::Terse) => turns.extend(round(contents_question(seen, rng))),
            (2, Manner::Terse) => turns.extend(round(description_question(seen, rng))),
            _ => turns.extend(earlier_round(Question::Palette, seen, manner, rng)),
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

/// A question besides the formal ones.
#[derive(Clone, Copy)]
enum ExtraQuestion<'a> {
    Label,
    Contents,
    Presence,
    Describe,
    NoPicture,
    /// A question about the view, then one about another picture with its own label.
    Second(&'a Seen<'a>),
}

impl ExtraQuestion<'_> {
    fn example(self, seen: &Seen, museum: &Museum, rng: &mut impl Rng) -> Example {
        let mut label = some_label(museum, rng);
        let (asked, answer) = match self {
            Self::Label => {
                // At least half of the examples have a label.
                label = if rng.random() { any_label(museum, rng) } else { label };
                label_question(label.as_ref(), museum.manner, rng)
            }
            Self::Contents => contents_question(seen, rng),
            Self::Presence => presence(seen.0, &museum.things, rng),
            Self::Describe => description_question(seen, rng),
            Self::NoPicture => {
                let question = Question::ALL.choose(rng).copied().unwrap_or(Question::Kind);
                let asked = pick(question.training_wordings(), rng);
                let turns = vec![Turn::new(Role::User, asked)];
                return Example { turns, answer: NO_PICTURE.into() };
            }
            Self::Second(second) => return second_picture(seen, second, museum, rng),
        };
        // A question about the label may come at any turn.
        let rounds = match self {
            Self::Label if rng.random_range(0..3) > 0 => rng.random_range(1..=4),
            _ => 0,
        };
        let mut turns = earlier_rounds(rounds, seen, label.as_ref(), museum.manner, rng);
        turns.push(Turn::new(Role::User, asked));
        attach_image(&mut turns, 0, label);
        Example { turns, answer }
    }
}

/// A conversation that continues with a second picture, which has its own label and features.
fn second_picture(seen: &Seen, second: &Seen, museum: &Museum, rng: &mut impl Rng) -> Example {
    let first_label = any_label(museum, rng).filter(|_| rng.random_range(0..4) > 0);
    let mut turns = if rng.random() {
        earlier_round(Question::Palette, seen, museum.manner, rng)
    } else {
        let (asked, said) = label_question(first_label.as_ref(), museum.manner, rng);
        vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, said)]
    };
    attach_image(&mut turns, 0, first_label);
    let label = any_label(museum, rng).filter(|_| rng.random_range(0..3) > 0);
    let question = Question::ALL.choose(rng).copied().unwrap_or(Question::Palette);
    let drawn = formal(question, second, museum.manner, rng);
    let (asked, answer) = match drawn.filter(|_| rng.random()) {
        Some((asked, answer)) => (asked.to_string(), answer),
        None => label_question(label.as_ref(), museum.manner, rng),
    };
    let mut turn = vec![Turn::new(Role::User, asked)];
    attach_image(&mut turn, 1, label);
    turns.extend(turn);
    Example { turns, answer }
}

/// Attaches picture number `picture` and its label to the first turn.
fn attach_image(turns: &mut [Turn], picture: usize, label: Option<Label>) {
    if let Some(first) = turns.first_mut() {
        first.images.push((picture, Label::as_prompt(label.as_ref())));
    }
}

/// A label in 3 of 10 cases, drawn from all training paintings, so that the model must read the answer
/// and cannot recall it.
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

fn label_question(label: Option<&Label>, manner: Manner, rng: &mut impl Rng) -> (String, String) {
    const TITLE: &[&str] = &["What is the title?", "What is this painting called?"];
    const ARTIST: &[&str] = &["Who painted this?", "Who is the artist?"];
    const DATE: &[&str] = &["When was it painted?", "What is the date of this painting?"];
    const MEDIUM: &[&str] = &["What is the medium?", "What is it painted with?"];
    let empty = Label::default();
    let label = label.unwrap_or(&empty);
    let (wordings, value, spoken) = match rng.random_range(0..4) {
        0 => (TITLE, &label.title, "It is called {}, the label says."),
        1 => (ARTIST, &label.artist, "It is by {}, according to the label."),
        2 => (DATE, &label.date, "The label dates it {}."),
        _ => (MEDIUM, &label.medium, "The label gives {} as the medium."),
    };
    let said = |v: &String| match manner {
        Manner::Terse => format!("{v}."),
        Manner::Spoken => spoken.replace("{}", v),
    };
    let answer = value.as_ref().map_or_else(|| NOT_ON_LABEL.to_string(), said);
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

/// A question about the presence of a thing. Yes and no are equally frequent. Absent things are drawn
/// as often as paintings show them, so that the name does not reveal the answer.
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

pub(crate) fn pick<'a>(from: &[&'a str], rng: &mut impl Rng) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

/// The index of `kind` among the answers, for the align stage.
pub(crate) fn kind_index(kind: Option<Genre>) -> Option<usize> {
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
        let museum = Museum { labels: vec![], things: vec![], manner: Manner::Terse };
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
            let museum = Museum { labels: vec![], things: vec![], manner: Manner::Terse };
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
