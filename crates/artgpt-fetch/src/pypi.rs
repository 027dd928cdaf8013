//! Downloads `pypi:` sources with the machine's own pip, which knows its mirrors and proxies.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::network::Network;
use super::{FetchError, Progress, Result, io};

/// Command lines of pip, in order of preference.
const PIP_COMMANDS: &[&[&str]] =
    &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// Downloads one wheel into `folder` and returns its path. Keeps a wheel that is there already, so an
/// interrupted installation resumes.
///
/// # Errors
/// [`FetchError::NoPip`], [`FetchError::Pip`], or [`FetchError::Io`].
pub(crate) fn download(
    package: &str,
    version: &str,
    folder: &Path,
    network: &Network,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    if let Some(wheel) = find_wheel(folder, package, version) {
        return Ok(wheel);
    }
    let name = format!("{package}=={version}");
    let work = folder.join("pip-tmp");
    std::fs::create_dir_all(&work).map_err(io(&work))?;
    let call = PIP_COMMANDS
        .iter()
        .find(|call| {
            Command::new(call[0])
                .args(&call[1..])
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        })
        .ok_or_else(|| FetchError::NoPip(name.clone()))?;
    let log = work.join("pip.log");
    let out = std::fs::File::create(&log).map_err(io(&log))?;
    let err = out.try_clone().map_err(io(&log))?;
    let target = work.join("done");
    let mut child = Command::new(call[0])
        .args(&call[1..])
        .args(["download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"])
        .args(["--only-binary", ":all:", "--progress-bar", "off", "--dest"])
        .arg(&target)
        .args(options(network, &work)?)
        .arg(&name)
        .envs(secrets(network))
        // pip writes the partial file below TMPDIR; its size is the progress.
        .env("TMPDIR", &work)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|_| FetchError::NoPip(name.clone()))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(io(&work))? {
            break status;
        }
        progress(Progress::Bytes(folder_bytes(&work)));
        std::thread::sleep(Duration::from_millis(100));
    };
    if !status.success() {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let reason = text
            .lines()
            .rev()
            .find(|l| l.contains("ERROR") || l.contains("rror:"))
            .or_else(|| text.lines().last())
            .unwrap_or("no message");
        let reason = artgpt_base::mask::mask(reason.trim_start_matches("ERROR: "));
        let reason = artgpt_base::text::printable(&reason);
        let _ = std::fs::remove_dir_all(&work);
        return Err(FetchError::Pip { package: name, reason });
    }
    let wheel = find_wheel(&target, package, version)
        .ok_or_else(|| FetchError::Pip { package: name, reason: "pip wrote no wheel".into() })?;
    let kept = folder.join(wheel.file_name().unwrap_or_default());
    std::fs::rename(&wheel, &kept).map_err(io(&kept))?;
    let _ = std::fs::remove_dir_all(&work);
    Ok(kept)
}

/// The settings that may hold passwords, as pip's environment variables: every user of the machine can read
/// a command line.
fn secrets(network: &Network) -> Vec<(&'static str, &str)> {
    let index = network.pip_index.as_deref().filter(|index| !index.is_empty());
    let proxy = network.own_proxy().filter(|proxy| !proxy.is_empty());
    let all = [("PIP_INDEX_URL", index), ("PIP_PROXY", proxy)];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// pip's options for the other settings; pip reads the environment variables itself.
fn options(network: &Network, work: &Path) -> Result<Vec<OsString>> {
    let mut options: Vec<OsString> = Vec::new();
    let mut set = |name: &str, value: OsString| options.extend([name.into(), value]);
    if network.own_proxy() == Some("") {
        // pip ignores an empty variable.
        set("--proxy", OsString::new());
    }
    if let Some(bundle) = network.bundle()? {
        // pip's own option replaces the authorities of the system.
        let path = work.join("ca.pem");
        std::fs::write(&path, bundle).map_err(io(&path))?;
        set("--cert", path.into());
    }
    if network.offline == Some(true) {
        options.push("--no-index".into());
    }
    Ok(options)
}

/// The wheel of a package in `folder`. File names of wheels have `_` for `-` (PEP 427).
fn find_wheel(folder: &Path, package: &str, version: &str) -> Option<PathBuf> {
    let prefix = format!("{}-{version}-", package.replace('-', "_")).to_lowercase();
    std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).find(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        name.starts_with(&prefix) && name.ends_with(".whl")
    })
}

/// Size of all files below `folder`, in bytes.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => folder_bytes(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_in_the_environment_and_not_on_the_command_line() {
        let network = Network {
            pip_index: Some("https://me:pw1@mirror/simple".into()),
            proxy: Some("http://me:pw2@proxy:80".into()),
            offline: Some(true),
            ..Network::default()
        };
        let expected = [
            ("PIP_INDEX_URL", "https://me:pw1@mirror/simple"),
            ("PIP_PROXY", "http://me:pw2@proxy:80"),
        ];
        assert_eq!(secrets(&network), expected);
        assert_eq!(options(&network, Path::new(".")).expect("has options"), ["--no-index"]);
        assert!(secrets(&Network::default()).is_empty());
        let none = Network { proxy: Some(String::new()), ..Network::default() };
        assert!(secrets(&none).is_empty());
        assert_eq!(options(&none, Path::new(".")).expect("has options"), ["--proxy", ""]);
    }
}
