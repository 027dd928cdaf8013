//! Which proxy an address is reached by.

use std::net::IpAddr;

use artgpt_base::mask::mask_url;
use artgpt_base::text::printable;
use ureq::Proxy;
use ureq::http::Uri;

use super::forward::ProxyAddress;
use super::{Network, NetworkError, variable};

/// The way to a server.
#[derive(Debug)]
pub(super) enum Route {
    /// Without a proxy.
    Direct,
    /// Through a connection that the proxy passes on unread: `CONNECT` or SOCKS.
    Tunnel(Proxy),
    /// By a request that names the whole address: http through an HTTP proxy. Many proxies allow
    /// `CONNECT` to port 443 only.
    Forward(ProxyAddress),
}

/// The way to the server of an address.
pub(super) fn route(network: &Network, uri: &Uri) -> Result<Route, NetworkError> {
    let secure = uri.scheme_str() == Some("https");
    let set = network.proxy.clone().or_else(|| {
        let own: &[&str] = match secure {
            true => &["HTTPS_PROXY", "https_proxy"],
            false => &["HTTP_PROXY", "http_proxy"],
        };
        variable(own).or_else(|| variable(&["ALL_PROXY", "all_proxy"]))
    });
    let Some(proxy) = set.filter(|proxy| !proxy.trim().is_empty()) else {
        return Ok(Route::Direct);
    };
    let excluded = network.no_proxy.clone().or_else(|| variable(&["NO_PROXY", "no_proxy"]));
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    if excluded.is_some_and(|list| is_excluded(&list, uri.host().unwrap_or_default(), port)) {
        return Ok(Route::Direct);
    }
    let bad = || NetworkError::Proxy(printable(&mask_url(proxy.trim())));
    let parsed = Proxy::new(proxy.trim()).map_err(|_| bad())?;
    match parsed.protocol() {
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https if !secure => {
            ProxyAddress::of(&parsed).map(Route::Forward).ok_or_else(bad)
        }
        _ => Ok(Route::Tunnel(parsed)),
    }
}

/// Whether a list as in `NO_PROXY` names a host: `*`, a domain (and what is below it), an address, a
/// network as `10.0.0.0/8`, each with or without a port.
fn is_excluded(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let entries = list.split([',', ' ', '\t', '\n']).map(str::trim).filter(|e| !e.is_empty());
    entries.map(str::to_ascii_lowercase).any(|entry| matches(&entry, &host, port))
}

fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let address = host.parse::<IpAddr>().ok();
    if let Some((network, bits)) = entry.split_once('/') {
        let network = network.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let (Some(network), Some(address), Ok(bits)) = (network, address, bits.parse()) else {
            return false;
        };
        return contains(network, bits, address);
    }
    // A single colon, or one after a bracket, begins a port.
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => {
            (name, digits.parse::<u16>().ok())
        }
        _ => (entry, None),
    };
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let name = name.trim_matches(['[', ']']).trim_start_matches('*').trim_start_matches('.');
    if let (Some(address), Ok(named)) = (address, name.parse::<IpAddr>()) {
        return address == named;
    }
    let name = name.trim_end_matches('.');
    !name.is_empty()
        && (host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let free: u32 = match u32::checked_sub(width, bits) {
        Some(free) => free,
        None => return false,
    };
    network.checked_shr(free) == address.checked_shr(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_excluded_as_curl_and_go_do_it() {
        let list = "localhost, .corp.example,*.lab.example internal.example:8080,10.0.0.0/8,[::1],fe80::/10";
        for (host, port, excluded) in [
            ("localhost", 80, true),
            ("LOCALHOST", 80, true),
            ("notlocalhost", 80, false),
            ("a.corp.example", 80, true),
            ("corp.example", 80, true),
            ("evilcorp.example", 80, false),
            ("x.lab.example", 443, true),
            ("internal.example", 8080, true),
            ("internal.example", 80, false),
            ("10.1.2.3", 80, true),
            ("11.1.2.3", 80, false),
            ("[::1]", 80, true),
            ("[fe80::7]", 80, true),
            ("[::2]", 80, false),
        ] {
            assert_eq!(is_excluded(list, host, port), excluded, "{host}:{port}");
        }
        assert!(is_excluded("*", "anything", 80) && !is_excluded("", "anything", 80));
        assert!(
            is_excluded("0.0.0.0/0", "1.2.3.4", 80) && !is_excluded("1.2.3.4/40", "1.2.3.4", 80)
        );
    }

    fn way(proxy: &str, uri: &str) -> Result<Route, NetworkError> {
        let network = Network {
            proxy: Some(proxy.into()),
            no_proxy: Some("near".into()),
            ..Network::default()
        };
        route(&network, &uri.parse().expect("is an address"))
    }

    #[test]
    fn plain_requests_are_forwarded_and_the_rest_is_tunnelled() {
        assert!(matches!(way("", "http://far/"), Ok(Route::Direct)));
        assert!(matches!(way("http://p:3128", "http://near/"), Ok(Route::Direct)));
        assert!(matches!(way("http://p:3128", "http://far/"), Ok(Route::Forward(_))));
        assert!(matches!(way("p:3128", "http://far/"), Ok(Route::Forward(_))));
        assert!(matches!(way("http://p:3128", "https://far/"), Ok(Route::Tunnel(_))));
        assert!(matches!(way("socks5h://p:1080", "http://far/"), Ok(Route::Tunnel(_))));
        let e = way("gopher://me:secret@p", "http://far/").expect_err("is no proxy");
        assert!(!e.to_string().contains("secret"), "{e}");
    }
}
