//! Downloads `hf:` sources: from the local cache of Hugging Face's own tools, or from the Hub or a
//! mirror of it. A download that broke off is resumed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Body;
use ureq::http::{Response, Uri};

use super::network::{Network, keeps_key, redirect_target};
use super::{FetchError, Progress, Result, io};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
/// Bytes of an error's text that are shown.
const MAX_ERROR: u64 = 500;
/// Characters of a path that stay as they are in a URL.
const UNRESERVED: &str = "-._~/";

/// A file of a repository.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubFile<'a> {
    /// `OWNER/NAME`.
    pub(crate) repo: &'a str,
    /// The file's path in it.
    pub(crate) file: &'a str,
    /// The size in the manifest.
    pub(crate) bytes: u64,
}

/// The file in the local cache, if it is there.
pub(crate) fn cached(wanted: HubFile) -> Option<PathBuf> {
    let path = cache()?.model(wanted.repo.into()).get(wanted.file)?;
    std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == wanted.bytes).then_some(path)
}

/// The folder that Hugging Face's own tools use.
fn cache() -> Option<hf_hub::Cache> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || Some(set("HF_HOME")?.join("hub"));
    let default = || Some(set("HOME")?.join(".cache/huggingface/hub"));
    let path = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")).or_else(home);
    Some(hf_hub::Cache::new(path.or_else(default)?))
}

/// The user's token, which private and gated repositories need.
fn token() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let file = || {
        let text = std::fs::read_to_string(set("HF_TOKEN_PATH")?).ok()?;
        Some(text.trim().to_string()).filter(|t| !t.is_empty())
    };
    set("HF_TOKEN")
        .or_else(|| set("HUGGING_FACE_HUB_TOKEN"))
        .or_else(file)
        .or_else(|| cache()?.token())
}

/// Downloads the file to `target`.
///
/// # Errors
/// [`FetchError::Offline`], [`FetchError::HuggingFace`], [`FetchError::Network`], [`FetchError::Io`].
pub(crate) fn download(
    network: &Network,
    wanted: HubFile,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    if network.hf_offline() {
        return Err(FetchError::Offline(format!("{}/{}", wanted.repo, wanted.file)));
    }
    let partial = target.with_extension("part");
    let done = std::fs::metadata(&partial).map_or(0, |m| m.len());
    let done = if done < wanted.bytes { done } else { 0 };
    let reply = request(network, wanted, done)?;
    let resumes = done > 0 && reply.status().as_u16() == 206;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(resumes)
        .truncate(!resumes)
        .open(&partial)
        .map_err(io(&partial))?;
    let mut done = if resumes { done } else { 0 };
    receive(reply, &mut file, &partial, wanted, &mut done, progress)?;
    file.sync_all().map_err(io(&partial))?;
    std::fs::rename(&partial, target).map_err(io(target))
}

fn receive(
    reply: Response<Body>,
    file: &mut File,
    partial: &Path,
    wanted: HubFile,
    done: &mut u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    // One byte more than the manifest says shows that the file is another one.
    let mut body = reply.into_body().into_reader().take(wanted.bytes - *done + 1);
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        let n = body.read(&mut buffer).map_err(|e| failed(&wanted, e.to_string()))?;
        if n == 0 {
            break;
        }
        *done += n as u64;
        if *done > wanted.bytes {
            let _ = std::fs::remove_file(partial);
            let reason = format!("it is larger than the manifest's {} bytes", wanted.bytes);
            return Err(failed(&wanted, reason));
        }
        file.write_all(&buffer[..n]).map_err(io(partial))?;
        progress(Progress::Bytes(*done));
    }
    if *done < wanted.bytes {
        let reason = format!("it ended after {done} of {} bytes", wanted.bytes);
        return Err(failed(&wanted, reason));
    }
    Ok(())
}

/// Asks for the file from byte `from` on, and follows redirects; the token goes to the Hub alone.
fn request(network: &Network, wanted: HubFile, from: u64) -> Result<Response<Body>> {
    let url =
        format!("{}/{}/resolve/main/{}", network.hf_endpoint(), wanted.repo, encoded(wanted.file));
    let shown = artgpt_base::mask::mask_url(&url).into_owned();
    let mut uri: Uri =
        url.parse().map_err(|_| failed(&wanted, format!("{shown} is no address")))?;
    let mut token = token();
    for _ in 0..=MAX_REDIRECTS {
        let agent = network.agent(&uri, |config| {
            config
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .timeout_per_read(Some(READ_TIMEOUT))
                .http_status_as_error(false)
        })?;
        let mut call = agent.get(&uri);
        if let Some(token) = &token {
            call = call.header("authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            call = call.header("range", format!("bytes={from}-"));
        }
        let reply = call.call().map_err(|e| failed(&wanted, e.to_string()))?;
        let status = reply.status().as_u16();
        match reply.headers().get("location") {
            Some(to) if matches!(status, 301 | 302 | 303 | 307 | 308) => {
                let to = redirect_target(&uri, to.to_str().unwrap_or_default())?;
                if !keeps_key(&uri, &to) {
                    token = None;
                }
                uri = to;
            }
            _ if matches!(status, 200 | 206) => return Ok(reply),
            _ => {
                let mut text = String::new();
                let body = reply.into_body().into_reader().take(MAX_ERROR);
                let _ = { body }.read_to_string(&mut text);
                return Err(failed(
                    &wanted,
                    format!("HTTP {status} from {shown}: {}", text.trim()),
                ));
            }
        }
    }
    Err(failed(&wanted, "too many redirects".into()))
}

fn failed(wanted: &HubFile, reason: String) -> FetchError {
    let reason = artgpt_base::mask::mask(&reason).into_owned();
    FetchError::HuggingFace {
        file: format!("{}/{}", wanted.repo, wanted.file),
        reason: artgpt_base::text::printable(&reason),
    }
}

/// A path as a URL holds it.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || UNRESERVED.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_for_a_url() {
        assert_eq!(encoded("a b/c%d.gguf"), "a%20b/c%25d.gguf");
        assert_eq!(encoded("é"), "%C3%A9");
    }
}
