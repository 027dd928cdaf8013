//! Which servers the user has named. A session may come from somebody else (`sessions import`), so the
//! server in it gets neither the conversation nor the API key before the user has named it.

use artgpt_base::mask::mask_url;
use artgpt_engine::SCHEME;

/// A session's model is on a server that the user has not named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session's model is on the server {server}, which neither --model nor the settings name"
)]
pub struct UnnamedServer {
    /// Scheme, host and port, safe to show.
    pub server: String,
    /// The model, `openai:URL#NAME`, safe to show.
    pub reference: String,
}

/// The reference of a stored session's model, if it may be used without asking the user: any model that
/// is not on a server, or one on a server that `named` (what `--model` and the settings name) has, too.
/// The address with its credentials is then the named one: a session holds none.
///
/// # Errors
/// [`UnnamedServer`] if the model is on another server.
pub fn reference_of_session(stored: &str, named: &[&str]) -> Result<String, UnnamedServer> {
    let Some((url, model)) = parts(stored) else { return Ok(stored.to_string()) };
    let address = Address::of(url);
    let same = named
        .iter()
        .filter_map(|reference| parts(reference))
        .find(|(other, _)| address.is_some() && Address::of(other) == address);
    match same {
        Some((url, _)) => Ok(format!("{SCHEME}{url}#{model}")),
        None => Err(UnnamedServer {
            server: address.map_or_else(|| mask_url(url).into_owned(), |address| address.server()),
            reference: mask_url(stored).into_owned(),
        }),
    }
}

/// URL and model of a server's reference.
fn parts(reference: &str) -> Option<(&str, &str)> {
    let rest = reference.strip_prefix(SCHEME)?;
    Some(rest.split_once('#').unwrap_or((rest, "")))
}

/// What tells one server from another.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    scheme: String,
    host: String,
    port: String,
    /// Without the `/v1` that is added where it is missing.
    path: String,
}

impl Address {
    /// `None` for what is no address of a server.
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        // What stands before the last @ are credentials, whatever it looks like.
        let host = authority.rsplit('@').next().unwrap_or(authority).to_ascii_lowercase();
        let after_bracket = host.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match host[after_bracket..].rfind(':') {
            Some(at) => {
                let (host, port) = host.split_at(after_bracket + at);
                (host.to_string(), port[1..].to_string())
            }
            None => (host, String::new()),
        };
        let default = match scheme.as_str() {
            "http" => "80",
            "https" => "443",
            _ => return None,
        };
        let port = if port.is_empty() { default.to_string() } else { port };
        let path = rest.split('?').next().unwrap_or_default().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).to_string();
        (!host.is_empty()).then_some(Self { scheme, host, port, path })
    }

    fn server(&self) -> String {
        let server = format!("{}://{}:{}", self.scheme, self.host, self.port);
        artgpt_base::text::printable(&server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_on_a_server_needs_no_name() {
        for local in ["artgpt-smol", "/models/m.gguf", "openai"] {
            assert_eq!(reference_of_session(local, &[]), Ok(local.to_string()));
        }
    }

    #[test]
    fn the_address_is_the_named_one_and_the_model_the_sessions() {
        let named = ["artgpt-smol", "openai:http://me:pw@Box:8000/v1?key=k#art"];
        for stored in [
            "openai:http://box:8000#other",
            "openai:http://***@box:8000/v1/#other",
            "openai:HTTP://you:x@BOX:8000/v1?key=***#other",
        ] {
            let used = reference_of_session(stored, &named);
            assert_eq!(used.as_deref(), Ok("openai:http://me:pw@Box:8000/v1?key=k#other"));
        }
        let used = reference_of_session("openai:https://box#m", &["openai:https://box:443/v1#a"]);
        assert_eq!(used.as_deref(), Ok("openai:https://box:443/v1#m"));
        let used = reference_of_session("openai:http://[::1]/v1#m", &["openai:http://[::1]:80#a"]);
        assert_eq!(used.as_deref(), Ok("openai:http://[::1]:80#m"));
    }

    #[test]
    fn another_server_is_refused_whatever_it_looks_like() {
        let named = ["openai:http://box:8000#art"];
        for stored in [
            "openai:http://evil#art",
            "openai:http://box:8000@evil#art",
            "openai:http://box:8000/v1@evil:8000#art",
            "openai:http://box:80000#art",
            "openai:https://box:8000#art",
            "openai:http://box.evil:8000#art",
            "openai:http://box:8000/other#art",
            "openai:box:8000#art",
            "openai:",
            "openai:http://#art",
            "openai:http:///v1#art",
        ] {
            let refused = reference_of_session(stored, &named);
            assert!(refused.is_err(), "{stored}: {refused:?}");
            assert!(reference_of_session(stored, &[]).is_err(), "{stored}");
        }
        let refused = reference_of_session("openai:http://me:pw@evil/v1#art", &named);
        let refused = refused.expect_err("is another");
        assert_eq!(refused.server, "http://evil:80");
        assert!(!format!("{refused} {}", refused.reference).contains("pw"));
    }
}
