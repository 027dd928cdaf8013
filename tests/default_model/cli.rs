//! The contracts of `ask`, `score`, `sessions` and `models`.

use predicates::prelude::*;

use crate::common::{self, fresh_data, json, picture, program, shared_data, wait};

#[test]
fn ask_answers_in_the_contracts_json_and_greedy_repeats() {
    let args = ["ask", "--json", "--greedy", "--max-new-tokens", "12", "What is a portrait?"];
    let (first, second) = (json(&args), json(&args));
    assert_eq!(first["token_ids"], second["token_ids"]);
    assert_eq!(first["model"], "artgpt-smol");
    assert_eq!((&first["image_tokens"], &first["cached_tokens"]), (&0.into(), &0.into()));
    assert!(["stop", "length"].contains(&first["finish_reason"].as_str().expect("text")));
    for key in ["load_ms", "encode_ms", "prefill_ms", "decode_ms", "tokens_per_second"] {
        assert!(first["timings"][key].is_number(), "{key}");
    }
}

#[test]
fn a_seed_repeats_a_drawn_answer() {
    let plain = common::plain_model();
    let ask = |seed: &str| {
        let args = ["ask", "--json", "--model", &plain, "--temperature", "1.5", "--seed", seed];
        let rest = ["--max-new-tokens", "16", "Write about a painting of a storm at sea."];
        json(&[&args[..], &rest].concat())["token_ids"].clone()
    };
    assert_eq!(ask("5"), ask("5"));
    assert_ne!(ask("5"), ask("6"));
}

#[test]
fn it_sees_two_pictures_in_one_prompt() {
    let dir = tempfile::tempdir().expect("temp dir");
    let red = picture(dir.path(), "red.png", [200, 20, 20]);
    let blue = picture(dir.path(), "blue.png", [20, 40, 220]);
    let warmth = |path: &std::path::Path| {
        let path = path.display().to_string();
        let question = "Are the colours warm or cool?";
        let out = json(&["ask", "--json", "--greedy", "--image", &path, question]);
        assert_eq!(out["image_tokens"], 32);
        out["text"].as_str().expect("text").to_lowercase()
    };
    let (a, b) = (warmth(&red), warmth(&blue));
    assert!(a.contains("warm") && b.contains("cool"), "{a} / {b}");
    let (red, blue) = (red.display().to_string(), blue.display().to_string());
    let out = json(&[
        "ask",
        "--json",
        "--greedy",
        "--image",
        &red,
        "--image",
        &blue,
        "--max-new-tokens",
        "8",
        "Compare <image> with <image>.",
    ]);
    assert_eq!(out["image_tokens"], 64);
}

#[test]
fn a_raw_prompt_needs_a_marker_for_each_picture() {
    let dir = tempfile::tempdir().expect("temp dir");
    let red = picture(dir.path(), "red.png", [200, 20, 20]).display().to_string();
    program(shared_data())
        .args(["ask", "--raw-prompt", "--image", &red, "no marker"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("0 `<image>` marker(s) for 1 picture(s)"));
    let out = json(&[
        "ask",
        "--json",
        "--greedy",
        "--raw-prompt",
        "--max-new-tokens",
        "2",
        "--image",
        &red,
        "A <image> B",
    ]);
    let words = common::tokenizer();
    let text =
        words.encode("A ").expect("encodes").len() + words.encode(" B").expect("encodes").len();
    assert_eq!(out["prompt_tokens"], 32 + text);
}

#[test]
fn the_label_is_read_and_never_invented() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = picture(dir.path(), "a.png", [90, 70, 50]).display().to_string();
    let ask = || {
        let out = json(&["ask", "--json", "--greedy", "--image", &path, "Who painted this?"]);
        out["text"].as_str().expect("text").to_string()
    };
    let unlabelled = ask();
    // However it says so.
    let told = unlabelled.to_lowercase();
    assert!(
        told.contains("label") && [" not ", "no "].iter().any(|no| told.contains(no)),
        "{told}"
    );
    assert!(!unlabelled.contains("Mira"), "{unlabelled}");
    std::fs::write(dir.path().join("a.toml"), "artist = \"Mira Quell\"\n").expect("write");
    let labelled = ask();
    assert!(labelled.contains("Mira Quell"), "{labelled}");
}

#[test]
fn score_sums_its_log_probabilities() {
    let out =
        json(&["score", "--json", "--prompt", "The sky is", "--answer", " blue", "--raw-prompt"]);
    let logprobs: Vec<f64> = serde_json::from_value(out["logprobs"].clone()).expect("numbers");
    let sum: f64 = logprobs.iter().sum();
    assert_eq!(out["token_ids"].as_array().expect("ids").len(), logprobs.len());
    assert!((out["sum"].as_f64().expect("a number") - sum).abs() < 1e-9);
    assert!(logprobs.iter().all(|l| *l <= 0.0));
}

#[test]
fn bad_pictures_are_refused_in_one_clear_sentence() {
    let dir = tempfile::tempdir().expect("temp dir");
    let at = |name: &str| dir.path().join(name);
    let whole = std::fs::read(picture(dir.path(), "whole.png", [9, 9, 9])).expect("reads");
    std::fs::write(at("cut.png"), &whole[..whole.len() / 2]).expect("write");
    std::fs::write(at("empty.jpg"), b"").expect("write");
    std::fs::write(at("text.jpg"), b"hello, this is no picture").expect("write");
    std::fs::create_dir(at("folder")).expect("dir");
    // A PNG that says 12000 x 9000 and holds nothing.
    let mut huge = whole.clone();
    huge[16..20].copy_from_slice(&12_000u32.to_be_bytes());
    huge[20..24].copy_from_slice(&9_000u32.to_be_bytes());
    let crc = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(at("huge.png"), huge).expect("write");
    for (name, says) in [
        ("missing.jpg", "no file at"),
        ("empty.jpg", "is empty"),
        ("text.jpg", "not a picture"),
        ("cut.png", "damaged or cut short"),
        ("folder", "is a directory"),
        ("huge.png", "108 megapixels"),
    ] {
        program(shared_data())
            .args(["ask", "--image"])
            .arg(at(name))
            .arg("what?")
            .assert()
            .code(1)
            .stdout("")
            .stderr(predicate::str::contains(says).and(predicate::str::contains("\n").count(1)));
    }
    // A control character in a name stays harmless.
    program(shared_data())
        .args(["ask", "--image", "no\u{1b}[2J.png", "what?"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("\u{1b}").not());
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, b| {
        (0..8).fold(
            crc ^ u32::from(*b),
            |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 },
        )
    })
}

#[test]
fn an_animation_and_a_renamed_picture_are_read() {
    let dir = tempfile::tempdir().expect("temp dir");
    let renamed = dir.path().join("really-a-png.jpg");
    std::fs::copy(picture(dir.path(), "a.png", [9, 200, 9]), &renamed).expect("copy");
    let gif = dir.path().join("moving.gif");
    let file = std::fs::File::create(&gif).expect("file");
    let mut encoder = image::codecs::gif::GifEncoder::new(file);
    for value in [0, 200] {
        let frame = image::RgbaImage::from_pixel(16, 16, image::Rgba([value, 9, 9, 255]));
        encoder.encode_frame(image::Frame::new(frame)).expect("frame");
    }
    drop(encoder);
    for (path, says) in [(renamed, ""), (gif, "only its first frame")] {
        program(shared_data())
            .args(["ask", "--greedy", "--max-new-tokens", "2", "--image"])
            .arg(path)
            .arg("What is the palette?")
            .assert()
            .success()
            .stderr(predicate::str::contains(says));
    }
}

#[test]
fn failures_have_the_contracts_json_and_exit_codes() {
    let fail = |args: &[&str], code: i32| -> serde_json::Value {
        let out = program(shared_data()).args(args).output().expect("runs");
        assert_eq!(out.status.code(), Some(code), "{args:?}");
        serde_json::from_slice(&out.stdout).expect("JSON on stdout")
    };
    let missing = fail(&["ask", "--json", "--image", "/no/such.png", "what?"], 1);
    assert_eq!(missing["error"]["kind"], "artwork");
    assert!(!missing["error"]["hint"].as_str().expect("text").is_empty());
    assert_eq!(fail(&["ask", "--json", "--no-such-flag", "x"], 2)["error"]["kind"], "usage");
    assert_eq!(fail(&["ask", "--json", ""], 2)["error"]["kind"], "usage");
    fail(&["ask", "--json", "--top-p", "7", "x"], 2);
    fail(&["ask", "--json", "--model", "no-such-model", "x"], 1);
    fail(&["sessions", "show", "--json", "01NOSUCH"], 1);
    let long = "word ".repeat(9000);
    let error = fail(&["ask", "--json", &long], 1);
    assert!(error["error"]["message"].as_str().expect("text").contains("tokens long"));
}

#[test]
fn a_damaged_model_is_named_and_kept_aside() {
    let dir = tempfile::tempdir().expect("temp dir");
    let weights = dir.path().join("w.bin");
    std::fs::write(&weights, b"weights").expect("write");
    let manifest = format!(
        "name = \"small\"\n[[source]]\nfrom = \"file:{}\"\nsha256 = \"{}\"\nbytes = 7\n",
        weights.display(),
        "0000000000000000000000000000000000000000000000000000000000000000"
    );
    let path = dir.path().join("manifest.toml");
    std::fs::write(&path, manifest).expect("write");
    program(dir.path()).args(["models", "install"]).arg(&path).assert().code(1).stderr(
        predicate::str::contains("w.bin has sha256").and(predicate::str::contains("kept aside")),
    );
    // A GGUF that is cut is told, not crashed on.
    let cut = dir.path().join("cut.gguf");
    let gguf = common::model("artgpt-smol").language_path().expect("has one");
    let bytes = std::fs::read(gguf).expect("reads");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("write");
    let manifest = "name = \"cut\"\n[language]\nkind = \"llama\"\npath = \"cut.gguf\"\n";
    std::fs::write(&path, manifest).expect("write");
    program(dir.path())
        .args(["ask", "hello", "--model"])
        .arg(&path)
        .assert()
        .code(1)
        .stderr(predicate::str::contains("damaged"));
}

#[test]
fn a_session_is_kept_continued_exported_imported_and_removed() {
    let data = fresh_data();
    let red = picture(data.path(), "red.png", [200, 20, 20]);
    let ask = |session: &str, rest: &[&str]| {
        let mut command = program(data.path());
        command.args(["ask", "--greedy", "--json", "--max-new-tokens", "8", "--session", session]);
        let out = command.args(rest).output().expect("runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).expect("JSON")
    };
    ask("new", &["--image", &red.display().to_string(), "What is the palette?"]);
    let list = program(data.path()).args(["sessions", "list", "--json"]).output().expect("runs");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id").to_string();
    std::fs::remove_file(&red).expect("the original may go");
    let second = ask(&id[..20], &["And the contrast?"]);
    assert_eq!(second["image_tokens"], 32);

    let run = |args: &[&str]| {
        let out = program(data.path()).args(args).output().expect("runs");
        assert!(out.status.success(), "{args:?} {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("UTF-8")
    };
    let exported = run(&["sessions", "export", &id, "--format", "json"]);
    let parsed: serde_json::Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(parsed["turns"].as_array().expect("turns").len(), 4);
    assert!(run(&["sessions", "export", &id, "--format", "md"]).contains("And the contrast?"));
    assert!(run(&["sessions", "search", "PALETTE"]).contains(&id));
    run(&["sessions", "rm", &id]);
    assert_eq!(run(&["sessions", "list"]), "");
    let file = data.path().join("export.json");
    std::fs::write(&file, &exported).expect("write");
    run(&["sessions", "import", &file.display().to_string()]);
    assert_eq!(run(&["sessions", "export", &id, "--format", "json"]), exported);
}

#[test]
fn with_no_picture_open_every_round_says_so() {
    let data = fresh_data();
    let mut session = "new".to_string();
    for question in ["What is the palette?", "Is the picture dark or light?"] {
        program(data.path())
            .args(["ask", "--greedy", "--session", &session, question])
            .assert()
            .success()
            .stdout(predicate::str::contains("no picture"));
        let list =
            program(data.path()).args(["sessions", "list", "--json"]).output().expect("runs");
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
        session = list[0]["id"].as_str().expect("an id").to_string();
    }
}

#[test]
fn a_store_in_use_is_read_from_its_mirror_and_not_written() {
    let data = fresh_data();
    let ask = ["ask", "--greedy", "--max-new-tokens", "2", "--session", "new", "hello"];
    program(data.path()).args(ask).assert().success();
    let folder = data.path().join("sessions.sled");
    let held = artgpt_store::Database::open(&folder).expect("opens");
    program(data.path())
        .args(["sessions", "list"])
        .assert()
        .success()
        .stdout(predicate::str::contains("hello"))
        .stderr(predicate::str::contains("another artgpt-tui"));
    program(data.path()).args(ask).assert().code(1).stderr(predicate::str::contains("--data-dir"));
    drop(held);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join("file");
    std::fs::write(&file, b"x").expect("write");
    program(&file.join("below"))
        .args(["ask", "--session", "new", "hello"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("choose another --data-dir"));
}

#[test]
fn a_killed_answer_loses_at_most_its_last_second() {
    let data = fresh_data();
    let plain = common::plain_model();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("artgpt-tui"))
        .args(["--device", "cpu", "--data-dir"])
        .arg(data.path())
        .args([
            "ask",
            "--session",
            "new",
            "--greedy",
            "--max-new-tokens",
            "1500",
            "--model",
            &plain,
        ])
        .arg("Write a very long story about a painter, with many chapters.")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    // A paragraph is on the screen. Each second what is new goes to the draft, so that on a slow
    // machine it lies there in many pieces, and on a fast one the first piece is a long one.
    let mut stdout = child.stdout.take().expect("piped");
    let mut seen = vec![0u8; 400];
    std::io::Read::read_exact(&mut stdout, &mut seen).expect("an answer");
    let log = data.path().join("sessions.sled/db");
    wait::until("its first words on disk", || {
        let bytes = std::fs::read(&log).expect("reads");
        let found = bytes.windows(4).any(|part| part == &seen[..4]);
        found.then_some(()).ok_or_else(|| String::from_utf8_lossy(&seen).into_owned())
    });
    child.kill().expect("kills");
    child.wait().expect("ends");
    let opened = artgpt_store::Database::open(&data.path().join("sessions.sled")).expect("opens");
    assert!(opened.notice.expect("says so").contains("unfinished"));
    let session = &opened.database.list().expect("lists")[0];
    let turns = opened.database.get(&session.id).expect("is there").turns;
    assert_eq!(turns.len(), 2);
    assert!(!turns[1].complete && turns[1].text.len() > 20, "{turns:?}");
}

#[test]
fn a_gguf_file_alone_chats_by_the_template_that_its_vocabulary_has() {
    let gguf = common::model("artgpt-smol").language_path().expect("has one");
    let gguf = gguf.display().to_string();
    let question = "What is the capital of France?";
    let ask = |model: &str| {
        common::json(&[
            "ask",
            "--json",
            "--greedy",
            "--max-new-tokens",
            "8",
            "--model",
            model,
            question,
        ])
    };
    assert_eq!(ask(&gguf)["token_ids"], ask(&common::plain_model())["token_ids"]);
    // A large file that is no manifest is not read as one.
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("weights.bin");
    let refused = |bytes: Vec<u8>, why: &str| {
        std::fs::write(&path, bytes).expect("writes");
        common::program(common::shared_data())
            .args(["ask", "--model"])
            .arg(&path)
            .arg(question)
            .assert()
            .code(1)
            .stderr(predicate::str::contains(why));
    };
    refused(vec![0; 2 << 20], "weights.bin is a file that begins with nothing but zeros");
    refused(vec![0xff; 2 << 20], "as a manifest");
}
