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
    assert_eq!(keys(&all, &all.all[0]), ["1.png"]);
    assert_eq!(all.all[4].pictures, all.all[5].pictures);
    assert_eq!(all.pictures.len(), 2);
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
            "its text has places for 1 pictures, and it names 0",
        ),
        (
            of("{\"image\": \"a\", \"conversations\": [{\"from\": \"human\", \"value\": \
                \"<image><image>q\"}, {\"from\": \"gpt\", \"value\": \"a\"}]}"),
            "its text has places for 2 pictures, and it names 1",
        ),
        (
            turns(&format!("{{\"role\": \"system\", \"text\": \"<image>\"}},{user},{assistant}")),
            "its system turn shows a picture",
        ),
        (
            of("{\"messages\": [{\"role\": \"system\", \"content\": [{\"type\": \"image_url\", \
                \"image_url\": \"a.png\"}]}, {\"role\": \"user\", \"content\": \"q\"}, \
                {\"role\": \"assistant\", \"content\": \"a\"}]}"),
            "its system turn shows a picture",
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
    // The glob finds the first file again, which is read once, and the OpenAI one.
    assert_eq!((all.files, all.all.len()), (2, 8 + 3));
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

/// A line with one round about a picture.
fn about(image: &str) -> String {
    format!(
        "{{\"image\": {image}, \"turns\": [{{\"role\": \"user\", \"text\": \"q\"}}, \
         {{\"role\": \"assistant\", \"text\": \"a\"}}]}}\n"
    )
}

#[test]
fn pictures_of_one_name_in_two_folders_are_two() {
    let dir = tempfile::tempdir().expect("a folder");
    for (folder, value) in [("a", 10), ("b", 200)] {
        let folder = dir.path().join(folder);
        std::fs::create_dir(&folder).expect("makes");
        let image = image::RgbImage::from_pixel(2, 2, image::Rgb([value; 3]));
        image.save(folder.join("1.png")).expect("saves");
        std::fs::write(folder.join("t.jsonl"), about("\"1.png\"") + "oops\n").expect("writes");
    }
    let paths = ["a/t.jsonl", "b/t.jsonl", "*/t.jsonl"].map(|path| dir.path().join(path));
    let text = format!("kind = \"conversations\"\npath = {paths:?}");
    let all = Conversations::open(&toml::from_str(&text).expect("parses"), None).expect("opens");
    assert_eq!((all.files, all.pictures.len()), (2, 2));
    let pixel = |dialogue: &Dialogue| {
        let PictureSource::Picture(picture) = &all.pictures[dialogue.pictures[0]].source else {
            panic!("a file")
        };
        picture.decode().expect("decodes").get_pixel(0, 0).0[0]
    };
    assert_eq!((pixel(&all.all[0]), pixel(&all.all[1])), (10, 200));
    // The places of both files differ.
    let places: Vec<&str> = all.bad.iter().map(|bad| bad.place.as_str()).collect();
    assert_eq!(places, ["a/t.jsonl line 2", "b/t.jsonl line 2"]);
}

#[test]
fn a_pattern_names_files_below_a_folder_with_a_bracket_in_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path().join("a [1]");
    std::fs::create_dir(&here).expect("makes");
    image::RgbImage::new(2, 2).save(here.join("a.png")).expect("saves");
    std::fs::write(here.join("c.jsonl"), about("\"a.png\"")).expect("writes");
    let text = "kind = \"conversations\"\npath = [\"*.jsonl\", \"c.jsonl\"]";
    let config = artgpt_rundir::DataConfig::Conversations(toml::from_str(text).expect("parses"));
    let artgpt_rundir::DataConfig::Conversations(config) = config.absolute(&here) else {
        panic!("conversations")
    };
    let all = Conversations::open(&config, None).expect("opens");
    assert_eq!((all.files, all.all.len()), (1, 1));
}

#[test]
fn a_picture_is_one_however_records_write_its_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let inner = dir.path().join("images/deep");
    std::fs::create_dir_all(&inner).expect("makes");
    let picture = inner.join("1 a.png");
    image::RgbImage::new(2, 2).save(&picture).expect("saves");
    let whole = picture.display().to_string();
    let text: String = [
        "deep/1 a",
        "deep/1 a.png",
        "./deep//1 a.png",
        "deep/../deep/1 a",
        "file:deep/1%20a.png",
        &whole,
        &format!("file://{whole}"),
    ]
    .map(|path| about(&format!("{path:?}")))
    .concat();
    let path = dir.path().join("c.jsonl");
    std::fs::write(&path, text).expect("writes");
    let all = Conversations::open(&config(&path, ""), None).expect("opens");
    assert_eq!(all.all.len(), 7);
    assert!(all.all.iter().all(|dialogue| dialogue.pictures == [0]), "{:?}", all.pictures);
    assert_eq!(all.pictures[0].key, "deep/1 a.png");
}

#[test]
fn check_and_training_agree_on_pictures_beside_a_museum() {
    let inline = |value: u8| {
        let mut png = std::io::Cursor::new(Vec::new());
        let image = image::RgbImage::from_pixel(1, 1, image::Rgb([value; 3]));
        image.write_to(&mut png, image::ImageFormat::Png).expect("encodes");
        let data =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.into_inner());
        about(&format!("\"data:image/png;base64,{data}\""))
    };
    let text: String =
        (0..40).map(inline).chain([1, 2, 3].map(|id| about(&id.to_string()))).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("c.jsonl");
    std::fs::write(&path, text).expect("writes");
    let config = config(&path, "held_out = 0.5");
    for set_aside in [Vec::new(), vec![3]] {
        let train = if set_aside.is_empty() { vec![1, 3] } else { vec![1] };
        let split = Split { seed: 1, train, held_out: vec![2], set_aside };
        let report = check(&config, Some(&split), 7, |_, _| {}).expect("checks");
        let ids = [1, 2, 3].into();
        let all = Conversations::open(&config, Some(&ids)).expect("opens");
        // What a task trains on and validates, as `TalkTask::new` asks for it.
        let count = |wanted| {
            let of = |d: &&Dialogue| all.side(d.pictures[0], &split, 7, 0.5) == wanted;
            all.all.iter().filter(of).count()
        };
        assert_eq!(
            (report.train, report.held_out, report.set_aside),
            (count(Side::Train), count(Side::HeldOut), count(Side::SetAside))
        );
        // Half of the 40 outside the museum, within a wide margin, and those of the split.
        let validation = count(Side::validation(&split));
        assert!((10..=30).contains(&validation), "{validation}");
        assert_eq!(count(Side::HeldOut) == 1, !split.set_aside.is_empty());
    }
}

#[test]
fn null_hides_no_other_key_and_a_file_is_recognised_by_its_content() {
    let record = "{\"image\": null, \"images\": [{\"path\": null, \"url\": \"a.png\"}], \"turns\": \
        [{\"role\": \"user\", \"text\": \"q\"},\n{\"role\": \"assistant\", \"text\": \"a\"}]}";
    let line = record.replace('\n', " ");
    for (text, places) in [
        // One record over two lines, one a line, a list, and one a line with a byte order mark.
        (record.to_string(), vec!["c line 1"]),
        (format!("\n{line}\r\n\n{line}"), vec!["c line 2", "c line 4"]),
        (format!(" [{record}, {record}]"), vec!["c item 0", "c item 1"]),
        (format!("\u{feff}{line}\n{line}\n"), vec!["c line 1", "c line 2"]),
    ] {
        let (all, bad) = read("c", &text, None);
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(all.all.iter().map(|d| d.place.as_str()).collect::<Vec<_>>(), places);
        assert_eq!(keys(&all, &all.all[0]), ["a.png"]);
    }
}

#[test]
fn pictures_within_records_take_a_limited_memory_and_each_counts_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("c.jsonl");
    let finder = pictures::Finder::of(&config(&path, ""), &path, None);
    let reference = |data: &str| formats::Reference::Text(format!("data:image/png;base64,{data}"));
    // Three bytes each.
    let mut known = pictures::Known::new(5);
    for data in ["AAAA", "AAAA"] {
        assert_eq!(known.find(&finder, &reference(data)), Ok(0));
        assert!(known.check_inline().is_ok());
    }
    assert_eq!(known.find(&finder, &reference("AAAB")), Ok(1));
    assert!(matches!(known.check_inline(), Err(DataError::InlinePictures { .. })));
}
