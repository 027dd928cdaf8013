//! Sessions on disk: private, erased when they are removed, imported within limits.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::common;

const ID: &str = "01M8Q5XXH0KSMAC2YZ3G68S5R9";

fn session(turns: Value) -> String {
    json!({
        "id": ID, "title": "A title", "model": "m", "artworks": [],
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "turns": turns,
    })
    .to_string()
}

fn turn(seq: u64, text: &str) -> Value {
    json!({"seq": seq, "parent": null, "role": "user", "text": text, "created": "2026-01-01T00:00:00Z"})
}

fn import(data: &Path, text: &str) -> assert_cmd::Command {
    let file = data.join("import.json");
    std::fs::write(&file, text).expect("writes");
    let mut program = common::program(data);
    program.args(["sessions", "import"]).arg(file);
    program
}

#[test]
fn a_removed_session_is_gone_from_the_disk() {
    let data = tempfile::tempdir().expect("temp dir");
    import(data.path(), &session(json!([turn(0, "a secret question")]))).assert().success();
    std::fs::remove_file(data.path().join("import.json")).expect("removes");
    assert!(common::folder::holds(data.path(), "a secret question"));
    let backup = data.path().join("sessions.sled.damaged-1");
    std::fs::create_dir(&backup).expect("makes");
    common::program(data.path())
        .args(["sessions", "rm", ID])
        .assert()
        .success()
        .stderr(contains("sessions.sled.damaged-1 may still hold it"));
    assert!(!common::folder::holds(data.path(), "a secret question"));
    common::program(data.path()).args(["sessions", "list"]).assert().success().stdout("");
}

#[test]
fn sessions_of_earlier_versions_become_private() {
    let data = tempfile::tempdir().expect("temp dir");
    import(data.path(), &session(json!([turn(0, "a")]))).assert().success();
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("sets");
    };
    let mode =
        |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    let names = ["sessions.sled", "sessions.jsonl", "sessions.sled/db", "logs"];
    let paths = names.map(|name| data.path().join(name));
    set(data.path(), 0o755);
    for path in &paths {
        set(path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    common::program(data.path()).args(["sessions", "list"]).assert().success();
    for path in &paths {
        let own = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), own, "{}", path.display());
    }
    assert_eq!(mode(data.path()), 0o755);
}

#[test]
fn an_import_is_limited_and_checked() {
    let data = tempfile::tempdir().expect("temp dir");
    for wrong in [u64::MAX, 1 << 53] {
        import(data.path(), &session(json!([turn(wrong, "a")])))
            .assert()
            .code(1)
            .stderr(contains("a turn has a number above 9007199254740991"));
    }
    for (file, why) in [("/dev/zero", "not a regular file"), ("/", "not a regular file")] {
        common::program(data.path())
            .args(["sessions", "import", file])
            .assert()
            .code(1)
            .stderr(contains(why).and(contains("is not a conversation")));
    }
    // A file of zeros that takes no space.
    let large = data.path().join("large.json");
    std::fs::File::create(&large).expect("makes").set_len((256 << 20) + 1).expect("grows");
    common::program(data.path())
        .args(["sessions", "import"])
        .arg(&large)
        .assert()
        .code(1)
        .stderr(contains("larger than 268435456 bytes"));
    common::program(data.path()).args(["sessions", "list"]).assert().success().stdout("");
}
