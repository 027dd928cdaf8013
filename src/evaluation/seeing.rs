//! Does the model see? The same questions with the right picture, a wrong one, and none.

use std::collections::HashMap;
use std::fmt::Write;

use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Answerer, Shown};
use crate::art::{FormalFeatures, PRESENCE_WORDINGS, Painting, Question, View};

/// Accuracies of one question type, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub question: String,
    pub asked: usize,
    pub right_picture: f64,
    pub wrong_picture: f64,
    pub no_picture: f64,
    /// Always saying the commonest true answer of these very paintings.
    pub majority: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeeingTable {
    pub model: String,
    pub paintings: usize,
    pub rows: Vec<Row>,
}

/// A question with its true answer; reading an answer gives the same kind of number.
struct Asked {
    row: usize,
    text: String,
    truth: usize,
    read: fn(Option<Question>, &str) -> Option<usize>,
    question: Option<Question>,
}

/// Asks everything about each painting. `tags` are those that yes-or-no questions draw from.
pub fn seeing<A: Answerer>(
    model: &mut A,
    name: &str,
    paintings: &[&Painting],
    tags: &[String],
    trained_wording: bool,
    mut progress: impl FnMut(usize, usize),
) -> Result<SeeingTable, A::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let shown: Vec<Shown> = paintings
        .iter()
        .map(|p| Shown { key: format!("painting {}", p.id), view: View::whole(&p.image) })
        .collect();
    let wrong = others(paintings.len(), &mut rng);
    let mut tally: Vec<Tally> = (0..=Question::ALL.len()).map(|_| Tally::default()).collect();
    for (i, painting) in paintings.iter().enumerate() {
        progress(i, paintings.len());
        let things = things(painting, paintings, tags, &mut rng);
        let asked = questions(painting, &shown[i].view, things, trained_wording);
        // All questions of one picture together: its tokens are read once.
        let views = [Some(&shown[i]), wrong.get(i).and_then(|w| shown.get(*w)), None];
        for (condition, picture) in views.into_iter().enumerate() {
            for q in &asked {
                let answer = model.answer(picture, &q.text)?;
                let hit = (q.read)(q.question, &answer) == Some(q.truth);
                tally[q.row].hits[condition] += usize::from(hit);
            }
        }
        for q in &asked {
            tally[q.row].asked += 1;
            *tally[q.row].truths.entry(q.truth).or_default() += 1;
        }
    }
    progress(paintings.len(), paintings.len());
    let names = Question::ALL.iter().map(|q| q.name()).chain(["contents (yes or no)"]);
    let rows = names.zip(tally).filter(|(_, t)| t.asked > 0).map(|(n, t)| t.row(n)).collect();
    Ok(SeeingTable { model: name.into(), paintings: paintings.len(), rows })
}

#[derive(Default)]
struct Tally {
    asked: usize,
    hits: [usize; 3],
    truths: HashMap<usize, usize>,
}

impl Tally {
    fn row(&self, name: &str) -> Row {
        let percent = |n: usize| 100.0 * n as f64 / self.asked.max(1) as f64;
        Row {
            question: name.into(),
            asked: self.asked,
            right_picture: percent(self.hits[0]),
            wrong_picture: percent(self.hits[1]),
            no_picture: percent(self.hits[2]),
            majority: percent(self.truths.values().copied().max().unwrap_or(0)),
        }
    }
}

fn questions(
    painting: &Painting,
    view: &View,
    things: Option<[(usize, &String); 2]>,
    trained_wording: bool,
) -> Vec<Asked> {
    let features = FormalFeatures::measure(view);
    let mut out = Vec::new();
    for (row, question) in Question::ALL.iter().enumerate() {
        let Some((truth, _)) = question.truth(&features, painting.kind) else { continue };
        let wordings = question.wordings();
        let text = if trained_wording { wordings[0] } else { wordings[wordings.len() - 1] };
        out.push(Asked {
            row,
            text: text.into(),
            truth,
            read: |q, answer| q.and_then(|q| q.read_answer(answer)),
            question: Some(*question),
        });
    }
    for (truth, tag) in things.into_iter().flatten() {
        out.push(Asked {
            row: Question::ALL.len(),
            text: PRESENCE_WORDINGS[0].replace("{}", tag),
            truth,
            read: |_, answer| yes_or_no(answer),
            question: None,
        });
    }
    out
}

/// Something that is in the painting (1) and something that is not (0).
///
/// What is not there comes from another painting, so that common things are as often absent as
/// present: a model that only knows which things are common is right half the time.
fn things<'a>(
    painting: &'a Painting,
    all: &[&'a Painting],
    tags: &[String],
    rng: &mut ChaCha8Rng,
) -> Option<[(usize, &'a String); 2]> {
    let common = |p: &'a Painting| p.tags.iter().filter(|t| tags.contains(t));
    let present: Vec<_> = common(painting).collect();
    let absent: Vec<_> =
        all.iter().flat_map(|p| common(p)).filter(|t| !painting.tags.contains(t)).collect();
    Some([(1, *present.choose(rng)?), (0, *absent.choose(rng)?)])
}

fn yes_or_no(answer: &str) -> Option<usize> {
    let answer = answer.trim_start().to_lowercase();
    if answer.starts_with("yes") {
        Some(1)
    } else if answer.starts_with("no") {
        Some(0)
    } else {
        None
    }
}

/// For each painting another one; every painting is once the wrong one.
fn others(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(rng);
    let mut other = vec![0; count];
    for (i, at) in order.iter().enumerate() {
        other[*at] = order[(i + 1) % count];
    }
    other
}

impl SeeingTable {
    pub fn to_markdown(&self) -> String {
        let mut out = String::from(
            "| question | asked | right picture | wrong picture | no picture | majority |\n|---|---|---|---|---|---|\n",
        );
        for r in &self.rows {
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} % | {:.0} % | {:.0} % | {:.0} % |",
                r.question, r.asked, r.right_picture, r.wrong_picture, r.no_picture, r.majority
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::art::Label;
    use image::{Rgb, RgbImage};

    /// Answers from the picture it is shown, as a perfect model would.
    struct Perfect(HashMap<String, FormalFeatures>);

    impl Answerer for Perfect {
        type Error = std::convert::Infallible;

        fn answer(&mut self, picture: Option<&Shown>, q: &str) -> Result<String, Self::Error> {
            let Some(picture) = picture else { return Ok("I see no picture.".into()) };
            let question = Question::ALL.iter().find(|x| x.wordings().contains(&q));
            let features = &self.0[&picture.key];
            let truth = question.and_then(|x| x.truth(features, None));
            Ok(truth.map_or("No.".into(), |(_, sentence)| sentence))
        }
    }

    #[test]
    fn a_model_that_sees_is_told_from_one_that_guesses() {
        let painting = |id: u64, colour: [u8; 3]| Painting {
            id,
            image: RgbImage::from_pixel(8, 8, Rgb(colour)),
            label: Label::default(),
            tags: vec![],
            kind: None,
        };
        let all = [painting(1, [200, 20, 20]), painting(2, [20, 30, 220])];
        let features = all
            .iter()
            .map(|p| {
                (format!("painting {}", p.id), FormalFeatures::measure(&View::whole(&p.image)))
            })
            .collect();
        let refs: Vec<_> = all.iter().collect();
        let table = seeing(&mut Perfect(features), "m", &refs, &[], false, |_, _| {});
        let Ok(table) = table;
        let palette = &table.rows[0];
        assert_eq!((palette.right_picture, palette.wrong_picture), (100.0, 0.0));
        assert_eq!((palette.no_picture, palette.majority), (0.0, 50.0));
    }

    #[test]
    fn no_painting_is_its_own_wrong_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert!(others(35, &mut rng).iter().enumerate().all(|(i, o)| i != *o));
    }
}
