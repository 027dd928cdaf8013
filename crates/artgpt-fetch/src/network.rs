//! How this machine reaches servers: proxies, certificate authorities, mirrors.
//!
//! Each setting has its usual environment variable; the setting wins where both are given. Downloads and
//! requests to model servers use the agents made here.

mod forward;
mod proxy;
mod redirect;
mod roots;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;

use forward::{Forward, ToProxy};
use proxy::Route;

pub use redirect::{keeps_key, redirect_target};

/// The table `[network]` of the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The proxy for all requests; empty for none. Else `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas. Else `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// A PEM file with further certificate authorities. Else `SSL_CERT_FILE`.
    pub ca_file: Option<PathBuf>,
    /// The server of `hf:` sources. Else `HF_ENDPOINT`.
    pub hf_endpoint: Option<String>,
    /// The index of `pypi:` sources. Else `PIP_INDEX_URL` and pip's own configuration.
    pub pip_index: Option<String>,
    /// Whether downloads use local files only. Else `HF_HUB_OFFLINE`, for `hf:` sources.
    pub offline: Option<bool>,
}

/// Why no connection can be tried.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address of a proxy that cannot be parsed, with its secrets masked.
    #[error("the proxy {0} is not an address")]
    Proxy(String),
    /// The certificate file cannot be read.
    #[error("cannot read the certificates in {path}: {source}")]
    Certificates {
        /// The file.
        path: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The certificate file holds no certificate in PEM form.
    #[error("{0} holds no certificate in PEM form")]
    NoCertificates(String),
    /// A redirect that is not followed, by its target.
    #[error("the server redirects to {0}")]
    Redirect(String),
}

impl NetworkError {
    /// What the user can do.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::Proxy(_) => "set network.proxy, or HTTPS_PROXY, to http://HOST:PORT",
            Self::Certificates { .. } | Self::NoCertificates(_) => {
                "set network.ca_file, or SSL_CERT_FILE, to a PEM file"
            }
            Self::Redirect(_) => "name the address that answers",
        };
        text.into()
    }
}

impl Network {
    /// An agent for one address, with its proxy and certificates. `configure` sets the rest; redirects
    /// are not followed, because another host may need another agent and must not get a key.
    ///
    /// # Errors
    /// [`NetworkError::Proxy`], [`NetworkError::Certificates`], [`NetworkError::NoCertificates`].
    pub fn agent(
        &self,
        uri: &Uri,
        configure: impl FnOnce(ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope>,
    ) -> Result<Agent, NetworkError> {
        let mut config = configure(Agent::config_builder()).max_redirects(0).proxy(None);
        let route = proxy::route(self, uri)?;
        let tls_to_proxy = matches!(&route, Route::Forward(to) if to.uses_tls());
        if uri.scheme_str() == Some("https") || tls_to_proxy || matches!(route, Route::Tunnel(_)) {
            let roots = roots::certificates(self.ca_file.as_deref())?;
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(match route {
            Route::Direct => config.build().into(),
            Route::Tunnel(proxy) => config.proxy(Some(proxy)).build().into(),
            Route::Forward(to) => {
                let config = config.max_idle_connections(0).build();
                let resolver = ToProxy::new(&to);
                Agent::with_parts(config, Forward::new(to), resolver)
            }
        })
    }

    /// The server of `hf:` sources, without a slash at its end.
    pub(crate) fn hf_endpoint(&self) -> String {
        let set = self.hf_endpoint.clone().or_else(|| variable(&["HF_ENDPOINT"]));
        let endpoint = set.filter(|e| !e.is_empty()).unwrap_or("https://huggingface.co".into());
        endpoint.trim_end_matches('/').to_string()
    }

    /// Whether `hf:` sources come from the local cache alone.
    pub(crate) fn hf_offline(&self) -> bool {
        let told = |value: String| {
            matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")
        };
        self.offline.unwrap_or_else(|| variable(&["HF_HUB_OFFLINE"]).is_some_and(told))
    }

    /// The authorities of the setting `ca_file` and of the system, as PEM; `None` where it is not set.
    pub(crate) fn bundle(&self) -> Result<Option<Vec<u8>>, NetworkError> {
        self.ca_file.as_deref().map(roots::bundle).transpose()
    }

    /// The proxy of a setting, as child processes take it; `None` leaves them to the environment.
    pub(crate) fn own_proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

/// The first of these environment variables that is set and not empty.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}
