//! `data check CONFIG`

use std::fmt::Write;
use std::process::ExitCode;

use image::DynamicImage;

use super::args::DataCommand;
use super::{Context, Failure};
use artgpt_app::data::{Checked, check};
use artgpt_base::output;
use artgpt_base::text::printable;
use artgpt_train::data::conversations::TalkReport;
use artgpt_train::data::{BadItem, Report, Spread};

/// Cells of a sample picture.
const PICTURE: (u32, u32) = (48, 16);
/// Bad items, and unused ones, that the text names; JSON names all.
const NAMED: usize = 20;

pub(crate) fn run(context: &Context, command: DataCommand) -> Result<ExitCode, Failure> {
    let DataCommand::Check { config_file, set, no_pictures } = command;
    match check(&context.app, &config_file, &set)? {
        Checked::Museum { train, held_out, tags } => museum(context, train, held_out, tags),
        Checked::Pairs(report) => return pairs(context, &report, !no_pictures),
        Checked::Conversations(report) => return conversations(context, &report),
    }
    Ok(ExitCode::SUCCESS)
}

fn pairs(context: &Context, report: &Report, pictures: bool) -> Result<ExitCode, Failure> {
    if context.json {
        output::line(serde_json::json!(report));
    } else {
        output::write(describe(report));
        samples(report, pictures && output::is_terminal())?;
    }
    match report.pairs {
        // The report is the one document on stdout.
        0 if context.json => Ok(ExitCode::FAILURE),
        0 => Err(Failure::new("data", "no pair can train", "fix what is named above")),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn conversations(context: &Context, report: &TalkReport) -> Result<ExitCode, Failure> {
    if context.json {
        output::line(serde_json::json!(report));
    } else {
        output::write(describe_talk(report));
    }
    match report.conversations - report.text_only {
        // The report is the one document on stdout.
        0 if context.json => Ok(ExitCode::FAILURE),
        0 => Err(Failure::new(
            "data",
            "no conversation about a picture can train",
            "fix what is named above",
        )),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn describe_talk(report: &TalkReport) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{}", format!("{name:<26} {value}").trim_end());
    };
    line("files", report.files.to_string());
    line("records", report.records.to_string());
    line("conversations", report.conversations.to_string());
    line("rounds", report.rounds.to_string());
    line("without a picture", report.text_only.to_string());
    line("about two pictures", report.two_pictures.to_string());
    line("train", report.train.to_string());
    line("are held out", report.held_out.to_string());
    line("are set aside", report.set_aside.to_string());
    line("pictures", report.pictures.to_string());
    line("bad", report.bad.to_string());
    named(&mut line, &report.bad_items, report.bad);
    line("not used", report.unused.to_string());
    named(&mut line, &report.unused_items, report.unused_items.len());
    for (i, (kind, count)) in report.kinds.iter().enumerate() {
        let kind = if kind.is_empty() { "none" } else { kind };
        line(if i == 0 { "kinds" } else { "" }, format!("{}: {count}", printable(kind)));
    }
    line("words of a question", spread(report.question_words));
    line("words of an answer", spread(report.answer_words));
    line("questions asked again", report.same_questions.to_string());
    line("answers given again", report.same_answers.to_string());
    for sample in &report.samples {
        line("", String::new());
        let pictures = sample.pictures.join(", ");
        line("sample", printable(&format!("{} {pictures}", sample.place)).clone());
        for turn in &sample.turns {
            line("", printable(turn).clone());
        }
    }
    text
}

fn museum(context: &Context, train: usize, held_out: usize, tags: usize) {
    let all = train + held_out;
    match context.json {
        true => output::line(serde_json::json!({
            "pictures": all, "train": train, "held_out": held_out, "tags": tags
        })),
        false => output::line(format_args!(
            "{all} paintings, all readable: {train} train, {held_out} are held out; {tags} common tags"
        )),
    }
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<26} {value}");
    };
    line("rows", report.rows.to_string());
    line("pairs that can train", report.pairs.to_string());
    line("of them train", report.train.to_string());
    line("are held out", report.held_out.to_string());
    line("pictures", report.pictures.to_string());
    line("below min_score", report.below_min_score.to_string());
    line("bad", report.bad.to_string());
    named(&mut line, &report.bad_items, report.bad);
    line("not used", report.unused.to_string());
    named(&mut line, &report.unused_items, report.unused_items.len());
    line("words of a caption", spread(report.caption_words));
    line("width, pixels", spread(report.width));
    line("height, pixels", spread(report.height));
    line("captions of many pictures", report.same_captions.to_string());
    line("pictures that are the same", report.same_pictures.len().to_string());
    for group in report.same_pictures.iter().take(5) {
        line("", printable(&group.join(" = ")));
    }
    match &report.alike_pictures {
        Some(alike) => {
            line("pictures that look alike", alike.len().to_string());
            for (a, b) in alike.iter().take(5) {
                line("", printable(&format!("{a} ~ {b}")));
            }
        }
        None => line("pictures that look alike", "too many to compare".into()),
    }
    line("pictures with no caption", report.without_caption.to_string());
    for name in report.without_caption_names.iter().take(5) {
        line("", printable(name));
    }
    text
}

/// Names the first of `count` items.
fn named(line: &mut impl FnMut(&str, String), items: &[BadItem], count: usize) {
    for item in items.iter().take(NAMED) {
        line("", format!("{}: {}", printable(&item.place), printable(&item.reason)));
    }
    if count > NAMED {
        line("", format!("and {} more; --json names them", count - NAMED));
    }
}

fn spread(s: Spread) -> String {
    format!("{} to {}, median {}, 95 % up to {}", s.least, s.most, s.median, s.p95)
}

fn samples(report: &Report, draw: bool) -> Result<(), Failure> {
    for sample in &report.samples {
        output::line(format!("\n{}", printable(&sample.picture)));
        if let (true, Some(pixels)) = (draw, &sample.pixels) {
            // Half-blocks as wide as the picture's ratio lets them be.
            let (w, h) = pixels.dimensions();
            let wide = (2 * PICTURE.1 * w / h.max(1)).clamp(1, PICTURE.0);
            let config = viuer::Config {
                absolute_offset: false,
                width: Some(wide),
                use_kitty: false,
                use_iterm: false,
                use_sixel: false,
                ..viuer::Config::default()
            };
            viuer::print(&DynamicImage::ImageRgb8(pixels.clone()), &config)
                .map_err(|e| Failure::new("terminal", e, ""))?;
        }
        output::line(printable(&sample.caption));
    }
    Ok(())
}
