//! The readers, on files in each format and on broken ones.

use std::path::Path;

use super::*;
use artgpt_art::Split;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/conversations")
}

fn config(path: &Path, more: &str) -> ConversationsConfig {
    let text = format!("kind = \"conversations\"\npath = {:?}\n{more}", path.display().to_string());
    toml::from_str(&text).expect("parses")
}

/// The conversations of a file with this text, and why its records are refused.
fn read(name: &str, text: &str, museum: Option<&[u64]>) -> (Conversations, Vec<String>) {
    let dir = tempfile::tempdir().expect("a folder");
    image::RgbImage::new(2, 2).save(dir.path().join("a.png")).expect("saves");
    std::fs::write(dir.path().join(name), text).expect("writes");
    let ids = museum.map(|ids| ids.iter().copied().collect());
    let read =
        Conversations::read(&config(&dir.path().join(name), ""), ids.as_ref()).expect("reads");
    let bad = read.bad.iter().map(|b| format!("{}: {}", b.place, b.reason)).collect();
    (read, bad)
}

fn keys(read: &Conversations, dialogue: &Dialogue) -> Vec<String> {
    dialogue.pictures.iter().map(|at| read.pictures[*at].key.clone()).collect()
}

#[test]
fn our_own_lines_have_kinds_rounds_and_pictures() {
    let all = Conversations::open(&config(&fixtures().join("own.jsonl"), ""), None).expect("opens");
    assert!(all.bad.is_empty() && all.unused.is_empty());
    assert_eq!(all.all.len(), 8);
    assert_eq!(all.all[3].rounds.len(), 3);
    assert_eq!(all.all[3].rounds[2].said, "Yes, red is warm.");
    assert_eq!(all.all[0].kind.as_deref(), Some("colour"));
    assert_eq!(all.all[6].pictures, [] as [usize; 0]);
    // A number, a name, and a name without its extension.
    assert_eq!(keys(&all, &all.all[0]), ["1"]);
    assert_eq!(keys(&all, &all.all[4]), ["2.png"]);
}

#[test]
fn llava_s_markers_are_taken_out_and_place_the_second_picture() {
    let path = fixtures().join("llava.json");
    let all = Conversations::open(&config(&path, ""), None).expect("opens");
    assert_eq!(all.all.len(), 2);
    assert_eq!(all.all[0].rounds[0].asked, "Is it cool?");
    assert_eq!(all.all[0].rounds.len(), 2);
    let two = &all.all[1];
    assert_eq!(keys(&all, two), ["1.png", "2.png"]);
    assert_eq!((two.second_at, two.system.as_deref()), (1, Some("You compare pictures.")));
    assert_eq!(two.rounds[1].asked, "And this?");
    let bad: Vec<String> = all.bad.iter().map(|b| format!("{}: {}", b.place, b.reason)).collect();
    assert_eq!(bad, ["llava.json item 2: it shows 3 pictures, and at most two are read"]);
}

#[test]
fn openai_s_parts_name_files_urls_and_hold_pictures() {
    let path = fixtures().join("openai.jsonl");
    let all = Conversations::open(&config(&path, ""), None).expect("opens");
    assert_eq!(all.all.len(), 3);
    assert_eq!(all.all[0].system.as_deref(), Some("You are brief."));
    assert_eq!(all.all[0].rounds[0].asked, "Which colour?");
    assert_eq!(all.all[1].rounds[0].said, "On the right.");
    // A plain name and a URL are the same file.
    assert_eq!(all.all[0].pictures, all.all[1].pictures);
    let PictureSource::Picture(inline) = &all.pictures[all.all[2].pictures[0]].source else {
        panic!("a picture")
    };
    assert!(matches!(inline, Picture::Inline { .. }));
    let file = fixtures().join("images/3 green.png");
    assert_eq!(inline.read().expect("reads"), std::fs::read(file).expect("reads"));
    let bad = &all.bad[0];
    assert_eq!(
        bad.reason, "its picture is on the network (https), and is not fetched",
        "{}",
        bad.place
    );
}

#[test]
fn a_museum_s_paintings_are_named_by_their_ids() {
    let line = |image: &str| {
        format!(
            "{{\"image\": {image}, \"turns\": [{{\"role\": \"user\", \"text\": \"a\"}}, \
             {{\"role\": \"assistant\", \"text\": \"b\"}}]}}\n"
        )
    };
    let text = ["7", "\"7\"", "\"folder/7.jpg\"", "8", "\"a.png\"", "null"].map(line).concat();
    let (all, bad) = read("c.jsonl", &text, Some(&[7, 9]));
    assert_eq!(all.all.len(), 4);
    assert_eq!(all.pictures.len(), 1);
    assert_eq!(all.pictures[0].source, PictureSource::Painting(7));
    assert_eq!(
        bad,
        [
            "c.jsonl line 4: the museum has no painting 8",
            "c.jsonl line 5: the museum has no painting a.png"
        ]
    );
}

#[test]
fn what_cannot_train_is_named_with_its_line_and_its_reason() {
    let of = |record: &str| {
        let (all, bad) = read("c.jsonl", &format!("\n{record}\n\n"), None);
        assert!(all.all.is_empty(), "{record}");
        bad.concat()
    };
    let turns = |turns: &str| of(&format!("{{\"image\": \"a\", \"turns\": [{turns}]}}"));
    let user = "{\"role\": \"user\", \"text\": \"q\"}";
    let assistant = "{\"role\": \"assistant\", \"text\": \"a\"}";
    let long = format!("{{\"role\": \"assistant\", \"text\": \"{}\"}}", "x".repeat(33_000));
    let many = vec![format!("{user},{assistant}"); 65].join(",");
    for (said, wanted) in [
        (of("{\"image\": "), "c.jsonl line 2: EOF"),
        (of("7"), "it is no object"),
        (of("{\"caption\": \"x\"}"), "it has neither turns, conversations nor messages"),
        (of("{\"turns\": 7}"), "its turns are no list"),
        (turns(""), "it has no turns"),
        (turns(user), "its last question has no answer"),
        (turns(assistant), "turn 1 should be the user's"),
        (turns(&format!("{user},{user}")), "turn 2 should be the assistant's"),
        (turns("{\"role\": \"user\"}"), "turn 1: it has no text"),
        (turns("{\"role\": \"bot\", \"text\": \"x\"}"), "\"bot\" is neither user"),
        (turns(&format!("{user},{{\"role\": \"assistant\", \"text\": \" \"}}")), "turn 2 is empty"),
        (turns(&format!("{user},{long}")), "turn 2 is longer than 32 kB"),
        (turns(&many), "it has 65 rounds"),
        (of(&format!("{{\"image\": \"b\", \"turns\": [{user},{assistant}]}}")), "no picture b"),
        (of(&format!("{{\"image\": true, \"turns\": [{user},{assistant}]}}")), "its image true"),
        (
            of(&format!("{{\"image\": \"data:x;base64,**\", \"turns\": [{user},{assistant}]}}")),
            "its data URI is damaged",
        ),
        (
            of("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"audio\"}]}]}"),
            "turn 1: a part of type \"audio\" is not read",
        ),
        (
            of("{\"conversations\": [{\"from\": \"human\", \"value\": \"<image>\\nq\"}, \
                {\"from\": \"gpt\", \"value\": \"a\"}]}"),
            "no picture is named",
        ),
    ] {
        assert!(said.contains(wanted), "{said} should say {wanted}");
    }
}

#[test]
fn several_files_are_read_and_missing_ones_and_empty_ones_are_errors() {
    let both = [fixtures().join("own.jsonl"), fixtures().join("o*.jsonl")];
    let paths = both.map(|path| format!("{:?}", path.display().to_string())).join(", ");
    let text = format!("kind = \"conversations\"\npath = [{paths}]");
    let all = Conversations::open(&toml::from_str(&text).expect("parses"), None).expect("opens");
    // The glob finds the first file again, and the OpenAI one.
    assert_eq!((all.files, all.all.len()), (3, 8 + 8 + 3));
    assert!(Conversations::open(&config(&fixtures().join("x*.json"), ""), None).is_err());
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("c.jsonl");
    std::fs::write(&path, "{}\n").expect("writes");
    let said = Conversations::open(&config(&path, ""), None).expect_err("is empty").to_string();
    assert!(said.contains("no conversation about a picture") && said.contains("line 1"), "{said}");
    std::fs::write(&path, b"\x1f\x8bxx").expect("writes");
    let said = Conversations::open(&config(&path, ""), None).expect_err("is packed").to_string();
    assert!(said.contains("compressed"), "{said}");
}

#[test]
fn a_report_counts_what_trains_and_names_broken_pictures() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("broken.png"), b"no picture").expect("writes");
    image::RgbImage::new(2, 2).save(dir.path().join("a.png")).expect("saves");
    let line = |image: &str, kind: &str| {
        format!(
            "{{\"image\": {image}, {kind}\"turns\": [{{\"role\": \"user\", \"text\": \"one two\"}}, \
             {{\"role\": \"assistant\", \"text\": \"three\"}}]}}\n"
        )
    };
    let text = [
        line("\"a.png\"", "\"kind\": \"mood\", "),
        line("\"broken.png\"", ""),
        line("null", ""),
        "oops\n".into(),
    ]
    .concat();
    let path = dir.path().join("c.jsonl");
    std::fs::write(&path, text).expect("writes");
    let report = check(&config(&path, "held_out = 0.0"), None, 7, |_, _| {}).expect("checks");
    assert_eq!((report.records, report.conversations, report.rounds), (4, 2, 2));
    assert_eq!((report.train, report.text_only, report.pictures, report.bad), (2, 1, 1, 2));
    assert_eq!(report.bad_items[1].place, "broken.png");
    assert_eq!(report.kinds.get("mood"), Some(&1));
    assert_eq!((report.question_words.most, report.answer_words.most), (2, 1));
    assert_eq!((report.same_questions, report.same_answers), (1, 1));

    // A museum's split decides about its paintings.
    let text = ["1", "2", "3", "null"].map(|image| line(image, "")).concat();
    std::fs::write(&path, text).expect("writes");
    let split = Split { seed: 1, train: vec![1], held_out: vec![2], set_aside: vec![3] };
    let report = check(&config(&path, ""), Some(&split), 7, |_, _| {}).expect("checks");
    assert_eq!((report.train, report.held_out, report.set_aside), (2, 1, 1));
}
