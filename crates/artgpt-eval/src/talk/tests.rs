//! The whole evaluation with models whose answers are known.

use std::collections::BTreeSet;
use std::convert::Infallible;

use image::{Rgb, RgbImage};

use super::*;
use artgpt_art::{Label, Painting, Paintings};

/// A light cool painting and a dark warm one.
fn museum() -> Paintings {
    let painting = |id, artist: &str, colour| Painting {
        id,
        image: RgbImage::from_pixel(8, 8, Rgb(colour)),
        label: Label {
            title: Some("The Sea".into()),
            artist: Some(artist.into()),
            date: Some("1870".into()),
            ..Label::default()
        },
        tags: vec![],
        kind: None,
    };
    Paintings {
        all: vec![
            painting(1, "Claude Monet", [150, 180, 250]),
            painting(2, "Joseph Turner", [60, 30, 10]),
        ],
    }
}

fn corpus() -> Corpus {
    let text = [
        r#"{"image":1,"kind":"artist","turns":[{"role":"user","text":"Who made it?"},{"role":"assistant","text":"Monet painted this sea in 1870, says the label."}]}"#,
        r#"{"image":1,"kind":"colour","turns":[{"role":"user","text":"Which colours rule here?"},{"role":"assistant","text":"Cool blue water fills the canvas."}]}"#,
        r#"{"image":1,"kind":"conversation","turns":[{"role":"user","text":"Is it calm?"},{"role":"assistant","text":"Yes, calm."},{"role":"user","text":"Why?"},{"role":"assistant","text":"No wave breaks."}]}"#,
        r#"{"image":2,"kind":"colour","turns":[{"role":"user","text":"What about the colours?"},{"role":"assistant","text":"Deep brown earth fills the canvas."}]}"#,
        r#"{"image":2,"kind":"no-label","turns":[{"role":"user","text":"Who might have made it?"},{"role":"assistant","text":"Somebody who liked brown earth."}]}"#,
    ]
    .join("\n");
    Corpus::read(&text, |id| id <= 2)
}

const ALL: Extent = Extent { paintings: None, conversations: None, answers: true, logprobs: true };

/// Answers questions about the first painting as its references do, whatever it is shown; tells what it was
/// given in all other answers.
#[derive(Default)]
struct Parrot {
    blind: bool,
    /// A question that fits with this picture into no context window, answered or scored.
    too_long: Option<(&'static str, &'static str, bool)>,
    asked: Vec<String>,
    scored: Vec<String>,
}

fn shown(prompt: &Prompt) -> String {
    let picture = prompt.picture.map_or("-", |picture| picture.key.as_str());
    let facts = prompt.facts.map_or("-", |facts| facts.split(';').next().unwrap_or_default());
    let history: Vec<&str> = prompt.history.iter().map(|(_, a)| a.as_str()).collect();
    let label = prompt.label.unwrap_or("-");
    format!("{picture}|{label}|{facts}|{}|{}", history.join("/"), prompt.question)
}

impl Talker for Parrot {
    type Error = Infallible;

    fn sees(&self) -> bool {
        !self.blind
    }

    fn answer(&mut self, prompt: &Prompt) -> Result<Option<String>, Infallible> {
        self.asked.push(shown(prompt));
        if self.is_too_long(prompt, true) {
            return Ok(None);
        }
        Ok(Some(match prompt.question {
            "Who made it?" => "Monet painted this sea in 1870, says the label.".into(),
            "Which colours rule here?" => "Cool blue water fills the canvas.".into(),
            // True of the second painting and false of the first.
            "Is it calm?" => "The colours are warm.".into(),
            question => format!("So {} {question}", shown(prompt)),
        }))
    }

    fn logprob(
        &mut self,
        prompt: &Prompt,
        answer: &str,
    ) -> Result<Option<(f64, usize)>, Infallible> {
        self.scored.push(shown(prompt));
        if self.is_too_long(prompt, false) {
            return Ok(None);
        }
        let tokens = answer.split(' ').count();
        let right = prompt.picture.is_some_and(|picture| picture.key == "painting 1");
        Ok(Some((if right { -1.0 } else { -2.0 } * tokens as f64, tokens)))
    }
}

impl Parrot {
    fn is_too_long(&self, prompt: &Prompt, answered: bool) -> bool {
        let picture = prompt.picture.map_or("-", |picture| picture.key.as_str());
        self.too_long == Some((prompt.question, picture, answered))
    }
}

fn ask_all(model: &mut Parrot, plan: &Plan, known: Vec<Line>) -> (Vec<Line>, usize) {
    let mut kept = 0;
    let keep = |_: &Line| {
        kept += 1;
        Ok::<(), Infallible>(())
    };
    let Ok(lines) = ask(model, plan, known, keep, |_| {});
    (lines, kept)
}

#[test]
fn each_cell_is_asked_with_what_it_names() {
    let (museum, corpus) = (museum(), corpus());
    let plan = Plan::new(&museum, &corpus, ALL).expect("a plan");
    let mut model = Parrot::default();
    let (lines, kept) = ask_all(&mut model, &plan, Vec::new());
    // Six questions in eight cells, each answered and scored.
    assert_eq!((lines.len(), kept), (96, 96));
    let about: BTreeSet<&str> = model
        .asked
        .iter()
        .filter_map(|asked| asked.strip_suffix("||Which colours rule here?"))
        .collect();
    let label = "title: The Sea; artist: Claude Monet; date: 1870";
    let expected = [
        format!("painting 1|{label}|mostly blue"),
        "painting 1|-|-".into(),
        format!("painting 2|{label}|mostly brown"),
        "painting 2|-|-".into(),
        format!("-|{label}|mostly blue"),
        format!("-|{label}|mostly brown"),
        format!("-|{label}|-"),
        "-|-|-".into(),
    ];
    assert_eq!(about, expected.iter().map(String::as_str).collect());
    // The label is withheld where the question is asked as if there were none.
    assert!(
        model.asked.iter().any(|a| a == "painting 2|none|mostly brown||Who might have made it?")
    );
    // Own answers come before later rounds, and the reference's before its log-probability.
    assert!(model.asked.iter().any(|a| a == "-|-|-|The colours are warm.|Why?"));
    assert!(model.scored.iter().any(|a| a == "-|-|-|Yes, calm.|Why?"));
    assert!(!model.scored.iter().any(|a| a.contains("warm.|Why?")));
}

#[test]
fn what_is_known_is_not_asked_again_and_other_answers_follow_it() {
    let (museum, corpus) = (museum(), corpus());
    let plan = Plan::new(&museum, &corpus, ALL).expect("a plan");
    let (lines, _) = ask_all(&mut Parrot::default(), &plan, Vec::new());
    for cut in [0, 1, 30, 95, 96] {
        let mut model = Parrot::default();
        let (again, kept) = ask_all(&mut model, &plan, lines[..cut].to_vec());
        assert_eq!((again == lines, kept), (true, 96 - cut), "{cut}");
        assert!(model.asked.len() + model.scored.len() <= 96 - cut);
    }
    let mut blind = Parrot { blind: true, ..Parrot::default() };
    let (lines, _) = ask_all(&mut blind, &plan, Vec::new());
    assert_eq!(lines.len(), 48);
    assert!(blind.asked.iter().all(|asked| asked.starts_with("-|")));
    let report = Report::new("m", &plan, &lines);
    assert_eq!(report.conditions["right"].keys().collect::<Vec<_>>(), [&"text"]);
    assert_eq!(report.conditions["none"].len(), 3);
}

#[test]
fn the_report_holds_what_the_answers_are_worth() {
    let (museum, corpus) = (museum(), corpus());
    let plan = Plan::new(&museum, &corpus, ALL).expect("a plan");
    let (lines, _) = ask_all(&mut Parrot::default(), &plan, Vec::new());
    let report = Report::new("m", &plan, &lines);
    assert_eq!((report.paintings, report.questions, report.single_questions), (2, 6, 4));
    let json = serde_json::json!(report);
    for condition in ["right", "wrong", "none"] {
        for given in ["pixels", "text", "both"] {
            let metrics = json["conditions"][condition][given].as_object().expect("metrics");
            assert_eq!(metrics.len(), 10, "{condition} {given}: {metrics:?}");
            for (name, metric) in metrics {
                let figure = |key| metric[key].as_f64().expect("a number");
                let ordered = figure("low") <= figure("value") && figure("value") <= figure("high");
                assert!(ordered, "{condition} {given} {name}: {metric}");
            }
        }
    }
    let value = |condition: &str, given: &str, metric: &str| {
        json["conditions"][condition][given][metric]["value"].as_f64().expect("a number")
    };
    // Surname, year and the title's word are in the only reference that is asked for them, and in the answer.
    assert_eq!(value("wrong", "both", "label-facts"), 1.0);
    // One answer of six says that the cool painting is warm, whatever is shown.
    assert!((value("right", "text", "contradictions") - 1.0 / 6.0).abs() < 1e-12);
    // Its question stands in the answers to the second painting's questions, but one is too short to count.
    assert!((value("right", "pixels", "repeats") - 0.5).abs() < 0.2);
    // The first painting's picture gives -1 a token: right for one, wrong for the other.
    assert_eq!(value("none", "pixels", "logprob"), -2.0);
    let tokens = [9.0 + 6.0 + 2.0 + 3.0, 6.0 + 5.0];
    let right = -(tokens[0] + 2.0 * tokens[1]) / (tokens[0] + tokens[1]);
    assert!((value("right", "both", "logprob") - right).abs() < 1e-12);
    let wrong = -(2.0 * tokens[0] + tokens[1]) / (tokens[0] + tokens[1]);
    let difference = json["differences"]["both"]["logprob"]["value"].as_f64();
    assert!(difference.is_some_and(|d| (d - (right - wrong)).abs() < 1e-12), "{difference:?}");
    assert_eq!(json["differences"]["text"]["logprob"]["value"], 0.0);
    // Two questions of four are answered with the very reference.
    assert!(value("none", "text", "rouge-l") >= 0.5);
    assert_eq!(json["lengths"]["right"]["both"]["artist"], 9.0);
    assert_eq!(json["reference_lengths"]["conversation"], 2.5);
    let table = report.to_markdown();
    assert!(table.contains("| both | right picture | wrong picture | no picture |"), "{table}");
    assert!(table.contains("| contradictions | 17 % ("), "{table}");
    assert!(table.contains("| right minus wrong | logprob | content-words |"), "{table}");
    assert!(table.contains("| artist | 9 | 9 | 9 | 9 |"), "{table}");
}

#[test]
fn a_perfect_answer_has_perfect_metrics() {
    let (museum, corpus) = (museum(), corpus());
    let extent = Extent { paintings: Some(1), logprobs: false, ..ALL };
    let plan = Plan::new(&museum, &corpus, extent).expect("a plan");
    let (lines, _) = ask_all(&mut Parrot::default(), &plan, Vec::new());
    let report = Report::new("m", &plan, &lines);
    let metrics = &report.conditions["right"]["both"];
    assert!(!metrics.contains_key("logprob") && report.differences["both"].len() == 1);
    for metric in ["bleu-4", "rouge-l", "meteor-es", "content-words", "label-facts"] {
        assert!((metrics[metric].value - 1.0).abs() < 1e-6, "{metric}: {:?}", metrics[metric]);
    }
}

#[test]
fn a_question_that_does_not_fit_counts_in_no_cell() {
    let (museum, corpus) = (museum(), corpus());
    let plan = Plan::new(&museum, &corpus, ALL).expect("a plan");
    for answered in [true, false] {
        // Asked with the wrong picture after two cells with the right one.
        let too_long = Some(("Who made it?", "painting 2", answered));
        let mut model = Parrot { too_long, ..Parrot::default() };
        let (lines, _) = ask_all(&mut model, &plan, Vec::new());
        let left_out = Line::Skipped(LeftOut { painting: 1, line: 1, round: 0 });
        assert_eq!(lines.iter().filter(|line| **line == left_out).count(), 1);
        let report = Report::new("m", &plan, &lines);
        assert_eq!((report.questions, report.single_questions), (5, 3));
        assert_eq!(report.skipped.values().collect::<Vec<_>>(), [&1]);
        for cell in report.lengths.values().flat_map(|of| of.values()) {
            assert!(!cell.contains_key("artist") && cell.contains_key("colour"), "{cell:?}");
        }
        assert!(!report.reference_lengths.contains_key("artist"));
        // The same questions have log-probabilities: eleven tokens of painting 2, eleven of 1.
        let value = |condition, given| report.conditions[condition][given]["logprob"].value;
        assert_eq!((value("right", "both"), value("none", "text")), (-1.5, -2.0));
        assert_eq!(value("wrong", "pixels"), -1.5);
        // What does not fit is known too.
        let (again, kept) = ask_all(&mut Parrot::default(), &plan, lines.clone());
        assert_eq!((again, kept), (lines, 0));
    }
    // A later round takes none of those before it along, but those behind it.
    let too_long = Some(("Is it calm?", "painting 1", true));
    let mut model = Parrot { too_long, ..Parrot::default() };
    let (lines, _) = ask_all(&mut model, &plan, Vec::new());
    assert_eq!(Report::new("m", &plan, &lines).questions, 4);
    let too_long = Some(("Why?", "painting 1", true));
    let mut model = Parrot { too_long, ..Parrot::default() };
    let (lines, _) = ask_all(&mut model, &plan, Vec::new());
    assert_eq!(Report::new("m", &plan, &lines).questions, 5);
}
