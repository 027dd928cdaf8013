//! `openai:URL#NAME`: the server's address, and the secrets in it.

use base64::Engine as _;

use super::{Remote, RemoteError, SCHEME};
use crate::{InferenceError, Result};
use artgpt_base::mask::mask_url;
use artgpt_base::text::printable;
use artgpt_fetch::network::Network;

/// The environment variable with the API key, the one that all clients of this protocol read.
const KEY: &str = "OPENAI_API_KEY";

impl Remote {
    /// Parses `openai:URL#NAME`; `None` if the reference names no server. A user and password in the
    /// URL are sent as basic authentication; otherwise the API key of the environment is.
    ///
    /// # Errors
    /// [`RemoteError::Address`], if URL or model is missing; [`RemoteError::UnescapedLogin`].
    pub fn parse(reference: &str, network: &Network) -> Option<Result<Self>> {
        let rest = reference.strip_prefix(SCHEME)?;
        let key = std::env::var(KEY).ok().filter(|k| !k.is_empty());
        Some(with_key(rest, key, network))
    }

    /// The address of a path below the server's root.
    pub(super) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}{}", self.url, self.query)
    }
}

fn with_key(rest: &str, key: Option<String>, network: &Network) -> Result<Remote> {
    let (url, model) = rest.split_once('#').unwrap_or((rest, ""));
    let parts = Parts::of(url).and_then(|parts| match model {
        "" => Err(RemoteError::Address),
        _ => Ok(parts),
    });
    let parts = parts.map_err(|source| InferenceError::Remote {
        url: printable(&mask_url(url)),
        source: Box::new(source),
    })?;
    let path = parts.path.trim_end_matches('/');
    let path = if path.ends_with("/v1") { path.to_string() } else { format!("{path}/v1") };
    let login = parts.login.map(decoded);
    let mut secrets: Vec<String> = key.iter().cloned().collect();
    if let Some(login) = &login {
        let password = login.split_once(':').map_or(login.as_str(), |(_, password)| password);
        secrets.extend([password.to_string(), login.clone()]);
    }
    secrets.extend(parts.login.map(String::from));
    secrets.extend(values(parts.query).map(String::from));
    let authorization = match (&login, key) {
        (Some(login), _) => {
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)))
        }
        (None, key) => key.map(|key| format!("Bearer {key}")),
    };
    secrets.extend(authorization.clone());
    Ok(Remote {
        name: format!("{SCHEME}{}#{model}", printable(&mask_url(url))),
        url: format!("{}://{}{path}", parts.scheme, parts.host),
        query: parts.query.map(|query| format!("?{query}")).unwrap_or_default(),
        model: model.into(),
        authorization,
        secrets,
        network: network.clone(),
    })
}

/// The parts of an address with the scheme http or https.
struct Parts<'a> {
    scheme: &'a str,
    login: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> std::result::Result<Self, RemoteError> {
        let (scheme, rest) = url.split_once("://").ok_or(RemoteError::Address)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.contains('@') {
            // The host would be a part of the login, which every request would show.
            return Err(RemoteError::UnescapedLogin);
        }
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let known = matches!(scheme, "http" | "https");
        let plain = host.chars().all(|c| c.is_ascii_graphic());
        match known && plain && !host.is_empty() {
            true => Ok(Self { scheme, login, host, path, query }),
            false => Err(RemoteError::Address),
        }
    }
}

/// The values of a query.
fn values(query: Option<&str>) -> impl Iterator<Item = &str> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.filter_map(|pair| Some(pair.split_once('=')?.1)).filter(|value| !value.is_empty())
}

/// Decodes `%40` and the like; what is no such code stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16);
                digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low) as u8)
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rest: &str) -> Remote {
        with_key(rest, Some("sesame".into()), &Network::default()).expect("parses")
    }

    #[test]
    fn an_address_needs_a_scheme_and_a_model() {
        let remote = parsed("http://box:8000#art");
        assert_eq!((remote.url.as_str(), remote.model.as_str()), ("http://box:8000/v1", "art"));
        let remote = parsed("https://box/v1/#a#b");
        assert_eq!((remote.url.as_str(), remote.model.as_str()), ("https://box/v1", "a#b"));
        for wrong in
            ["box#art", "http://box", "http://box#", "ftp://box#a", "http://#a", "http://a b#m"]
        {
            assert!(with_key(wrong, None, &Network::default()).is_err(), "{wrong}");
        }
        assert!(Remote::parse("artgpt-smol", &Network::default()).is_none());
    }

    #[test]
    fn secrets_are_used_but_never_shown() {
        let remote = parsed("https://me:p%40ss%2Fword@box/api?api-key=k1&v=2#art");
        assert_eq!(remote.endpoint("/chat"), "https://box/api/v1/chat?api-key=k1&v=2");
        assert_eq!(remote.name, "openai:https://***@box/api?api-key=***&v=2#art");
        // "me:p@ss/word"
        assert_eq!(remote.authorization.as_deref(), Some("Basic bWU6cEBzcy93b3Jk"));
        for secret in ["p@ss/word", "p%40ss%2Fword", "k1"] {
            assert!(remote.secrets.iter().any(|s| s.contains(secret)), "{secret}");
            assert!(!format!("{remote:?}").contains(secret));
        }
        let remote = parsed("http://box#art");
        assert_eq!(remote.authorization.as_deref(), Some("Bearer sesame"));
        assert_eq!(remote.name, "openai:http://box#art");
        let wrong = with_key("http://me:secret@box", None, &Network::default());
        assert!(!wrong.expect_err("has no model").to_string().contains("secret"));
        for wrong in ["http://me:se/cret@box#art", "http://me:se@b/cret@box/v1?a=b#art"] {
            let e = with_key(wrong, None, &Network::default()).expect_err("has a / in its login");
            let InferenceError::Remote { url, source } = &e else { panic!("{e}") };
            assert!(source.to_string().contains("%2F"), "{source}");
            assert!(!url.contains("se") && !url.contains("cret"), "{url}");
        }
    }
}
