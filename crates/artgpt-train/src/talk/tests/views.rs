//! What views hold: shares of the mixture, and what does not fit into the context window.

use super::*;
use crate::talk::pictures::Pictures;
use crate::talk::plan::Group;
use crate::talk::view::ViewPlan;
use artgpt_art::{Label, Painting};

/// A line with one round about a picture, or about none.
fn line(image: &str, asked: &str) -> String {
    format!(
        "{{\"image\": {image}, \"turns\": [{{\"role\": \"user\", \"text\": \"{asked}\"}}, \
         {{\"role\": \"assistant\", \"text\": \"Yes.\"}}]}}\n"
    )
}

/// A talk stage on these lines, beside which `pictures` pictures lie.
fn on(dir: &Path, lines: &str, pictures: usize, held_out: f64, stage: &str) -> TrainConfig {
    for i in 0..pictures {
        let image = RgbImage::from_pixel(9, 9, image::Rgb([i as u8 * 20, 90, 30]));
        image.save(dir.join(format!("{i}.png"))).expect("saves");
    }
    let path = dir.join("c.jsonl");
    std::fs::write(&path, lines).expect("writes");
    let data = format!("kind = \"conversations\"\npath = {path:?}\nheld_out = {held_out:?}");
    let data = DataConfig::Conversations(toml::from_str(&data).expect("parses"));
    TrainConfig { data, ..config("", stage) }
}

fn segments(task: &TalkTask, plan: &ViewPlan) -> (Vec<Segment>, Vec<String>) {
    let stage = &task.config.stage[0];
    let writer = Writer::new(&task.network).expect("a writer");
    let mut view = task.view(plan, stage).expect("is read");
    let mut left_out = Vec::new();
    let all = task.segments(plan, &mut view, stage, &writer, &mut left_out).expect("writes");
    assert!(all.iter().all(|segment| writer.fits(segment)));
    (all, left_out)
}

#[test]
fn shares_hold_where_a_picture_has_one_conversation() {
    let dir = tempfile::tempdir().expect("a folder");
    let pictures: String = (0..10).map(|i| line(&format!("\"{i}.png\""), "q")).collect();
    let texts: String = (0..7).map(|i| line("null", &format!("t{i}"))).collect();
    let small = small();
    for (mixture, wanted) in [
        // Views, and their conversations without a picture and closed questions.
        ("", (30, 10, 0)),
        ("mixture = { formal = 2.0, conversations = 3.0, text = 1.0 }", (30, 10, 20)),
        ("mixture = { formal = 0.0, conversations = 1.0, text = 2.0 }", (30, 60, 0)),
    ] {
        let stage = format!("questions = 2\n{mixture}");
        let config = on(dir.path(), &(pictures.clone() + &texts), 10, 0.0, &stage);
        let task = task(small.network(false), &config);
        let plans: Vec<ViewPlan> = (0..30).map(|n| task.plan(0, n).expect("plans")).collect();
        let talks: usize = plans.iter().map(|plan| plan.group.talks.len()).sum();
        let texts = plans.iter().map(|plan| plan.texts.len()).sum();
        let formal = plans.iter().map(|plan| plan.formal).sum();
        assert_eq!((talks, texts, formal), wanted, "{mixture}");
    }
}

#[test]
fn as_many_closed_questions_are_drawn_as_the_share_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let stage = "questions = 40\nmixture = { formal = 39.0, conversations = 1.0 }";
    let config = on(dir.path(), &line("\"0.png\"", "q"), 1, 0.0, stage);
    let small = small();
    let task = task(small.network(false), &config);
    let plan = task.plan(0, 0).expect("plans");
    assert_eq!(plan.formal, 39);
    assert_eq!(segments(&task, &plan).0.len(), 40);
}

#[test]
fn what_does_not_fit_into_the_context_window_is_left_out_and_ends_no_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let lines: String = (0..6).map(|i| line(&format!("\"{i}.png\""), "Is it?")).collect();
    let stage = "questions = 4\nmixture = { formal = 3.0, conversations = 1.0, text = 0.0 }";
    let config = on(dir.path(), &lines, 6, 0.5, stage);
    let (mut answers, mut kept) = (Vec::new(), Vec::new());
    // In steps that are smaller than an answer: one of them leaves room for a part of it.
    for context in (32..=800).step_by(48) {
        let small = small_with(context);
        let task = task(small.network(true), &config);
        answers.push(task.sample_answers(2).expect("answers").len());
        let (all, left_out) = segments(&task, &task.plan(0, 0).expect("plans"));
        let closed = left_out.iter().any(|why| why.starts_with("a closed question about "));
        assert!(closed || !all.is_empty(), "{context}: {left_out:?}");
        kept.push(all.len());
    }
    for counts in [&answers, &kept] {
        assert!(counts.is_sorted() && counts[0] == 0, "{counts:?}");
    }
    assert_eq!((answers.last(), kept.last()), (Some(&2), Some(&4)), "{answers:?} {kept:?}");
}

#[test]
fn a_joined_conversation_that_is_too_long_is_named_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let lines = [line("\"0.png\"", "Short?"), line("\"0.png\"", &"long ".repeat(90))].concat();
    let config = on(dir.path(), &lines, 1, 0.0, "");
    let small = small();
    let task = task(small.network(false), &config);
    let group = Group { picture: 0, second: None, talks: vec![vec![1, 0]] };
    let plan = ViewPlan { stage: 0, number: 0, group, texts: Vec::new(), formal: 0, fixed: false };
    let (all, left_out) = segments(&task, &plan);
    assert_eq!(all.len(), 1);
    assert_eq!(left_out, ["c.jsonl line 2: it does not fit into the model's context window"]);
}

#[test]
fn what_a_validation_leaves_out_is_logged_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let lines: String = (0..8)
        .flat_map(|i| ["q".to_string(), "long ".repeat(120)].map(|q| (i, q)))
        .map(|(i, asked)| line(&format!("\"{i}.png\""), &asked))
        .collect();
    let config = on(dir.path(), &lines, 8, 0.5, "");
    let (outcome, _) = train(dir.path(), &config, &|| false);
    assert_eq!(outcome, Outcome::Finished);
    let log = std::fs::read_to_string(dir.path().join("run/log.txt")).expect("a log");
    let named: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once("validation: left out: ").map(|(_, what)| what))
        .collect();
    let different: std::collections::HashSet<&&str> = named.iter().collect();
    assert!(!named.is_empty() && different.len() == named.len(), "{log}");
}

#[test]
fn the_measured_line_is_that_of_the_museum_s_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let blue = RgbImage::from_pixel(600, 400, image::Rgb([30, 60, 180]));
    blue.save(dir.path().join("7.jpg")).expect("saves");
    let image = RgbImage::from_pixel(60, 40, image::Rgb([200, 20, 30]));
    let painting = Painting { id: 7, image, label: Label::default(), tags: Vec::new(), kind: None };
    let paintings = Paintings { all: vec![painting] };
    let shown = crate::data::conversations::ShownPicture {
        key: "7".into(),
        source: PictureSource::Painting(7),
    };
    let mut pictures = Pictures::new(Some(&paintings), 1 << 20, true, None);
    pictures.museum = Some(dir.path().to_path_buf());
    let loaded = pictures.get(0, &shown).expect("is there");
    assert!(loaded.measured().starts_with("mostly blue;"), "{}", loaded.measured());
    let copy =
        Pictures::new(Some(&paintings), 1 << 20, true, None).get(0, &shown).expect("is there");
    assert!(copy.measured().starts_with("mostly red;"), "{}", copy.measured());
}
