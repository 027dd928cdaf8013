//! No source file is longer than a reader can keep in mind. Clippy's `too_many_lines` limits functions
//! (`clippy.toml`).

use std::path::{Path, PathBuf};

const LIMIT: usize = 500;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("reads").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_source_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "crates", "tests", "benches", "examples", "fuzz"] {
        sources(&root.join(folder), &mut found);
    }
    assert!(found.len() > 100, "{found:?}");
    let long = found.iter().filter_map(|path| {
        let lines = std::fs::read_to_string(path).expect("reads").lines().count();
        (lines > LIMIT).then(|| format!("{}: {lines} lines", path.display()))
    });
    let long: Vec<String> = long.collect();
    assert!(long.is_empty(), "over {LIMIT} lines:\n{}", long.join("\n"));
}
