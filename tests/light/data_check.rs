//! `data check`: every sample trains or is named, and hostile pictures stay within their limits.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::home::Home;

/// A configuration whose data is at `path`.
fn config(home: &Home, kind: &str, path: &Path) -> String {
    let text = format!(
        "model = \"artgpt-smol\"\nseed = 1\n[data]\nkind = {kind:?}\npath = {:?}\nheld_out = 0.0\n\
         [[stage]]\nkind = \"caption\"\nsteps = 1\nbatch = 1\nlr = 1e-4\n\
         [stage.caption]\ninstructions = [\"What is it?\"]\n",
        path.display().to_string()
    );
    home.config("check.toml", &text).display().to_string()
}

fn shard(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/webdataset").join(name)
}

#[test]
fn every_sample_of_a_shard_trains_or_is_named() {
    let home = Home::bare();
    let check = |name: &str| {
        let config = config(&home, "webdataset", &shard(name));
        home.json(&["data", "check", &config])
    };
    let dots = check("dots.tar");
    assert_eq!((&dots["rows"], &dots["pairs"], &dots["bad"]), (&3.into(), &3.into(), &0.into()));
    let macos = check("macos.tar");
    assert_eq!(
        (&macos["pairs"], &macos["bad"], &macos["unused"]),
        (&1.into(), &0.into(), &2.into())
    );
    assert_eq!(macos["unused_items"][0]["reason"], "it belongs to the operating system");
    let bom = check("bom.tar");
    assert_eq!(bom["samples"][0]["caption"], "a still life");
    let config = config(&home, "webdataset", &shard("packed.tar.gz"));
    let (code, _, err) = home.run(&["data", "check", &config]);
    assert!(
        code == Some(1) && err.contains("compressed file") && err.contains("unpack it first"),
        "{code:?} {err}"
    );
}

#[test]
fn the_text_names_twenty_bad_rows_and_json_all_of_them() {
    let home = Home::bare();
    let list = home.path().join("list.csv");
    let rows: String = (0..30).map(|i| format!("{i}.jpg;none\n")).collect();
    std::fs::write(&list, format!("Image;Caption\n{rows}")).expect("writes");
    let config = config(&home, "pairs", &list);
    let (code, out, err) = home.run(&["data", "check", &config]);
    assert!(code == Some(1) && err.contains("no pair can train"), "{err}");
    assert!(out.contains("and 10 more; --json names them"), "{out}");
    assert!(out.contains("row 1: there is no picture 0.jpg"), "{out}");
    let (_, out, _) = home.run(&["--json", "data", "check", &config]);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["bad_items"].as_array().map(Vec::len), Some(30));
}

/// A GIF of one pixel with a second frame of 65535 x 65535.
fn gif(frames: &[[u8; 4]]) -> Vec<u8> {
    let mut out = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for size in frames {
        out.extend([&[0x2c, 0, 0, 0, 0][..], size, &[0, 2, 2, 0x44, 1, 0]].concat());
    }
    out.push(b';');
    out
}

/// A PNG of one pixel with a colour profile that unpacks to `bytes` zeros.
fn png_with_profile(bytes: u64) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(1, 1).write_to(&mut out, image::ImageFormat::Png).expect("encodes");
    let png = out.into_inner();
    let chunk = [b"iCCPx\0\0".as_slice(), &zeros(bytes)].concat();
    let length = u32::try_from(chunk.len() - 4).expect("fits").to_be_bytes();
    let crc = crc32(&chunk).to_be_bytes();
    // After the signature and the header.
    [&png[..33], &length, &chunk, &crc, &png[33..]].concat()
}

/// A zlib stream of zeros, in one block with the fixed code: a zero, then copies of 258 bytes.
fn zeros(bytes: u64) -> Vec<u8> {
    let copies = bytes / 258;
    let (mut out, mut bits, mut count) = (vec![0x78, 0x01], 0u64, 0);
    let mut put = |value: u64, width: u32| {
        bits |= value << count;
        count += width;
        while count >= 8 {
            out.push(bits as u8);
            (bits, count) = (bits >> 8, count - 8);
        }
    };
    // The last block; fixed code; the literal 0 is 00110000, the length 258 is 11000101, most
    // significant bit first, then five bits of distance.
    put(0b011, 3);
    put(0b0000_1100, 8);
    (0..copies).for_each(|_| put(0b1010_0011, 13));
    put(0, 7);
    put(0, 7);
    let sum = ((copies * 258 + 1) % 65_521) << 16 | 1;
    out.extend((sum as u32).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|i| {
            (0..8).fold(i, |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
        })
        .collect();
    !bytes
        .iter()
        .fold(!0, |crc, byte| table[((crc ^ u32::from(*byte)) & 255) as usize] ^ (crc >> 8))
}

/// A WebP file with these chunks.
fn webp(chunks: &[(&[u8; 4], &[u8], u32)]) -> Vec<u8> {
    let chunks: Vec<u8> = chunks
        .iter()
        .flat_map(|(name, body, size)| [&name[..], &size.to_le_bytes(), body].concat())
        .collect();
    let size = (chunks.len() as u32 + 4).to_le_bytes();
    [b"RIFF".as_slice(), &size, b"WEBP", &chunks].concat()
}

/// A TIFF of one grey pixel whose orientation claims 2^28 values.
fn tiff() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()]
            .concat()
    };
    let entries = [
        entry(256, 4, 1, 1),
        entry(257, 4, 1, 1),
        entry(258, 3, 1, 8),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, 1),
        entry(273, 4, 1, 8),
        entry(274, 3, 1 << 28, 8),
        entry(277, 3, 1, 1),
        entry(278, 4, 1, 1),
        entry(279, 4, 1, 1),
    ];
    let count = (entries.len() as u16).to_le_bytes();
    [b"II*\0\x08\0\0\0".as_slice(), &count, &entries.concat(), &[0; 4]].concat()
}

#[test]
fn hostile_pictures_are_read_or_refused_in_two_gigabytes() {
    let home = Home::bare();
    let huge_canvas: &[u8] = &[2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let canvas: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let frame: &[u8] = &[0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f];
    // A picture, and what is said of it; nothing where it is read.
    let pictures: [(&str, Vec<u8>, &str); 8] = [
        ("second.gif", gif(&[[1, 0, 1, 0], [255; 4]]), ""),
        ("first.gif", gif(&[[255; 4]]), "takes more than 512 MB"),
        ("profile.png", png_with_profile(3 << 30), ""),
        ("canvas.webp", webp(&[(b"VP8X", huge_canvas, 10)]), "megapixels"),
        ("frame.webp", webp(&[(b"VP8X", canvas, 10), (b"VP8 ", frame, 10)]), "megapixels"),
        (
            "chunk.webp",
            webp(&[(b"VP8X", canvas, 10), (b"EXIF", b"", 0xffff_fff0)]),
            "ends beyond the file",
        ),
        ("orientation.tiff", tiff(), "damaged"),
        (
            "pointer.jpg",
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "a Git LFS pointer",
        ),
    ];
    let mut list = String::from("image,caption\n");
    for (name, bytes, _) in &pictures {
        std::fs::write(home.path().join(name), bytes).expect("writes");
        list.push_str(&format!("{name},x\n"));
    }
    let path = home.path().join("list.csv");
    std::fs::write(&path, list).expect("writes");
    let config = config(&home, "pairs", &path);
    let program = assert_cmd::cargo::cargo_bin("artgpt-tui");
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\""])
        .arg(program)
        .arg("--data-dir")
        .arg(home.path())
        .args(["--json", "data", "check", &config])
        .env("XDG_CONFIG_HOME", home.path())
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let said: Vec<String> = report["bad_items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| format!("{} {}", item["place"], item["reason"]))
        .collect();
    for (name, _, expected) in &pictures {
        let own = said.iter().find(|text| text.contains(name));
        match expected.is_empty() {
            true => assert_eq!(own, None, "{name}"),
            false => assert!(own.is_some_and(|text| text.contains(expected)), "{name}: {own:?}"),
        }
    }
}

/// Makes the checksum of each header-like block right, so that damage gets past it.
fn mend_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

#[test]
fn damaged_shards_are_read_to_the_end_without_a_panic() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let seeds =
        ["shards/pax.tar", "shards/gnu.tar", "shards/sparse-old.tar", "webdataset/dots.tar"];
    let mut state = 7u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for (i, seed) in seeds.iter().cycle().take(400).enumerate() {
        let mut bytes = std::fs::read(folder.join(seed)).expect("reads");
        for _ in 0..1 + draw(3) {
            let at = draw(bytes.len() - 16);
            let value = [0, 0x7f, 0xff, b'7'][draw(4)];
            bytes[at..at + 1 + draw(12)].fill(value);
        }
        if draw(4) == 0 {
            bytes.truncate(draw(bytes.len()));
        }
        if draw(2) == 0 {
            mend_checksums(&mut bytes);
        }
        let path = dir.path().join(format!("{i}.tar"));
        std::fs::write(&path, bytes).expect("writes");
        let text = format!("kind = \"webdataset\"\npath = {:?}", path.display().to_string());
        let config: artgpt_rundir::PairsConfig = toml::from_str(&text).expect("parses");
        if let Ok(report) = artgpt_train::data::check(&config, 7, |_, _| {}) {
            assert!(report.pairs <= report.rows, "{seed} {i}");
        }
    }
}

#[test]
fn conversations_in_three_formats_are_counted_and_bad_ones_named() {
    let home = Home::bare();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conversations");
    let text = format!(
        "model = \"artgpt-smol\"\nseed = 1\n[data]\nkind = \"conversations\"\npath = [{:?}, {:?}]\n\
         held_out = 0.0\n[[stage]]\nkind = \"talk\"\nsteps = 1\nbatch = 1\nlr = 1e-4\n",
        folder.join("*.jsonl"),
        folder.join("llava.json")
    );
    let config = home.config("talk.toml", &text).display().to_string();
    let report = home.json(&["data", "check", &config]);
    let counts = ["files", "records", "conversations", "text_only", "two_pictures", "train", "bad"];
    let counts = counts.map(|key| report[key].as_u64().expect("a number"));
    assert_eq!(counts, [3, 15, 13, 2, 1, 13, 2], "{report}");
    assert_eq!(report["kinds"]["conversation"], 1);
    let (code, out, _) = home.run(&["data", "check", &config]);
    assert_eq!(code, Some(0));
    assert!(out.contains("openai.jsonl line 4: its picture is on the network (https)"), "{out}");
    assert!(out.contains("llava.json item 2: it shows 3 pictures"), "{out}");

    // Files without any are an error that says so.
    let other = format!("data.path={:?}", folder.join("images/1.png"));
    let (code, _, err) = home.run(&["data", "check", &config, "--set", &other]);
    assert!(code == Some(1) && err.contains("1.png"), "{err}");
    let aside = home.run(&["train", &config, "--set", "set_aside=1"]);
    assert!(aside.0 != Some(0) && aside.2.contains("set_aside needs a museum"), "{}", aside.2);
}

#[test]
fn every_example_configuration_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = 0;
    for folder in ["train", "configs"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("reads").flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("reads");
            let config: artgpt_rundir::TrainConfig =
                toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", entry.path().display()));
            config.check().unwrap_or_else(|e| panic!("{}: {e}", entry.path().display()));
            found += 1;
        }
    }
    assert!(found >= 11, "{found}");
}
