//! Redirects: where one leads, and whether a key may follow it.

use artgpt_base::mask::mask_url;
use artgpt_base::text::printable;
use ureq::http::Uri;

use super::NetworkError;

/// Where a redirect leads.
///
/// # Errors
/// [`NetworkError::Redirect`], if that is no address, or if it leads from https to http.
pub fn redirect_target(from: &Uri, location: &str) -> Result<Uri, NetworkError> {
    let refuse = || NetworkError::Redirect(printable(&mask_url(location)));
    let host = from.authority().map(ToString::to_string).unwrap_or_default();
    let scheme = scheme(from);
    let text = match location {
        "" => return Err(refuse()),
        absolute if absolute.contains("://") => absolute.to_string(),
        other_host if other_host.starts_with("//") => format!("{scheme}:{other_host}"),
        path if path.starts_with('/') => format!("{scheme}://{host}{path}"),
        relative => {
            let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{host}{folder}/{relative}")
        }
    };
    let to: Uri = text.parse().map_err(|_| refuse())?;
    match (scheme, self::scheme(&to)) {
        (_, "https") | ("http", "http") => Ok(to),
        _ => Err(refuse()),
    }
}

/// Whether the server of `to` is the one that a key for `from` is meant for: the same scheme, host and
/// port, or the same host with https in place of http.
pub fn keeps_key(from: &Uri, to: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if scheme(uri) == "https" { 443 } else { 80 });
    let hosts = from.host().zip(to.host());
    let same_host = hosts.is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
    let (old, new) = ((scheme(from), port(from)), (scheme(to), port(to)));
    same_host && (old == new || (old == ("http", 80) && new == ("https", 443)))
}

fn scheme(uri: &Uri) -> &str {
    uri.scheme_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect("is an address")
    }

    #[test]
    fn a_key_goes_only_to_the_server_that_it_is_for() {
        for (from, to, kept) in [
            ("http://box:8000/v1", "http://box:8000/v1/", true),
            ("http://box:8000/v1", "http://BOX:8000/", true),
            ("https://box/v1", "https://box:443/v1", true),
            ("http://box/v1", "https://box/v1", true),
            ("http://box:8000/v1", "https://box:8000/v1", false),
            ("http://box/v1", "http://box:8000/v1", false),
            ("https://box/v1", "https://box.example/v1", false),
            ("https://box/v1", "https://evil/box", false),
            ("https://box/v1", "https://box@evil/v1", false),
        ] {
            assert_eq!(keeps_key(&uri(from), &uri(to)), kept, "{from} to {to}");
        }
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        let from = uri("https://box/v1/chat/completions");
        let to = |location: &str| redirect_target(&from, location).map(|to| to.to_string()).ok();
        assert_eq!(to("/api/chat").as_deref(), Some("https://box/api/chat"));
        assert_eq!(to("//other/chat").as_deref(), Some("https://other/chat"));
        assert_eq!(to("more").as_deref(), Some("https://box/v1/chat/more"));
        assert_eq!(to("https://other/chat").as_deref(), Some("https://other/chat"));
        for refused in ["http://box/v1/chat", "file:///etc/passwd", ""] {
            assert_eq!(to(refused), None, "{refused}");
        }
    }
}
