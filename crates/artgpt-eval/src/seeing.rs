//! Whether a model uses the picture: the same questions with the right picture, a wrong one, and none.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Answerer, Interval, Shown};
use artgpt_art::{FormalFeatures, PRESENCE_WORDINGS, Painting, Question, View, ViewJitter};

/// Accuracies of one question type, in percent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the question type.
    pub question: String,
    /// Number of questions.
    pub asked: usize,
    /// Accuracy with the right picture.
    pub right_picture: f64,
    /// Accuracy with another painting's picture; `None` without controls.
    pub wrong_picture: Option<f64>,
    /// Accuracy without a picture; `None` without controls.
    pub no_picture: Option<f64>,
    /// Accuracy of always giving the most frequent true answer of these views.
    pub majority: f64,
    /// Percentage points by which the right picture beats the best control, with a bootstrap interval
    /// over paintings.
    pub lead: Interval,
}

/// The results of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeeingTable {
    /// The model's name.
    pub model: String,
    /// Number of paintings.
    pub paintings: usize,
    /// Views of each painting: the whole, and random crops.
    pub views: usize,
    /// One for each question type.
    pub rows: Vec<Row>,
}

/// The extent of an evaluation.
#[derive(Debug, Clone)]
pub struct Extent {
    /// Question types; all of them if empty.
    pub only: Vec<Question>,
    /// Views of each painting: the whole picture, then crops, randomly flipped, in the original colours.
    pub views: usize,
    /// Max number of questions about present things, and as many about absent ones; about the whole
    /// picture only.
    pub things: usize,
    /// Use a wording from training instead of an unseen one.
    pub trained_wording: bool,
    /// Ask also with a wrong picture and without one.
    pub controls: bool,
}

/// A question and its true answer; `read` parses an answer into the same numbers.
struct TestQuestion {
    row: usize,
    text: String,
    truth: usize,
    read: fn(Option<Question>, &str) -> Option<usize>,
    question: Option<Question>,
}

/// Evaluates a model on paintings. Yes-or-no questions draw from `tags`; `progress` gets the number of
/// paintings done and of all.
///
/// # Errors
/// The first error of the model.
pub fn seeing<A: Answerer>(
    model: &mut A,
    name: &str,
    paintings: &[&Painting],
    tags: &[String],
    extent: Extent,
    mut progress: impl FnMut(usize, usize),
) -> Result<SeeingTable, A::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let shown: Vec<Vec<Shown>> =
        paintings.iter().map(|p| views(p, extent.views.max(1), &mut rng)).collect();
    let wrong = others(paintings.len(), &mut rng);
    let mut tally = vec![vec![Tally::default(); paintings.len()]; Question::ALL.len() + 1];
    // With no picture a question has one answer, whatever painting it is about.
    let mut blind: HashMap<String, String> = HashMap::new();
    for (i, painting) in paintings.iter().enumerate() {
        progress(i, paintings.len());
        for (v, right) in shown[i].iter().enumerate() {
            let things = match v {
                0 => things(painting, paintings, tags, extent.things, &mut rng),
                _ => Vec::new(), // a crop may have lost them
            };
            let asked = questions(painting, &right.view, things, &extent);
            // All questions of one picture in a row, so that the model encodes it once.
            let pictures = [right, &shown[wrong[i]][v]];
            let count = if extent.controls { 2 } else { 1 };
            for (condition, picture) in pictures.into_iter().take(count).enumerate() {
                for q in &asked {
                    let answer = model.answer(Some(picture), &q.text)?;
                    tally[q.row][i].hits[condition] += usize::from(q.is_right(&answer));
                }
            }
            for q in &asked {
                let one = &mut tally[q.row][i];
                one.asked += 1;
                *one.truths.entry(q.truth).or_default() += 1;
                if !extent.controls {
                    continue;
                }
                let answer = match blind.get(&q.text) {
                    Some(known) => known.clone(),
                    None => model.answer(None, &q.text)?,
                };
                one.hits[2] += usize::from(q.is_right(&answer));
                blind.insert(q.text.clone(), answer);
            }
        }
    }
    progress(paintings.len(), paintings.len());
    let names = Question::ALL.iter().map(|q| q.name()).chain(["contents (yes or no)"]);
    let rows = names.zip(&tally);
    let rows = rows.filter_map(|(n, t)| row(n, t, extent.controls, &mut rng)).collect();
    Ok(SeeingTable { model: name.into(), paintings: paintings.len(), views: extent.views, rows })
}

impl TestQuestion {
    fn is_right(&self, answer: &str) -> bool {
        (self.read)(self.question, answer) == Some(self.truth)
    }
}

/// The whole painting, then crops of it.
fn views(painting: &Painting, count: usize, rng: &mut ChaCha8Rng) -> Vec<Shown> {
    let whole = ViewJitter::NONE;
    let jitters = std::iter::once(whole).chain(std::iter::repeat_with(|| ViewJitter::crop(rng)));
    jitters
        .take(count)
        .enumerate()
        .map(|(v, jitter)| Shown {
            key: format!("painting {} view {v}", painting.id),
            view: View::jittered(&painting.image, &jitter),
        })
        .collect()
}

/// Counts of one question type and one painting.
#[derive(Debug, Clone, Default)]
struct Tally {
    asked: usize,
    /// Right answers with the right picture, a wrong one, and none.
    hits: [usize; 3],
    truths: HashMap<usize, usize>,
}

fn row(name: &str, tally: &[Tally], controls: bool, rng: &mut ChaCha8Rng) -> Option<Row> {
    let mut truths: HashMap<usize, usize> = HashMap::new();
    for (truth, n) in tally.iter().flat_map(|t| &t.truths) {
        *truths.entry(*truth).or_default() += n;
    }
    let (&commonest, _) = truths.iter().max_by_key(|(truth, n)| (**n, **truth))?;
    let accuracies = |paintings: &[&Tally]| {
        let asked: usize = paintings.iter().map(|t| t.asked).sum();
        let percent = |n: usize| 100.0 * n as f64 / asked.max(1) as f64;
        let hits = |c: usize| percent(paintings.iter().map(|t| t.hits[c]).sum());
        let majority = paintings.iter().filter_map(|t| t.truths.get(&commonest)).sum();
        [hits(0), hits(1), hits(2), percent(majority)]
    };
    let lead = |a: &[f64; 4]| a[0] - a[1].max(a[2]).max(a[3]);
    let all: Vec<&Tally> = tally.iter().collect();
    let of_all = accuracies(&all);
    Some(Row {
        question: name.into(),
        asked: all.iter().map(|t| t.asked).sum(),
        right_picture: of_all[0],
        wrong_picture: controls.then_some(of_all[1]),
        no_picture: controls.then_some(of_all[2]),
        majority: of_all[3],
        lead: Interval::bootstrap(&all, |drawn| lead(&accuracies(drawn)), rng),
    })
}

fn questions(
    painting: &Painting,
    view: &View,
    things: Vec<(usize, &String)>,
    extent: &Extent,
) -> Vec<TestQuestion> {
    let features = FormalFeatures::measure(view);
    let mut out = Vec::new();
    for (row, question) in Question::ALL.iter().enumerate() {
        let Some((truth, _)) = question.truth(&features, painting.kind) else { continue };
        if !extent.only.is_empty() && !extent.only.contains(question) {
            continue;
        }
        let wordings = question.wordings();
        let text = if extent.trained_wording { wordings[0] } else { wordings[wordings.len() - 1] };
        out.push(TestQuestion {
            row,
            text: text.into(),
            truth,
            read: |q, answer| q.and_then(|q| q.read_answer(answer)),
            question: Some(*question),
        });
    }
    for (truth, tag) in things {
        out.push(TestQuestion {
            row: Question::ALL.len(),
            text: PRESENCE_WORDINGS[0].replace("{}", tag),
            truth,
            read: |_, answer| yes_or_no(answer),
            question: None,
        });
    }
    out
}

/// Up to `count` things that the painting shows (1), and as many that it does not show (0).
///
/// Absent things come from other paintings, so that common things are as often absent as present: a
/// model that only knows which things are common is right half the time.
fn things<'a>(
    painting: &'a Painting,
    all: &[&'a Painting],
    tags: &[String],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, &'a String)> {
    let common = |p: &'a Painting| p.tags.iter().filter(|t| tags.contains(t));
    let mut present: Vec<_> = common(painting).collect();
    present.shuffle(rng);
    present.truncate(count);
    let mut absent: Vec<_> =
        all.iter().flat_map(|p| common(p)).filter(|t| !painting.tags.contains(t)).collect();
    absent.shuffle(rng);
    let mut seen = HashSet::new();
    absent.retain(|t| seen.insert(*t));
    // As many of the one as of the other, or the majority answer would be worth more than half.
    let pairs = present.into_iter().zip(absent);
    pairs.flat_map(|(there, not)| [(1, there), (0, not)]).collect()
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

/// For each painting another one; each painting is the wrong one exactly once.
pub(crate) fn others(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(rng);
    let mut other = vec![0; count];
    for (i, at) in order.iter().enumerate() {
        other[*at] = order[(i + 1) % count];
    }
    other
}

impl SeeingTable {
    /// The results as a Markdown table.
    pub fn to_markdown(&self) -> String {
        let mut out = String::from(
            "| question | asked | right picture | wrong picture | no picture | majority | lead (95 %) |\n|---|---|---|---|---|---|---|\n",
        );
        let percent = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.0} %"));
        for r in &self.rows {
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} % | {} | {} | {:.0} % | {:+.0} ({:+.0} to {:+.0}) |",
                r.question,
                r.asked,
                r.right_picture,
                percent(r.wrong_picture),
                percent(r.no_picture),
                r.majority,
                r.lead.value,
                r.lead.low,
                r.lead.high
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_art::Label;
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
                (
                    format!("painting {} view 0", p.id),
                    FormalFeatures::measure(&View::whole(&p.image)),
                )
            })
            .collect();
        let refs: Vec<_> = all.iter().collect();
        let extent =
            Extent { only: vec![], views: 1, things: 0, trained_wording: false, controls: true };
        let mut model = Perfect(features);
        let Ok(table) = seeing(&mut model, "m", &refs, &[], extent.clone(), |_, _| {});
        let palette = &table.rows[0];
        assert_eq!((palette.right_picture, palette.wrong_picture), (100.0, Some(0.0)));
        assert_eq!((palette.no_picture, palette.majority), (Some(0.0), 50.0));
        assert_eq!(palette.lead.value, 50.0);
        let extent = Extent { only: vec![Question::Warmth], controls: false, ..extent };
        let Ok(table) = seeing(&mut model, "m", &refs, &[], extent, |_, _| {});
        let names: Vec<_> = table.rows.iter().map(|r| (r.question.as_str(), r.asked)).collect();
        assert_eq!(names, [("warmth", 2)]);
    }

    #[test]
    fn things_are_as_often_there_as_not() {
        let painting = |tags: &[&str]| Painting {
            id: 1,
            image: RgbImage::new(8, 8),
            label: Label::default(),
            tags: tags.iter().map(|t| t.to_string()).collect(),
            kind: None,
        };
        let all = [painting(&["men", "dogs", "rare"]), painting(&["women"]), painting(&["women"])];
        let refs: Vec<_> = all.iter().collect();
        let tags = ["men", "dogs", "women"].map(String::from);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // Only one thing is absent, so only one of the two that are there is asked for.
        let drawn = things(&all[0], &refs, &tags, 3, &mut rng);
        assert_eq!(drawn.len(), 2);
        assert_eq!((drawn[0].0, drawn[1]), (1, (0, &tags[2])));
    }

    #[test]
    fn no_painting_is_its_own_wrong_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert!(others(35, &mut rng).iter().enumerate().all(|(i, o)| i != *o));
    }
}
