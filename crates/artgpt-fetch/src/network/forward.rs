//! Requests for http addresses through an HTTP proxy (RFC 9112, section 3.2.2): the connection goes to
//! the proxy, and the first line names the whole address. ureq itself tunnels them with `CONNECT`.

use base64::Engine as _;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Error, Proxy};

/// An HTTP proxy.
#[derive(Debug, Clone)]
pub(super) struct ProxyAddress {
    uri: Uri,
    authorization: Option<String>,
}

impl ProxyAddress {
    pub(super) fn of(proxy: &Proxy) -> Option<Self> {
        let scheme = match proxy.protocol() {
            ureq::ProxyProtocol::Https => "https",
            _ => "http",
        };
        let uri = format!("{scheme}://{}:{}/", proxy.host(), proxy.port()).parse().ok()?;
        let login = proxy.username().map(|name| {
            let login = format!("{name}:{}", proxy.password().unwrap_or_default());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login))
        });
        Some(Self { uri, authorization: login })
    }

    pub(super) fn uses_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// Resolves every host to the proxy: the names of servers are the proxy's business.
#[derive(Debug)]
pub(super) struct ToProxy {
    uri: Uri,
    resolver: DefaultResolver,
}

impl ToProxy {
    pub(super) fn new(proxy: &ProxyAddress) -> Self {
        Self { uri: proxy.uri.clone(), resolver: DefaultResolver::default() }
    }
}

impl Resolver for ToProxy {
    fn resolve(
        &self,
        _: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.resolver.resolve(&self.uri, config, timeout)
    }
}

/// Connects to the proxy.
#[derive(Debug)]
pub(super) struct Forward {
    proxy: ProxyAddress,
    connector: DefaultConnector,
}

impl Forward {
    pub(super) fn new(proxy: ProxyAddress) -> Self {
        Self { proxy, connector: DefaultConnector::default() }
    }
}

impl Connector<()> for Forward {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let to_proxy = ConnectionDetails {
            uri: &self.proxy.uri,
            addrs: details.resolver.resolve(&self.proxy.uri, details.config, details.timeout)?,
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let Some(connection) = self.connector.connect(&to_proxy, chained)? else {
            return Ok(None);
        };
        let host = details.uri.authority().map(|a| a.as_str()).unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let authorization = self.proxy.authorization.clone();
        let origin = Some((format!("http://{host}"), authorization));
        Ok(Some(Box::new(Forwarded { connection, origin })))
    }
}

/// A connection to the proxy, for one request.
#[derive(Debug)]
struct Forwarded {
    connection: Box<dyn Transport>,
    /// What the first line lacks, and the authorization for the proxy; `None` once it is sent.
    origin: Option<(String, Option<String>)>,
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some((origin, authorization)) = self.origin.take() else {
            return self.connection.transmit_output(amount, timeout);
        };
        let head = &self.connection.buffers().output()[..amount];
        let head = with_origin(head, &origin, authorization.as_deref());
        let mut rest = head.as_slice();
        while !rest.is_empty() {
            let output = self.connection.buffers().output();
            let n = rest.len().min(output.len());
            output[..n].copy_from_slice(&rest[..n]);
            self.connection.transmit_output(n, timeout)?;
            rest = &rest[n..];
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }
}

/// The head of a request with the whole address in its first line.
fn with_origin(head: &[u8], origin: &str, authorization: Option<&str>) -> Vec<u8> {
    let path = head.iter().position(|b| *b == b' ').map_or(0, |space| space + 1);
    let line = head.windows(2).position(|w| w == b"\r\n").map_or(head.len(), |end| end + 2);
    let login = authorization.map(|value| format!("proxy-authorization: {value}\r\n"));
    let login = login.unwrap_or_default();
    [&head[..path], origin.as_bytes(), &head[path..line], login.as_bytes(), &head[line..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_whole_address() {
        let head = b"POST /v1/chat HTTP/1.1\r\nhost: box:80\r\n\r\n{}";
        let sent = with_origin(head, "http://box:80", Some("Basic eA=="));
        assert_eq!(
            String::from_utf8_lossy(&sent),
            "POST http://box:80/v1/chat HTTP/1.1\r\nproxy-authorization: Basic eA==\r\nhost: box:80\r\n\r\n{}"
        );
    }
}
